/*
 * table.h - what a benchmark found, in the one form that all of them use: rows of samples, ratios, targets
 *
 * A program makes a report, tables in it and rows in those, puts samples into the rows while it measures, round after round, and
 * writes the report: as aligned text, as CSV, and as a chart. A row may be held against another one of the same run, its
 * roofline, and may have targets. What drifts with the machine's mood is compared within one round: a ratio is the median of the
 * rounds' ratios, each made of the two medians of one round.
 *
 * Nobody frees anything: such a program ends when it has reported. It also ends, with a message, when memory runs out.
 */
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define BENCH_TABLES  16u  /* of a report */
#define BENCH_ROWS    192u /* of a table */
#define BENCH_TARGETS 3u   /* of a row */
#define BENCH_NAME    64u  /* bytes of a name, its end included; longer ones are cut */
#define BENCH_NOTE    160u /* of a note */

struct bench_figures {
        double median, p95, p99, max;
        size_t n; /* with none the others are 0 and mean nothing */
};

/* What of a row a target is about. */
enum bench_of { BENCH_OF_MEDIAN, BENCH_OF_P95, BENCH_OF_P99, BENCH_OF_MAX, BENCH_OF_RATIO };

enum bench_holds { BENCH_NO_TARGET, BENCH_HOLDS, BENCH_MISSED, BENCH_NOT_MEASURED };

struct bench_target {
        enum bench_of of;
        bool at_least; /* else at most */
        double limit;  /* in the table's unit; of a ratio: a number */
};

struct bench_sample {
        double value;
        unsigned round;
};

struct bench_row {
        char group[BENCH_NAME]; /* rows of one scene stand together; "" is fine */
        char name[BENCH_NAME];
        char note[BENCH_NOTE]; /* printed behind the figures, or instead of them */
        struct bench_sample *sample;
        size_t n_samples, max_samples;
        struct bench_figures given;       /* n is 0: the samples' count */
        const struct bench_row *roofline; /* NULL: no ratio */
        struct bench_target target[BENCH_TARGETS];
        unsigned n_targets;
};

struct bench_table {
        char id[BENCH_NAME];    /* its name in the CSV: a word */
        char title[BENCH_NOTE]; /* a sentence piece for people */
        char unit[BENCH_NAME];  /* "us", "ms", "% of the copy" */
        struct bench_row *row[BENCH_ROWS];
        unsigned n_rows;
};

struct bench_report {
        struct bench_table *table[BENCH_TABLES];
        unsigned n_tables;
};

/* Frees tables and rows; the report is empty again. Programs that end with it need not. */
void bench_report_deinit(struct bench_report *report);

/* Tables and rows are printed in the order in which they were added. */
struct bench_table *bench_table_add(
        struct bench_report *report, const char *id, const char *unit, const char *title);
struct bench_row *bench_row_add(struct bench_table *table, const char *group, const char *format,
        ...) __attribute__((format(printf, 3, 4)));

/* @round: from 0; rounds may be left out, and have any number of samples. */
void bench_row_sample(struct bench_row *row, unsigned round, double value);

/* Figures in place of samples, which somebody else has made of them. */
void bench_row_give(struct bench_row *row, struct bench_figures figures);

/* Ratios are @row by @roofline: 1.10 says that it takes a tenth more. */
void bench_row_against(struct bench_row *row, const struct bench_row *roofline);

void bench_row_at_most(struct bench_row *row, enum bench_of of, double limit);
void bench_row_at_least(struct bench_row *row, enum bench_of of, double limit);

/* Why there are no samples, or what else is to be known. */
void bench_row_note(struct bench_row *row, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/*
 * Quantiles are those of all samples; but where each round has a hundred or more, the median of the rounds' quantiles,
 * so that one disturbed round does not count. max and n are of all.
 */
struct bench_figures bench_row_figures(const struct bench_row *row);

/* Return: whether there is a round in which both have samples. */
bool bench_row_ratio(const struct bench_row *row, double *ret_ratio);

/* All targets of a row hold, one is missed, or one was not measured. */
enum bench_holds bench_row_holds(const struct bench_row *row);

/* "-", "yes", "no", "not measured" */
const char *bench_holds_text(enum bench_holds holds);

/* "median <= 50, p99 <= 500"; "" without. Return: @text. */
const char *bench_targets_text(const struct bench_row *row, char *text, size_t size);

/* A figure in four digits or so, for people. Return: @text. */
const char *bench_number(double value, char *text, size_t size);

void bench_report_text(FILE *f, const struct bench_report *report);
void bench_report_csv(FILE *f, const struct bench_report *report);

/* One picture: for each table a chart of its medians, with a mark at p95 and one at the target. */
void bench_report_svg(FILE *f, const struct bench_report *report);

#endif /* BENCH_TABLE_H */
