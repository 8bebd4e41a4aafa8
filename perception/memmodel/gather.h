/*
 * gather.h - a virtual range as physical pieces, and the proof that it stayed so
 *
 * The frame path translates a whole slot at once: every table is read once for the slice of entries it contributes,
 * physically contiguous pages become one piece, and each entry used, at every level, is kept so that the same entries can
 * be read again after the copy. Only user pages are taken. All room is laid out beforehand for the longest range.
 */
#ifndef VMIE_GATHER_H
#define VMIE_GATHER_H

#include "walk.h"

/* A slice of one table, and the part of the range it decides about. */
struct gather_run {
        uint64_t entry_gpa; /* of its first entry */
        uint64_t offset;    /* in the range */
        uint64_t len;       /* bytes of the range */
        uint32_t first;     /* its first entry in entries[] */
        uint16_t n;
        uint8_t level;
};

struct gva_gather {
        struct gva_extent *extents;
        struct gather_run *runs;
        uint64_t *entries;
        size_t n_extents, max_extents;
        size_t n_runs, max_runs;
        size_t n_entries, max_entries;
        uint64_t gva;
};

/* Room for any range of up to @max_len bytes. Return: 0, -ENOMEM, -EINVAL (more than a slot can span). */
int gather_init(struct gva_gather *g, uint64_t max_len);

/* Takes a zeroed or half-built one too. */
void gather_deinit(struct gva_gather *g);

#define GATHER_PAGE_LEVELS 5

/* A gather of ranges within one page, with its room inside: nothing to allocate or free. */
struct gather_page {
        struct gva_gather g;
        struct gva_extent extents[1];
        struct gather_run runs[GATHER_PAGE_LEVELS];
        uint64_t entries[GATHER_PAGE_LEVELS];
};

void gather_page_init(struct gather_page *p);

/**
 * gather_walk() - translate [gva, gva + len)
 * @len: bytes, > 0, at most what @g has room for
 *
 * Return: 0, -EOVERFLOW (no room), or as gva_translate(). After a failure @g holds nothing.
 */
int gather_walk(struct gva_gather *g, vmie_mem *m, uint64_t cr3, uint64_t gva, uint64_t len);

/**
 * gather_recheck() - do the entries that map [offset, offset + len) still say what they said?
 *
 * Present, page size, user and PFN count; accessed, dirty and software bits do not. An entry that is or was invalid
 * counts whole.
 *
 * Return: 1, 0 (one changed), or a read error.
 */
int gather_recheck(const struct gva_gather *g, vmie_mem *m, uint64_t offset, uint64_t len);

#endif /* VMIE_GATHER_H */
