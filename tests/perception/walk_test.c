/*
 * walk_test.c - guest-physical reads and the page walk, with page tables as data
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "guest_image.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define P   PTE_P
#define RWU (PTE_W | PTE_U)

/* RAM on both sides of a hole; room for parts of a 2 MiB and a 1 GiB page. */
static const struct gpa_extent two_sides[] = { { 0, 2 * MIB }, { GIB, MIB } };

#define CR3               UINT64_C(0x10000)
#define TABLE(level)      (UINT64_C(0x10000) + (5 - (level)) * 0x1000) /* of each level, 5 at 0x10000 */
#define GVA               UINT64_C(0x0000123456789abc)
#define INDEX(gva, level) (((gva) >> (12 + 9 * ((level)-1))) & 511)

struct walk_case {
        const char *name;
        unsigned levels;
        unsigned leaf;  /* level whose entry is given; those above are good tables */
        uint64_t entry; /* its value */
        uint64_t gva;   /* 0: GVA */
        uint64_t above; /* flags of the tables above, 0: P | W | U */
        int result;
        uint64_t gpa; /* on success */
        uint64_t page_len;
        bool user, writable;
        enum gva_fault_kind kind;
};

static const struct walk_case walk_cases[] = {
        { "4 KiB page", 4, 1, 0x5000 | P | RWU, .gpa = 0x5abc, .page_len = 4096, .user = true,
                .writable = true },
        { "4 KiB page, five levels", 5, 1, 0x5000 | P | RWU, .gpa = 0x5abc, .page_len = 4096,
                .user = true, .writable = true },
        { "bit 7 of a last-level entry is PAT", 4, 1, 0x5000 | P | RWU | PTE_PS, .gpa = 0x5abc,
                .page_len = 4096, .user = true, .writable = true },
        { "NX and software bits are no address", 4, 1, 0x7ff0000000005e67 | PTE_NX, .gpa = 0x5abc,
                .page_len = 4096, .user = true, .writable = true },
        { "2 MiB page", 4, 2, GIB | P | RWU | PTE_PS, .gva = 0x123456000123, .gpa = GIB + 0x123,
                .page_len = 2 * MIB, .user = true, .writable = true },
        { "2 MiB page with PAT", 4, 2, GIB | P | RWU | PTE_PS | 0x1000, .gva = 0x123456000123,
                .gpa = GIB + 0x123, .page_len = 2 * MIB, .user = true, .writable = true },
        { "1 GiB page", 4, 3, GIB | P | RWU | PTE_PS, .gva = 0x7f8000000321, .gpa = GIB + 0x321,
                .page_len = GIB, .user = true, .writable = true },
        { "1 GiB page, five levels", 5, 3, GIB | P | RWU | PTE_PS, .gva = 0xff7f8000000321,
                .gpa = GIB + 0x321, .page_len = GIB, .user = true, .writable = true },
        { "a kernel's leaf", 4, 1, 0x5000 | P | PTE_W, .gpa = 0x5abc, .page_len = 4096,
                .writable = true },
        { "a read-only leaf", 4, 1, 0x5000 | P | PTE_U, .gpa = 0x5abc, .page_len = 4096,
                .user = true },
        { "a kernel's tables above a user's leaf", 4, 1, 0x5000 | P | RWU, .above = P | PTE_W,
                .gpa = 0x5abc, .page_len = 4096, .writable = true },
        { "upper half", 4, 1, 0x5000 | P | PTE_W, .gva = 0xfffff80342001abc, .gpa = 0x5abc,
                .page_len = 4096, .writable = true },
        { "last byte of the last page", 4, 1, 0x1ff000 | P, .gva = 0xfff, .gpa = 0x1fffff,
                .page_len = 4096 },

        { "absent leaf", 4, 1, 0x5000 | RWU, .result = -EFAULT, .kind = GVA_FAULT_NOT_PRESENT },
        { "zero leaf", 4, 1, 0, .result = -EFAULT, .kind = GVA_FAULT_NOT_PRESENT },
        { "absent table", 4, 2, 0x5000 | RWU, .result = -EFAULT, .kind = GVA_FAULT_NOT_PRESENT },
        { "transition bits mean nothing above the leaf", 4, 3, 0x5000 | 1 << 11, .result = -EFAULT,
                .kind = GVA_FAULT_NOT_PRESENT },
        { "absent root entry", 4, 4, 0, .result = -EFAULT, .kind = GVA_FAULT_NOT_PRESENT },
        { "page size in a PML4 entry", 4, 4, GIB | P | PTE_PS, .result = -EFAULT,
                .kind = GVA_FAULT_MALFORMED },
        { "page size in a PML5 entry", 5, 5, GIB | P | PTE_PS, .result = -EFAULT,
                .kind = GVA_FAULT_MALFORMED },
        { "misaligned 2 MiB page", 4, 2, 0x4000 | P | PTE_PS, .result = -EFAULT,
                .kind = GVA_FAULT_MALFORMED },
        { "misaligned 1 GiB page", 4, 3, 0x200000 | P | PTE_PS, .result = -EFAULT,
                .kind = GVA_FAULT_MALFORMED },
        { "page past RAM", 4, 1, 2 * MIB | P | RWU, .result = -EFAULT,
                .kind = GVA_FAULT_OUTSIDE_RAM },
        { "page at the end of the address space", 4, 1, PTE_PFN | P, .result = -EFAULT,
                .kind = GVA_FAULT_OUTSIDE_RAM },
        { "table past RAM", 4, 2, 2 * MIB | P | RWU, .result = -EFAULT,
                .kind = GVA_FAULT_OUTSIDE_RAM },
        { "table in the hole", 4, 3, 0x30000000 | P | RWU, .result = -EFAULT,
                .kind = GVA_FAULT_OUTSIDE_RAM },
        { "part of a large page that is not RAM", 4, 2, GIB | P | PTE_PS, .gva = 0x123456100000,
                .result = -EFAULT, .kind = GVA_FAULT_OUTSIDE_RAM },
        { "not canonical", 4, 1, 0x5000 | P | RWU, .gva = UINT64_C(1) << 47, .result = -EINVAL,
                .kind = GVA_FAULT_NON_CANONICAL },
        { "not canonical from below", 4, 1, 0x5000 | P | RWU, .gva = 0xffff7fffffffffff,
                .result = -EINVAL, .kind = GVA_FAULT_NON_CANONICAL },
        { "not canonical with five levels", 5, 1, 0x5000 | P | RWU, .gva = UINT64_C(1) << 56,
                .result = -EINVAL, .kind = GVA_FAULT_NON_CANONICAL },
};

static void build_case(struct guest_image *g, const struct walk_case *c)
{
        uint64_t gva = c->gva ? c->gva : GVA;

        image_init_extents(g, two_sides, 2);
        g->mem.levels = c->levels;
        for (unsigned level = c->levels; level > c->leaf; level--)
                image_put64(g, TABLE(level) + INDEX(gva, level) * 8,
                        TABLE(level - 1) | (c->above ? c->above : P | RWU));
        image_put64(g, TABLE(c->leaf) + INDEX(gva, c->leaf) * 8, c->entry);
}

static void every_entry_means_what_the_manual_says(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(walk_cases) / sizeof(walk_cases[0]); i++) {
                const struct walk_case *c = &walk_cases[i];
                uint64_t gva = c->gva ? c->gva : GVA;
                struct gva_mapping map = { .gpa = UINT64_MAX };
                struct guest_image g;
                int r;

                build_case(&g, c);
                r = gva_translate(&g.mem, TABLE(c->levels) | 0xfff, gva, &map);
                if (r != c->result || g.mem.fault.kind != c->kind)
                        fail_msg("%s: %d, %s", c->name, r, gva_fault_text(g.mem.fault.kind));
                if (r == 0 && (map.gpa != c->gpa || map.page_len != c->page_len ||
                                      map.user != c->user || map.writable != c->writable))
                        fail_msg("%s: gpa %" PRIx64 " len %" PRIx64 " user %d writable %d", c->name,
                                map.gpa, map.page_len, map.user, map.writable);
                if (r < 0) {
                        assert_int_equal(map.gpa, UINT64_MAX);
                        assert_int_equal(g.mem.fault.error, r);
                        assert_int_equal(g.mem.fault.gva, gva);
                        if (c->kind == GVA_FAULT_NOT_PRESENT || c->kind == GVA_FAULT_MALFORMED) {
                                assert_int_equal(g.mem.fault.level, c->leaf);
                                assert_int_equal(g.mem.fault.entry, c->entry);
                        }
                }
                image_deinit(&g);
        }
}

static void tables_that_point_at_themselves_end_the_walk(void **state)
{
        struct guest_image g;
        struct gva_mapping map;

        (void)state;
        image_init(&g, 2 * MIB);
        for (unsigned i = 0; i < 512; i++)
                image_put64(&g, CR3 + i * 8, CR3 | P | RWU);
        assert_int_equal(gva_translate(&g.mem, CR3, GVA, &map), 0);
        assert_int_equal(map.gpa, CR3 + (GVA & 0xfff));
        assert_int_equal(g.n_reads, 4);
        image_deinit(&g);
}

static void a_root_outside_ram_is_told_as_such(void **state)
{
        struct guest_image g;
        struct gva_mapping map;

        (void)state;
        image_init(&g, 2 * MIB);
        assert_int_equal(gva_translate(&g.mem, 0x40000000, GVA, &map), -EFAULT);
        assert_int_equal(gva_fault(&g.mem)->kind, GVA_FAULT_OUTSIDE_RAM);
        assert_int_equal(gva_fault(&g.mem)->level, 4);
        image_deinit(&g);
}

/* Two virtual neighbours whose pages are physically apart and the other way round. */
static void map_two_pages(struct guest_image *g)
{
        image_init(g, 2 * MIB);
        g->next_page = 0x20000;
        image_map(g, CR3, 0x400000, 0x102000, 1, RWU);
        image_map(g, CR3, 0x401000, 0x101000, 1, RWU);
        for (unsigned i = 0; i < 0x1000; i++) {
                *(uint8_t *)image_at(g, 0x102000 + i) = (uint8_t)(i % 251);
                *(uint8_t *)image_at(g, 0x101000 + i) = (uint8_t)((i + 0x1000) % 251);
        }
}

static void a_read_crosses_pages_and_stays_inside_its_buffer(void **state)
{
        static const struct {
                uint64_t offset;
                size_t len;
        } cases[] = { { 0, 1 }, { 0, 0x2000 }, { 0xfff, 2 }, { 0x1fff, 1 }, { 0x123, 0x1000 },
                { 0x10, 0 } };
        struct guest_image g;
        uint8_t buf[0x2000 + 16];

        (void)state;
        map_two_pages(&g);
        for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
                memset(buf, MARKER, sizeof(buf));
                assert_int_equal(
                        gva_read(&g.mem, CR3, 0x400000 + cases[c].offset, buf, cases[c].len), 0);
                for (size_t i = 0; i < cases[c].len; i++)
                        assert_int_equal(buf[i], (cases[c].offset + i) % 251);
                for (size_t i = cases[c].len; i < sizeof(buf); i++)
                        assert_int_equal(buf[i], MARKER);
        }
        image_deinit(&g);
}

static void a_read_stops_at_the_first_unmapped_byte(void **state)
{
        struct guest_image g;
        uint8_t buf[16];

        (void)state;
        map_two_pages(&g);
        assert_int_equal(gva_read(&g.mem, CR3, 0x401ff8, buf, 8), 0);
        assert_int_equal(gva_fault(&g.mem)->kind, GVA_FAULT_NONE);
        assert_int_equal(gva_read(&g.mem, CR3, 0x401ff8, buf, 9), -EFAULT);
        assert_int_equal(gva_fault(&g.mem)->gva, 0x402000);
        assert_int_equal(gva_fault(&g.mem)->level, 1);
        image_deinit(&g);
}

static void a_range_that_wraps_is_refused(void **state)
{
        struct guest_image g;
        uint8_t buf[16];

        (void)state;
        map_two_pages(&g);
        assert_int_equal(gva_read(&g.mem, CR3, UINT64_MAX - 3, buf, 8), -EINVAL);
        assert_int_equal(gva_read(&g.mem, CR3, 0x7ffffffffffc, buf, 8), -EFAULT);
        assert_int_equal(gva_read(&g.mem, CR3, UINT64_C(1) << 60, buf, 0), 0);
        image_deinit(&g);
}

static void every_failed_read_is_reported(void **state)
{
        struct guest_image g;
        uint8_t buf[0x2000];
        size_t total;

        (void)state;
        map_two_pages(&g);
        assert_int_equal(gva_read(&g.mem, CR3, 0x400000, buf, sizeof(buf)), 0);
        total = g.n_reads;
        assert_int_equal(total, 10);
        for (size_t n = 1; n <= total; n++) {
                image_calm(&g);
                g.fail_at = n;
                g.fail_with = -EIO;
                assert_int_equal(gva_read(&g.mem, CR3, 0x400000, buf, sizeof(buf)), -EIO);
                assert_int_equal(gva_fault(&g.mem)->kind, GVA_FAULT_SOURCE);
                assert_int_equal(gva_fault(&g.mem)->error, -EIO);
        }
        image_deinit(&g);
}

static void physical_reads_stay_in_ram(void **state)
{
        static const struct gpa_extent adjacent[] = { { 0, MIB }, { MIB, MIB }, { GIB, MIB } };
        static const struct {
                uint64_t gpa;
                size_t len;
                int result;
        } cases[] = {
                { 0, 16, 0 },
                { MIB - 8, 16, 0 }, /* from one extent into the next */
                { 2 * MIB - 16, 16, 0 },
                { 2 * MIB - 8, 16, -EFAULT },
                { 2 * MIB, 1, -EFAULT },
                { GIB - 1, 2, -EFAULT },
                { GIB + MIB - 1, 1, 0 },
                { UINT64_MAX - 4, 16, -EFAULT },
                { UINT64_MAX, 0, 0 },
        };
        struct guest_image g;
        uint8_t buf[17];

        (void)state;
        image_init_extents(&g, adjacent, 3);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                buf[16] = MARKER;
                assert_int_equal(
                        gpa_read(&g.mem, cases[i].gpa, buf, cases[i].len), cases[i].result);
                assert_int_equal(buf[16], MARKER);
                assert_int_equal(gva_fault(&g.mem)->kind,
                        cases[i].result ? GVA_FAULT_OUTSIDE_RAM : GVA_FAULT_NONE);
        }
        image_deinit(&g);
}

static int read_own_address(void *ctx, uint64_t gpa, void *dst, size_t len)
{
        (void)ctx;
        memset(dst, (int)(gpa >> 13), len);
        return 0;
}

/* As many as a crash dump of a fragmented machine has; looked through one by one, this test alone would take minutes. */
static void memory_in_very_many_pieces_is_as_quick_to_read(void **state)
{
        static const struct vmie_mem_ops ops = { .read = read_own_address };
        static struct gpa_extent pieces[1 << 18];
        const size_t n = sizeof(pieces) / sizeof(pieces[0]);
        vmie_mem m = { .ops = &ops, .extents = pieces, .n_extents = n };

        (void)state;
        for (size_t i = 0; i < n; i++)
                pieces[i] = (struct gpa_extent){ .gpa = i << 13, .len = 4096 };
        for (uint64_t i = 0; i < n; i++) {
                uint8_t buf[2];

                assert_int_equal(gpa_read(&m, i << 13, buf, 1), 0);
                assert_int_equal(buf[0], i & 0xff);
                assert_int_equal(gpa_read(&m, (i << 13) + 4095, buf, 1), 0);
                assert_int_equal(gpa_read(&m, (i << 13) + 4095, buf, 2), -EFAULT);
                assert_int_equal(gpa_read(&m, (i << 13) + 4096, buf, 1), -EFAULT);
                assert_int_equal(gpa_read(&m, (i << 13) + 8191, buf, 1), -EFAULT);
        }
}

static void the_cancel_flag_ends_every_read(void **state)
{
        atomic_bool cancel = true;
        struct gva_mapping map;
        struct guest_image g;
        uint8_t buf[8];

        (void)state;
        map_two_pages(&g);
        g.mem.cancel = &cancel;
        assert_int_equal(gpa_read(&g.mem, 0, buf, 8), -ECANCELED);
        assert_int_equal(gva_read(&g.mem, CR3, 0x400000, buf, 8), -ECANCELED);
        assert_int_equal(gva_translate(&g.mem, CR3, 0x400000, &map), -ECANCELED);
        assert_int_equal(gva_fault(&g.mem)->kind, GVA_FAULT_CANCELED);
        assert_int_equal(g.n_reads, 0);
        cancel = false;
        assert_int_equal(gva_read(&g.mem, CR3, 0x400000, buf, 8), 0);
        image_deinit(&g);
}

static void reads_are_counted_for_who_watches(void **state)
{
        atomic_uint n_reads = 0;
        struct guest_image g;
        uint8_t buf[8];

        (void)state;
        map_two_pages(&g);
        g.mem.n_reads = &n_reads;
        assert_int_equal(gva_read(&g.mem, CR3, 0x400000, buf, 8), 0);
        assert_true(g.n_reads > 0);
        assert_int_equal(n_reads, g.n_reads);
        image_deinit(&g);
}

static void a_memory_value_walks_as_the_one_it_adopts(void **state)
{
        struct guest_image g;
        vmie_mem other;

        (void)state;
        image_init(&g, 2 * MIB);
        other = g.mem;
        g.mem.kcr3 = 0x1ad000;
        g.mem.levels = 5;
        vmie_mem_adopt(&other, &g.mem);
        assert_int_equal(other.kcr3, 0x1ad000);
        assert_int_equal(other.levels, 5);
        image_deinit(&g);
}

static void every_fault_has_words(void **state)
{
        (void)state;
        for (int kind = GVA_FAULT_NONE; kind <= GVA_FAULT_CANCELED; kind++)
                assert_string_not_equal(gva_fault_text(kind), "unknown fault");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_entry_means_what_the_manual_says),
                cmocka_unit_test(tables_that_point_at_themselves_end_the_walk),
                cmocka_unit_test(a_root_outside_ram_is_told_as_such),
                cmocka_unit_test(a_read_crosses_pages_and_stays_inside_its_buffer),
                cmocka_unit_test(a_read_stops_at_the_first_unmapped_byte),
                cmocka_unit_test(a_range_that_wraps_is_refused),
                cmocka_unit_test(every_failed_read_is_reported),
                cmocka_unit_test(physical_reads_stay_in_ram),
                cmocka_unit_test(memory_in_very_many_pieces_is_as_quick_to_read),
                cmocka_unit_test(the_cancel_flag_ends_every_read),
                cmocka_unit_test(reads_are_counted_for_who_watches),
                cmocka_unit_test(a_memory_value_walks_as_the_one_it_adopts),
                cmocka_unit_test(every_fault_has_words),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
