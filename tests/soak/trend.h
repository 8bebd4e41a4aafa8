/*
 * trend.h - does a figure grow? A line through samples, by least squares
 */
#ifndef SOAK_TREND_H
#define SOAK_TREND_H

#include <stddef.h>

struct trend {
        size_t n;
        double x, y, xx, xy; /* sums */
};

void trend_add(struct trend *t, double x, double y);

/* Growth of y per x; 0 while there are not two different x. */
double trend_slope(const struct trend *t);

#endif /* SOAK_TREND_H */
