/*
 * figures.h - what is said about many durations: quantiles of a round, medians of rounds
 */
#ifndef BENCH_FIGURES_H
#define BENCH_FIGURES_H

#include <stddef.h>
#include <stdint.h>

/* Microseconds. */
struct figures {
        double median, p95, p99, max;
        uint64_t n; /* samples; with none the others are 0 and mean nothing */
};

/* @ns: nanoseconds, sorted. */
struct figures figures_of(const uint64_t *ns, size_t n);

/*
 * Of several rounds: each quantile is the median of the rounds' quantiles, so that one disturbed round does not count;
 * max and n are of all of them. Rounds without a sample are left out.
 */
struct figures figures_of_rounds(const struct figures *round, unsigned n_rounds);

#endif /* BENCH_FIGURES_H */
