/*
 * settle_test.c - pages in transition: how long has their entry stood, and whose clock says so?
 */
#include <errno.h>

#include "pages_fixture.h"

static void expect_not_yet(struct pages *p)
{
        assert_int_equal(fixture_sample(&p->f), 0);
        assert_int_equal(vgpup_last_skip(p->f.region), VGPUP_SKIP_TRANSITION);
}

static void a_second_counts_only_while_the_guest_runs(void **state)
{
        struct pages p;

        (void)state;
        pages_open(&p);
        is_transition(&p, SLOT0 + 0x1000);
        for (int i = 0; i < 100; i++)
                expect_not_yet(&p);
        run_clock(&p, SECOND - 1);
        expect_not_yet(&p);
        run_clock(&p, 1);
        assert_int_equal(fixture_sample(&p.f), 1);
        expect_frame(&p, "stood", false);
        pages_close(&p);
}

static void what_has_stood_goes_on_counting(void **state)
{
        struct pages p;

        (void)state;
        pages_open(&p);
        is_transition(&p, SLOT0 + 0x1000);
        expect_not_yet(&p);
        run_clock(&p, SECOND);
        assert_int_equal(fixture_sample(&p.f), 1);
        p.f.r.block->slot[0].frame_id = 3;
        assert_int_equal(fixture_sample(&p.f), 1);
        pages_close(&p);
}

static void another_entry_starts_anew(void **state)
{
        struct pages p;
        uint64_t other;

        (void)state;
        pages_open(&p);
        is_transition(&p, SLOT0 + 0x1000);
        expect_not_yet(&p);
        run_clock(&p, SECOND / 2);
        other = image_page(&p.f.w.image);
        put_leaf(&p, SLOT0 + 0x1000, in_transition(other));
        expect_not_yet(&p);
        run_clock(&p, SECOND / 2);
        expect_not_yet(&p);
        run_clock(&p, SECOND / 2);
        assert_int_equal(fixture_sample(&p.f), 1);
        pages_close(&p);
}

/* The same place named by another entry: the leaf went over to its prototype. */
static void the_same_place_in_another_entry_starts_anew(void **state)
{
        struct pages p;

        (void)state;
        pages_open(&p);
        is_transition(&p, SLOT0 + 0x1000);
        expect_not_yet(&p);
        run_clock(&p, SECOND);
        stands_behind(&p, SLOT0 + 0x1000, image_get64(&p.f.w.image, leaf_of(&p, SLOT0 + 0x1000)));
        expect_not_yet(&p);
        pages_close(&p);
}

static void another_prototype_entry_starts_anew(void **state)
{
        struct pages p;

        (void)state;
        pages_open(&p);
        is_proto_transition(&p, SLOT0 + 0x1000);
        expect_not_yet(&p);
        run_clock(&p, SECOND);
        put_proto(&p, ((SLOT0 + 0x1000) >> 12) & 15, in_transition(image_page(&p.f.w.image)));
        expect_not_yet(&p);
        pages_close(&p);
}

static void a_page_that_was_mapped_meanwhile_starts_anew(void **state)
{
        struct pages p;
        uint64_t gpa;

        (void)state;
        pages_open(&p);
        gpa = page_of(&p, SLOT0 + 0x1000);
        is_transition(&p, SLOT0 + 0x1000);
        expect_not_yet(&p);
        put_leaf(&p, SLOT0 + 0x1000, gpa | PTE_P | PTE_U | PTE_W);
        assert_int_equal(fixture_sample(&p.f), 1);
        p.f.r.block->slot[0].frame_id = 3;
        put_leaf(&p, SLOT0 + 0x1000, in_transition(gpa));
        run_clock(&p, 5 * SECOND);
        expect_not_yet(&p);
        pages_close(&p);
}

static void a_clock_that_runs_backwards_starts_anew(void **state)
{
        struct pages p;

        (void)state;
        pages_open(&p);
        is_transition(&p, SLOT0 + 0x1000);
        expect_not_yet(&p);
        p.clock = SECOND;
        run_clock(&p, 0);
        expect_not_yet(&p);
        run_clock(&p, SECOND);
        assert_int_equal(fixture_sample(&p.f), 1);
        pages_close(&p);
}

static void a_torn_clock_is_no_clock(void **state)
{
        uint32_t other = 1;
        struct pages p;

        (void)state;
        pages_open(&p);
        is_transition(&p, SLOT0 + 0x1000);
        expect_not_yet(&p);
        run_clock(&p, SECOND);
        windows_kernel_write(&p.f.w, WINDOWS_SHARED_VA + 0x10, &other, 4);
        expect_not_yet(&p);
        pages_close(&p);
}

static void a_clock_that_cannot_be_read_is_an_error(void **state)
{
        struct windows_config config = windows_known(7601); /* whose anchors do without the page */
        struct pages p;

        (void)state;
        pages_open_as(&p, &config);
        is_transition(&p, SLOT0 + 0x1000);
        image_put64(&p.f.w.image, image_entry(&p.f.w.image, p.f.w.kcr3, WINDOWS_SHARED_VA, 1), 0);
        assert_int_equal(fixture_sample(&p.f), -EFAULT);
        pages_close(&p);
}

static void an_entry_that_goes_after_it_has_stood_is_seen(void **state)
{
        struct vgpup_sample sample;
        struct pages p;

        (void)state;
        pages_open(&p);
        is_transition(&p, SLOT0 + 0x1000);
        expect_not_yet(&p);
        run_clock(&p, SECOND);
        assert_int_equal(vgpup_sample_begin(p.f.region, p.f.m, SIZE_MAX, &sample), 1);
        is_demand_zero(&p, SLOT0 + 0x1000);
        assert_int_equal(vgpup_sample_commit(p.f.region, p.f.m, &sample), 0);
        assert_int_equal(vgpup_last_skip(p.f.region), VGPUP_SKIP_REMAPPED);
        pages_close(&p);
}

static void pages_settle_each_by_itself(void **state)
{
        struct pages p;

        (void)state;
        pages_open(&p);
        is_transition(&p, SLOT0);
        is_proto_transition(&p, SLOT0 + 0x3000);
        expect_not_yet(&p);
        run_clock(&p, SECOND / 2);
        is_transition(&p, SLOT0 + 0x2000);
        expect_not_yet(&p);
        run_clock(&p, SECOND / 2);
        expect_not_yet(&p);
        run_clock(&p, SECOND / 2);
        assert_int_equal(fixture_sample(&p.f), 1);
        expect_frame(&p, "all", false);
        pages_close(&p);
}

static void the_block_has_to_settle_like_any_page(void **state)
{
        vgpup_geometry geometry;
        vgpup_status status;
        vgpup_cursor cursor;
        struct pages p;
        uint64_t id;

        (void)state;
        pages_open(&p);
        is_transition(&p, REGION_GVA);
        expect_not_yet(&p);
        assert_int_equal(vgpup_read_cursor(p.f.region, p.f.m, &cursor), 0);
        assert_int_equal(vgpup_last_skip(p.f.region), VGPUP_SKIP_TRANSITION);
        assert_int_equal(vgpup_read_geometry(p.f.region, p.f.m, &geometry), 0);
        assert_int_equal(vgpup_peek(p.f.region, p.f.m, &id), 0);
        assert_int_equal(vgpup_last_skip(p.f.region), VGPUP_SKIP_TRANSITION);
        assert_int_equal(vgpup_read_status(p.f.region, p.f.m, &status), -EAGAIN);
        assert_int_equal(vgpup_confirm_alive(p.f.m, p.f.r.proc.cr3, REGION_GVA, 1), -EAGAIN);
        run_clock(&p, SECOND);
        assert_int_equal(vgpup_read_cursor(p.f.region, p.f.m, &cursor), 1);
        assert_int_equal(vgpup_read_geometry(p.f.region, p.f.m, &geometry), 1);
        assert_int_equal(vgpup_peek(p.f.region, p.f.m, &id), 1);
        assert_int_equal(vgpup_read_status(p.f.region, p.f.m, &status), 0);
        assert_int_equal(fixture_sample(&p.f), 1);
        pages_close(&p);
}

static void a_block_of_zeros_is_no_region_any_more(void **state)
{
        struct pages p;

        (void)state;
        pages_open(&p);
        is_demand_zero(&p, REGION_GVA);
        assert_int_equal(fixture_sample(&p.f), -ESTALE);
        assert_int_equal(vgpup_confirm_alive(p.f.m, p.f.r.proc.cr3, REGION_GVA, 1), -ESTALE);
        pages_close(&p);
}

static void a_region_is_found_and_bound_only_by_a_resident_page(void **state)
{
        struct vgpup_candidate c;
        vgpup_region *region;
        struct pages p;
        size_t n;

        (void)state;
        pages_open(&p);
        assert_int_equal(vgpup_discover_all(p.f.v, &c, 1, &n), 0);
        assert_int_equal(n, 1);
        is_transition(&p, REGION_GVA);
        assert_int_equal(vgpup_bind(p.f.v, p.f.m, &c, &region), -EFAULT);
        assert_int_equal(gva_fault(p.f.m)->kind, GVA_FAULT_TRANSITION);
        assert_int_equal(vgpup_discover_all(p.f.v, &c, 1, &n), 0);
        assert_int_equal(n, 0);
        pages_close(&p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_second_counts_only_while_the_guest_runs),
                cmocka_unit_test(what_has_stood_goes_on_counting),
                cmocka_unit_test(another_entry_starts_anew),
                cmocka_unit_test(the_same_place_in_another_entry_starts_anew),
                cmocka_unit_test(another_prototype_entry_starts_anew),
                cmocka_unit_test(a_page_that_was_mapped_meanwhile_starts_anew),
                cmocka_unit_test(a_clock_that_runs_backwards_starts_anew),
                cmocka_unit_test(a_torn_clock_is_no_clock),
                cmocka_unit_test(a_clock_that_cannot_be_read_is_an_error),
                cmocka_unit_test(an_entry_that_goes_after_it_has_stood_is_seen),
                cmocka_unit_test(pages_settle_each_by_itself),
                cmocka_unit_test(the_block_has_to_settle_like_any_page),
                cmocka_unit_test(a_block_of_zeros_is_no_region_any_more),
                cmocka_unit_test(a_region_is_found_and_bound_only_by_a_resident_page),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
