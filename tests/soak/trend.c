/* trend.c - see trend.h */
#include "trend.h"

#include <stdlib.h>

void trend_add(struct trend *t, double x, double y)
{
        t->n++;
        t->x += x;
        t->y += y;
        t->xx += x * x;
        t->xy += x * y;
}

double trend_slope(const struct trend *t)
{
        double spread = (double)t->n * t->xx - t->x * t->x;

        return spread > 0 ? ((double)t->n * t->xy - t->x * t->y) / spread : 0;
}

static int compare(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return x < y ? -1 : x > y;
}

static double median(double *value, size_t n)
{
        qsort(value, n, sizeof(value[0]), compare);
        return n % 2 ? value[n / 2] : (value[n / 2 - 1] + value[n / 2]) / 2;
}

double trend_ratio(const double *x, const double *y, size_t n)
{
        double *value =
                n >= 2 ? malloc(n * (n - 1) / 2 * sizeof(*value) + n * sizeof(*value)) : NULL;
        double slope, begin;
        size_t k = 0;

        if (!value)
                return 0;
        for (size_t i = 0; i < n; i++)
                for (size_t j = i + 1; j < n; j++)
                        value[k++] = (y[j] - y[i]) / (x[j] - x[i]);
        slope = median(value, k);
        for (size_t i = 0; i < n; i++)
                value[i] = y[i] - slope * (x[i] - x[0]);
        begin = median(value, n);
        free(value);
        return begin > 0 ? (begin + slope * (x[n - 1] - x[0])) / begin : 0;
}
