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
        g->max_extents = g->max_transitions = pages;
        /* At worst each page has a prototype entry with a walk of its own. Room that stays untouched costs nothing. */
        g->max_runs = tables + 2 + 2 + 1 + 1 + pages * (PTE_MAX_LEVELS + 1);
        g->max_entries = pages + tables + 2 + 2 + 2 + pages * (PTE_MAX_LEVELS + 1);
        g->extents = calloc(g->max_extents, sizeof(*g->extents));
        g->runs = calloc(g->max_runs, sizeof(*g->runs));
        g->entries = calloc(g->max_entries, sizeof(*g->entries));
        g->transitions = calloc(g->max_transitions, sizeof(*g->transitions));
        if (!g->extents || !g->runs || !g->entries || !g->transitions) {
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
        free(g->transitions);
        *g = (struct gva_gather){ 0 };
}

void gather_page_init(struct gather_page *p)
{
        *p = (struct gather_page){ 0 };
        p->g.extents = p->extents;
        p->g.runs = p->runs;
        p->g.entries = p->entries;
        p->g.transitions = p->transitions;
        p->g.max_extents = p->g.max_transitions = 1;
        p->g.max_runs = GATHER_PAGE_RUNS;
        p->g.max_entries = GATHER_PAGE_RUNS;
}

/* @ram: with both in it; NULL: nothing of it, but zeros. False: no room. */
static bool append(struct gva_gather *g, const struct gpa_extent *ram, uint64_t gpa,
        uint64_t offset, uint64_t len)
{
        struct gva_extent *last = g->n_extents ? &g->extents[g->n_extents - 1] : NULL;

        /*
         * Neighbours in guest-physical space may lie apart on the host when RAM is in several extents, and in the range when
         * there is something between two parts.
         */
        if (last && last->gpa + last->len == gpa && last->offset + last->len == offset &&
                (!ram || last->gpa >= ram->gpa)) {
                last->len += len;
                return true;
        }
        if (g->n_extents == g->max_extents)
                return false;
        g->extents[g->n_extents++] =
                (struct gva_extent){ .gpa = gpa, .offset = offset, .len = len };
        return true;
}

static bool within(const struct gpa_extent *ram, uint64_t gpa, uint64_t len)
{
        return ram && gpa - ram->gpa < ram->len && len <= ram->len - (gpa - ram->gpa);
}

static int add_piece(
        struct gva_gather *g, vmie_mem *m, const struct gva_fault *at, uint64_t gpa, uint64_t len)
{
        const struct gpa_extent *ram = NULL;

        if (!gpa_is_zeros(gpa)) {
                ram = gpa_extent(m, gpa);
                if (!within(ram, gpa, len))
                        return walk_fail(m, at, GVA_FAULT_OUTSIDE_RAM, -EFAULT);
        }
        return append(g, ram, gpa, at->gva - g->gva, len) ? 0 : -EOVERFLOW;
}

/* Of @n pages from @gva on: whole ones up to @last, while there is room for as many pieces. */
static uint32_t plain_pages_at_most(
        const struct gva_gather *g, uint32_t n, uint64_t gva, uint64_t last)
{
        uint64_t most = g->max_extents - g->n_extents;

        if (gva % GVA_PAGE_BYTES != 0)
                return 0;
        if (most > (last - gva + 1) / GVA_PAGE_BYTES)
                most = (last - gva + 1) / GVA_PAGE_BYTES;
        return n < most ? n : (uint32_t)most;
}

/*
 * Nearly all pages of a region are a present page of a user's, about which there is nothing to say but where it is. A frame
 * has thousands of them, so that what is asked of each counts: it grows the piece before it if it lies as far from its place in
 * the range as that one, the RAM that it lies in is at hand, and a piece learns its length when the next one begins.
 *
 * Return: how many entries were taken from the @i-th on, with *gva moved behind them; the next is for the long way, which
 * knows what is wrong with it, or takes a part of a page.
 */
static uint32_t add_plain_pages(struct gva_gather *g, const vmie_mem *m,
        const struct gather_run *run, uint32_t i, uint64_t *gva, uint64_t last)
{
        const uint64_t *entry = &g->entries[run->first];
        const uint32_t first = i, end = i + plain_pages_at_most(g, run->n - i, *gva, last);
        struct gva_extent *open = &g->extents[g->n_extents], *next = open;
        uint64_t offset = *gva - g->gva, distance = 0;
        uint64_t ram_gpa = UINT64_MAX, ram_room = 0; /* of none: every page lies outside */

        if (g->n_extents > 0 && open[-1].offset + open[-1].len == offset &&
                !gpa_is_zeros(open[-1].gpa)) {
                const struct gpa_extent *ram = gpa_extent(m, open[-1].gpa);

                if (ram->len >= GVA_PAGE_BYTES) {
                        open--;
                        distance = open->gpa - open->offset;
                        ram_gpa = ram->gpa;
                        ram_room = ram->len - GVA_PAGE_BYTES;
                }
        }
        for (; i < end; i++, offset += GVA_PAGE_BYTES) {
                const uint64_t e = entry[i], gpa = e & PTE_PFN;

                if ((e & (PTE_P | PTE_U)) != (PTE_P | PTE_U))
                        break;
                if (gpa - ram_gpa > ram_room) {
                        const struct gpa_extent *ram = gpa_extent(m, gpa);

                        if (!within(ram, gpa, GVA_PAGE_BYTES))
                                break;
                        ram_gpa = ram->gpa;
                        ram_room = ram->len - GVA_PAGE_BYTES;
                } else if (gpa - offset == distance) {
                        continue;
                }
                if (next > open)
                        next[-1].len = offset - next[-1].offset;
                distance = gpa - offset;
                next->gpa = gpa;
                next->offset = offset;
                next++;
        }
        if (next > open)
                next[-1].len = offset - next[-1].offset;
        g->n_extents = (size_t)(next - g->extents);
        *gva = g->gva + offset;
        return i - first;
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

static int add_run(struct gva_gather *g, const struct pte_step *step, uint64_t offset, uint64_t len)
{
        if (g->n_runs == g->max_runs || g->n_entries == g->max_entries)
                return -EOVERFLOW;
        g->runs[g->n_runs++] = (struct gather_run){
                .entry_gpa = step->entry_gpa,
                .offset = offset,
                .len = len,
                .first = g->n_entries,
                .n = 1,
                .level = step->level,
        };
        g->entries[g->n_entries++] = step->entry;
        return 0;
}

/* The walk to the page of prototype entries decides about each page of the range that uses it. */
static int add_walk(struct gva_gather *g, uint64_t offset, uint64_t len)
{
        int r = 0;

        if (g->trail.walked) {
                g->walk_run = g->n_runs;
                for (unsigned i = 0; i < g->trail.n_walk && r == 0; i++)
                        r = add_run(g, &g->trail.walk[i], offset, len);
                return r;
        }
        for (unsigned i = 0; i < g->trail.n_walk; i++) {
                struct gather_run *run = &g->runs[g->walk_run + i];

                run->len = offset + len - run->offset;
        }
        return 0;
}

/* Entries of a section stand in a row, and so they do in one run. */
static int add_prototype(struct gva_gather *g, uint64_t offset, uint64_t len)
{
        const struct pte_step *proto = &g->trail.proto;
        struct gather_run *run = &g->runs[g->proto_run];
        int r;

        r = add_walk(g, offset, len);
        if (r < 0)
                return r;
        if (g->proto_run == 0 || g->proto_run != g->n_runs - 1 || g->trail.walked ||
                run->entry_gpa + run->n * sizeof(uint64_t) != proto->entry_gpa) {
                g->proto_run = g->n_runs;
                return add_run(g, proto, offset, len);
        }
        if (g->n_entries == g->max_entries)
                return -EOVERFLOW;
        g->entries[g->n_entries++] = proto->entry;
        run->n++;
        run->len = offset + len - run->offset;
        return 0;
}

static int add_transition(struct gva_gather *g, const struct gva_fault *at, uint64_t offset)
{
        const struct pte_step *proto = &g->trail.proto;

        if (g->n_transitions == g->max_transitions)
                return -EOVERFLOW;
        g->transitions[g->n_transitions++] = (struct gather_transition){
                .offset = offset,
                .entry_gpa = proto->entry_gpa ? proto->entry_gpa : at->entry_gpa,
                .entry = proto->entry_gpa ? proto->entry : at->entry,
        };
        return 0;
}

static int add_leaf(struct gva_gather *g, vmie_mem *m, const struct gva_fault *at,
        const struct pte_target *to, uint64_t len)
{
        uint64_t offset = at->gva - g->gva;
        uint64_t gpa = to->gpa + (gpa_is_zeros(to->gpa) ? offset : at->gva & (to->len - 1));
        int r = 0;

        if (!(at->entry & PTE_P) && g->trail.proto.entry_gpa)
                r = add_prototype(g, offset, len);
        if (r == 0 && to->transition)
                r = add_transition(g, at, offset);
        return r < 0 ? r : add_piece(g, m, at, gpa, len);
}

/* The entries for [gva, last] of the table that entry @i of a run leads to are read soon, where there is such a table. */
static void hint_table(const struct gva_gather *g, const vmie_mem *m, const struct gather_run *run,
        uint32_t i, uint64_t gva, uint64_t last)
{
        unsigned shift = pte_shift(run->level - 1);
        uint64_t end = gva | ((UINT64_C(1) << pte_shift(run->level)) - 1);
        uint64_t entry;

        if (i >= run->n)
                return;
        entry = g->entries[run->first + i];
        if ((entry & (PTE_P | PTE_PS)) != PTE_P)
                return;
        if (end > last)
                end = last;
        walk_hint(m, (entry & PTE_PFN) + ((gva >> shift) & (PTE_PER_TABLE - 1)) * sizeof(uint64_t),
                ((end >> shift) - (gva >> shift) + 1) * sizeof(uint64_t));
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
        if (level > 1)
                hint_table(g, m, run, 0, gva, last);
        for (unsigned i = 0; i < run->n; i++) {
                struct gva_fault at = { .level = level };
                struct pte_target to;
                uint64_t end;

                if (level == 1) {
                        i += add_plain_pages(g, m, run, i, &gva, last);
                        if (i == run->n)
                                break;
                }
                at.gva = gva;
                at.entry_gpa = run->entry_gpa + i * sizeof(uint64_t);
                at.entry = g->entries[run->first + i];
                end = gva | (span - 1);
                if (end > last)
                        end = last;
                if (level > 1)
                        hint_table(g, m, run, i + 1, end + 1, last);
                r = pte_resolve(m, &at, &g->trail, &to);
                if (r == 0 && at.entry & PTE_P && !(at.entry & PTE_U))
                        r = walk_fail(m, &at, GVA_FAULT_NOT_USER, -EFAULT);
                if (r == 0 && to.leaf)
                        r = add_leaf(g, m, &at, &to, end - gva + 1);
                else if (r == 0)
                        r = gather_table(g, m, level - 1, to.gpa, gva, end);
                if (r < 0)
                        return r;
                gva = end + 1;
        }
        return 0;
}

static void forget(struct gva_gather *g)
{
        g->n_extents = g->n_runs = g->n_entries = g->n_transitions = g->n_parts = 0;
        g->walk_run = g->proto_run = 0;
        g->trail = (struct pte_trail){ 0 };
}

void gather_begin(struct gva_gather *g, uint64_t gva)
{
        forget(g);
        g->gva = gva;
}

/* Only the lower half holds user memory, and in it the sum cannot wrap unseen. */
static int add_part(struct gva_gather *g, vmie_mem *m, uint64_t cr3, uint64_t offset, uint64_t len)
{
        uint64_t gva = g->gva + offset, last = gva + (len - 1);
        struct gva_fault at = { .gva = gva };

        if (len == 0 || gva < g->gva || last < gva || !gva_canonical(m, last) || last >> 63)
                return walk_fail(m, &at, GVA_FAULT_NON_CANONICAL, -EINVAL);
        if (g->n_parts == GATHER_PARTS)
                return -EOVERFLOW;
        g->part[g->n_parts++] = (struct gva_part){ offset, len };
        return gather_table(g, m, mem_levels(m), cr3 & PTE_PFN, gva, last);
}

int gather_add(struct gva_gather *g, vmie_mem *m, uint64_t cr3, uint64_t offset, uint64_t len)
{
        int r;

        m->fault = (struct gva_fault){ 0 };
        r = add_part(g, m, cr3, offset, len);
        if (r < 0)
                forget(g);
        return r;
}

int gather_walk(struct gva_gather *g, vmie_mem *m, uint64_t cr3, uint64_t gva, uint64_t len)
{
        gather_begin(g, gva);
        return gather_add(g, m, cr3, 0, len);
}

/* Two entries at a time, which compilers do not see by themselves at this level of optimisation. */
typedef uint64_t entries2 __attribute__((vector_size(16), aligned(8), may_alias));

#define LINE_ENTRIES 8u

/* Bit for bit, and without a branch: they are nearly always, and all are looked at. */
static bool equal_entries(const uint64_t *was, const uint64_t *now, unsigned n)
{
        entries2 differ2 = { 0, 0 };
        uint64_t differ = 0;
        unsigned i = 0;

        for (; i + LINE_ENTRIES <= n; i += LINE_ENTRIES)
                for (unsigned k = 0; k < LINE_ENTRIES; k += 2)
                        differ2 |=
                                *(const entries2 *)(was + i + k) ^ *(const entries2 *)(now + i + k);
        for (; i < n; i++)
                differ |= was[i] ^ now[i];
        return (differ2[0] | differ2[1] | differ) == 0;
}

/* Of two entries that are both valid some bits count; bit 7 means page size above the last level only. */
static bool same_entries(const uint64_t *was, const uint64_t *now, unsigned n, unsigned level)
{
        const uint64_t counts = PTE_P | PTE_U | PTE_PFN | (level > 1 ? PTE_PS : 0);

        for (unsigned i = 0; i < n; i++) {
                uint64_t both = was[i] & now[i] & PTE_P;

                if ((was[i] ^ now[i]) & (counts | (both - 1)))
                        return false;
        }
        return true;
}

/*
 * Of a run that decides about a byte of [offset, offset + len), the entries that do. At the last level an entry is a page; those of
 * prototype entries are if no page of the run did without.
 */
static struct gather_run narrow(
        const struct gva_gather *g, struct gather_run run, uint64_t offset, uint64_t len)
{
        uint64_t skip = offset > run.offset ? offset - run.offset : 0;
        uint64_t ahead = offset < run.offset ? run.offset - offset : 0;
        uint64_t rest = run.len - skip, page = (g->gva + run.offset) / GVA_PAGE_BYTES;
        uint64_t first, last;

        last = (g->gva + run.offset + (run.len - 1)) / GVA_PAGE_BYTES;
        if (run.level > 1 || last - page + 1 != run.n)
                return run;
        if (rest > len - ahead)
                rest = len - ahead;
        first = (g->gva + run.offset + skip) / GVA_PAGE_BYTES;
        last = (g->gva + run.offset + skip + (rest - 1)) / GVA_PAGE_BYTES;
        run.first += (uint32_t)(first - page);
        run.entry_gpa += (first - page) * sizeof(uint64_t);
        run.n = (uint16_t)(last - first + 1);
        run.offset += skip;
        run.len = rest;
        return run;
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
        return equal_entries(&g->entries[run->first], now, run->n) ||
               same_entries(&g->entries[run->first], now, run->n, run->level);
}

static bool decides(const struct gather_run *run, uint64_t offset, uint64_t len)
{
        if (offset >= run->offset + run->len)
                return false;
        return run->offset < offset || run->offset - offset < len;
}

/* The bytes that were copied since have pushed the tables out of the nearest caches, and what was read of them, too. */
static void hint_entries(
        const struct gva_gather *g, const vmie_mem *m, uint64_t offset, uint64_t len)
{
        for (size_t i = g->n_runs; i-- > 0;) {
                struct gather_run run;

                if (!decides(&g->runs[i], offset, len))
                        continue;
                run = narrow(g, g->runs[i], offset, len);
                walk_hint(m, run.entry_gpa, run.n * sizeof(uint64_t));
                for (unsigned k = 0; k < run.n; k += LINE_ENTRIES)
                        __builtin_prefetch(&g->entries[run.first + k]);
        }
}

int gather_recheck(const struct gva_gather *g, vmie_mem *m, uint64_t offset, uint64_t len)
{
        hint_entries(g, m, offset, len);
        /*
         * Last read, first checked: what led to a table comes before it in runs[]. The other way round, a table that was
         * left after its directory had been checked could hold anything by the time it is looked at, the old entry too.
         */
        for (size_t i = g->n_runs; i-- > 0;) {
                struct gather_run run;
                int r;

                if (!decides(&g->runs[i], offset, len))
                        continue;
                run = narrow(g, g->runs[i], offset, len);
                r = recheck_run(g, m, &run);
                if (r <= 0)
                        return r;
                read_fence();
        }
        return 1;
}
