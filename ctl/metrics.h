/*
 * metrics.h - the daemon's counters as OpenMetrics text
 *
 * Only counters, gauges and histograms, and no timestamps: node_exporter's textfile collector, which reads an older form of the
 * same text, refuses a file with anything else in it.
 */
#ifndef CTL_METRICS_H
#define CTL_METRICS_H

#include <json-c/json.h>
#include <stdio.h>

/**
 * metrics_print() - a whole exposition, "# EOF" included
 * @vm:      the machine's name, for the label `vm` where the daemon says none
 * @metrics: the daemon's object (docs/metrics.schema.json), or NULL: it does not answer, which is a metric too (`vgpud_up`)
 *
 * What is missing in @metrics is left out, what is new is ignored.
 */
void metrics_print(FILE *f, const char *vm, json_object *metrics);

#endif /* CTL_METRICS_H */
