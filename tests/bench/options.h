/*
 * options.h - the command line that every benchmark understands, and where its report goes
 *
 * script/bench runs each program as vgpu-bench-NAME [--quick] [--rounds N] [--csv FILE] [--svg FILE].
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>

#include "table.h"

#define BENCH_MAX_ROUNDS 99u

struct bench_options {
        const char *csv, *svg; /* NULL: not written */
        unsigned rounds;       /* how often everything is measured, in turn */
        bool quick;            /* does it run at all? what it prints need not mean much */
};

/**
 * bench_options_take() - read the command line
 * @o:    holds the defaults before, "rounds" among them; without --rounds, --quick makes it one round
 * @what: for --help: what is measured, whole lines
 *
 * Ends the program after --help (0) and on wrong usage (2).
 */
void bench_options_take(struct bench_options *o, int argc, char **argv, const char *what);

/* One line, as host_describe(); to be printed first, for no figure means anything without. */
void bench_print_machine(void);

/* What is being measured, in a line of a terminal that the next one replaces; nothing elsewhere. NULL: no longer. */
void bench_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Text to stdout, CSV and chart where @o says. Return: the program's exit status: 0, 1 when a file could not be written. */
int bench_report_write(const struct bench_options *o, const struct bench_report *report);

#endif /* BENCH_OPTIONS_H */
