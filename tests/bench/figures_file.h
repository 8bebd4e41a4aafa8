/*
 * figures_file.h - the CSVs that a benchmark wrote, read again: one of each run
 *
 * It is our own and one form only (table_text.c writes it); what is not of that form is refused.
 */
#ifndef BENCH_FIGURES_FILE_H
#define BENCH_FIGURES_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "table.h"

#define FIGURES_RUNS 9u

struct figures_run {
        struct bench_figures figures; /* n is 0: not measured */
        double ratio;                 /* with has_ratio */
        bool has_ratio;
};

/* A row of a table, whatever became of it in each run. */
struct figures_record {
        char table[BENCH_NAME], group[BENCH_NAME], row[BENCH_NAME], unit[BENCH_NAME];
        char target[BENCH_NOTE], note[BENCH_NOTE],
                title[BENCH_NOTE]; /* by the last run; title is the table's */
        unsigned last_run;         /* that had it, from 1 */
        struct figures_run run[FIGURES_RUNS];
        struct figures_run
                middle; /* each figure is the median of the runs' that have it; n is of all of them */
};

struct figures_file {
        struct figures_record *record; /* in the order in which they first came */
        size_t n_records, max_records;
        unsigned n_runs;
};

/**
 * figures_file_read() - add a run
 * @file: may be zero-filled
 * @path: CSV; rows are the same by table, group and name, and of several such by their order
 *
 * Return: 0, -ENOENT, -EBADMSG (not of that form), -E2BIG (more than FIGURES_RUNS), -errno. After a failure @file can only
 * be freed.
 */
int figures_file_read(struct figures_file *file, const char *path);

void figures_file_deinit(struct figures_file *file);

/* How far a row is from its targets, by that one which is met worst. */
struct figures_excess {
        double excess; /* 0.12 says 12 % beyond, -0.12 that much room; beyond a limit of 0, all is 1 */
        double value;             /* the figure that it is about: the median of the runs */
        double run[FIGURES_RUNS]; /* and of each run; NAN: not measured */
};

/* Return: whether it has targets and was measured, and *ret. */
bool figures_excess(const struct figures_record *record, struct figures_excess *ret);

/* All targets of a row hold, one is missed, or one was not measured: by the median of the runs. */
enum bench_holds figures_holds(const struct figures_record *record);

/* The medians of the runs as a report, for a chart. @report: zero-filled; bench_report_deinit() it. */
void figures_report(const struct figures_file *file, struct bench_report *report);

#endif /* BENCH_FIGURES_FILE_H */
