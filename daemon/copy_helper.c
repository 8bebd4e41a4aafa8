/* copy_helper.c - see copy_helper.h */
#include "copy_helper.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <uv.h>

/* What is handed over is ordered by the semaphores: one thread has it at a time. */
struct copy_helper {
        uv_thread_t thread;
        uv_sem_t asked, done;
        vgpu_source *source; /* NULL: end */
        const struct gva_extent *pieces;
        size_t n;
        uint8_t *dst;
        int result;
};

static void help(void *arg)
{
        struct copy_helper *h = arg;

        /* It is there for another processor: where none is free it waits behind the loop's thread, and is not put before it. */
        sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){ 0 });
        for (;;) {
                uv_sem_wait(&h->asked);
                if (!h->source)
                        return;
                h->result = vgpu_source_gather(h->source, h->pieces, h->n, 0, h->dst);
                uv_sem_post(&h->done);
        }
}

/* Signals are the loop's. What a fault of this thread's own raises must reach it: a RAM file that shrinks is a SIGBUS. */
static int start_thread(struct copy_helper *h)
{
        sigset_t all, before;
        int r;

        sigfillset(&all);
        sigdelset(&all, SIGBUS);
        sigdelset(&all, SIGSEGV);
        sigdelset(&all, SIGFPE);
        sigdelset(&all, SIGILL);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = uv_thread_create(&h->thread, help, h);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return r;
}

static int start(struct copy_helper *h)
{
        int r = uv_sem_init(&h->asked, 0);

        if (r < 0)
                return r;
        r = uv_sem_init(&h->done, 0);
        if (r < 0) {
                uv_sem_destroy(&h->asked);
                return r;
        }
        r = start_thread(h);
        if (r < 0) {
                uv_sem_destroy(&h->asked);
                uv_sem_destroy(&h->done);
        }
        return r;
}

int copy_helper_new(struct copy_helper **ret_helper)
{
        struct copy_helper *h = calloc(1, sizeof(*h));
        int r = h ? start(h) : -ENOMEM;

        if (r < 0)
                free(h);
        else
                *ret_helper = h;
        return r;
}

struct copy_helper *copy_helper_free(struct copy_helper *h)
{
        if (!h)
                return NULL;
        h->source = NULL;
        uv_sem_post(&h->asked);
        uv_thread_join(&h->thread);
        uv_sem_destroy(&h->asked);
        uv_sem_destroy(&h->done);
        free(h);
        return NULL;
}

void copy_helper_ask(struct copy_helper *h, vgpu_source *source, const struct gva_extent *pieces,
        size_t n, uint8_t *dst)
{
        h->source = source;
        h->pieces = pieces;
        h->n = n;
        h->dst = dst;
        uv_sem_post(&h->asked);
}

bool copy_helper_take_back(struct copy_helper *h)
{
        return uv_sem_trywait(&h->asked) == 0;
}

bool copy_helper_is_done(struct copy_helper *h, int *ret_result)
{
        if (uv_sem_trywait(&h->done) < 0)
                return false;
        *ret_result = h->result;
        return true;
}

int copy_helper_wait(struct copy_helper *h)
{
        uv_sem_wait(&h->done);
        return h->result;
}
