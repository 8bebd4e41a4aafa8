/*
 * guest_clock.h - the guest's own time: nanoseconds since its boot, which stand still while the machine is paused
 */
#ifndef GUEST_CLOCK_H
#define GUEST_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct guest_clock {
        uint64_t base_ns;   /* CLOCK_MONOTONIC at which guest time would have been 0 */
        uint64_t paused_ns; /* guest time at which it stands */
        bool paused;
};

static inline uint64_t guest_clock_host_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static inline uint64_t guest_clock_now(const struct guest_clock *c)
{
        return c->paused ? c->paused_ns : guest_clock_host_ns() - c->base_ns;
}

static inline void guest_clock_start(struct guest_clock *c, uint64_t from_ns)
{
        *c = (struct guest_clock){ .base_ns = guest_clock_host_ns() - from_ns };
}

static inline void guest_clock_pause(struct guest_clock *c)
{
        c->paused_ns = guest_clock_now(c);
        c->paused = true;
}

static inline void guest_clock_resume(struct guest_clock *c)
{
        if (c->paused)
                guest_clock_start(c, c->paused_ns);
}

#endif /* GUEST_CLOCK_H */
