/*
 * sources.h - what the benchmarks wrote into a folder, and on which machines
 *
 * A program that ran once wrote FOLDER/NAME.csv, one that ran several times FOLDER/run-1/NAME.csv and so on; beside each is
 * NAME.machine, one line about where and when that was (script/bench).
 */
#ifndef BENCH_SOURCES_H
#define BENCH_SOURCES_H

#include <stdio.h>

#include "figures_file.h"

#define N_SOURCES 7u

struct source {
        const char *program;
        struct figures_file file; /* n_runs is 0: it did not run */
        char machine[FIGURES_RUNS][512];
};

/* Reads what is there. Return: false, and it was said, when something could not be read. */
bool sources_read(struct source sources[N_SOURCES], const char *folder);

void sources_deinit(struct source sources[N_SOURCES]);

/* There is one for each program of the bar. */
const struct source *source_of(const struct source sources[N_SOURCES], const char *program);

/* Which machines they ran on, how often, and how busy each was just before: as a list in Markdown. */
void sources_describe(FILE *f, const struct source sources[N_SOURCES]);

#endif /* BENCH_SOURCES_H */
