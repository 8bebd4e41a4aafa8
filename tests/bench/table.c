/* table.c - rows of samples and what is said about them (see table.h); how it looks is in table_text.c and table_svg.c */
#include "table.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* From here on a round's own p99 is one of its samples. */
#define ENOUGH_FOR_QUANTILES 100u

static void *resize(void *old, size_t bytes)
{
        void *p = realloc(old, bytes);

        if (!p) {
                fputs("out of memory for a table\n", stderr);
                exit(1);
        }
        return p;
}

static void must_fit(unsigned n, unsigned max, const char *what)
{
        if (n < max)
                return;
        fprintf(stderr, "more than %u %s\n", max, what);
        exit(1);
}

void bench_report_deinit(struct bench_report *report)
{
        for (unsigned i = 0; i < report->n_tables; i++) {
                struct bench_table *t = report->table[i];

                for (unsigned k = 0; k < t->n_rows; k++) {
                        free(t->row[k]->sample);
                        free(t->row[k]);
                }
                free(t);
        }
        *report = (struct bench_report){ 0 };
}

struct bench_table *bench_table_add(
        struct bench_report *report, const char *id, const char *unit, const char *title)
{
        struct bench_table *t = resize(NULL, sizeof(*t));

        must_fit(report->n_tables, BENCH_TABLES, "tables in a report");
        *t = (struct bench_table){ 0 };
        snprintf(t->id, sizeof(t->id), "%s", id);
        snprintf(t->unit, sizeof(t->unit), "%s", unit);
        snprintf(t->title, sizeof(t->title), "%s", title);
        report->table[report->n_tables++] = t;
        return t;
}

struct bench_row *bench_row_add(
        struct bench_table *table, const char *group, const char *format, ...)
{
        struct bench_row *row = resize(NULL, sizeof(*row));
        va_list args;

        must_fit(table->n_rows, BENCH_ROWS, "rows in a table");
        *row = (struct bench_row){ 0 };
        snprintf(row->group, sizeof(row->group), "%s", group);
        va_start(args, format);
        vsnprintf(row->name, sizeof(row->name), format, args);
        va_end(args);
        table->row[table->n_rows++] = row;
        return row;
}

void bench_row_sample(struct bench_row *row, unsigned round, double value)
{
        if (row->n_samples == row->max_samples) {
                row->max_samples = row->max_samples ? 2 * row->max_samples : 64;
                row->sample = resize(row->sample, row->max_samples * sizeof(*row->sample));
        }
        row->sample[row->n_samples++] = (struct bench_sample){ value, round };
}

void bench_row_give(struct bench_row *row, struct bench_figures figures)
{
        row->given = figures;
}

void bench_row_against(struct bench_row *row, const struct bench_row *roofline)
{
        row->roofline = roofline;
}

static void add_target(struct bench_row *row, struct bench_target target)
{
        must_fit(row->n_targets, BENCH_TARGETS, "targets of a row");
        row->target[row->n_targets++] = target;
}

void bench_row_at_most(struct bench_row *row, enum bench_of of, double limit)
{
        add_target(row, (struct bench_target){ of, false, limit });
}

void bench_row_at_least(struct bench_row *row, enum bench_of of, double limit)
{
        add_target(row, (struct bench_target){ of, true, limit });
}

void bench_row_note(struct bench_row *row, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vsnprintf(row->note, sizeof(row->note), format, args);
        va_end(args);
}

/* ---- figures ----------------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return x < y ? -1 : x > y;
}

static double median_of(double *value, size_t n)
{
        qsort(value, n, sizeof(value[0]), compare);
        return n % 2 ? value[n / 2] : (value[n / 2 - 1] + value[n / 2]) / 2;
}

/* The smallest of @n sorted values that at least @per_mille of all do not exceed. */
static double quantile(const double *value, size_t n, unsigned per_mille)
{
        size_t rank = (n * per_mille + 999) / 1000;

        return value[rank > 0 ? rank - 1 : 0];
}

static unsigned n_rounds(const struct bench_row *row)
{
        unsigned n = 0;

        for (size_t i = 0; i < row->n_samples; i++)
                if (row->sample[i].round >= n)
                        n = row->sample[i].round + 1;
        return n;
}

/* Sorted; @value has room for all samples. */
static size_t values_of_round(const struct bench_row *row, unsigned round, double *value)
{
        size_t n = 0;

        for (size_t i = 0; i < row->n_samples; i++)
                if (row->sample[i].round == round)
                        value[n++] = row->sample[i].value;
        qsort(value, n, sizeof(value[0]), compare);
        return n;
}

static struct bench_figures figures_of(double *value, size_t n)
{
        if (n == 0)
                return (struct bench_figures){ 0 };
        return (struct bench_figures){
                .median = median_of(value, n),
                .p95 = quantile(value, n, 950),
                .p99 = quantile(value, n, 990),
                .max = value[n - 1],
                .n = n,
        };
}

/* False: a round has too few samples for quantiles of its own. */
static bool figures_of_rounds(
        const struct bench_row *row, double *value, struct bench_figures *figures)
{
        unsigned rounds = n_rounds(row), n = 0;
        double *kept = resize(NULL, 3 * rounds * sizeof(*kept));
        double *median = kept, *p95 = kept + rounds, *p99 = kept + 2 * rounds;

        for (unsigned i = 0; i < rounds; i++) {
                size_t in_round = values_of_round(row, i, value);
                struct bench_figures of_round = figures_of(value, in_round);

                if (in_round > 0 && in_round < ENOUGH_FOR_QUANTILES) {
                        free(kept);
                        return false;
                }
                if (in_round == 0)
                        continue;
                median[n] = of_round.median;
                p95[n] = of_round.p95;
                p99[n++] = of_round.p99;
        }
        figures->median = median_of(median, n);
        figures->p95 = median_of(p95, n);
        figures->p99 = median_of(p99, n);
        free(kept);
        return true;
}

struct bench_figures bench_row_figures(const struct bench_row *row)
{
        struct bench_figures figures;
        double *value;

        if (row->n_samples == 0)
                return row->given;
        value = resize(NULL, row->n_samples * sizeof(*value));
        for (size_t i = 0; i < row->n_samples; i++)
                value[i] = row->sample[i].value;
        figures = figures_of(value, row->n_samples);
        figures_of_rounds(row, value, &figures);
        free(value);
        return figures;
}

static bool median_of_round(const struct bench_row *row, unsigned round, double *ret)
{
        double *value = resize(NULL, (row->n_samples + 1) * sizeof(*value));
        size_t n = values_of_round(row, round, value);

        if (n > 0)
                *ret = median_of(value, n);
        free(value);
        return n > 0;
}

bool bench_row_ratio(const struct bench_row *row, double *ret_ratio)
{
        unsigned rounds = n_rounds(row), n = 0;
        double *ratio;

        if (!row->roofline || rounds == 0)
                return false;
        ratio = resize(NULL, rounds * sizeof(*ratio));
        for (unsigned i = 0; i < rounds; i++) {
                double ours, roof;

                if (median_of_round(row, i, &ours) && median_of_round(row->roofline, i, &roof) &&
                        roof > 0)
                        ratio[n++] = ours / roof;
        }
        if (n > 0)
                *ret_ratio = median_of(ratio, n);
        free(ratio);
        return n > 0;
}

/* ---- targets ----------------------------------------------------------------------------------------------------- */

static bool value_of(const struct bench_row *row, enum bench_of of, double *ret)
{
        struct bench_figures figures = bench_row_figures(row);

        switch (of) {
        case BENCH_OF_MEDIAN:
                *ret = figures.median;
                break;
        case BENCH_OF_P95:
                *ret = figures.p95;
                break;
        case BENCH_OF_P99:
                *ret = figures.p99;
                break;
        case BENCH_OF_MAX:
                *ret = figures.max;
                break;
        case BENCH_OF_RATIO:
                return bench_row_ratio(row, ret);
        }
        return figures.n > 0;
}

enum bench_holds bench_row_holds(const struct bench_row *row)
{
        enum bench_holds holds = row->n_targets > 0 ? BENCH_HOLDS : BENCH_NO_TARGET;

        for (unsigned i = 0; i < row->n_targets; i++) {
                const struct bench_target *t = &row->target[i];
                double value;

                if (!value_of(row, t->of, &value))
                        return BENCH_NOT_MEASURED;
                if (t->at_least ? value < t->limit : value > t->limit)
                        holds = BENCH_MISSED;
        }
        return holds;
}

const char *bench_holds_text(enum bench_holds holds)
{
        static const char *const text[] = {
                [BENCH_NO_TARGET] = "-",
                [BENCH_HOLDS] = "yes",
                [BENCH_MISSED] = "no",
                [BENCH_NOT_MEASURED] = "not measured",
        };

        return text[holds];
}

const char *bench_number(double value, char *text, size_t size)
{
        double magnitude = fabs(value);
        int digits = magnitude >= 1000 ? 0 : magnitude >= 100 ? 1 : magnitude >= 10 ? 2 : 3;

        snprintf(text, size, "%.*f", digits, value);
        return text;
}

const char *bench_targets_text(const struct bench_row *row, char *text, size_t size)
{
        static const char *const of[] = { "median", "p95", "p99", "max", "ratio" };
        size_t at = 0;

        text[0] = '\0';
        for (unsigned i = 0; i < row->n_targets && at < size; i++) {
                const struct bench_target *t = &row->target[i];

                at += (size_t)snprintf(text + at, size - at, "%s%s %s %g", i > 0 ? ", " : "",
                        of[t->of], t->at_least ? ">=" : "<=", t->limit);
        }
        return text;
}
