/*
 * machine_user.c - the user half of a process: what Windows maps there at its start, and what it is given later
 */
#include "machine_private.h"

#define FULL_PROCESSES 512 /* the first so many have a user half as Windows lays it out */

/* Bytes that are recognisably somebody else's. */
static void scribble(struct machine *m, uint8_t *page)
{
        for (uint64_t at = 0; at < PAGE_BYTES; at += 8)
                put64(page + at, pages_random(&m->pages));
}

/* One private page in a process. Return: its bytes, zeroed; NULL when RAM is exhausted. */
static uint8_t *map_user_page(
        struct machine *m, struct machine_process *p, uint64_t va, uint64_t leaf)
{
        uint64_t gpa = pages_alloc(&m->pages, m->cfg.place);
        uint8_t *page;

        if (gpa == 0) {
                machine_fail(m, "user page");
                return NULL;
        }
        page = page_at(m, gpa);
        __builtin_memset(page, 0, PAGE_BYTES);
        return paging_map(m, p->cr3, va, gpa, leaf, PAGE_BYTES, m->cfg.place) ? page : NULL;
}

static void choose_addresses(struct machine *m, struct machine_process *p, uint64_t *ret_ntdll)
{
        bool old = m->cfg.build < 9200;

        p->peb = old ? UINT64_C(0x7FFFFFD0000) + random_below(m, 16) * PAGE_BYTES
                     : (0x10 + random_below(m, 0xE0)) << 32 | random_below(m, 1u << 20) << 12;
        p->image_base = old ? UINT64_C(0x140000000) + random_below(m, 0x1000) * 0x10000
                            : UINT64_C(0x7FF600000000) + random_below(m, 0xFFFF) * 0x10000;
        *ret_ntdll = old ? UINT64_C(0x77A00000)
                         : UINT64_C(0x7FF900000000) + (m->kernel_base & 0x7FFF0000);
        p->next_va = (0x100 + random_below(m, 0x180)) << 32 | random_below(m, 0x8000) << 16;
        if (m->cfg.la57)
                p->next_va |= (1 + random_below(m, 0x7F)) << 48;
}

/* Thousands of processes must fit small machines: what the later ones map lies within one 2 MiB. */
static bool is_slim(const struct machine *m, const struct machine_process *p)
{
        return p - m->processes >= FULL_PROCESSES;
}

static bool build_slim_half(struct machine *m, struct machine_process *p)
{
        uint8_t *page;

        p->image_base = UINT64_C(0x7FF600000000) + random_below(m, 0xFFF) * LARGE_PAGE_BYTES;
        p->peb = p->image_base + 0x10000;
        p->next_va = p->image_base + 0x20000;
        page = map_user_page(m, p, p->image_base, LEAF_USER_CODE);
        if (!page)
                return false;
        put16(page, 0x5A4D);
        page = map_user_page(m, p, p->peb, LEAF_USER_DATA);
        if (!page)
                return false;
        put64(page + 0x10, p->image_base);
        return true;
}

static bool build_full_half(struct machine *m, struct machine_process *p)
{
        uint64_t ntdll, n_heap = 4 + random_below(m, 8);
        uint8_t *page;

        choose_addresses(m, p, &ntdll);
        if (!paging_map(m, p->cr3, VA_USER_SHARED, m->shared_gpa, LEAF_USER_CONST, PAGE_BYTES,
                    m->cfg.place) ||
                !paging_map(
                        m, p->cr3, ntdll, m->ntdll_gpa, LEAF_USER_CODE, PAGE_BYTES, m->cfg.place))
                return false;

        page = map_user_page(m, p, p->image_base, LEAF_USER_CODE);
        if (!page)
                return false;
        put16(page, 0x5A4D);
        put32(page + 0x3C, 0x80);
        put32(page + 0x80, 0x00004550);
        put16(page + 0x84, 0x8664);

        page = map_user_page(m, p, p->peb, LEAF_USER_DATA);
        if (!page)
                return false;
        put64(page + 0x10, p->image_base);

        for (uint64_t i = 0; i < n_heap; i++, p->next_va += PAGE_BYTES) {
                page = map_user_page(m, p, p->next_va, LEAF_USER_DATA);
                if (!page)
                        return false;
                scribble(m, page);
        }
        p->next_va += UINT64_C(0x10000);
        return true;
}

bool user_half_build(struct machine *m, struct machine_process *p)
{
        return is_slim(m, p) ? build_slim_half(m, p) : build_full_half(m, p);
}

bool machine_reuse_pages(struct machine *m, uint32_t n)
{
        struct machine_process *p = &m->processes[0];

        for (uint32_t tries = 0; tries < MACHINE_MAX_PROCESSES && (!p->peb || p == m->producer);
                tries++) {
                struct machine_process *other = &m->processes[random_below(m, m->n_processes)];

                if (other->alive)
                        p = other;
        }
        if (!p->peb || p == m->producer)
                return true;
        for (uint32_t i = 0; i < n; i++, p->next_va += PAGE_BYTES) {
                uint8_t *page = map_user_page(m, p, p->next_va, LEAF_USER_DATA);

                if (!page)
                        return false;
                scribble(m, page);
        }
        paging_mirror(m, p);
        return true;
}

uint64_t machine_map_private(struct machine *m, struct machine_process *p, uint64_t bytes)
{
        uint64_t gva = (p->next_va + 0xFFFF) & ~UINT64_C(0xFFFF);

        for (uint64_t at = 0; at < bytes; at += PAGE_BYTES)
                if (!map_user_page(m, p, gva + at, LEAF_USER_DATA))
                        return 0;
        p->next_va = gva + bytes;
        paging_mirror(m, p);
        return gva;
}

uint64_t machine_map_image(
        struct machine *m, struct machine_process *p, uint64_t gpa, uint64_t bytes)
{
        uint64_t gva = (p->next_va + 0xFFFF) & ~UINT64_C(0xFFFF);

        for (uint64_t at = 0; at < bytes; at += PAGE_BYTES)
                if (!paging_map(m, p->cr3, gva + at, gpa + at, LEAF_USER_CODE, PAGE_BYTES,
                            m->cfg.place))
                        return 0;
        p->next_va = gva + bytes;
        paging_mirror(m, p);
        return gva;
}
