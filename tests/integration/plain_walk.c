/*
 * plain_walk.c - the page walk once more (see plain_walk.h)
 */
#include "plain_walk.h"

#include <string.h>

#define ADDRESS UINT64_C(0x000FFFFFFFFFF000)

static const struct plain_page nothing = { .kind = PLAIN_NOTHING };

static bool load(const struct plain_memory *m, uint64_t gpa, uint64_t *ret)
{
        const uint8_t *at = m->at(m->ctx, gpa);

        if (at)
                memcpy(ret, at, sizeof(*ret));
        return at != NULL;
}

static struct plain_page in_ram(const struct plain_memory *m, struct plain_page page)
{
        return m->at(m->ctx, page.gpa & ~UINT64_C(7)) ? page : nothing;
}

static struct plain_page hardware(
        const struct plain_memory *m, uint64_t cr3, uint64_t gva, uint64_t *ret_absent_leaf);

/* A last-level entry, or a prototype one, with its valid bit clear. */
static struct plain_page software(
        const struct plain_memory *m, uint64_t entry, uint64_t gva, bool is_prototype)
{
        uint64_t in_page = gva & 0xFFF, gpa = (entry & ADDRESS) | in_page;

        if (entry == 0)
                return nothing;
        if (entry & 0x400) {
                uint64_t va = (uint64_t)((int64_t)entry >> 16), proto, unused = 0;
                struct plain_page at;

                if (is_prototype || va < UINT64_C(1) << 63 || va % 8 != 0 ||
                        entry >> 16 == 0xFFFFFFFF0000)
                        return nothing;
                at = hardware(m, m->kcr3, va, &unused);
                if (at.kind != PLAIN_PAGE || !load(m, at.gpa, &proto))
                        return nothing;
                if (!(proto & 1))
                        return software(m, proto, gva, true);
                return in_ram(m, (struct plain_page){ PLAIN_PAGE, (proto & ADDRESS) | in_page,
                                         0x1000, false, false });
        }
        if (entry & 0x800) {
                uint64_t flipped = gpa & m->swizzled;

                if (!(entry & 0x10) && (flipped & (flipped - 1)) == 0)
                        gpa ^= flipped;
                return (struct plain_page){ .kind = PLAIN_TRANSITION, .gpa = gpa, .bytes = 0x1000 };
        }
        if (entry >> 12 != 0 || (entry & 0xE0) == 0)
                return nothing;
        return (struct plain_page){ .kind = PLAIN_ZEROS, .bytes = 0x1000 };
}

/* By the processor's rules alone. An invalid entry of the last level is handed out. */
static struct plain_page hardware(
        const struct plain_memory *m, uint64_t cr3, uint64_t gva, uint64_t *ret_absent_leaf)
{
        unsigned unused = 64 - (12 + 9 * m->levels);
        uint64_t table = cr3 & ADDRESS, granted = 6, entry;

        if ((uint64_t)((int64_t)(gva << unused) >> unused) != gva)
                return nothing;
        for (unsigned level = m->levels; level >= 1; level--) {
                uint64_t bytes = UINT64_C(0x1000) << 9 * (level - 1);

                if (!load(m, table + (gva / bytes % 512) * 8, &entry))
                        return nothing;
                if (!(entry & 1)) {
                        *ret_absent_leaf = level == 1 ? entry : 0;
                        return nothing;
                }
                granted &= entry;
                table = entry & ADDRESS;
                if (level > 1 && (entry & 0x80)) {
                        table &= ~UINT64_C(0x1000); /* PAT */
                        if (level > 3 || table % bytes != 0)
                                return nothing;
                } else if (level > 1) {
                        continue;
                }
                return in_ram(m, (struct plain_page){ PLAIN_PAGE, table | (gva & (bytes - 1)),
                                         bytes, granted & 4, granted & 2 });
        }
        return nothing;
}

struct plain_page plain_walk(const struct plain_memory *m, uint64_t cr3, uint64_t gva)
{
        uint64_t absent = 0;
        struct plain_page page = hardware(m, cr3, gva, &absent);

        return page.kind == PLAIN_NOTHING ? software(m, absent, gva, false) : page;
}
