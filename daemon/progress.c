/* progress.c - see progress.h */
#include "progress.h"

#include <stddef.h>

#define NS_PER_S UINT64_C(1000000000)

/*
 * Many times what each takes at its slowest, so that no load of the host counts as an end: ticks and pulses come every 100 ms,
 * looks at least every second, and the state machine tries again, or asks again whether it may, at least every two. A search reads
 * all the time, but has to wait for a thread of the pool, and for a disk if that is where RAM is.
 */
static const struct {
        const char *name;
        uint64_t bound_ns;
} actors[PROGRESS_N_ACTORS] = {
        [PROGRESS_TICK] = { "the tick that clients watch", 5 * NS_PER_S },
        [PROGRESS_PULSE] = { "the watch over RAM, clock and heartbeat", 5 * NS_PER_S },
        [PROGRESS_LOOK] = { "the look for frames", 5 * NS_PER_S },
        [PROGRESS_STEP] = { "the state machine that looks for a guest", 10 * NS_PER_S },
        [PROGRESS_SCAN] = { "the search through the guest's memory", 30 * NS_PER_S },
};

unsigned progress_check(struct progress *p, const struct progress_report *report, uint64_t now_ns)
{
        uint64_t slice = p->checked_ns != 0 ? now_ns - p->checked_ns : 0;
        unsigned stuck = 0;

        if (slice > PROGRESS_CHECK_MOST_NS)
                slice = PROGRESS_CHECK_MOST_NS;
        for (size_t i = 0; i < PROGRESS_N_ACTORS; i++) {
                bool due = report->actor[i].due, was_due = p->actor[i].due;
                bool went_on = report->actor[i].count != p->actor[i].count;

                p->actor[i].quiet_ns =
                        due && was_due && !went_on ? p->actor[i].quiet_ns + slice : 0;
                p->actor[i].count = report->actor[i].count;
                p->actor[i].due = due;
                if (p->actor[i].quiet_ns > actors[i].bound_ns)
                        stuck |= 1u << i;
        }
        p->checked_ns = now_ns;
        return stuck;
}

uint64_t progress_bound_ns(enum progress_actor actor)
{
        return actors[actor].bound_ns;
}

const char *progress_actor_name(enum progress_actor actor)
{
        return actors[actor].name;
}
