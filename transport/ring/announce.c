/* announce.c - see announce.h */
#include "announce.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ring.h"

static uint64_t monotonic_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void announcer_begin(struct announcer *a, struct vgpu_ring_header *h)
{
        a->begun_ns = 0;
        if (!a->on)
                return;
        a->begun_ns = monotonic_ns();
        __atomic_store_n(&h->due_ns, a->begun_ns + a->write_ns, __ATOMIC_RELAXED);
        __atomic_fetch_add(&h->soon, 1, __ATOMIC_RELEASE);
        syscall(SYS_futex, &h->soon, FUTEX_WAKE, RING_ANNOUNCE_MOST, NULL, NULL, 0);
}

void announcer_end(struct announcer *a, uint64_t end_ns)
{
        uint64_t took = end_ns - a->begun_ns;

        if (a->begun_ns == 0)
                return;
        /* who spins from too early loses some CPU time, who comes too late the frame: down at once, up by and by */
        if (a->write_ns == 0 || took < a->write_ns)
                a->write_ns = took;
        else
                a->write_ns += (took - a->write_ns) / 8;
}
