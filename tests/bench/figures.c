/* figures.c - see figures.h */
#include "figures.h"

#include <stdlib.h>

#include "plan.h"

/* The smallest sample that at least @per_mille of all do not exceed. */
static double quantile(const uint64_t *ns, size_t n, unsigned per_mille)
{
        size_t rank = (n * per_mille + 999) / 1000;

        return (double)ns[rank > 0 ? rank - 1 : 0] / 1000.0;
}

struct figures figures_of(const uint64_t *ns, size_t n)
{
        if (n == 0)
                return (struct figures){ 0 };
        return (struct figures){
                .median = quantile(ns, n, 500),
                .p95 = quantile(ns, n, 950),
                .p99 = quantile(ns, n, 990),
                .max = (double)ns[n - 1] / 1000.0,
                .n = n,
        };
}

static int compare(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return x < y ? -1 : x > y;
}

static double median_of(double *value, unsigned n)
{
        if (n == 0)
                return 0;
        qsort(value, n, sizeof(value[0]), compare);
        return n % 2 ? value[n / 2] : (value[n / 2 - 1] + value[n / 2]) / 2;
}

struct figures figures_of_rounds(const struct figures *round, unsigned n_rounds)
{
        double median[MAX_ROUNDS], p95[MAX_ROUNDS], p99[MAX_ROUNDS];
        struct figures all = { 0 };
        unsigned n = 0;

        for (unsigned i = 0; i < n_rounds; i++) {
                if (round[i].n == 0)
                        continue;
                median[n] = round[i].median;
                p95[n] = round[i].p95;
                p99[n] = round[i].p99;
                n++;
                all.n += round[i].n;
                if (round[i].max > all.max)
                        all.max = round[i].max;
        }
        all.median = median_of(median, n);
        all.p95 = median_of(p95, n);
        all.p99 = median_of(p99, n);
        return all;
}
