/* guest_clock.c - see guest_clock.h */
#include "guest_clock.h"

#include <string.h>

void guest_clock_reset(struct guest_clock *c)
{
        memset(c, 0, sizeof(*c));
}

void guest_clock_resume(struct guest_clock *c, uint64_t host_ns)
{
        c->moved = false;
        c->moved_ns = host_ns;
        c->ahead_ns = (int64_t)(c->guest_ns - host_ns);
}

enum guest_clock_verdict guest_clock_update(
        struct guest_clock *c, uint64_t guest_ns, uint64_t host_ns)
{
        int64_t ahead_ns = (int64_t)(guest_ns - host_ns);

        if (!c->seen) {
                *c = (struct guest_clock){
                        .seen = true,
                        .guest_ns = guest_ns,
                        .moved_ns = host_ns,
                        .ahead_ns = ahead_ns,
                };
                return GUEST_CLOCK_UNKNOWN;
        }
        /* Unsigned: the guest's clock may say anything, and the difference of two such need not fit. */
        if (guest_ns < c->guest_ns ||
                (int64_t)((uint64_t)ahead_ns - (uint64_t)c->ahead_ns) > GUEST_CLOCK_JUMP_NS)
                return GUEST_CLOCK_JUMPED;
        if (guest_ns != c->guest_ns) {
                c->moved = true;
                c->moved_ns = host_ns;
                c->guest_ns = guest_ns;
        }
        if (ahead_ns > c->ahead_ns)
                c->ahead_ns = ahead_ns;
        if (host_ns - c->moved_ns >= GUEST_CLOCK_JUDGE_NS) {
                /* A pause moves the guest back for good: from here on, ahead counts anew. */
                c->ahead_ns = ahead_ns;
                return GUEST_CLOCK_STANDING;
        }
        return c->moved ? GUEST_CLOCK_RUNNING : GUEST_CLOCK_UNKNOWN;
}
