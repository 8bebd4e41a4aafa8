/* progress.c - see progress.h */
#include "progress.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "latency.h"
#include "text.h"

#define PERIOD_MS   100
#define PATIENCE_NS UINT64_C(300000000) /* a stage shorter than this is seen only by its result */
#define BAR_CELLS   20
#define NS_PER_MS   1000000

char *progress_format(char *buf, size_t cap, const char *stage, size_t n_done, size_t n_total,
        uint64_t ms, unsigned turn)
{
        static const char spinner[] = "|/-\\";
        char bar[BAR_CELLS + 1], time[32];
        size_t cells;

        text_duration(time, sizeof time, ms);
        if (n_total == 0) {
                snprintf(buf, cap, "%-11s %c %s", stage, spinner[turn % 4], time);
                return buf;
        }
        if (n_done > n_total)
                n_done = n_total;
        cells = (size_t)((double)n_done / (double)n_total * BAR_CELLS);
        memset(bar, '-', BAR_CELLS);
        memset(bar, '#', cells);
        bar[BAR_CELLS] = '\0';
        snprintf(buf, cap, "%-11s [%s] %3u %%  %s", stage, bar,
                (unsigned)((double)n_done / (double)n_total * 100), time);
        return buf;
}

static void clear_line(struct progress *p)
{
        if (p->n_drawn == 0)
                return;
        fputs("\r\033[K", p->out);
        fflush(p->out);
        p->n_drawn = 0;
}

static void draw(struct progress *p)
{
        uint64_t ns = latency_between(p->began_ns, latency_now());
        char line[80];

        if (!p->stage || ns < PATIENCE_NS)
                return;
        progress_format(line, sizeof line, p->stage,
                atomic_load_explicit(p->done, memory_order_relaxed),
                atomic_load_explicit(p->total, memory_order_relaxed), ns / NS_PER_MS, p->n_drawn++);
        fprintf(p->out, "\r%s\033[K", line);
        fflush(p->out);
}

static void *watch(void *arg)
{
        struct progress *p = arg;
        struct pollfd wake = { .fd = p->wake_fd, .events = POLLIN };

        while (poll(&wake, 1, PERIOD_MS) <= 0) {
                pthread_mutex_lock(&p->lock);
                draw(p);
                pthread_mutex_unlock(&p->lock);
        }
        return NULL;
}

/* Signals are the main thread's. */
static int start_thread(struct progress *p)
{
        sigset_t all, was;
        int r;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &was);
        r = pthread_create(&p->thread, NULL, watch, p);
        pthread_sigmask(SIG_SETMASK, &was, NULL);
        return r;
}

void progress_start(struct progress *p, FILE *out)
{
        *p = (struct progress){ .out = out, .wake_fd = -1 };
        pthread_mutex_init(&p->lock, NULL);
        if (!out)
                return;
        p->wake_fd = eventfd(0, EFD_CLOEXEC);
        if (p->wake_fd >= 0 && start_thread(p) == 0)
                return;
        if (p->wake_fd >= 0)
                close(p->wake_fd);
        p->out = NULL;
}

void progress_stage(struct progress *p, const char *stage)
{
        pthread_mutex_lock(&p->lock);
        p->stage = stage;
        p->began_ns = latency_now();
        p->done = &p->n_done;
        p->total = &p->n_total;
        progress_count(p, 0, 0);
        pthread_mutex_unlock(&p->lock);
}

void progress_count(struct progress *p, size_t n_done, size_t n_total)
{
        atomic_store_explicit(&p->n_done, n_done, memory_order_relaxed);
        atomic_store_explicit(&p->n_total, n_total, memory_order_relaxed);
}

void progress_follow(struct progress *p, const atomic_size_t *n_done, const atomic_size_t *n_total)
{
        pthread_mutex_lock(&p->lock);
        p->done = n_done;
        p->total = n_total;
        pthread_mutex_unlock(&p->lock);
}

void progress_clear(struct progress *p)
{
        pthread_mutex_lock(&p->lock);
        p->stage = NULL;
        clear_line(p);
        pthread_mutex_unlock(&p->lock);
}

void progress_stop(struct progress *p)
{
        progress_clear(p);
        if (p->out) {
                eventfd_write(p->wake_fd, 1);
                pthread_join(p->thread, NULL);
                close(p->wake_fd);
        }
        pthread_mutex_destroy(&p->lock);
}
