/* latency.c - see latency.h */
#include "latency.h"

#include <string.h>
#include <time.h>

/* Bucket b < 64 holds the value b; above, each power of two is cut into 64 steps of equal width. */
static unsigned bucket_of(uint64_t ns)
{
        unsigned shift;

        if (ns < LATENCY_STEPS)
                return (unsigned)ns;
        shift = 63u - 6u - (unsigned)__builtin_clzll(ns);
        return (shift + 1) * LATENCY_STEPS + (unsigned)(ns >> shift) - LATENCY_STEPS;
}

/* The largest value that falls into a bucket. */
static uint64_t top_of(unsigned bucket)
{
        unsigned shift;

        if (bucket < LATENCY_STEPS)
                return bucket;
        shift = bucket / LATENCY_STEPS - 1;
        return ((uint64_t)(LATENCY_STEPS + bucket % LATENCY_STEPS) << shift) +
               ((UINT64_C(1) << shift) - 1);
}

void latency_reset(struct latency *l)
{
        memset(l, 0, sizeof *l);
}

void latency_add(struct latency *l, uint64_t ns)
{
        l->n++;
        l->bucket[bucket_of(ns)]++;
        if (ns > l->max_ns)
                l->max_ns = ns;
}

uint64_t latency_quantile(const struct latency *l, double q)
{
        uint64_t wanted = (uint64_t)(q * (double)l->n + 0.5), seen = 0, top;

        if (l->n == 0)
                return 0;
        for (unsigned b = 0; b < LATENCY_BUCKETS; b++) {
                seen += l->bucket[b];
                if (l->bucket[b] && seen >= wanted) {
                        top = top_of(b);
                        return top < l->max_ns ? top : l->max_ns;
                }
        }
        return l->max_ns;
}

uint64_t latency_now(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t latency_between(uint64_t since_ns, uint64_t now_ns)
{
        return now_ns > since_ns ? now_ns - since_ns : 0;
}
