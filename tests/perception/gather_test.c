/*
 * gather_test.c - ranges as physical pieces, and which changes of an entry count
 */
#include <errno.h>
#include <string.h>

#include "guest_image.h"
#include "memmodel/gather.h"
#include "memmodel/scan.h"

#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define CR3 UINT64_C(0x10000)
#define RWU (PTE_W | PTE_U)

/* Three last-level tables: the range crosses two table borders. */
#define GVA (2 * MIB * 7 - 4 * KIB)
#define LEN (2 * MIB + 8 * KIB)

static void map_scattered(struct guest_image *g)
{
        image_init(g, 8 * MIB);
        g->next_page = 0x20000;
        for (uint64_t at = 0; at < LEN; at += 4 * KIB) {
                uint64_t page = at / (4 * KIB);

                /* Pairs of pages are contiguous, pairs are not. */
                image_map(g, CR3, GVA + at, 4 * MIB + (page / 2 * 3 + page % 2) * 4 * KIB, 1, RWU);
        }
}

static void contiguous_pages_become_one_piece(void **state)
{
        struct guest_image g;
        struct gva_gather r;
        uint64_t covered = 0;

        (void)state;
        map_scattered(&g);
        assert_int_equal(gather_init(&r, LEN), 0);
        assert_int_equal(gather_walk(&r, &g.mem, CR3, GVA, LEN), 0);
        assert_int_equal(r.n_extents, LEN / (8 * KIB));
        for (size_t i = 0; i < r.n_extents; i++) {
                assert_int_equal(r.extents[i].offset, covered);
                assert_int_equal(r.extents[i].len, 8 * KIB);
                assert_int_equal(r.extents[i].gpa, image_translate(&g, CR3, GVA + covered));
                covered += r.extents[i].len;
        }
        assert_int_equal(covered, LEN);
        gather_deinit(&r);
        image_deinit(&g);
}

/* A desktop's memory has pages in a row that are nowhere near each other in the frame. */
static void parts_that_only_adjoin_in_ram_stay_apart(void **state)
{
        struct guest_image g;
        struct gva_gather r;

        (void)state;
        image_init(&g, 8 * MIB);
        g.next_page = 0x20000;
        image_map(&g, CR3, GVA, 4 * MIB, 1, RWU);
        image_map(&g, CR3, GVA + 20 * KIB, 4 * MIB + 4 * KIB, 1, RWU);
        assert_int_equal(gather_init(&r, LEN), 0);
        gather_begin(&r, GVA);
        assert_int_equal(gather_add(&r, &g.mem, CR3, 0, 4 * KIB), 0);
        assert_int_equal(gather_add(&r, &g.mem, CR3, 20 * KIB, 4 * KIB), 0);
        assert_int_equal(r.n_extents, 2);
        assert_int_equal(r.extents[0].len, 4 * KIB);
        assert_int_equal(r.extents[1].offset, 20 * KIB);
        assert_int_equal(r.extents[1].gpa, 4 * MIB + 4 * KIB);
        gather_deinit(&r);
        image_deinit(&g);
}

static void each_table_is_read_once(void **state)
{
        struct guest_image g;
        struct gva_gather r;

        (void)state;
        map_scattered(&g);
        assert_int_equal(gather_init(&r, LEN), 0);
        assert_int_equal(gather_walk(&r, &g.mem, CR3, GVA, LEN), 0);
        assert_int_equal(g.n_reads, 1 + 1 + 1 + 3);
        assert_int_equal(r.n_runs, 6);
        gather_deinit(&r);
        image_deinit(&g);
}

static void a_part_of_a_page_is_a_part_of_a_piece(void **state)
{
        struct guest_image g;
        struct gva_gather r;

        (void)state;
        map_scattered(&g);
        assert_int_equal(gather_init(&r, LEN), 0);
        assert_int_equal(gather_walk(&r, &g.mem, CR3, GVA + 0x123, 0x1000), 0);
        assert_int_equal(r.n_extents, 1);
        assert_int_equal(r.extents[0].gpa, 4 * MIB + 0x123);
        assert_int_equal(r.extents[0].len, 0x1000);
        gather_deinit(&r);
        image_deinit(&g);
}

static void large_pages_are_taken_in_one(void **state)
{
        static const struct gpa_extent ram[] = { { 0, 2 * MIB }, { GIB, 4 * MIB } };
        struct guest_image g;
        struct gva_gather r;

        (void)state;
        image_init_extents(&g, ram, 2);
        g.next_page = 0x20000;
        image_map(&g, CR3, 16 * MIB, GIB, 2, RWU);
        image_map(&g, CR3, 18 * MIB, GIB + 2 * MIB, 2, RWU);
        image_map(&g, CR3, 5 * GIB, GIB, 3, RWU);
        assert_int_equal(gather_init(&r, 4 * MIB), 0);
        assert_int_equal(gather_walk(&r, &g.mem, CR3, 16 * MIB + 0x1000, 3 * MIB), 0);
        assert_int_equal(r.n_extents, 1);
        assert_int_equal(r.extents[0].gpa, GIB + 0x1000);
        assert_int_equal(gather_walk(&r, &g.mem, CR3, 5 * GIB + 0x2000, MIB), 0);
        assert_int_equal(r.n_extents, 1);
        assert_int_equal(r.extents[0].gpa, GIB + 0x2000);
        assert_int_equal(gather_walk(&r, &g.mem, CR3, 5 * GIB + 3 * MIB, 2 * MIB), -EFAULT);
        assert_int_equal(g.mem.fault.kind, GVA_FAULT_OUTSIDE_RAM);
        gather_deinit(&r);
        image_deinit(&g);
}

static void pieces_do_not_join_across_extents_of_ram(void **state)
{
        static const struct gpa_extent ram[] = { { 0, 2 * MIB }, { 2 * MIB, 2 * MIB } };
        struct guest_image g;
        struct gva_gather r;

        (void)state;
        image_init_extents(&g, ram, 2);
        g.next_page = 0x20000;
        image_map(&g, CR3, 0x400000, 2 * MIB - 4 * KIB, 1, RWU);
        image_map(&g, CR3, 0x401000, 2 * MIB, 1, RWU);
        assert_int_equal(gather_init(&r, 8 * KIB), 0);
        assert_int_equal(gather_walk(&r, &g.mem, CR3, 0x400000, 8 * KIB), 0);
        assert_int_equal(r.n_extents, 2);
        gather_deinit(&r);
        image_deinit(&g);
}

static void only_user_pages_are_taken(void **state)
{
        struct guest_image g;
        struct gva_gather r;

        (void)state;
        for (unsigned level = 1; level <= 4; level++) {
                uint64_t at;

                map_scattered(&g);
                assert_int_equal(gather_init(&r, LEN), 0);
                at = image_entry(&g, CR3, GVA, level);
                image_put64(&g, at, image_get64(&g, at) & ~PTE_U);
                assert_int_equal(gather_walk(&r, &g.mem, CR3, GVA, LEN), -EFAULT);
                assert_int_equal(g.mem.fault.kind, GVA_FAULT_NOT_USER);
                assert_int_equal(g.mem.fault.level, level);
                assert_int_equal(r.n_extents, 0);
                gather_deinit(&r);
                image_deinit(&g);
        }
}

static void ranges_outside_the_user_half_are_refused(void **state)
{
        static const struct {
                uint64_t gva, len;
        } cases[] = {
                { UINT64_C(0xfffff80000000000), 4096 },
                { 0x7ffffffff000, 8192 },
                { UINT64_MAX, 4096 },
                { 0x1000, 0 },
                { UINT64_C(1) << 47, 4096 },
        };
        struct guest_image g;
        struct gva_gather r;

        (void)state;
        map_scattered(&g);
        assert_int_equal(gather_init(&r, LEN), 0);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                assert_int_equal(gather_walk(&r, &g.mem, CR3, cases[i].gva, cases[i].len), -EINVAL);
        gather_deinit(&r);
        image_deinit(&g);
}

static void a_range_longer_than_its_room_is_refused(void **state)
{
        struct guest_image g;
        struct gva_gather r;

        (void)state;
        map_scattered(&g);
        assert_int_equal(gather_init(&r, 4 * KIB), 0);
        assert_int_equal(gather_walk(&r, &g.mem, CR3, GVA, LEN), -EOVERFLOW);
        assert_int_equal(r.n_extents, 0);
        gather_deinit(&r);
        assert_int_equal(gather_init(&r, 0), -EINVAL);
        assert_int_equal(gather_init(&r, UINT64_MAX), -EINVAL);
        image_deinit(&g);
}

static void every_failed_read_of_a_table_is_reported(void **state)
{
        struct guest_image g;
        struct gva_gather r;

        (void)state;
        map_scattered(&g);
        assert_int_equal(gather_init(&r, LEN), 0);
        for (size_t n = 1; n <= 6; n++) {
                image_calm(&g);
                assert_int_equal(gather_walk(&r, &g.mem, CR3, GVA, LEN), 0);
                image_calm(&g);
                g.fail_at = n;
                g.fail_with = -ESTALE;
                assert_int_equal(gather_recheck(&r, &g.mem, 0, LEN), -ESTALE);
                image_calm(&g);
                g.fail_at = n;
                assert_int_equal(gather_walk(&r, &g.mem, CR3, GVA, LEN), -ESTALE);
        }
        gather_deinit(&r);
        image_deinit(&g);
}

struct change {
        const char *name;
        unsigned level;
        uint64_t flip;
        int result;
};

static const struct change changes[] = {
        { "nothing", 1, 0, 1 },
        { "accessed", 1, 1 << 5, 1 },
        { "dirty", 1, 1 << 6, 1 },
        { "PAT", 1, 1 << 7, 1 },
        { "software bits", 1, UINT64_C(0x7ff0000000000e00), 1 },
        { "no-execute", 1, PTE_NX, 1 },
        { "write", 1, PTE_W, 1 },
        { "present", 1, PTE_P, 0 },
        { "user", 1, PTE_U, 0 },
        { "PFN", 1, 0x1000, 0 },
        { "highest PFN bit", 1, UINT64_C(1) << 51, 0 },
        { "accessed in a directory", 2, 1 << 5, 1 },
        { "page size", 2, PTE_PS, 0 },
        { "directory's PFN", 2, 0x1000, 0 },
        { "directory's user bit", 3, PTE_U, 0 },
        { "root's present bit", 4, PTE_P, 0 },
        { "root's PFN", 4, 0x100000, 0 },
};

static void only_what_moves_bytes_counts_as_a_change(void **state)
{
        struct guest_image g;
        struct gva_gather r;

        (void)state;
        map_scattered(&g);
        assert_int_equal(gather_init(&r, LEN), 0);
        for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
                /* A page in the middle, under the second of the three last-level tables. */
                uint64_t at = image_entry(&g, CR3, GVA + MIB, changes[i].level);
                uint64_t was = image_get64(&g, at);

                assert_int_equal(gather_walk(&r, &g.mem, CR3, GVA, LEN), 0);
                image_put64(&g, at, was ^ changes[i].flip);
                if (gather_recheck(&r, &g.mem, 0, LEN) != changes[i].result)
                        fail_msg("%s", changes[i].name);
                image_put64(&g, at, was);
        }
        gather_deinit(&r);
        image_deinit(&g);
}

static void a_recheck_of_a_part_looks_at_its_own_entries(void **state)
{
        struct guest_image g;
        struct gva_gather r;
        uint64_t at;

        (void)state;
        map_scattered(&g);
        assert_int_equal(gather_init(&r, LEN), 0);
        assert_int_equal(gather_walk(&r, &g.mem, CR3, GVA, LEN), 0);
        at = image_entry(&g, CR3, GVA + LEN - 1, 1);
        image_put64(&g, at, image_get64(&g, at) ^ 0x1000);
        assert_int_equal(gather_recheck(&r, &g.mem, 0, MIB), 1);
        assert_int_equal(gather_recheck(&r, &g.mem, LEN - 1, 1), 0);
        assert_int_equal(gather_recheck(&r, &g.mem, 0, UINT64_MAX), 0);
        assert_int_equal(gather_recheck(&r, &g.mem, MIB, UINT64_MAX), 0);
        assert_int_equal(gather_recheck(&r, &g.mem, UINT64_MAX, UINT64_MAX), 1);
        image_put64(&g, at, image_get64(&g, at) ^ 0x1000);

        /* in the middle of a table, pages that the part only begins or ends in included */
        at = image_entry(&g, CR3, GVA + MIB, 1);
        image_put64(&g, at, image_get64(&g, at) ^ 0x1000);
        assert_int_equal(gather_recheck(&r, &g.mem, 0, MIB), 1);
        assert_int_equal(gather_recheck(&r, &g.mem, 0, MIB + 1), 0);
        assert_int_equal(gather_recheck(&r, &g.mem, MIB + 4 * KIB - 1, 1), 0);
        assert_int_equal(gather_recheck(&r, &g.mem, MIB + 4 * KIB - 1, MIB), 0);
        assert_int_equal(gather_recheck(&r, &g.mem, MIB + 4 * KIB, MIB), 1);
        assert_int_equal(gather_recheck(&r, &g.mem, MIB + 4 * KIB, UINT64_MAX), 1);
        gather_deinit(&r);
        image_deinit(&g);
}

struct visits {
        size_t n;
        uint64_t first;
        int answer;
};

static int count_visit(void *ctx, const struct scan_page *page)
{
        struct visits *v = ctx;

        if (v->n++ == 0)
                v->first = page->gva;
        return v->answer;
}

static void a_scan_visits_what_is_mapped_and_no_more(void **state)
{
        struct visits v = { 0 };
        struct gva_scan s = { .first = 0x1000,
                .last = 0x7fffffffffff,
                .required = PTE_P | PTE_U,
                .n_tables_left = 1000,
                .visit = count_visit,
                .ctx = &v };
        struct guest_image g;

        (void)state;
        map_scattered(&g);
        image_map(&g, CR3, 0x600000000000, 0x5000, 1, 0);     /* kernel's */
        image_map(&g, CR3, 0x600000001000, 64 * MIB, 1, RWU); /* past RAM */
        image_map(&g, CR3, 0x600000002000, 0x5000 | PTE_W, 1, RWU);
        assert_int_equal(gva_scan(&g.mem, CR3, &s), 0);
        assert_int_equal(v.n, LEN / (4 * KIB) + 1);
        assert_int_equal(v.first, GVA);
        v = (struct visits){ .answer = 7 };
        assert_int_equal(gva_scan(&g.mem, CR3, &s), 7);
        assert_int_equal(v.n, 1);
        image_deinit(&g);
}

static void a_scan_visits_only_where_something_can_begin(void **state)
{
        const uint64_t align = 64 * KIB, here = 0x600000000000;
        struct visits v = { 0 };
        struct gva_scan s = {
                .first = 0x1000,
                .last = 0x7fffffffffff,
                .required = PTE_P | PTE_U,
                .n_tables_left = 1000,
                .visit = count_visit,
                .ctx = &v,
                .any = PTE_W,
                .align = align,
        };
        struct guest_image g;

        (void)state;
        map_scattered(&g);
        image_map(&g, CR3, here, 0x5000, 1, PTE_U);                /* read only */
        image_map(&g, CR3, here + align, 0x5000, 1, RWU);          /* here it can */
        image_map(&g, CR3, here + align + 0x1000, 0x5000, 1, RWU); /* not at a boundary */
        image_map(&g, CR3, here + 2 * align - 0x1000, 0x5000, 1, RWU);
        s.first = here - align;
        assert_int_equal(gva_scan(&g.mem, CR3, &s), 0);
        assert_int_equal(v.n, 1);
        assert_int_equal(v.first, here + align);
        /* a page that the range begins in the middle of, and one that it ends in */
        v = (struct visits){ 0 };
        s.first = here + align + 0x10;
        s.last = here + align + 0x20;
        assert_int_equal(gva_scan(&g.mem, CR3, &s), 0);
        assert_int_equal(v.n, 1);
        v = (struct visits){ 0 };
        s.first = here + align + 0x1000;
        s.last = here + 2 * align - 1;
        assert_int_equal(gva_scan(&g.mem, CR3, &s), 0);
        assert_int_equal(v.n, 0);
        image_deinit(&g);
}

static void a_scan_of_tables_that_loop_ends_with_its_budget(void **state)
{
        struct visits v = { 0 };
        struct gva_scan s = { .first = 0x1000,
                .last = 0x7fffffffffff,
                .required = PTE_P,
                .n_tables_left = 1000,
                .visit = count_visit,
                .ctx = &v };
        atomic_bool cancel = true;
        struct guest_image g;

        (void)state;
        image_init(&g, 2 * MIB);
        for (unsigned i = 0; i < 512; i++)
                image_put64(&g, CR3 + i * 8, CR3 | PTE_P | RWU);
        assert_int_equal(gva_scan(&g.mem, CR3, &s), 0);
        assert_int_equal(s.n_tables_left, 0);
        assert_int_equal(g.n_reads, 1000);
        s.n_tables_left = 1000;
        g.mem.cancel = &cancel;
        assert_int_equal(gva_scan(&g.mem, CR3, &s), -ECANCELED);
        image_deinit(&g);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(contiguous_pages_become_one_piece),
                cmocka_unit_test(parts_that_only_adjoin_in_ram_stay_apart),
                cmocka_unit_test(each_table_is_read_once),
                cmocka_unit_test(a_part_of_a_page_is_a_part_of_a_piece),
                cmocka_unit_test(large_pages_are_taken_in_one),
                cmocka_unit_test(pieces_do_not_join_across_extents_of_ram),
                cmocka_unit_test(only_user_pages_are_taken),
                cmocka_unit_test(ranges_outside_the_user_half_are_refused),
                cmocka_unit_test(a_range_longer_than_its_room_is_refused),
                cmocka_unit_test(every_failed_read_of_a_table_is_reported),
                cmocka_unit_test(only_what_moves_bytes_counts_as_a_change),
                cmocka_unit_test(a_recheck_of_a_part_looks_at_its_own_entries),
                cmocka_unit_test(a_scan_visits_what_is_mapped_and_no_more),
                cmocka_unit_test(a_scan_visits_only_where_something_can_begin),
                cmocka_unit_test(a_scan_of_tables_that_loop_ends_with_its_budget),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
