/*
 * gather.h - a virtual range as physical pieces, and the proof that it stayed so
 *
 * The frame path translates a whole slot at once: every table is read once for the slice of entries it contributes,
 * physically contiguous pages become one piece, and each entry used, at every level, is kept so that the same entries can
 * be read again after the copy: a prototype entry and the walk to it too. Only user pages are taken. All room is laid out
 * beforehand for the longest range.
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

/* A page whose bytes may still be on their way; whoever asked has to judge by the time that the entry has stood. */
struct gather_transition {
        uint64_t offset; /* in the range */
        uint64_t entry_gpa;
        uint64_t entry;
};

#define GATHER_PARTS 16u /* as many as a frame can have rectangles of damage */

struct gva_gather {
        struct gva_extent *extents;
        struct gather_run *runs;
        uint64_t *entries;
        struct gather_transition *transitions; /* ascending */
        size_t n_extents, max_extents;
        size_t n_runs, max_runs;
        size_t n_entries, max_entries;
        size_t n_transitions, max_transitions;
        uint64_t gva;                       /* what offsets count from */
        struct gva_part part[GATHER_PARTS]; /* translated; ascending */
        size_t n_parts;
        struct pte_trail trail;
        size_t walk_run; /* first run of the walk that trail keeps */
        size_t proto_run; /* run that prototype entries were last added to; 0: none yet, the root's run is first */
};

/* Room for any range of up to @max_len bytes. Return: 0, -ENOMEM, -EINVAL (more than a slot can span). */
int gather_init(struct gva_gather *g, uint64_t max_len);

/* Takes a zeroed or half-built one too. */
void gather_deinit(struct gva_gather *g);

/* A walk, and another one to a prototype entry. */
#define GATHER_PAGE_RUNS (2 * PTE_MAX_LEVELS + 1)

/* A gather of ranges within one page, with its room inside: nothing to allocate or free. */
struct gather_page {
        struct gva_gather g;
        struct gva_extent extents[1];
        struct gather_run runs[GATHER_PAGE_RUNS];
        uint64_t entries[GATHER_PAGE_RUNS];
        struct gather_transition transitions[1];
};

void gather_page_init(struct gather_page *p);

/* Forgets all, and lets offsets count from @gva. */
void gather_begin(struct gva_gather *g, uint64_t gva);

/**
 * gather_add() - translate a part: [gva + offset, gva + offset + len)
 * @offset: behind the part added before, with no page in common
 * @len:    bytes, > 0; all parts together at most what @g has room for
 *
 * Pages in transition are among the extents, and named in @g->transitions. Costs the walk down to the part beside the part
 * itself, so parts that are near each other are better one.
 *
 * Return: 0, -EOVERFLOW (no room, more than GATHER_PARTS parts), or as gva_translate(). After a failure @g holds nothing.
 */
int gather_add(struct gva_gather *g, vmie_mem *m, uint64_t cr3, uint64_t offset, uint64_t len);

/* One part, [gva, gva + len), and nothing before it. */
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
