/* report.h - what the ring's benchmark found, as tables of table.h: hand-offs, what they cost, and how far ahead of peers */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "plan.h"
#include "table.h"

void report_fill(struct bench_report *report, const struct plan *p);

#endif /* BENCH_REPORT_H */
