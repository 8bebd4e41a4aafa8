/* worker.c - see worker.h */
#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static void map_board(struct bench_worker *w)
{
        struct stat st;
        void *map;

        if (fstat(BENCH_BOARD_FD, &st) < 0 ||
                (uint64_t)st.st_size <
                        sizeof(struct bench_board) +
                                (w->index + UINT64_C(1)) * sizeof(struct bench_sheet))
                bench_fail(w, "descriptor 3 is not the board of a scene");
        map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, BENCH_BOARD_FD, 0);
        if (map == MAP_FAILED)
                bench_fail(w, "the board cannot be mapped: %s", strerror(errno));
        w->board = map;
        w->sheet = &w->board->sheet[w->index];
        /* no page of it is to be made while something is being measured */
        memset(w->sheet, 0, sizeof(*w->sheet));
}

void bench_worker_init(struct bench_worker *w, int argc, char **argv)
{
        *w = (struct bench_worker){ 0 };
        if (argc != 6) {
                fprintf(stderr,
                        "Usage: %s ROLE INDEX FOLDER WIDTH HEIGHT 3<>BOARD\n"
                        "A part of `script/bench ring`, which starts it.\n",
                        program_invocation_short_name);
                exit(2);
        }
        w->role = argv[1];
        w->index = (unsigned)strtoul(argv[2], NULL, 10);
        w->dir = argv[3];
        w->width = (uint32_t)strtoul(argv[4], NULL, 10);
        w->height = (uint32_t)strtoul(argv[5], NULL, 10);
        w->frame_bytes = (size_t)w->width * w->height * 4;
        if (w->frame_bytes < 64)
                bench_fail(w, "a frame of %u x %u is too small", w->width, w->height);
        map_board(w);
        if (w->index != 0)
                return;
        w->source = malloc(w->frame_bytes);
        if (!w->source)
                bench_fail(w, "no memory for a frame");
        for (size_t i = 0; i < w->frame_bytes; i++)
                w->source[i] = (uint8_t)(i * 7);
}

/* One write of less than PIPE_BUF: what several workers say does not mix. */
static void say(const struct bench_worker *w, const char *what, const char *format, va_list args)
{
        char line[400];
        int n = snprintf(line, sizeof(line), "%u %s ", w->index, what);

        n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, args);
        if (n > (int)sizeof(line) - 2)
                n = (int)sizeof(line) - 2;
        line[n++] = '\n';
        if (write(STDOUT_FILENO, line, (size_t)n) != n)
                exit(1);
}

static void tell(const struct bench_worker *w, const char *what, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        say(w, what, format, args);
        va_end(args);
}

void bench_ready(const struct bench_worker *w)
{
        tell(w, "ready", "%s", w->role);
}

_Noreturn void bench_skip(const struct bench_worker *w, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        say(w, "skipped", format, args);
        va_end(args);
        _exit(BENCH_SKIPPED);
}

_Noreturn void bench_fail(const struct bench_worker *w, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        say(w, "failed", format, args);
        va_end(args);
        _exit(1);
}

uint64_t bench_now(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t cpu_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void bench_sample(struct bench_worker *w, uint64_t stamp_ns, uint64_t ns)
{
        uint64_t to_ns = __atomic_load_n(&w->board->to_ns, __ATOMIC_ACQUIRE);
        struct bench_sheet *s = w->sheet;

        if (stamp_ns >= to_ns || stamp_ns < w->board->from_ns || s->n >= BENCH_MAX_SAMPLES)
                return;
        s->cpu_last_ns = cpu_ns();
        if (s->n == 0)
                s->cpu_first_ns = s->cpu_last_ns;
        s->ns[s->n] = ns;
        __atomic_store_n(&s->n, s->n + 1, __ATOMIC_RELEASE);
}

void bench_fill(struct bench_worker *w, void *frame)
{
        memcpy(frame, w->source, w->frame_bytes);
#if defined(__x86_64__) || defined(__i386__)
        /* a large memcpy() stores past the cache: those stores are the fill's, not the hand-over's */
        __builtin_ia32_sfence();
#endif
}

void bench_stamp(const struct bench_worker *w, void *frame)
{
        uint64_t now_ns = bench_now();

        memcpy((uint8_t *)frame + w->frame_bytes - sizeof(now_ns), &now_ns, sizeof(now_ns));
        memcpy(frame, &now_ns, sizeof(now_ns));
}

void bench_take(struct bench_worker *w, const void *frame)
{
        uint64_t first, last, now_ns;

        memcpy(&first, frame, sizeof(first));
        memcpy(&last, (const uint8_t *)frame + w->frame_bytes - sizeof(last), sizeof(last));
        now_ns = bench_now();
        if (first != last)
                w->sheet->n_bad++;
        else
                bench_sample(w, first, now_ns > first ? now_ns - first : 0);
}

int bench_frame_timer(const struct bench_worker *w)
{
        struct itimerspec spec = { .it_interval.tv_nsec = (long)BENCH_PERIOD_NS };
        uint64_t first_ns = bench_now() + BENCH_PERIOD_NS;
        int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

        spec.it_value.tv_sec = (time_t)(first_ns / 1000000000u);
        spec.it_value.tv_nsec = (long)(first_ns % 1000000000u);
        if (fd < 0 || timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL) < 0)
                bench_fail(w, "no timer: %s", strerror(errno));
        return fd;
}

bool bench_wait_frame(const struct bench_worker *w, int timer)
{
        struct pollfd fds[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
                { .fd = timer, .events = POLLIN } };
        uint64_t expired;

        do {
                if (poll(fds, 2, -1) < 0 && errno != EINTR)
                        bench_fail(w, "poll: %s", strerror(errno));
                if (fds[0].revents)
                        return false;
        } while (read(timer, &expired, sizeof(expired)) != sizeof(expired));
        return true;
}
