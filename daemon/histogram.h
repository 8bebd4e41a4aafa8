/*
 * histogram.h - how long something takes, counted by its length
 *
 * Log-linear: four buckets an octave from 1 us to 8.6 s, so that a bound is never more than a quarter above what it counts. One
 * add is a count of leading zeros, two conditional moves and three memory words: no branch that could be missed, nothing
 * allocated, the same cost for every length. Pure: no clock inside.
 */
#ifndef VGPUD_HISTOGRAM_H
#define VGPUD_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_FIRST_LE UINT64_C(1024)      /* ns; the first bucket's bound, included in it */
#define HISTOGRAM_LAST_LE  (UINT64_C(1) << 33) /* ns; what is longer is in the last bucket */
#define HISTOGRAM_BOUNDED  ((33 - 10) * 4 + 1) /* buckets that have a bound */
#define HISTOGRAM_BUCKETS  (HISTOGRAM_BOUNDED + 1) /* and the one that has none */

/* All zero is an empty one. Counts wrap, which takes 584 years of nanoseconds. */
struct histogram {
        uint64_t bucket[HISTOGRAM_BUCKETS];
        uint64_t sum; /* ns */
        uint64_t max; /* ns */
};

/* Which bucket a length of @ns is counted in: bounds are included, as in OpenMetrics' "le". */
static inline unsigned histogram_index(uint64_t ns)
{
        uint64_t below = (ns > HISTOGRAM_FIRST_LE ? ns : HISTOGRAM_FIRST_LE) - 1;
        unsigned top = 63 - (unsigned)__builtin_clzll(below);
        unsigned index = top * 4 + (unsigned)(below >> (top - 2) & 3) - (9 * 4 + 3);

        return index < HISTOGRAM_BOUNDED ? index : HISTOGRAM_BOUNDED;
}

/* The longest length that bucket @index (< HISTOGRAM_BOUNDED) counts, in ns. */
static inline uint64_t histogram_bound(unsigned index)
{
        unsigned at = index + 9 * 4 + 3;

        return (uint64_t)(at % 4 + 5) << (at / 4 - 2);
}

/* Count one that took @ns. */
static inline void histogram_add(struct histogram *h, uint64_t ns)
{
        h->bucket[histogram_index(ns)]++;
        h->sum += ns;
        h->max = ns > h->max ? ns : h->max;
}

/* How many there were. Goes over all buckets. */
uint64_t histogram_count(const struct histogram *h);

/**
 * histogram_quantile() - a length that so many do not exceed
 * @permille: of all; 1000: the longest
 *
 * Return: the bound of the bucket that holds it, but never more than the longest, in ns; 0 for an empty one.
 */
uint64_t histogram_quantile(const struct histogram *h, unsigned permille);

#endif /* VGPUD_HISTOGRAM_H */
