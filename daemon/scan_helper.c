/* scan_helper.c - see scan_helper.h */
#include "scan_helper.h"

#include <sched.h>
#include <time.h>
#include <unistd.h>

static uint64_t cpu_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
        return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void help(void *arg)
{
        struct scan_helper *h = arg;

        /* Who waits for something else, such as the loop, goes first. */
        sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){ 0 });
        h->work(h->arg);
        h->took_ns += cpu_ns();
}

static bool begin(struct vgpup_helper *helper, void (*work)(void *arg), void *arg)
{
        struct scan_helper *h = (struct scan_helper *)helper;

        if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
                return false;
        h->work = work;
        h->arg = arg;
        return uv_thread_create(&h->thread, help, h) == 0;
}

static void end(struct vgpup_helper *helper)
{
        struct scan_helper *h = (struct scan_helper *)helper;

        uv_thread_join(&h->thread);
}

void scan_helper_init(struct scan_helper *h)
{
        *h = (struct scan_helper){ .helper = { .begin = begin, .end = end } };
}
