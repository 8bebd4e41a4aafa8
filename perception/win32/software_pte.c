/*
 * software_pte.c - what Windows writes into a last-level entry whose valid bit is clear (see software_pte.h)
 *
 * A pagefile-backed section's page leaves a process' working set long before its bytes leave memory, and the entry then
 * says where they are. Anything that is not one of the known forms is no mapping.
 */
#include "software_pte.h"

#define SOFTWARE_SWIZZLE                                                                           \
        (UINT64_C(1) << 4) /* clear: a high address bit was flipped, or there is no need to */
#define SOFTWARE_ACCESS     (UINT64_C(7) << 5) /* the part of the protection that lets anybody in */
#define SOFTWARE_PROTOTYPE  (UINT64_C(1) << 10)
#define SOFTWARE_TRANSITION (UINT64_C(1) << 11)
#define SOFTWARE_FIELDS     (~UINT64_C(0xfff)) /* where page frame, pagefile offset and the like are */

#define PROTOTYPE_SHIFT  16
#define PROTOTYPE_BY_VAD UINT64_C(0xffffffff0000)

/* The smallest power of two that no RAM lies beyond. */
static uint64_t ram_span(const vmie_mem *m)
{
        uint64_t span = GVA_PAGE_BYTES;
        uint64_t end = 0;

        if (m->n_extents > 0)
                end = m->extents[m->n_extents - 1].gpa + m->extents[m->n_extents - 1].len;
        while (span < end && span <= PTE_PFN)
                span <<= 1;
        return span;
}

/* One bit, the same in all of a guest's entries, and beyond its RAM: two are another thing. */
static uint64_t unswizzle(const vmie_mem *m, uint64_t gpa)
{
        uint64_t beyond = gpa & ~(ram_span(m) - 1);

        return (beyond & (beyond - 1)) == 0 ? gpa ^ beyond : gpa;
}

static struct pte_software prototype(uint64_t entry)
{
        if (entry >> PROTOTYPE_SHIFT == PROTOTYPE_BY_VAD)
                return (struct pte_software){ .kind = PTE_SOFTWARE_VAD };
        return (struct pte_software){
                .kind = PTE_SOFTWARE_PROTOTYPE,
                .address = (uint64_t)((int64_t)entry >> PROTOTYPE_SHIFT),
        };
}

struct pte_software win32_pte(const vmie_mem *m, uint64_t entry)
{
        (void)m;
        if (entry == 0)
                return (struct pte_software){ .kind = PTE_SOFTWARE_ZERO };
        if (entry & SOFTWARE_PROTOTYPE)
                return prototype(entry);
        if (entry & SOFTWARE_TRANSITION)
                return (struct pte_software){ PTE_SOFTWARE_TRANSITION, entry & PTE_PFN };
        if (entry & SOFTWARE_FIELDS)
                return (struct pte_software){ .kind = PTE_SOFTWARE_PAGEFILE };
        /* Without access there is no page: what was decommitted keeps a protection that has nothing but its guard bit. */
        if (entry & SOFTWARE_ACCESS)
                return (struct pte_software){ .kind = PTE_SOFTWARE_DEMAND_ZERO };
        return (struct pte_software){ .kind = PTE_SOFTWARE_UNKNOWN };
}

struct pte_software win32_pte_swizzled(const vmie_mem *m, uint64_t entry)
{
        struct pte_software says = win32_pte(m, entry);

        if (says.kind == PTE_SOFTWARE_TRANSITION && !(entry & SOFTWARE_SWIZZLE))
                says.address = unswizzle(m, says.address);
        return says;
}
