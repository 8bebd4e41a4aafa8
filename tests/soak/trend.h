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

/**
 * trend_ratio() - how many times its first height a line through samples has at its end
 * @x: ascending, @n of them, 2 or more
 *
 * The line's slope is the median of those between all pairs, so that a quarter of the samples may be anything at all.
 *
 * Return: 1 where nothing grows; 0: it cannot be told, for the line begins at or below 0, or memory ran out.
 */
double trend_ratio(const double *x, const double *y, size_t n);

#endif /* SOAK_TREND_H */
