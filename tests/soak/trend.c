/* trend.c - see trend.h */
#include "trend.h"

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
