/*
 * settle.c - pages in transition: has what their entries name arrived? (see settle.h)
 */
#include <errno.h>
#include <stdlib.h>

#include "settle.h"
#include "shared.h"

#define SETTLE_TIME UINT64_C(10000000) /* a second in 100 ns */

int settle_init(struct settle *s, uint64_t region_gva, uint64_t region_bytes)
{
        *s = (struct settle){ .region_gva = region_gva };
        s->n_pages = (region_bytes + GVA_PAGE_BYTES - 1) / GVA_PAGE_BYTES;
        s->pages = calloc(s->n_pages, sizeof(*s->pages));
        return s->pages ? 0 : -ENOMEM;
}

void settle_deinit(struct settle *s)
{
        free(s->pages);
        *s = (struct settle){ 0 };
}

static void forget(struct settle *s, struct settle_page *p)
{
        if (!p->entry_gpa)
                return;
        *p = (struct settle_page){ 0 };
        s->n_known--;
}

/* Has it stood for long enough? The clock was read after the entry, so a first sight is never dated too early. */
static bool has_stood(
        struct settle *s, struct settle_page *p, const struct gather_transition *t, uint64_t now)
{
        if (p->entry_gpa == t->entry_gpa && p->entry == t->entry && p->since <= now)
                return now - p->since >= SETTLE_TIME;
        forget(s, p);
        *p = (struct settle_page){ t->entry_gpa, t->entry, now };
        s->n_known++;
        return false;
}

/* Every page of a part: one that is mapped again, or gone, starts anew the next time. @t: the part's first transition. */
static bool look(struct settle *s, const struct gva_gather *g, const struct gva_part *part,
        uint64_t now, size_t *t)
{
        uint64_t begin = g->gva + part->offset - s->region_gva;
        size_t first = begin / GVA_PAGE_BYTES, last = (begin + (part->len - 1)) / GVA_PAGE_BYTES;
        bool all = true;

        for (size_t i = first; i <= last && i < s->n_pages; i++) {
                uint64_t gva = s->region_gva + i * GVA_PAGE_BYTES;

                if (*t < g->n_transitions &&
                        g->gva + g->transitions[*t].offset <= gva + GVA_PAGE_BYTES - 1)
                        all &= has_stood(s, &s->pages[i], &g->transitions[(*t)++], now);
                else
                        forget(s, &s->pages[i]);
        }
        return all;
}

int settle_judge(struct settle *s, vmie_mem *m, uint64_t kcr3, const struct gva_gather *g)
{
        struct gva_fault at = { .gva = g->gva };
        uint64_t now = 0;
        bool all = true;
        size_t t = 0;
        int r;

        if (g->n_transitions == 0 && s->n_known == 0)
                return 1;
        if (g->n_transitions > 0) {
                at.gva += g->transitions[0].offset;
                at.entry_gpa = g->transitions[0].entry_gpa;
                at.entry = g->transitions[0].entry;
                if (!s->pages)
                        return walk_fail(m, &at, GVA_FAULT_TRANSITION, -EFAULT);
                r = shared_read_interrupt_time(m, kcr3, &now);
                if (r <= 0)
                        return r;
        }
        for (size_t i = 0; i < g->n_parts; i++)
                all &= look(s, g, &g->part[i], now, &t);
        return all && t == g->n_transitions;
}
