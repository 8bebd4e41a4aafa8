/*
 * limit.c - see limit.h
 *
 * The bucket is kept as a debt of time: each event costs interval / burst, the clock pays it back, and no more than one
 * interval can be owed.
 */
#include "limit.h"

#define NS_PER_S UINT64_C(1000000000)

static uint64_t debt(const struct limit *l, uint64_t now_ns)
{
        uint64_t passed = now_ns > l->since_ns ? now_ns - l->since_ns : 0;

        return l->spent_ns > passed ? l->spent_ns - passed : 0;
}

bool limit_peek(const struct limit *l, uint32_t burst, uint32_t interval_s, uint64_t now_ns)
{
        uint64_t interval_ns = interval_s * NS_PER_S;

        return burst == 0 || debt(l, now_ns) + interval_ns / burst <= interval_ns;
}

bool limit_take(struct limit *l, uint32_t burst, uint32_t interval_s, uint64_t now_ns)
{
        if (!limit_peek(l, burst, interval_s, now_ns)) {
                if (l->n_swallowed++ == 0)
                        l->swallowing_ns = now_ns;
                return false;
        }
        if (burst != 0) {
                l->spent_ns = debt(l, now_ns) + interval_s * NS_PER_S / burst;
                l->since_ns = now_ns;
        }
        return true;
}
