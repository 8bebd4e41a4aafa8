/*
 * pages_test.c - a region whose pages are in every state that Windows keeps pages in
 *
 * What an entry says is data: value in, place or reason out. Then the same states under a bound region, where a page that
 * is not mapped either shows its own bytes or is refused for its own reason, and nothing else's bytes ever show.
 */
#include <errno.h>
#include <stdio.h>

#include "region_fixture.h"
#include "software_pte.h"
#include "../../perception/memmodel/gather.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

#define PROTECTION (UINT64_C(4) << 5) /* read-write */
#define SWIZZLE    (UINT64_C(1) << 4)
#define PROTOTYPE  (UINT64_C(1) << 10)
#define TRANSITION (UINT64_C(1) << 11)
#define VAD        (UINT64_C(0xffffffff0000) << 16 | PROTOTYPE)

#define PROTO_VA      UINT64_C(0xffffa80012345000)
#define REFERS_TO(va) ((va) << 16 | PROTOTYPE | 1 << 8)
#define SLOT0         (REGION_GVA + VGPU_RING_OFFSET)
#define SECOND        UINT64_C(10000000)
#define FRAME_BYTES   (64 * 256u) /* all pages of the slot */

/* ---- what an entry says ------------------------------------------------------------------------------------------ */

static const struct gpa_extent two_sides[] = { { 0, 2 * MIB }, { GIB, MIB } };

struct entry_case {
        const char *name;
        uint64_t entry;
        bool swizzles; /* 1809 and later */
        enum pte_software_kind kind;
        uint64_t address;
};

static const struct entry_case entry_cases[] = {
        { "zero", 0, true, PTE_SOFTWARE_ZERO, 0 },
        { "demand zero", PROTECTION, true, PTE_SOFTWARE_DEMAND_ZERO, 0 },
        { "demand zero, swizzle bit set", PROTECTION | SWIZZLE, true, PTE_SOFTWARE_DEMAND_ZERO, 0 },
        { "demand zero of old", PROTECTION, false, PTE_SOFTWARE_DEMAND_ZERO, 0 },
        { "no protection", 2, true, PTE_SOFTWARE_UNKNOWN, 0 },
        { "pagefile", UINT64_C(0x1234) << 32 | PROTECTION, true, PTE_SOFTWARE_PAGEFILE, 0 },
        { "pagefile, low fields", UINT64_C(0x1000) | PROTECTION, true, PTE_SOFTWARE_PAGEFILE, 0 },
        { "transition", 0x5000 | TRANSITION | PROTECTION | SWIZZLE, true, PTE_SOFTWARE_TRANSITION,
                0x5000 },
        { "transition of old", 0x5000 | TRANSITION | PROTECTION, false, PTE_SOFTWARE_TRANSITION,
                0x5000 },
        { "transition, flipped high bit", UINT64_C(1) << 45 | 0x5000 | TRANSITION, true,
                PTE_SOFTWARE_TRANSITION, 0x5000 },
        { "transition, first bit beyond RAM", 2 * GIB | 0x5000 | TRANSITION, true,
                PTE_SOFTWARE_TRANSITION, 0x5000 },
        { "transition, bit of an address in RAM", GIB | 0x5000 | TRANSITION, true,
                PTE_SOFTWARE_TRANSITION, GIB | 0x5000 },
        { "two bits beyond RAM are no swizzle", UINT64_C(3) << 45 | 0x5000 | TRANSITION, true,
                PTE_SOFTWARE_TRANSITION, UINT64_C(3) << 45 | 0x5000 },
        { "a set swizzle bit says nothing was flipped",
                UINT64_C(1) << 45 | 0x5000 | TRANSITION | SWIZZLE, true, PTE_SOFTWARE_TRANSITION,
                UINT64_C(1) << 45 | 0x5000 },
        { "nothing was flipped before 1809", UINT64_C(1) << 45 | 0x5000 | TRANSITION, false,
                PTE_SOFTWARE_TRANSITION, UINT64_C(1) << 45 | 0x5000 },
        { "prototype", REFERS_TO(PROTO_VA), true, PTE_SOFTWARE_PROTOTYPE, PROTO_VA },
        { "prototype, transition bit means nothing", REFERS_TO(PROTO_VA) | TRANSITION, true,
                PTE_SOFTWARE_PROTOTYPE, PROTO_VA },
        { "prototype by VAD", VAD, true, PTE_SOFTWARE_VAD, 0 },
};

static void an_absent_entry_means_what_windows_means(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(entry_cases) / sizeof(entry_cases[0]); i++) {
                const struct entry_case *c = &entry_cases[i];
                const vmie_mem m = { .extents = two_sides, .n_extents = 2 };
                struct pte_software says =
                        (c->swizzles ? win32_pte_swizzled : win32_pte)(&m, c->entry);

                if (says.kind != c->kind || says.address != c->address)
                        fail_msg("%s: kind %d, address %#llx", c->name, (int)says.kind,
                                (unsigned long long)says.address);
        }
}

static void without_ram_nothing_is_unswizzled_into_it(void **state)
{
        const vmie_mem m = { 0 };

        (void)state;
        assert_int_equal(win32_pte_swizzled(&m, 0x5000 | TRANSITION).address, 0x5000);
        assert_int_equal(win32_pte_swizzled(&m, 0x4000 | TRANSITION).address, 0);
}

/* ---- under a bound region ---------------------------------------------------------------------------------------- */

struct pages {
        struct fixture f;
        uint64_t proto_gpa; /* page of prototype entries, mapped at PROTO_VA */
        uint64_t clock;
};

static void pages_open_as(struct pages *p, const struct windows_config *config)
{
        memset(p, 0, sizeof(*p));
        fixture_open_as(&p->f, config);
        p->proto_gpa = image_page(&p->f.w.image);
        image_map(&p->f.w.image, p->f.w.kcr3, PROTO_VA, p->proto_gpa, 1, PTE_W);
        p->f.r.block->latest = VGPU_SLOT_NONE;
        region_publish(&p->f.r, 64, 64, 256); /* frame 2 in slot 0 */
        p->clock = 100 * SECOND;
        windows_clock(&p->f.w, p->clock);
}

static void pages_open(struct pages *p)
{
        struct windows_config config = windows_known(19045);

        pages_open_as(p, &config);
}

static void pages_close(struct pages *p)
{
        fixture_close(&p->f);
}

static void run_clock(struct pages *p, uint64_t by)
{
        p->clock += by;
        windows_clock(&p->f.w, p->clock);
}

static uint64_t leaf_of(struct pages *p, uint64_t gva)
{
        return image_entry(&p->f.w.image, p->f.r.proc.cr3, gva, 1);
}

static uint64_t page_of(struct pages *p, uint64_t gva)
{
        return image_translate(&p->f.w.image, p->f.r.proc.cr3, gva) & PTE_PFN;
}

static void put_leaf(struct pages *p, uint64_t gva, uint64_t entry)
{
        image_put64(&p->f.w.image, leaf_of(p, gva), entry);
}

static void put_proto(struct pages *p, unsigned index, uint64_t entry)
{
        image_put64(&p->f.w.image, p->proto_gpa + index * 8, entry);
}

static uint64_t in_transition(uint64_t gpa)
{
        return gpa | TRANSITION | PROTECTION | SWIZZLE;
}

enum page_result { SHOWS_BYTES, SHOWS_ZEROS, SKIPS_AT_FIRST, IS_REFUSED };

struct page_state {
        const char *name;
        void (*put)(struct pages *p, uint64_t gva);
        enum page_result result;
        enum gva_fault_kind kind;
};

static void is_transition(struct pages *p, uint64_t gva)
{
        put_leaf(p, gva, in_transition(page_of(p, gva)));
}

static void is_swizzled(struct pages *p, uint64_t gva)
{
        bool swizzles = p->f.w.config.build >= WIN32_FIRST_SWIZZLING_BUILD;
        uint64_t gpa = page_of(p, gva);

        put_leaf(p, gva, gpa | TRANSITION | PROTECTION | (swizzles ? UINT64_C(1) << 45 : 0));
}

static void is_demand_zero(struct pages *p, uint64_t gva)
{
        put_leaf(p, gva, PROTECTION);
}

static void is_zero_entry(struct pages *p, uint64_t gva)
{
        put_leaf(p, gva, 0);
}

static void is_paged_out(struct pages *p, uint64_t gva)
{
        put_leaf(p, gva, UINT64_C(0x777) << 32 | PROTECTION | SWIZZLE);
}

static void is_by_vad(struct pages *p, uint64_t gva)
{
        put_leaf(p, gva, VAD);
}

static void is_not_understood(struct pages *p, uint64_t gva)
{
        put_leaf(p, gva, 2);
}

static void stands_behind(struct pages *p, uint64_t gva, uint64_t proto)
{
        unsigned index = (gva >> 12) & 15;

        put_proto(p, index, proto);
        put_leaf(p, gva, REFERS_TO(PROTO_VA + index * 8));
}

static void is_proto_valid(struct pages *p, uint64_t gva)
{
        stands_behind(p, gva, page_of(p, gva) | PTE_P | PTE_W);
}

static void is_proto_transition(struct pages *p, uint64_t gva)
{
        stands_behind(p, gva, in_transition(page_of(p, gva)));
}

static void is_proto_demand_zero(struct pages *p, uint64_t gva)
{
        stands_behind(p, gva, PROTECTION);
}

static void is_proto_zero(struct pages *p, uint64_t gva)
{
        stands_behind(p, gva, 0);
}

static void is_proto_paged_out(struct pages *p, uint64_t gva)
{
        stands_behind(p, gva, UINT64_C(0x778) << 32 | PROTECTION);
}

static void is_proto_file(struct pages *p, uint64_t gva)
{
        stands_behind(p, gva, REFERS_TO(PROTO_VA));
}

static void is_proto_vad(struct pages *p, uint64_t gva)
{
        stands_behind(p, gva, VAD);
}

static void is_proto_outside(struct pages *p, uint64_t gva)
{
        stands_behind(p, gva, UINT64_C(1) << 40 | PTE_P);
}

static void is_proto_unmapped(struct pages *p, uint64_t gva)
{
        put_leaf(p, gva, REFERS_TO(PROTO_VA + 0x1000));
}

static void is_proto_in_user_half(struct pages *p, uint64_t gva)
{
        put_leaf(p, gva, REFERS_TO(REGION_GVA));
}

static void is_proto_misaligned(struct pages *p, uint64_t gva)
{
        put_leaf(p, gva, REFERS_TO(PROTO_VA + 0xffd));
}

/* An upper level is hardware's alone. */
static void has_table_in_transition(struct pages *p, uint64_t gva)
{
        uint64_t at = image_entry(&p->f.w.image, p->f.r.proc.cr3, gva, 2);

        image_put64(&p->f.w.image, at, in_transition(image_get64(&p->f.w.image, at) & PTE_PFN));
}

static void has_directory_of_zeros(struct pages *p, uint64_t gva)
{
        image_put64(&p->f.w.image, image_entry(&p->f.w.image, p->f.r.proc.cr3, gva, 3), PROTECTION);
}

static const struct page_state page_states[] = {
        { "transition", is_transition, SKIPS_AT_FIRST, 0 },
        { "transition, swizzled", is_swizzled, SKIPS_AT_FIRST, 0 },
        { "demand zero", is_demand_zero, SHOWS_ZEROS, 0 },
        { "zero entry", is_zero_entry, IS_REFUSED, GVA_FAULT_ZERO_ENTRY },
        { "paged out", is_paged_out, IS_REFUSED, GVA_FAULT_PAGED_OUT },
        { "by VAD", is_by_vad, IS_REFUSED, GVA_FAULT_BY_VAD },
        { "not understood", is_not_understood, IS_REFUSED, GVA_FAULT_NOT_PRESENT },
        { "prototype, valid", is_proto_valid, SHOWS_BYTES, 0 },
        { "prototype, transition", is_proto_transition, SKIPS_AT_FIRST, 0 },
        { "prototype, demand zero", is_proto_demand_zero, SHOWS_ZEROS, 0 },
        { "prototype, zero", is_proto_zero, IS_REFUSED, GVA_FAULT_ZERO_ENTRY },
        { "prototype, paged out", is_proto_paged_out, IS_REFUSED, GVA_FAULT_PAGED_OUT },
        { "prototype of a file", is_proto_file, IS_REFUSED, GVA_FAULT_BY_FILE },
        { "prototype of a VAD", is_proto_vad, IS_REFUSED, GVA_FAULT_BY_FILE },
        { "prototype outside RAM", is_proto_outside, IS_REFUSED, GVA_FAULT_OUTSIDE_RAM },
        { "prototype not mapped", is_proto_unmapped, IS_REFUSED, GVA_FAULT_PROTOTYPE },
        { "prototype in user memory", is_proto_in_user_half, IS_REFUSED, GVA_FAULT_PROTOTYPE },
        { "prototype misaligned", is_proto_misaligned, IS_REFUSED, GVA_FAULT_PROTOTYPE },
        { "table in transition", has_table_in_transition, IS_REFUSED, GVA_FAULT_NOT_PRESENT },
        { "directory of zeros", has_directory_of_zeros, IS_REFUSED, GVA_FAULT_NOT_PRESENT },
};

#define N_PAGE_STATES (sizeof(page_states) / sizeof(page_states[0]))

/* Page 1 of the frame as @zeros says, all else its own bytes. */
static void expect_frame(struct pages *p, const char *name, bool zeros)
{
        assert_int_equal(p->f.info.bytes, FRAME_BYTES);
        for (size_t i = 0; i < FRAME_BYTES; i++) {
                uint8_t want = zeros && i / 4096 == 1 ? 0 : frame_byte(2, i);

                if (p->f.buf[i] != want)
                        fail_msg("%s: byte %zu is %#x", name, i, p->f.buf[i]);
        }
}

static void expect_state(struct pages *p, const struct page_state *s)
{
        int r;

        s->put(p, SLOT0 + 0x1000);
        r = fixture_sample(&p->f);
        if (s->result == SKIPS_AT_FIRST) {
                assert_int_equal(r, 0);
                assert_int_equal(vgpup_last_skip(p->f.region), VGPUP_SKIP_TRANSITION);
                run_clock(p, SECOND);
                r = fixture_sample(&p->f);
        }
        if (s->result == IS_REFUSED) {
                if (r != -EFAULT || gva_fault(p->f.m)->kind != s->kind)
                        fail_msg("%s: %d, %s", s->name, r, gva_fault_text(gva_fault(p->f.m)->kind));
                assert_int_equal(gva_fault(p->f.m)->level, s->put == has_table_in_transition  ? 2
                                                           : s->put == has_directory_of_zeros ? 3
                                                                                              : 1);
                return;
        }
        if (r != 1)
                fail_msg("%s: %d, %s", s->name, r, gva_fault_text(gva_fault(p->f.m)->kind));
        expect_frame(p, s->name, s->result == SHOWS_ZEROS);
}

static void expect_states_of(const struct windows_config *config)
{
        for (size_t i = 0; i < N_PAGE_STATES; i++) {
                struct pages p;

                pages_open_as(&p, config);
                expect_state(&p, &page_states[i]);
                pages_close(&p);
        }
}

static void every_state_of_a_page_shows_its_bytes_or_its_own_reason(void **state)
{
        struct windows_config config = windows_future();

        (void)state;
        expect_states_of(&config);
        for (size_t i = 0; i < win32_n_layouts; i++) {
                config = windows_known(win32_layouts[i].build);
                expect_states_of(&config);
        }
}

static void every_reason_has_its_own_words(void **state)
{
        (void)state;
        for (int i = 0; i <= GVA_FAULT_CANCELED; i++) {
                for (int j = 0; j < i; j++)
                        assert_string_not_equal(gva_fault_text(i), gva_fault_text(j));
        }
        assert_string_equal(gva_fault_text(99), "unknown fault");
}

static void a_page_in_transition_is_refused_where_nobody_can_wait(void **state)
{
        struct gva_mapping map;
        uint64_t word;
        struct pages p;

        (void)state;
        pages_open(&p);
        is_transition(&p, SLOT0);
        assert_int_equal(gva_read(p.f.m, p.f.r.proc.cr3, SLOT0, &word, 8), -EFAULT);
        assert_int_equal(gva_fault(p.f.m)->kind, GVA_FAULT_TRANSITION);
        assert_int_equal(gva_translate(p.f.m, p.f.r.proc.cr3, SLOT0, &map), -EFAULT);
        assert_int_equal(gva_fault(p.f.m)->kind, GVA_FAULT_TRANSITION);
        is_proto_transition(&p, SLOT0 + 0x1000);
        assert_int_equal(gva_read(p.f.m, p.f.r.proc.cr3, SLOT0 + 0x1000, &word, 8), -EFAULT);
        assert_int_equal(gva_fault(p.f.m)->kind, GVA_FAULT_TRANSITION);
        pages_close(&p);
}

static void zeros_are_read_as_zeros(void **state)
{
        uint8_t bytes[0x2000];
        struct gva_mapping map;
        struct pages p;

        (void)state;
        pages_open(&p);
        is_demand_zero(&p, SLOT0 + 0x1000);
        memset(bytes, MARKER, sizeof(bytes));
        assert_int_equal(gva_read(p.f.m, p.f.r.proc.cr3, SLOT0 + 0x800, bytes, 0x1800), 0);
        for (size_t i = 0; i < 0x1800; i++)
                assert_int_equal(bytes[i], i < 0x800 ? frame_byte(2, 0x800 + i) : 0);
        assert_int_equal(gva_translate(p.f.m, p.f.r.proc.cr3, SLOT0 + 0x1010, &map), 0);
        assert_true(gpa_is_zeros(map.gpa));
        /* The zeros have an end, and nothing lies behind it. */
        assert_int_equal(gpa_read(p.f.m, GPA_ZEROS + (UINT64_C(1) << 62) - 4, bytes, 8), -EFAULT);
        assert_int_equal(gpa_read(p.f.m, UINT64_MAX - 3, bytes, 8), -EFAULT);
        pages_close(&p);
}

/* ---- how long has it stood? -------------------------------------------------------------------------------------- */

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

/* ---- the prototype's own entries --------------------------------------------------------------------------------- */

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

static void what_was_learnt_goes_to_other_memory(void **state)
{
        struct pages p;
        vmie_mem other;

        (void)state;
        pages_open(&p);
        is_demand_zero(&p, SLOT0 + 0x1000);
        other = p.f.w.image.mem;
        other.kcr3 = 0;
        other.software = NULL;
        assert_int_equal(
                vgpup_sample_frame(p.f.region, &other, p.f.buf, sizeof(p.f.buf), &p.f.info),
                -EFAULT);
        vmie_mem_adopt(&other, p.f.m);
        assert_int_equal(
                vgpup_sample_frame(p.f.region, &other, p.f.buf, sizeof(p.f.buf), &p.f.info), 1);
        expect_frame(&p, "adopted", true);
        pages_close(&p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_absent_entry_means_what_windows_means),
                cmocka_unit_test(without_ram_nothing_is_unswizzled_into_it),
                cmocka_unit_test(every_state_of_a_page_shows_its_bytes_or_its_own_reason),
                cmocka_unit_test(every_reason_has_its_own_words),
                cmocka_unit_test(a_page_in_transition_is_refused_where_nobody_can_wait),
                cmocka_unit_test(zeros_are_read_as_zeros),
                cmocka_unit_test(a_second_counts_only_while_the_guest_runs),
                cmocka_unit_test(what_has_stood_goes_on_counting),
                cmocka_unit_test(another_entry_starts_anew),
                cmocka_unit_test(the_same_place_in_another_entry_starts_anew),
                cmocka_unit_test(a_page_that_was_mapped_meanwhile_starts_anew),
                cmocka_unit_test(a_clock_that_runs_backwards_starts_anew),
                cmocka_unit_test(a_torn_clock_is_no_clock),
                cmocka_unit_test(a_clock_that_cannot_be_read_is_an_error),
                cmocka_unit_test(an_entry_that_goes_after_it_has_stood_is_seen),
                cmocka_unit_test(pages_settle_each_by_itself),
                cmocka_unit_test(the_block_has_to_settle_like_any_page),
                cmocka_unit_test(a_block_of_zeros_is_no_region_any_more),
                cmocka_unit_test(a_region_is_found_and_bound_only_by_a_resident_page),
                cmocka_unit_test(every_entry_on_the_way_to_a_prototype_is_rechecked),
                cmocka_unit_test(entries_in_a_row_are_rechecked_in_one_piece),
                cmocka_unit_test(a_prototype_page_for_each_leaf_fits_too),
                cmocka_unit_test(no_room_is_an_error_and_no_overrun),
                cmocka_unit_test(a_failing_source_is_not_taken_for_a_missing_page),
                cmocka_unit_test(what_was_learnt_goes_to_other_memory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
