/* spots.c - see spots.h */
#include "spots.h"

#include <string.h>

/* One pass is enough: the tables of what one bucket spans stay in the caches. */
#define BUCKETS 2048u

void spots_init(struct spots *s, const vmie_mem *m)
{
        const struct gpa_extent *last = m->n_extents ? &m->extents[m->n_extents - 1] : NULL;
        uint64_t end = last ? last->gpa + last->len : 0;

        s->n = 0;
        s->bucket_bytes = end / BUCKETS + 1;
}

static uint32_t bucket_of(const struct spots *s, const struct spot *spot)
{
        uint64_t bucket = spot->gpa / s->bucket_bytes;

        return bucket < BUCKETS ? (uint32_t)bucket : BUCKETS - 1;
}

void spots_sort(struct spots *s)
{
        uint32_t begin[BUCKETS + 1];

        memset(begin, 0, sizeof(begin));
        for (size_t i = 0; i < s->n; i++)
                begin[bucket_of(s, &s->spot[i]) + 1]++;
        for (size_t i = 0; i < BUCKETS; i++)
                begin[i + 1] += begin[i];
        for (size_t i = 0; i < s->n; i++)
                s->order[begin[bucket_of(s, &s->spot[i])]++] = (uint32_t)i;
}
