/*
 * figures_file.h - the CSV that benchmarks write, read again
 *
 * It is our own and one form only (table_text.c writes it); what is not of that form is refused.
 */
#ifndef BENCH_FIGURES_FILE_H
#define BENCH_FIGURES_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "table.h"

struct figures_record {
        char table[BENCH_NAME], group[BENCH_NAME], row[BENCH_NAME], unit[BENCH_NAME];
        struct bench_figures figures;
        double ratio; /* with has_ratio */
        bool has_ratio;
        char target[BENCH_NOTE], holds[BENCH_NAME], note[BENCH_NOTE];
};

struct figures_file {
        struct figures_record *record;
        size_t n_records, max_records;
};

/* Add what @path holds to @file, which may be zero-filled. Return: 0, -ENOENT, -EBADMSG (not of that form), -errno. */
int figures_file_read(struct figures_file *file, const char *path);

void figures_file_deinit(struct figures_file *file);

/**
 * figures_excess() - how far a record is from its targets
 * @ret_excess: of its target that is met worst: 0.12 says 12 % beyond, -0.12 that much room; beyond a limit of 0, all is 1
 * @ret_value:  and the figure it is about
 *
 * Return: whether it has targets and was measured.
 */
bool figures_excess(const struct figures_record *record, double *ret_excess, double *ret_value);

#endif /* BENCH_FIGURES_FILE_H */
