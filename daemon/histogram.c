/* histogram.c - what is asked of a histogram now and then; see histogram.h */
#include "histogram.h"

uint64_t histogram_count(const struct histogram *h)
{
        uint64_t n = 0;

        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
                n += h->bucket[i];
        return n;
}

/* Of @n, the one that @permille are up to: rounded up, without leaving 64 bits. */
static uint64_t rank(uint64_t n, unsigned permille)
{
        return n / 1000 * permille + (n % 1000 * permille + 999) / 1000;
}

uint64_t histogram_quantile(const struct histogram *h, unsigned permille)
{
        uint64_t wanted = rank(histogram_count(h), permille), seen = 0;

        for (unsigned i = 0; i < HISTOGRAM_BOUNDED; i++) {
                seen += h->bucket[i];
                if (seen >= wanted)
                        return histogram_bound(i) < h->max ? histogram_bound(i) : h->max;
        }
        return h->max;
}
