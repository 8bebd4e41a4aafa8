/*
 * plain_walk.h - the page walk once more, by somebody who has only read the manuals
 *
 * A second implementation to hold the library's against: no bounds to be clever about, no reasons, no rechecks; what the
 * processor does with a valid entry, and what Windows means by one that is not.
 */
#ifndef PLAIN_WALK_H
#define PLAIN_WALK_H

#include <stdbool.h>
#include <stdint.h>

struct plain_memory {
        const uint8_t *(*at)(const void *ctx, uint64_t gpa); /* 8 bytes in RAM, or NULL */
        const void *ctx;
        uint64_t kcr3;
        unsigned levels;
        uint64_t
                swizzled; /* address bits that may be flipped where bit 4 is clear; 0: an older build */
};

enum plain_kind {
        PLAIN_NOTHING,
        PLAIN_PAGE,
        PLAIN_ZEROS,
        PLAIN_TRANSITION, /* at gpa, by and by */
};

struct plain_page {
        enum plain_kind kind;
        uint64_t gpa;        /* of the byte */
        uint64_t bytes;      /* size of the page */
        bool user, writable; /* of a page that is mapped by the processor's own rules */
};

struct plain_page plain_walk(const struct plain_memory *m, uint64_t cr3, uint64_t gva);

#endif /* PLAIN_WALK_H */
