/*
 * bar.h - what the product is held to, row by row, and where the benchmarks' figures say whether it holds
 */
#ifndef BENCH_BAR_H
#define BENCH_BAR_H

#include "figures_file.h"

struct bar_row {
        const char *what, *target; /* for people */
        const char *program;       /* which benchmark knows: script/bench NAME */
        const char *table;         /* and in which table of it */
        const char *group,
                *row; /* patterns of fnmatch(3), FNM_EXTMATCH; only rows that have a target count */
};

extern const struct bar_row bar[];
extern const size_t n_bar;

struct bar_verdict {
        enum bench_holds holds; /* never BENCH_NO_TARGET: a row without any is not measured */
        unsigned n, n_held;     /* rows that count, and of them held */
        /* the one that is nearest to its limit, or farthest beyond it; NULL: none was measured */
        const struct figures_record *worst;
        struct figures_excess by; /* how far it is, and what that is in each run */
        unsigned n_runs;
        const char *reason; /* why it was not measured: the benchmark's own note, or ""  */
};

/* Is @row about this record? One without a target it never is about. */
bool bar_counts(const struct bar_row *row, const struct figures_record *record);

struct bar_verdict bar_judge(const struct bar_row *row, const struct figures_file *file);

/* By the median of the runs: "no: 1.23, 12 % beyond (1080p, contiguous: sample and publish); 3 of 6 hold". Return: @text. */
const char *bar_verdict_text(
        const struct bar_row *row, const struct bar_verdict *verdict, char *text, size_t size);

/* "0.310, 0.290, 0.300, spread 0.020": what came of each run; "" where there was only one. Return: @text. */
const char *bar_runs_text(
        const struct figures_excess *by, unsigned n_runs, char *text, size_t size);

#endif /* BENCH_BAR_H */
