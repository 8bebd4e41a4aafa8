/*
 * copy.h - how the bytes of a frame are moved
 *
 * A frame is read once, seldom from a cache, and written where the daemon itself does not look again; that is the case for
 * stores that pass the caches by. And its pages lie scattered, where each is a miss of the TLB whose walk misses the caches
 * too: what is needed next is asked for early, and four pages are copied side by side, so that four such walks are under way
 * at a time. docs/performance.md has what each of these brings.
 */
#ifndef VGPU_SOURCE_COPY_H
#define VGPU_SOURCE_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vgpu_source.h"

#define COPY_LANES 4u

struct copy_kind {
        const char *name;
        enum vgpu_copy way;
        bool (*usable)(void); /* on this processor; NULL: on any */

        /* @dst: aligned to 64; @len: a multiple of 64, at most a page; @next: what will be read next */
        void (*run)(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *next);

        /* Whole pages that do not follow each other. @dst[]: aligned to 64. NULL: one after the other by run() */
        void (*pages)(uint8_t *const dst[COPY_LANES], const uint8_t *const src[COPY_LANES],
                const uint8_t *const next[COPY_LANES]);

        /* Orders its stores as ordinary ones are; by the thread that made them. NULL: they are ordinary */
        void (*settle)(void);
};

/* At most a page of bytes. */
struct copy_piece {
        const uint8_t *src;
        uint8_t *dst;
        size_t len;
};

#define COPY_BATCH 128u
#define COPY_AHEAD (2 * COPY_LANES) /* pieces that are known beside those that are copied */

/* Collects pieces and copies them in order. */
struct copy_batch {
        const struct copy_kind *kind;
        size_t n;
        struct copy_piece piece[COPY_BATCH + COPY_AHEAD];
};

/* The best kind for @way on this processor; never NULL. */
const struct copy_kind *copy_kind_for(enum vgpu_copy way);

/* All kinds there are, usable or not, best first; the last is usable anywhere. */
const struct copy_kind *const *copy_kinds(size_t *ret_n);
bool copy_kind_usable(const struct copy_kind *kind);

/* copy_x86.c; NULL where this is none. */
extern const struct copy_kind copy_avx2, copy_sse2, copy_movsb;

/* Any bytes: cut into pieces by pages of @dst. Some may have been copied when it returns. */
void copy_add(struct copy_batch *b, uint8_t *dst, const uint8_t *src, size_t len);

/* Copies what is left. copy_settle() follows, also where this was cut short. */
void copy_finish(struct copy_batch *b);

static inline void copy_settle(const struct copy_kind *kind)
{
        if (kind->settle)
                kind->settle();
}

#endif /* VGPU_SOURCE_COPY_H */
