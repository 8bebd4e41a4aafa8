/*
 * openmetrics.h - is a text OpenMetrics, to the letter?
 *
 * As strict as the specification (1.0) for the three types that we use; any other type is refused, because node_exporter's textfile
 * collector refuses it too.
 */
#ifndef TEST_OPENMETRICS_H
#define TEST_OPENMETRICS_H

#include <stdbool.h>
#include <stddef.h>

struct openmetrics {
        size_t n_families;
        size_t n_samples;
        char why[256]; /* on false: the line's number and what is wrong with it */
};

bool openmetrics_check(const char *text, struct openmetrics *ret);

#endif /* TEST_OPENMETRICS_H */
