/*
 * root_scan.c - finding page-table roots by the entry with which Windows lets them refer to themselves
 *
 * Entry i of a root, i in the kernel half, points at the root itself: fixed before Windows 10 1607 and drawn at boot
 * since. Other pages may hold such a word by chance, or on purpose; whoever asked follows each to a kernel, or not.
 */
#include <errno.h>

#include "root_scan.h"
#include "../memmodel/walk.h"

#define SCAN_MAX_PAGES (1u << 21) /* 8 GiB of data: a second or two of pread */

#define KERNEL_HALF_ENTRIES (PTE_PER_TABLE / 2)
#define KERNEL_HALF_OFFSET  (KERNEL_HALF_ENTRIES * sizeof(uint64_t))

static bool is_table(uint64_t entry)
{
        return (entry & (PTE_P | PTE_PS)) == PTE_P;
}

/* Itself, writable and the kernel's own, and at least one more table that user code may not touch. */
static bool is_root(const uint64_t *entries, uint64_t gpa)
{
        unsigned n_self = 0, n_others = 0;

        for (unsigned i = 0; i < KERNEL_HALF_ENTRIES; i++) {
                if (!is_table(entries[i]) || entries[i] & PTE_U)
                        continue;
                if ((entries[i] & PTE_PFN) != gpa)
                        n_others++;
                else if (entries[i] & PTE_W)
                        n_self++;
        }
        return n_self == 1 && n_others > 0;
}

static bool is_empty(const uint64_t *entries)
{
        uint64_t any = 0;

        for (unsigned i = 0; i < KERNEL_HALF_ENTRIES; i++)
                any |= entries[i];
        return any == 0;
}

/* Where to read next in the extent that ends at @end; @end: nowhere. */
static uint64_t skip_hole(vmie_mem *m, uint64_t gpa, uint64_t end)
{
        uint64_t data = gpa;
        int r;

        if (!m->ops->next_data || gpa >= end)
                return gpa;
        r = m->ops->next_data(m->ctx, gpa, end, &data);
        if (r == -ENXIO)
                return end;
        /* A source that fails to tell is read; so is one that would send us back or out. */
        return r < 0 || data < gpa || data > end ? gpa : data & PTE_PFN;
}

/* Return: 1, 0 (none up to @end, or the scan is over), or a read error. */
static int scan_extent(vmie_mem *m, struct root_scan *s, uint64_t end, uint64_t *ret_root)
{
        s->next_gpa = skip_hole(m, s->next_gpa, end);
        while (s->next_gpa < end && s->n_pages < SCAN_MAX_PAGES) {
                uint64_t entries[KERNEL_HALF_ENTRIES];
                uint64_t gpa = s->next_gpa;
                int r;

                r = gpa_read(m, gpa + KERNEL_HALF_OFFSET, entries, sizeof(entries));
                if (r < 0)
                        return r;
                s->n_pages++;
                s->next_gpa += GVA_PAGE_BYTES;
                if (is_root(entries, gpa)) {
                        *ret_root = gpa;
                        return 1;
                }
                if (is_empty(entries))
                        s->next_gpa = skip_hole(m, s->next_gpa, end);
        }
        return 0;
}

int root_scan_next(vmie_mem *m, struct root_scan *s, uint64_t *ret_root)
{
        for (size_t i = 0; i < m->n_extents; i++) {
                const struct gpa_extent *e = &m->extents[i];
                uint64_t end = (e->gpa + e->len) & PTE_PFN;
                uint64_t first = (e->gpa + GVA_PAGE_BYTES - 1) & PTE_PFN;
                int r;

                if (s->next_gpa < first)
                        s->next_gpa = first;
                r = scan_extent(m, s, end, ret_root);
                if (r != 0)
                        return r;
        }
        return 0;
}
