/*
 * plain_walk_test.c - the library's page walk against a plain one, translation by translation
 *
 * First over simulated guests, from every root they have: the addresses that are mapped, their neighbours, and addresses
 * one bit away. Then over tables that no operating system would write: every entry at random, half of them plausible, so
 * that walks go deep into nonsense.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "plain_walk.h"
#include "win32.h"

#define GUEST_WALKS  400000u  /* for each guest */
#define RANDOM_WALKS 2000000u /* for each number of levels */
#define HIGH_HALF    UINT64_C(0xFFFF800000000000)

static uint64_t random_state = 0x5EED;

static uint64_t rnd(void)
{
        uint64_t z = (random_state += UINT64_C(0x9E3779B97F4A7C15));

        z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
        return z ^ z >> 31;
}

/* Two readers of the same memory: how many pages they found, so that agreement means something. */
struct pair {
        struct plain_memory plain;
        vmie_mem library;
        uint64_t n_pages, n_zeros, n_transitions, n_nothing;
};

static void disagree(const struct pair *p, uint64_t cr3, uint64_t gva, int r)
{
        fail_msg("cr3 0x%llx gva 0x%llx: the library says %d, %s", (unsigned long long)cr3,
                (unsigned long long)gva, r, gva_fault_text(gva_fault(&p->library)->kind));
}

static void compare(struct pair *p, uint64_t cr3, uint64_t gva)
{
        struct plain_page page = plain_walk(&p->plain, cr3, gva);
        const struct gva_fault *fault = gva_fault(&p->library);
        struct gva_mapping mapping;
        int r = gva_translate(&p->library, cr3, gva, &mapping);
        bool same;

        switch (page.kind) {
        case PLAIN_PAGE:
                same = r == 0 && mapping.gpa == page.gpa && mapping.page_len == page.bytes;
                if (same && (mapping.entry & PTE_P))
                        same = mapping.user == page.user && mapping.writable == page.writable;
                p->n_pages++;
                break;
        case PLAIN_ZEROS:
                same = r == 0 && gpa_is_zeros(mapping.gpa) && mapping.page_len == page.bytes;
                p->n_zeros++;
                break;
        case PLAIN_TRANSITION: /* a single look never believes one */
                same = r == -EFAULT && fault->kind == GVA_FAULT_TRANSITION;
                if (same && !(fault->entry & 0x400)) /* the entry itself, not what it refers to */
                        same = p->library.software(&p->library, fault->entry).address ==
                               (page.gpa & ~UINT64_C(0xFFF));
                p->n_transitions++;
                break;
        default:
                same = r == -EFAULT || r == -EINVAL;
                same = same && fault->kind != GVA_FAULT_TRANSITION;
                p->n_nothing++;
                break;
        }
        if (!same)
                disagree(p, cr3, gva, r);
}

/* ---- simulated guests ---- */

static struct guest guest; /* holds the process table: too large for a stack */

static bool is_ram(const struct phys *phys, uint64_t gpa, uint64_t len)
{
        for (size_t i = 0; i < phys->n_extents; i++)
                if (gpa >= phys->extents[i].gpa &&
                        gpa - phys->extents[i].gpa < phys->extents[i].len)
                        return len <= phys->extents[i].len - (gpa - phys->extents[i].gpa);
        return false;
}

static const uint8_t *guest_at(const void *ctx, uint64_t gpa)
{
        const struct phys *phys = ctx;

        return is_ram(phys, gpa, 8) ? phys_at(phys, gpa) : NULL;
}

static int read_guest(void *ctx, uint64_t gpa, void *dst, size_t len)
{
        memcpy(dst, phys_at(ctx, gpa), len);
        return 0;
}

static const struct vmie_mem_ops guest_ops = { .read = read_guest };

static struct gpa_extent extents[PHYS_MAX_EXTENTS];

static void open_pair(struct pair *p, uint32_t build, bool la57)
{
        const struct guest_options options = {
                .memfd = true,
                .ram_size = UINT64_C(4) << 30,
                .machine = { .build = build,
                        .n_processes = 60,
                        .seed = build,
                        .boot_id = 1,
                        .la57 = la57,
                        .kpti = machine_layout_of(build)->user_dtb != 0,
                        .paging = MACHINE_SCATTER,
                        .place = PAGES_BOTH },
                .mode = { 320, 200, 60, VGPU_FMT_BGRA8888 },
                .slots = 3,
                .decoys = 8,
                .trims = true,
                .trim_state = MACHINE_N_STATES,
        };
        struct phys *phys = &guest.ram.phys;
        vmie_win32 *v;

        memset(&guest, 0, sizeof(guest));
        if (!guest_open(&guest, &options))
                fail_msg("%s", guest.why);
        guest_run_due(&guest);
        assert_true(guest_trim(&guest, MACHINE_N_STATES));
        for (size_t i = 0; i < phys->n_extents; i++)
                extents[i] = (struct gpa_extent){ phys->extents[i].gpa, phys->extents[i].len };
        *p = (struct pair){
                .plain = { guest_at, phys, guest.machine.kcr3, guest.machine.levels,
                        build >= 17763 ? UINT64_C(0x000FFFFC00000000) : 0 },
                .library = { .ops = &guest_ops,
                        .ctx = phys,
                        .extents = extents,
                        .n_extents = phys->n_extents },
        };
        v = vmie_win32_open(&p->library, 0, NULL);
        assert_non_null(v);
        assert_int_equal(p->library.levels ? p->library.levels : 4, guest.machine.levels);
        vmie_win32_close(v);
}

static uint64_t some_root(void)
{
        const struct machine *m = &guest.machine;
        const struct machine_process *p = &m->processes[rnd() % m->n_processes];

        if (rnd() % 4 == 0)
                return m->producer->cr3;
        return rnd() % 2 && p->user_cr3 ? p->user_cr3 | 1 : p->cr3 | 2;
}

static uint64_t some_address(void)
{
        const struct machine *m = &guest.machine;
        const struct machine_process *p = &m->processes[rnd() % m->n_processes];
        const uint64_t near[] = {
                m->region.gva + rnd() % (2 * m->region.bytes),
                m->region.segment + rnd() % 0x10000,
                m->kernel_base + rnd() % (2 * m->kernel_bytes),
                p->eprocess + rnd() % 0x2000,
                p->peb + rnd() % 0x2000,
                p->next_va - rnd() % 0x20000,
                UINT64_C(0xFFFFF78000000000) + rnd() % 0x2000,
                rnd(),
        };
        uint64_t gva = near[rnd() % (sizeof(near) / sizeof(near[0]))];

        return rnd() % 4 ? gva : gva ^ UINT64_C(1) << rnd() % 64;
}

static void both_walks_agree_on_simulated_guests(void **state)
{
        static const struct {
                uint32_t build;
                bool la57;
        } guests[] = { { 7601, false }, { 17134, false }, { 19045, false }, { 26100, true },
                { MACHINE_BUILD_FUTURE3, true } };

        (void)state;
        for (size_t i = 0; i < sizeof(guests) / sizeof(guests[0]); i++) {
                struct pair p;

                open_pair(&p, guests[i].build, guests[i].la57);
                for (uint32_t n = 0; n < GUEST_WALKS; n++)
                        compare(&p, some_root(), some_address());
                assert_true(p.n_pages > GUEST_WALKS / 8);
                assert_true(p.n_transitions > 0 && p.n_zeros > 0);
                guest_close(&guest);
        }
}

/* ---- tables at random ---- */

#define TABLES       64u /* pages of entries; the rest of RAM is zeros */
#define TABLE_BYTES  (TABLES * UINT64_C(0x1000))
#define RANDOM_BYTES (UINT64_C(4) << 30)

static uint64_t tables[TABLE_BYTES / 8];

static const uint8_t *random_at(const void *ctx, uint64_t gpa)
{
        static const uint64_t zero;

        (void)ctx;
        if (gpa > RANDOM_BYTES - 8)
                return NULL;
        return gpa < TABLE_BYTES ? (const uint8_t *)tables + gpa : (const uint8_t *)&zero;
}

static int read_random(void *ctx, uint64_t gpa, void *dst, size_t len)
{
        memset(dst, 0, len);
        if (gpa < TABLE_BYTES)
                memcpy(dst, random_at(ctx, gpa), len);
        return 0;
}

static const struct vmie_mem_ops random_ops = { .read = read_random };

static uint64_t some_entry(void)
{
        uint64_t pfn = rnd() % (TABLES + 4) << 12, soft = rnd() & UINT64_C(0xFFF0000000000FFF);

        switch (rnd() % 16) {
        case 0:
                return rnd();
        case 1:
                return 0;
        case 2: /* prototype, often of an entry that is there */
                return (HIGH_HALF | (rnd() & 0x7FFFFFFFFFF8)) << 16 | 0x400 | (rnd() & 0x3FE);
        case 3:
                return pfn | 0x800 | (rnd() & 0x3FE) | (rnd() % 2 ? UINT64_C(1) << 44 : 0);
        case 4:
                return (rnd() & 0x3FE) | (rnd() % 4 ? 0 : rnd() << 32);
        case 5: /* large, where that may be */
                return 0x81 | rnd() % 8 << 29 | rnd() % 4 << 12 | soft;
        default:
                return pfn | 1 | (soft & ~UINT64_C(0x80));
        }
}

static uint64_t some_random_address(unsigned levels)
{
        unsigned unused = 64 - (12 + 9 * levels);
        uint64_t gva = (uint64_t)((int64_t)(rnd() << unused) >> unused);

        return rnd() % 8 ? gva : gva ^ UINT64_C(1) << rnd() % 64;
}

static void walk_at_random(unsigned levels, pte_software_fn software, uint64_t swizzled)
{
        const struct gpa_extent all = { 0, RANDOM_BYTES };
        struct pair p = {
                .plain = { random_at, NULL, 0x5000, levels, swizzled },
                .library = { .ops = &random_ops,
                        .extents = &all,
                        .n_extents = 1,
                        .kcr3 = 0x5000,
                        .levels = levels,
                        .software = software },
        };

        for (uint32_t n = 0; n < RANDOM_WALKS; n++) {
                if (n % 10000 == 0)
                        for (size_t i = 0; i < TABLES * 512; i++)
                                tables[i] = some_entry();
                compare(&p, rnd() % TABLES << 12 | (rnd() & 0xFFF), some_random_address(levels));
        }
        assert_true(p.n_pages > RANDOM_WALKS / 32 && p.n_nothing > RANDOM_WALKS / 32);
        assert_true(p.n_transitions > 1000 && p.n_zeros > 1000);
}

/* What absent entries mean comes from a context that was opened, as it does for everybody. */
static pte_software_fn software_of(uint32_t build)
{
        struct pair p;
        pte_software_fn software;

        open_pair(&p, build, false);
        software = p.library.software;
        guest_close(&guest);
        return software;
}

static void both_walks_agree_on_tables_that_are_noise(void **state)
{
        pte_software_fn old = software_of(16299), swizzling = software_of(19045);

        (void)state;
        walk_at_random(4, old, 0);
        walk_at_random(5, swizzling, ~(RANDOM_BYTES - 1) & UINT64_C(0x000FFFFFFFFFF000));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(both_walks_agree_on_simulated_guests),
                cmocka_unit_test(both_walks_agree_on_tables_that_are_noise),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
