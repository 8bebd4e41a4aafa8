/*
 * walk.h - what the readers of guest page tables share: bounded reads with a reason, and the meaning of one entry
 *
 * Private to perception/. gva_translate(), gva_read(), the gather and the scan all take their steps through
 * pte_decode() (the first three by way of pte_resolve()), so an entry means the same to each of them.
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

/* These bytes will be read soon; see struct vmie_mem_ops. */
static inline void walk_hint(const vmie_mem *m, uint64_t gpa, size_t len)
{
        if (m->ops->hint)
                m->ops->hint(m->ctx, &(struct gpa_extent){ gpa, len }, 1);
}

/* All that is noted in @trace will be read soon. */
static inline void walk_hint_trace(const vmie_mem *m, const struct gpa_trace *trace)
{
        if (m->ops->hint)
                m->ops->hint(m->ctx, trace->read, trace->n);
}

/* The extent of RAM that @gpa lies in, or NULL. */
const struct gpa_extent *gpa_extent(const vmie_mem *m, uint64_t gpa);

/* Does [gpa, gpa + len) lie inside one RAM extent? */
bool gpa_is_ram(const vmie_mem *m, uint64_t gpa, uint64_t len);

struct pte_target {
        uint64_t gpa; /* first byte of the page, or of the next table */
        uint64_t len; /* bytes of the page; of a table: GVA_PAGE_BYTES */
        bool leaf;
        bool transition; /* the page's bytes may still be on their way */
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

#define PTE_MAX_LEVELS 5

struct pte_step {
        uint64_t entry_gpa;
        uint64_t entry;
        unsigned level;
};

/*
 * What was read to make sense of an absent leaf. The walk to a page of prototype entries is kept: the entries of a
 * section stand in a row, so the next leaf usually refers to the same page.
 */
struct pte_trail {
        uint64_t page_gva; /* of prototype entries; 0: none walked to yet */
        uint64_t page_gpa;
        struct pte_step walk[PTE_MAX_LEVELS];
        unsigned n_walk;
        bool walked;           /* for this leaf, not for an earlier one */
        struct pte_step proto; /* entry_gpa 0: the leaf spoke for itself */
};

/**
 * pte_resolve() - pte_decode(), and what the guest's software entries mean
 * @at:         as for pte_decode()
 * @trail:      zeroed before the first of a series of calls; NULL: hardware's rules only
 * @ret_target: written on success only
 *
 * Software entries are understood at the last level only: above it a clear valid bit means not mapped.
 *
 * Return: 0, -EFAULT, or a read error.
 */
int pte_resolve(vmie_mem *m, const struct gva_fault *at, struct pte_trail *trail,
        struct pte_target *ret_target);

/**
 * pte_walk() - the page walk by hardware's rules alone, each step of it kept
 * @steps:      room for PTE_MAX_LEVELS
 * @ret_n:      steps taken
 *
 * Return: as gva_translate().
 */
int pte_walk(vmie_mem *m, uint64_t cr3, uint64_t gva, struct pte_step *steps, unsigned *ret_n,
        struct gva_mapping *ret_mapping);

#endif /* VMIE_WALK_H */
