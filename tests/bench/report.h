/*
 * report.h - what came of a plan, as tables for people and as CSV
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdio.h>

#include "plan.h"

void report_tables(FILE *f, const struct plan *p);
void report_csv(FILE *f, const struct plan *p);

#endif /* BENCH_REPORT_H */
