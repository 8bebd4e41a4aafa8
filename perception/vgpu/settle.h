/*
 * settle.h - pages in transition: has what their entries name arrived?
 *
 * While Windows reads a page in, its entry already names the place and the place still holds somebody's old bytes; the
 * entry looks the same before and after. Nothing but time makes a difference: an entry counts once it was seen, and seen
 * again unchanged when a second of the guest's own clock had passed, which stands still with the guest. Reads take
 * milliseconds, but none is bound to: one that a stalled disk keeps for longer is taken for done. docs/perception.md says
 * what that can show, under "What this cannot see".
 */
#ifndef VGPU_SETTLE_H
#define VGPU_SETTLE_H

#include "../memmodel/gather.h"

struct settle_page {
        uint64_t entry_gpa; /* 0: not in transition when last looked at */
        uint64_t entry;
        uint64_t since; /* InterruptTime when it was first seen so */
};

/* What is known of each page of a region. Zeroed: no room, no page in transition is ever taken. */
struct settle {
        uint64_t region_gva;
        struct settle_page *pages;
        size_t n_pages;
        size_t n_known; /* with an entry_gpa */
};

/* Return: 0, or -ENOMEM. */
int settle_init(struct settle *s, uint64_t region_gva, uint64_t region_bytes);
void settle_deinit(struct settle *s);

/**
 * settle_judge() - may the pages that were just gathered be read?
 * @kcr3: System root, for the guest's clock; read only when there is a page in transition
 * @g:    a part of the region, within its bounds
 *
 * Remembers what it sees for the next time. Its answer holds as long as the entries in @g do.
 *
 * Return: 1, 0 (not yet), or a read error (-EFAULT also where there is no room).
 */
int settle_judge(struct settle *s, vmie_mem *m, uint64_t kcr3, const struct gva_gather *g);

#endif /* VGPU_SETTLE_H */
