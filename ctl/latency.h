/*
 * latency.h - quantiles of many durations in little memory
 *
 * A histogram whose buckets grow with the value: 64 to every power of two, so a quantile is at most 1.6 % above
 * the truth, whatever the number of samples. Below 64 ns it is exact.
 */
#ifndef CTL_LATENCY_H
#define CTL_LATENCY_H

#include <stdint.h>

#define LATENCY_STEPS   64u
#define LATENCY_BUCKETS (59u * LATENCY_STEPS)

struct latency {
        uint64_t n;
        uint64_t max_ns;
        uint64_t bucket[LATENCY_BUCKETS];
};

void latency_reset(struct latency *l);
void latency_add(struct latency *l, uint64_t ns);

/* The duration that @q (0..1) of the samples do not exceed, in nanoseconds; 0 without samples. */
uint64_t latency_quantile(const struct latency *l, double q);

/* CLOCK_MONOTONIC now, which is also what the daemon stamps its frames with. */
uint64_t latency_now(void);

/* From @since_ns to @now_ns; 0 when that is negative. */
uint64_t latency_between(uint64_t since_ns, uint64_t now_ns);

#endif /* CTL_LATENCY_H */
