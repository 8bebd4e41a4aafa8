/*
 * scan.c - visit the pages that are mapped in a virtual range, within a budget (see scan.h)
 */
#include <errno.h>

#include "scan.h"

static bool is_wanted(const struct gva_scan *s, uint64_t entry)
{
        return (entry & s->required) == s->required;
}

static int visit_leaf(
        vmie_mem *m, struct gva_scan *s, const struct pte_target *to, uint64_t gva, uint64_t entry)
{
        struct scan_page page = {
                .gva = gva & ~(to->len - 1),
                .gpa = to->gpa,
                .len = to->len,
                .entry = entry,
        };

        if ((s->any && !(entry & s->any)) || !gpa_is_ram(m, page.gpa, 1))
                return 0;
        return s->visit(s->ctx, &page);
}

/* Of a last-level table only the entries that can matter are looked at: most tables are such, and most entries do not. */
static int scan_leaves(vmie_mem *m, struct gva_scan *s, struct gva_fault *at, const uint64_t *table,
        uint64_t gva, uint64_t last)
{
        const uint64_t step = s->align > GVA_PAGE_BYTES ? s->align : GVA_PAGE_BYTES;

        gva &= ~(uint64_t)(GVA_PAGE_BYTES - 1);
        for (gva += -gva & (step - 1); gva <= last; gva += step) {
                struct pte_target to;
                int r = 0;

                at->gva = gva;
                at->entry = table[(gva / GVA_PAGE_BYTES) & (PTE_PER_TABLE - 1)];
                if (is_wanted(s, at->entry) && pte_decode(m, at, &to) == 0)
                        r = visit_leaf(m, s, &to, gva, at->entry);
                if (r != 0 || last - gva < step)
                        return r;
        }
        return 0;
}

/* [gva, last] lies under this one table. */
static int scan_table(vmie_mem *m, struct gva_scan *s, unsigned level, uint64_t table_gpa,
        uint64_t gva, uint64_t last)
{
        struct gva_fault at = { .level = level, .gva = gva, .entry_gpa = table_gpa };
        uint64_t span = UINT64_C(1) << pte_shift(level);
        uint64_t table[PTE_PER_TABLE];
        uint64_t end;
        int r;

        if (s->n_tables_left == 0)
                return 0;
        s->n_tables_left--;
        r = walk_read(m, &at, table_gpa, table, sizeof(table));
        if (r < 0)
                return r == -EFAULT ? 0 : r;
        if (level == 1)
                return scan_leaves(m, s, &at, table, gva, last);
        for (;; gva = end + 1) {
                uint64_t index = (gva >> pte_shift(level)) & (PTE_PER_TABLE - 1);
                struct pte_target to;

                end = gva | (span - 1);
                if (end > last)
                        end = last;
                at.gva = gva;
                at.entry = table[index];
                r = 0;
                if (is_wanted(s, at.entry) && pte_decode(m, &at, &to) == 0) {
                        if (to.leaf)
                                r = visit_leaf(m, s, &to, gva, at.entry);
                        else
                                r = scan_table(m, s, level - 1, to.gpa, gva, end);
                }
                if (r != 0 || end == last)
                        return r;
        }
}

int gva_scan(vmie_mem *m, uint64_t cr3, struct gva_scan *s)
{
        struct gva_fault at = { .gva = s->first };

        m->fault = (struct gva_fault){ 0 };
        if (s->first > s->last || !gva_canonical(m, s->first) || !gva_canonical(m, s->last) ||
                s->first >> 63 != s->last >> 63)
                return walk_fail(m, &at, GVA_FAULT_NON_CANONICAL, -EINVAL);
        return scan_table(m, s, mem_levels(m), cr3 & PTE_PFN, s->first, s->last);
}
