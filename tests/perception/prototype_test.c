/*
 * prototype_test.c - entries behind entries: what leads to a prototype entry is rechecked like the walk itself
 */
#include <errno.h>

#include "pages_fixture.h"
#include "../../perception/memmodel/gather.h"

static void taken_while_copied(
        struct pages *p, uint64_t entry_gpa, uint64_t value, const char *name)
{
        struct vgpup_sample sample;
        uint64_t before = image_get64(&p->f.w.image, entry_gpa);

        assert_int_equal(vgpup_sample_begin(p->f.region, p->f.m, SIZE_MAX, &sample), 1);
        image_put64(&p->f.w.image, entry_gpa, value);
        if (vgpup_sample_recheck(p->f.region, p->f.m, &sample, 0x2000, 4096) != 0)
                fail_msg("%s went unnoticed in its part", name);
        if (vgpup_sample_commit(p->f.region, p->f.m, &sample) == 1)
                fail_msg("%s went unnoticed", name);
        image_put64(&p->f.w.image, entry_gpa, before);
}

static void every_entry_on_the_way_to_a_prototype_is_rechecked(void **state)
{
        struct pages p;
        uint64_t other;

        (void)state;
        pages_open(&p);
        for (uint64_t at = 0; at < FRAME_BYTES; at += 4096)
                is_proto_valid(&p, SLOT0 + at);
        assert_int_equal(fixture_sample(&p.f), 1);
        expect_frame(&p, "all by prototype", false);
        p.f.r.block->slot[0].frame_id = 3;
        other = image_page(&p.f.w.image);
        taken_while_copied(&p, p.proto_gpa + 2 * 8, other | PTE_P | PTE_W, "prototype entry");
        taken_while_copied(
                &p, p.proto_gpa + 2 * 8, in_transition(other), "prototype to transition");
        taken_while_copied(&p, leaf_of(&p, SLOT0 + 0x2000), REFERS_TO(PROTO_VA), "leaf");
        /* Above level 2 the kernel's anchors hang on the same entries, and their loss is told first or at once. */
        for (unsigned level = 1; level <= 4; level++)
                taken_while_copied(&p, image_entry(&p.f.w.image, p.f.w.kcr3, PROTO_VA, level),
                        other | PTE_P | PTE_W, "table of the prototype");
        assert_int_equal(fixture_sample(&p.f), 1);
        pages_close(&p);
}

static void entries_in_a_row_are_rechecked_in_one_piece(void **state)
{
        struct gva_gather g;
        struct pages p;

        (void)state;
        pages_open(&p);
        for (uint64_t at = 0; at < FRAME_BYTES; at += 4096)
                is_proto_valid(&p, SLOT0 + at);
        assert_int_equal(gather_init(&g, FRAME_BYTES), 0);
        assert_int_equal(gather_walk(&g, p.f.m, p.f.r.proc.cr3, SLOT0, FRAME_BYTES), 0);
        assert_int_equal(g.n_runs, 4 + 4 + 1);
        assert_int_equal(g.runs[8].n, 4);
        assert_int_equal(g.runs[8].len, FRAME_BYTES);
        assert_int_equal(g.runs[4].len, FRAME_BYTES);
        assert_int_equal(gather_recheck(&g, p.f.m, 0, UINT64_MAX), 1);
        /* One of its own in between, and the row goes on after it in another piece. */
        put_leaf(&p, SLOT0 + 0x1000, REFERS_TO(PROTO_VA + 15 * 8));
        put_proto(&p, 15, PROTECTION);
        assert_int_equal(gather_walk(&g, p.f.m, p.f.r.proc.cr3, SLOT0, FRAME_BYTES), 0);
        assert_int_equal(g.n_runs, 4 + 4 + 3);
        gather_deinit(&g);
        pages_close(&p);
}

static void a_leaf_after_a_prototype_speaks_for_itself(void **state)
{
        struct gva_gather g;
        struct pages p;

        (void)state;
        pages_open(&p);
        is_proto_transition(&p, SLOT0);
        is_transition(&p, SLOT0 + 0x1000);
        assert_int_equal(gather_init(&g, FRAME_BYTES), 0);
        assert_int_equal(gather_walk(&g, p.f.m, p.f.r.proc.cr3, SLOT0, FRAME_BYTES), 0);
        assert_int_equal(g.n_transitions, 2);
        assert_int_equal(g.transitions[0].entry_gpa, p.proto_gpa);
        assert_int_equal(g.transitions[1].offset, 0x1000);
        assert_int_equal(g.transitions[1].entry_gpa, leaf_of(&p, SLOT0 + 0x1000));
        assert_int_equal(
                g.transitions[1].entry, image_get64(&p.f.w.image, leaf_of(&p, SLOT0 + 0x1000)));
        assert_int_equal(g.n_runs, 4 + 4 + 1);
        gather_deinit(&g);
        pages_close(&p);
}

/* The row of prototype entries goes on where a table ends, and another table's entries come in between. */
static void a_row_of_prototypes_across_two_tables_is_rechecked_whole(void **state)
{
        const uint64_t at = (REGION_GVA & ~UINT64_C(0x1fffff)) + UINT64_C(0x3ff000);
        struct gva_gather g;
        struct pages p;

        (void)state;
        pages_open(&p);
        for (unsigned i = 0; i < 2; i++) {
                uint64_t gva = at + i * 0x1000;

                image_map(&p.f.w.image, p.f.r.proc.cr3, gva, image_page(&p.f.w.image), 1, PTE_U);
                put_proto(&p, i, page_of(&p, gva) | PTE_P);
                put_leaf(&p, gva, REFERS_TO(PROTO_VA + i * 8));
        }
        assert_int_equal(gather_init(&g, 0x2000), 0);
        assert_int_equal(gather_walk(&g, p.f.m, p.f.r.proc.cr3, at, 0x2000), 0);
        assert_int_equal(gather_recheck(&g, p.f.m, 0, UINT64_MAX), 1);
        for (unsigned i = 0; i < 2; i++) {
                uint64_t was = image_get64(&p.f.w.image, p.proto_gpa + i * 8);

                put_proto(&p, i, PROTECTION);
                assert_int_equal(gather_recheck(&g, p.f.m, 0, UINT64_MAX), 0);
                assert_int_equal(gather_recheck(&g, p.f.m, i * 0x1000, 0x1000), 0);
                put_proto(&p, i, was);
        }
        gather_deinit(&g);
        pages_close(&p);
}

static void a_prototype_page_for_each_leaf_fits_too(void **state)
{
        struct gva_gather g;
        struct pages p;

        (void)state;
        pages_open(&p);
        for (uint64_t at = 0; at < FRAME_BYTES; at += 4096) {
                uint64_t va = PROTO_VA + (at << 30); /* a table of its own, too */
                uint64_t page = image_page(&p.f.w.image);

                image_map(&p.f.w.image, p.f.w.kcr3, va + 0x1000, page, 1, PTE_W);
                image_put64(&p.f.w.image, page + 8, page_of(&p, SLOT0 + at) | PTE_P);
                put_leaf(&p, SLOT0 + at, REFERS_TO(va + 0x1008));
        }
        assert_int_equal(gather_init(&g, FRAME_BYTES), 0);
        assert_int_equal(gather_walk(&g, p.f.m, p.f.r.proc.cr3, SLOT0, FRAME_BYTES), 0);
        assert_int_equal(g.n_runs, 4 + 4 * 5);
        assert_true(g.n_runs <= g.max_runs);
        assert_int_equal(gather_recheck(&g, p.f.m, 0, UINT64_MAX), 1);
        gather_deinit(&g);
        assert_int_equal(fixture_sample(&p.f), 1);
        expect_frame(&p, "each its own", false);
        pages_close(&p);
}

static void no_room_is_an_error_and_no_overrun(void **state)
{
        struct gva_gather g;
        struct pages p;

        (void)state;
        pages_open(&p);
        for (uint64_t at = 0; at < FRAME_BYTES; at += 4096)
                is_proto_transition(&p, SLOT0 + at);
        assert_int_equal(gather_init(&g, FRAME_BYTES), 0);
        for (size_t room = 0; room < 12; room++) {
                g.max_runs = room;
                assert_int_equal(gather_walk(&g, p.f.m, p.f.r.proc.cr3, SLOT0, FRAME_BYTES),
                        room < 9 ? -EOVERFLOW : 0);
        }
        for (size_t room = 0; room < 16; room++) {
                g.max_entries = room;
                assert_int_equal(gather_walk(&g, p.f.m, p.f.r.proc.cr3, SLOT0, FRAME_BYTES),
                        room < 3 + 4 + 4 + 4 ? -EOVERFLOW : 0);
        }
        for (size_t room = 0; room < 5; room++) {
                g.max_transitions = room;
                assert_int_equal(gather_walk(&g, p.f.m, p.f.r.proc.cr3, SLOT0, FRAME_BYTES),
                        room < 4 ? -EOVERFLOW : 0);
        }
        gather_deinit(&g);
        pages_close(&p);
}

static void a_failing_source_is_not_taken_for_a_missing_page(void **state)
{
        struct pages p;
        size_t total;

        (void)state;
        pages_open(&p);
        for (uint64_t at = 0; at < FRAME_BYTES; at += 4096)
                is_proto_valid(&p, SLOT0 + at);
        image_calm(&p.f.w.image);
        assert_int_equal(fixture_sample(&p.f), 1);
        total = p.f.w.image.n_reads;
        for (size_t n = 1; n <= total; n++) {
                p.f.r.block->slot[0].frame_id++;
                image_calm(&p.f.w.image);
                p.f.w.image.fail_at = n;
                p.f.w.image.fail_with = -EIO;
                assert_int_equal(fixture_sample(&p.f), -EIO);
                assert_int_equal(gva_fault(p.f.m)->kind, GVA_FAULT_SOURCE);
        }
        pages_close(&p);
}

/* ---- what the guest does to such pages while they are read ------------------------------------------------------- */

struct struck {
        struct pages p;
        void (*strike)(struct pages *p);
};

static void is_anothers(struct pages *p, uint64_t gpa)
{
        memset(image_at(&p->f.w.image, gpa), 0xee, GVA_PAGE_BYTES);
}

/* The page goes to the pagefile, and its place to somebody else. */
static void page_is_repurposed(struct pages *p)
{
        uint64_t at = p->proto_gpa + 2 * 8, was = image_get64(&p->f.w.image, at);

        put_proto(p, 2, UINT64_C(0x123) << 32 | PROTECTION);
        is_anothers(p, was & PTE_PFN);
}

static void page_is_moved(struct pages *p)
{
        uint64_t was = image_get64(&p->f.w.image, p->proto_gpa + 2 * 8);
        uint64_t other = image_page(&p->f.w.image);

        memcpy(image_at(&p->f.w.image, other), image_at(&p->f.w.image, was & PTE_PFN),
                GVA_PAGE_BYTES);
        put_proto(p, 2, other | (was & 0xfff));
        is_anothers(p, was & PTE_PFN);
}

static void standby_page_is_repurposed(struct pages *p)
{
        uint64_t was = image_get64(&p->f.w.image, leaf_of(p, SLOT0 + 0x3000));

        put_leaf(p, SLOT0 + 0x3000, UINT64_C(0x124) << 32 | PROTECTION);
        is_anothers(p, was & PTE_PFN);
}

/* The section's entries are freed, and their page is used for anything. */
static void section_is_deleted(struct pages *p)
{
        uint64_t first = image_get64(&p->f.w.image, p->proto_gpa);

        for (uint64_t at = 0; at < FRAME_BYTES; at += GVA_PAGE_BYTES)
                put_leaf(p, SLOT0 + at, 0);
        image_put64(&p->f.w.image, image_entry(&p->f.w.image, p->f.w.kcr3, PROTO_VA, 1), 0);
        is_anothers(p, p->proto_gpa);
        is_anothers(p, first & PTE_PFN);
}

static void strike_now(void *ctx)
{
        struct struck *s = ctx;

        s->strike(&s->p);
}

/* Two pages by prototype, one of them by one in transition that has stood, and one in transition itself. */
static void open_struck(struct struck *s)
{
        pages_open(&s->p);
        is_proto_valid(&s->p, SLOT0);
        is_proto_transition(&s->p, SLOT0 + 0x1000);
        is_proto_valid(&s->p, SLOT0 + 0x2000);
        is_transition(&s->p, SLOT0 + 0x3000);
        assert_int_equal(fixture_sample(&s->p.f), 0);
        run_clock(&s->p, SECOND);
        image_calm(&s->p.f.w.image);
}

static void no_change_behind_a_page_lets_a_foreign_byte_through(void **state)
{
        static void (*const strikes[])(struct pages * p) = { page_is_repurposed, page_is_moved,
                standby_page_is_repurposed, section_is_deleted };
        struct struck s = { .strike = NULL };
        size_t total;

        (void)state;
        open_struck(&s);
        assert_int_equal(fixture_sample(&s.p.f), 1);
        expect_frame(&s.p, "left alone", false);
        total = s.p.f.w.image.n_reads;
        pages_close(&s.p);
        for (size_t i = 0; i < sizeof(strikes) / sizeof(strikes[0]); i++) {
                for (size_t n = 1; n <= total; n++) {
                        open_struck(&s);
                        s.strike = strikes[i];
                        s.p.f.w.image.change = strike_now;
                        s.p.f.w.image.change_ctx = &s;
                        s.p.f.w.image.change_at = n;
                        if (fixture_sample(&s.p.f) == 1)
                                expect_frame(&s.p, "struck", false);
                        pages_close(&s.p);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_entry_on_the_way_to_a_prototype_is_rechecked),
                cmocka_unit_test(entries_in_a_row_are_rechecked_in_one_piece),
                cmocka_unit_test(a_leaf_after_a_prototype_speaks_for_itself),
                cmocka_unit_test(a_row_of_prototypes_across_two_tables_is_rechecked_whole),
                cmocka_unit_test(a_prototype_page_for_each_leaf_fits_too),
                cmocka_unit_test(no_room_is_an_error_and_no_overrun),
                cmocka_unit_test(no_change_behind_a_page_lets_a_foreign_byte_through),
                cmocka_unit_test(a_failing_source_is_not_taken_for_a_missing_page),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
