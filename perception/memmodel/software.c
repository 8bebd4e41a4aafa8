/*
 * software.c - absent leaves: following what the guest's own memory manager says of a page that is not mapped
 *
 * A guest trims a page from a process long before its bytes leave memory. What the entry says then is the guest's
 * business and comes in as vmie_mem.software; following it is ours: one prototype entry at most, read through the System
 * page tables by hardware's rules alone, so that nothing a guest writes there can lead further.
 */
#include <errno.h>

#include "walk.h"

/* The page of prototype entries must be mapped: the guest keeps it so while any of them is in use. */
static int find_page(
        vmie_mem *m, const struct gva_fault *at, uint64_t page_gva, struct pte_trail *t)
{
        struct gva_mapping mapping;
        int r;

        t->page_gva = 0;
        r = pte_walk(m, m->kcr3, page_gva, t->walk, &t->n_walk, &mapping);
        if (r == -EFAULT || r == -EINVAL)
                return walk_fail(m, at, GVA_FAULT_PROTOTYPE, -EFAULT);
        if (r < 0)
                return r;
        t->page_gva = page_gva;
        t->page_gpa = mapping.gpa;
        t->walked = true;
        return 0;
}

static int read_prototype(
        vmie_mem *m, const struct gva_fault *at, uint64_t gva, struct pte_trail *t)
{
        uint64_t page_gva = gva & ~(uint64_t)(GVA_PAGE_BYTES - 1);
        int r;

        if (!(gva >> 63) || gva % sizeof(uint64_t) != 0)
                return walk_fail(m, at, GVA_FAULT_PROTOTYPE, -EFAULT);
        if (t->page_gva != page_gva) {
                r = find_page(m, at, page_gva, t);
                if (r < 0)
                        return r;
        }
        t->proto.level = 1;
        t->proto.entry_gpa = t->page_gpa + (gva - page_gva);
        r = walk_read(m, at, t->proto.entry_gpa, &t->proto.entry, sizeof(t->proto.entry));
        return r == -EFAULT ? walk_fail(m, at, GVA_FAULT_PROTOTYPE, -EFAULT) : r;
}

/* The entry speaks for itself, or is not understood. */
static int take_entry(vmie_mem *m, const struct gva_fault *at, const struct pte_software *says,
        struct pte_target *ret_target)
{
        struct pte_target to = { .len = GVA_PAGE_BYTES, .leaf = true };

        switch (says->kind) {
        case PTE_SOFTWARE_DEMAND_ZERO:
                to.gpa = GPA_ZEROS;
                break;
        case PTE_SOFTWARE_TRANSITION:
                to.gpa = says->address;
                to.transition = true;
                break;
        case PTE_SOFTWARE_ZERO:
                return walk_fail(m, at, GVA_FAULT_ZERO_ENTRY, -EFAULT);
        case PTE_SOFTWARE_PAGEFILE:
                return walk_fail(m, at, GVA_FAULT_PAGED_OUT, -EFAULT);
        case PTE_SOFTWARE_VAD:
                return walk_fail(m, at, GVA_FAULT_BY_VAD, -EFAULT);
        case PTE_SOFTWARE_PROTOTYPE: /* and a prototype entry refers to no other, but to a file */
                return walk_fail(m, at, GVA_FAULT_BY_FILE, -EFAULT);
        case PTE_SOFTWARE_UNKNOWN:
                return walk_fail(m, at, GVA_FAULT_NOT_PRESENT, -EFAULT);
        }
        *ret_target = to;
        return 0;
}

static int absent_leaf(
        vmie_mem *m, const struct gva_fault *at, struct pte_trail *t, struct pte_target *ret_target)
{
        struct pte_software says = m->software(m, at->entry);
        struct gva_fault behind;
        int r;

        if (says.kind != PTE_SOFTWARE_PROTOTYPE)
                return take_entry(m, at, &says, ret_target);
        r = read_prototype(m, at, says.address, t);
        if (r < 0)
                return r;
        behind = *at;
        behind.entry_gpa = t->proto.entry_gpa;
        behind.entry = t->proto.entry;
        if (behind.entry & PTE_P)
                return pte_decode(m, &behind, ret_target);
        says = m->software(m, behind.entry);
        if (says.kind == PTE_SOFTWARE_VAD)
                says.kind = PTE_SOFTWARE_PROTOTYPE;
        return take_entry(m, &behind, &says, ret_target);
}

int pte_resolve(vmie_mem *m, const struct gva_fault *at, struct pte_trail *trail,
        struct pte_target *ret_target)
{
        if (!trail || !m->software || at->level > 1 || at->entry & PTE_P)
                return pte_decode(m, at, ret_target);
        trail->walked = false;
        trail->proto.entry_gpa = 0;
        return absent_leaf(m, at, trail, ret_target);
}
