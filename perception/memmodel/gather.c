/*
 * gather.c - a virtual range as physical pieces, and the proof that it stayed so (see gather.h)
 */
#include <errno.h>
#include <stdlib.h>

#include "gather.h"

/* Keeps the sizes below far from overflow; a slot of the region ABI spans at most 128 MiB. */
#define GATHER_MAX_LEN (UINT64_C(1) << 30)

int gather_init(struct gva_gather *g, uint64_t max_len)
{
        size_t pages, tables;

        *g = (struct gva_gather){ 0 };
        if (max_len == 0 || max_len > GATHER_MAX_LEN)
                return -EINVAL;
        /* A range that starts and ends inside a page or table touches one more of it at either end. */
        pages = max_len / GVA_PAGE_BYTES + 2;
        tables = max_len / (UINT64_C(1) << pte_shift(2)) + 2;
        g->max_extents = pages;
        g->max_runs = tables + 2 + 2 + 1 + 1;
        g->max_entries = pages + tables + 2 + 2 + 2;
        g->extents = calloc(g->max_extents, sizeof(*g->extents));
        g->runs = calloc(g->max_runs, sizeof(*g->runs));
        g->entries = calloc(g->max_entries, sizeof(*g->entries));
        if (!g->extents || !g->runs || !g->entries) {
                gather_deinit(g);
                return -ENOMEM;
        }
        return 0;
}

void gather_deinit(struct gva_gather *g)
{
        free(g->extents);
        free(g->runs);
        free(g->entries);
        *g = (struct gva_gather){ 0 };
}

void gather_page_init(struct gather_page *p)
{
        *p = (struct gather_page){ 0 };
        p->g.extents = p->extents;
        p->g.runs = p->runs;
        p->g.entries = p->entries;
        p->g.max_extents = 1;
        p->g.max_runs = GATHER_PAGE_LEVELS;
        p->g.max_entries = GATHER_PAGE_LEVELS;
}

static int add_piece(
        struct gva_gather *g, vmie_mem *m, const struct gva_fault *at, uint64_t gpa, uint64_t len)
{
        struct gva_extent *last = g->n_extents ? &g->extents[g->n_extents - 1] : NULL;

        if (!gpa_is_ram(m, gpa, len))
                return walk_fail(m, at, GVA_FAULT_OUTSIDE_RAM, -EFAULT);
        /* Neighbours in guest-physical space may lie apart on the host when RAM is in several extents. */
        if (last && last->gpa + last->len == gpa && gpa_is_ram(m, last->gpa, last->len + len)) {
                last->len += len;
                return 0;
        }
        if (g->n_extents == g->max_extents)
                return -EOVERFLOW;
        g->extents[g->n_extents++] =
                (struct gva_extent){ .gpa = gpa, .offset = at->gva - g->gva, .len = len };
        return 0;
}

static int read_run(struct gva_gather *g, vmie_mem *m, unsigned level, uint64_t table_gpa,
        uint64_t gva, uint64_t last, struct gather_run **ret_run)
{
        unsigned shift = pte_shift(level);
        uint64_t first = (gva >> shift) & (PTE_PER_TABLE - 1);
        uint64_t n = (last >> shift) - (gva >> shift) + 1;
        struct gva_fault at = { .level = level, .gva = gva };
        struct gather_run *run;
        int r;

        if (g->n_runs == g->max_runs || n > g->max_entries - g->n_entries)
                return -EOVERFLOW;
        at.entry_gpa = table_gpa + first * sizeof(uint64_t);
        r = walk_read(m, &at, at.entry_gpa, &g->entries[g->n_entries], n * sizeof(uint64_t));
        if (r < 0)
                return r;
        run = &g->runs[g->n_runs++];
        *run = (struct gather_run){
                .entry_gpa = at.entry_gpa,
                .offset = gva - g->gva,
                .len = last - gva + 1,
                .first = g->n_entries,
                .n = n,
                .level = level,
        };
        g->n_entries += n;
        *ret_run = run;
        return 0;
}

/* [gva, last] lies under this one table. */
static int gather_table(struct gva_gather *g, vmie_mem *m, unsigned level, uint64_t table_gpa,
        uint64_t gva, uint64_t last)
{
        uint64_t span = UINT64_C(1) << pte_shift(level);
        struct gather_run *run;
        int r;

        r = read_run(g, m, level, table_gpa, gva, last, &run);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < run->n; i++) {
                uint64_t end = gva | (span - 1);
                struct gva_fault at = {
                        .level = level,
                        .gva = gva,
                        .entry_gpa = run->entry_gpa + i * sizeof(uint64_t),
                        .entry = g->entries[run->first + i],
                };
                struct pte_target to;

                if (end > last)
                        end = last;
                r = pte_decode(m, &at, &to);
                if (r == 0 && !(at.entry & PTE_U))
                        r = walk_fail(m, &at, GVA_FAULT_NOT_USER, -EFAULT);
                if (r == 0 && to.leaf)
                        r = add_piece(g, m, &at, to.gpa + (gva & (to.len - 1)), end - gva + 1);
                else if (r == 0)
                        r = gather_table(g, m, level - 1, to.gpa, gva, end);
                if (r < 0)
                        return r;
                gva = end + 1;
        }
        return 0;
}

int gather_walk(struct gva_gather *g, vmie_mem *m, uint64_t cr3, uint64_t gva, uint64_t len)
{
        struct gva_fault at = { .gva = gva };
        uint64_t last = gva + (len - 1);
        int r;

        g->n_extents = g->n_runs = g->n_entries = 0;
        g->gva = gva;
        m->fault = (struct gva_fault){ 0 };
        /* Only the lower half holds user memory, and in it the sum cannot wrap unseen. */
        if (len == 0 || last < gva || !gva_canonical(m, last) || last >> 63)
                return walk_fail(m, &at, GVA_FAULT_NON_CANONICAL, -EINVAL);
        r = gather_table(g, m, mem_levels(m), cr3 & PTE_PFN, gva, last);
        if (r < 0)
                g->n_extents = g->n_runs = g->n_entries = 0;
        return r;
}

static bool same_entry(uint64_t was, uint64_t now, unsigned level)
{
        /* Bit 7 means page size above the last level only. */
        uint64_t counts = PTE_P | PTE_U | PTE_PFN | (level > 1 ? PTE_PS : 0);

        if (!(was & PTE_P) || !(now & PTE_P))
                return was == now;
        return ((was ^ now) & counts) == 0;
}

static int recheck_run(const struct gva_gather *g, vmie_mem *m, const struct gather_run *run)
{
        struct gva_fault at = {
                .level = run->level,
                .gva = g->gva + run->offset,
                .entry_gpa = run->entry_gpa,
        };
        uint64_t now[PTE_PER_TABLE];
        int r;

        r = walk_read(m, &at, run->entry_gpa, now, run->n * sizeof(uint64_t));
        if (r < 0)
                return r;
        for (unsigned i = 0; i < run->n; i++) {
                if (!same_entry(g->entries[run->first + i], now[i], run->level))
                        return 0;
        }
        return 1;
}

int gather_recheck(const struct gva_gather *g, vmie_mem *m, uint64_t offset, uint64_t len)
{
        for (size_t i = 0; i < g->n_runs; i++) {
                const struct gather_run *run = &g->runs[i];
                int r;

                if (offset >= run->offset + run->len)
                        continue;
                if (run->offset >= offset && run->offset - offset >= len)
                        continue;
                r = recheck_run(g, m, run);
                if (r <= 0)
                        return r;
        }
        return 1;
}
