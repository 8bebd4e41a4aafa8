/*
 * walk.h - what the readers of guest page tables share: bounded reads with a reason, and the meaning of one entry
 *
 * Private to perception/. gva_translate(), gva_read(), the gather and the scan all take their steps through
 * pte_decode(), so an entry means the same to each of them.
 */
#ifndef VMIE_WALK_H
#define VMIE_WALK_H

#include <stdatomic.h>

#include "memmodel.h"

#define PTE_PER_TABLE 512u

/* Orders a first read before the reads it guards, and those before the recheck. */
static inline void read_fence(void)
{
        atomic_thread_fence(memory_order_acquire);
}

static inline unsigned pte_shift(unsigned level)
{
        return 12 + 9 * (level - 1);
}

static inline unsigned mem_levels(const vmie_mem *m)
{
        return m->levels == 5 ? 5 : 4;
}

/* Every bit above the highest translated one equals it. */
static inline bool gva_canonical(const vmie_mem *m, uint64_t gva)
{
        unsigned unused = mem_levels(m) == 5 ? 7 : 16;

        return (uint64_t)((int64_t)(gva << unused) >> unused) == gva;
}

/* Where a walk stands: becomes m->fault, with kind and error filled in, when it gets no further. */
int walk_fail(vmie_mem *m, const struct gva_fault *at, enum gva_fault_kind kind, int error);

/* gpa_read() on behalf of a walk: a failure is recorded as @at. */
int walk_read(vmie_mem *m, const struct gva_fault *at, uint64_t gpa, void *dst, size_t len);

/* Does [gpa, gpa + len) lie inside one RAM extent? */
bool gpa_is_ram(const vmie_mem *m, uint64_t gpa, uint64_t len);

struct pte_target {
        uint64_t gpa; /* first byte of the page, or of the next table */
        uint64_t len; /* bytes of the page; of a table: GVA_PAGE_BYTES */
        bool leaf;
};

/**
 * pte_decode() - what does an entry say?
 * @m:          memory; its fault is set on failure
 * @at:         the entry, its level and address, and the address being walked for
 * @ret_target: written on success only; a table is in RAM, a page may not be (a large one in part)
 *
 * Return: 0 or -EFAULT.
 */
int pte_decode(vmie_mem *m, const struct gva_fault *at, struct pte_target *ret_target);

#endif /* VMIE_WALK_H */
