/*
 * walk.c - the x86-64 page walk: one address, and a copy out of a guest virtual range
 *
 * Nothing is cached between calls: the guest changes its tables while we look, and a translation that was right a moment
 * ago reads another program's memory now. The tables are the guest's own data, so an entry may say anything; the walk is
 * bounded by the number of levels whatever it says.
 */
#include <errno.h>

#include "walk.h"

int pte_decode(vmie_mem *m, const struct gva_fault *at, struct pte_target *ret_target)
{
        uint64_t pfn = at->entry & PTE_PFN;
        bool large = at->level > 1 && (at->entry & PTE_PS);
        uint64_t len = large ? UINT64_C(1) << pte_shift(at->level) : GVA_PAGE_BYTES;

        if (!(at->entry & PTE_P))
                return walk_fail(m, at, GVA_FAULT_NOT_PRESENT, -EFAULT);
        if (large) {
                /* Bit 12 of a large page is PAT; the rest up to its size must be clear. */
                pfn &= ~UINT64_C(0x1000);
                if (at->level > 3 || (pfn & (len - 1)))
                        return walk_fail(m, at, GVA_FAULT_MALFORMED, -EFAULT);
        }
        if (at->level > 1 && !large && !gpa_is_ram(m, pfn, GVA_PAGE_BYTES))
                return walk_fail(m, at, GVA_FAULT_OUTSIDE_RAM, -EFAULT);
        *ret_target =
                (struct pte_target){ .gpa = pfn, .len = len, .leaf = large || at->level == 1 };
        return 0;
}

/* Who walks: by hardware's rules and noting the steps, or with software entries at the leaf. */
struct walker {
        struct pte_trail *trail;
        struct pte_step *steps;
        unsigned n_steps;
};

static int translate(
        vmie_mem *m, uint64_t cr3, uint64_t gva, struct walker *w, struct gva_mapping *ret_mapping)
{
        struct gva_fault at = { .gva = gva };
        struct pte_target target = { .gpa = cr3 & PTE_PFN };
        uint64_t granted = PTE_U | PTE_W;

        if (!gva_canonical(m, gva))
                return walk_fail(m, &at, GVA_FAULT_NON_CANONICAL, -EINVAL);
        for (at.level = mem_levels(m); at.level > 0 && !target.leaf; at.level--) {
                uint64_t index = (gva >> pte_shift(at.level)) & (PTE_PER_TABLE - 1);
                int r;

                at.entry = 0;
                at.entry_gpa = target.gpa + index * sizeof(uint64_t);
                r = walk_read(m, &at, at.entry_gpa, &at.entry, sizeof(at.entry));
                if (r < 0)
                        return r;
                if (w->steps)
                        w->steps[w->n_steps++] =
                                (struct pte_step){ at.entry_gpa, at.entry, at.level };
                r = pte_resolve(m, &at, w->trail, &target);
                if (r < 0)
                        return r;
                if (target.transition)
                        return walk_fail(m, &at, GVA_FAULT_TRANSITION, -EFAULT);
                if (at.entry & PTE_P)
                        granted &= at.entry;
        }
        at.level = 0;
        *ret_mapping = (struct gva_mapping){
                .gpa = target.gpa + (gva & (target.len - 1)),
                .entry = at.entry,
                .page_len = target.len,
                .user = granted & PTE_U,
                .writable = granted & PTE_W,
        };
        if (!gpa_is_zeros(target.gpa) && !gpa_is_ram(m, ret_mapping->gpa, 1))
                return walk_fail(m, &at, GVA_FAULT_OUTSIDE_RAM, -EFAULT);
        return 0;
}

int pte_walk(vmie_mem *m, uint64_t cr3, uint64_t gva, struct pte_step *steps, unsigned *ret_n,
        struct gva_mapping *ret_mapping)
{
        struct walker w = { .steps = steps };
        int r = translate(m, cr3, gva, &w, ret_mapping);

        *ret_n = w.n_steps;
        return r;
}

int gva_translate(vmie_mem *m, uint64_t cr3, uint64_t gva, struct gva_mapping *ret_mapping)
{
        struct pte_trail trail = { 0 };
        struct walker w = { .trail = &trail };
        struct gva_mapping mapping;
        int r;

        m->fault = (struct gva_fault){ 0 };
        r = translate(m, cr3, gva, &w, &mapping);
        if (r < 0)
                return r;
        *ret_mapping = mapping;
        return 0;
}

int gva_read(vmie_mem *m, uint64_t cr3, uint64_t gva, void *dst, size_t len)
{
        struct gva_fault at = { .gva = gva };
        struct pte_trail trail = { 0 };
        struct walker w = { .trail = &trail };
        uint8_t *to = dst;

        m->fault = (struct gva_fault){ 0 };
        if (len > 0 && gva + (len - 1) < gva)
                return walk_fail(m, &at, GVA_FAULT_NON_CANONICAL, -EINVAL);
        while (len > 0) {
                struct gva_mapping page;
                uint64_t piece;
                int r;

                r = translate(m, cr3, gva, &w, &page);
                if (r < 0)
                        return r;
                piece = page.page_len - (gva & (page.page_len - 1));
                if (piece > len)
                        piece = len;
                at = (struct gva_fault){ .gva = gva, .entry = page.entry };
                r = walk_read(m, &at, page.gpa, to, piece);
                if (r < 0)
                        return r;
                gva += piece;
                to += piece;
                len -= piece;
        }
        return 0;
}
