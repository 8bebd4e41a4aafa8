/*
 * pages_test.c - a region whose pages are in every state that Windows keeps pages in
 *
 * What an entry says is data: value in, place or reason out. Then the same states under a bound region, where a page that
 * is not mapped either shows its own bytes or is refused for its own reason, and nothing else's bytes ever show.
 */
#include <errno.h>
#include <stdio.h>

#include "pages_fixture.h"
#include "software_pte.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

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
        { "decommitted", DECOMMITTED, true, PTE_SOFTWARE_UNKNOWN, 0 },
        { "decommitted, swizzle bit set", DECOMMITTED | SWIZZLE, true, PTE_SOFTWARE_UNKNOWN, 0 },
        { "decommitted, of old", DECOMMITTED, false, PTE_SOFTWARE_UNKNOWN, 0 },
        { "nobody may touch it", UINT64_C(0x18) << 5, true, PTE_SOFTWARE_UNKNOWN, 0 },
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

enum page_result { SHOWS_BYTES, SHOWS_ZEROS, SKIPS_AT_FIRST, IS_REFUSED };

struct page_state {
        const char *name;
        void (*put)(struct pages *p, uint64_t gva);
        enum page_result result;
        enum gva_fault_kind kind;
};

static void is_swizzled(struct pages *p, uint64_t gva)
{
        bool swizzles = p->f.w.config.build >= WIN32_FIRST_SWIZZLING_BUILD;
        uint64_t gpa = page_of(p, gva);

        put_leaf(p, gva, gpa | TRANSITION | PROTECTION | (swizzles ? UINT64_C(1) << 45 : 0));
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

/* Mapped in System's tables, and all right but for where it is. */
static void is_proto_in_user_half(struct pages *p, uint64_t gva)
{
        stands_behind(p, gva, page_of(p, gva) | PTE_P);
        image_map(&p->f.w.image, p->f.w.kcr3, REGION_GVA, p->proto_gpa, 1, PTE_U);
        put_leaf(p, gva, REFERS_TO(REGION_GVA + ((gva >> 12) & 15) * 8));
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

static void is_decommitted(struct pages *p, uint64_t gva)
{
        put_leaf(p, gva, DECOMMITTED);
}

static void is_proto_decommitted(struct pages *p, uint64_t gva)
{
        stands_behind(p, gva, DECOMMITTED);
}

static const struct page_state page_states[] = {
        { "transition", is_transition, SKIPS_AT_FIRST, 0 },
        { "transition, swizzled", is_swizzled, SKIPS_AT_FIRST, 0 },
        { "demand zero", is_demand_zero, SHOWS_ZEROS, 0 },
        { "zero entry", is_zero_entry, IS_REFUSED, GVA_FAULT_ZERO_ENTRY },
        { "paged out", is_paged_out, IS_REFUSED, GVA_FAULT_PAGED_OUT },
        { "by VAD", is_by_vad, IS_REFUSED, GVA_FAULT_BY_VAD },
        { "not understood", is_not_understood, IS_REFUSED, GVA_FAULT_NOT_PRESENT },
        { "decommitted", is_decommitted, IS_REFUSED, GVA_FAULT_NOT_PRESENT },
        { "prototype, valid", is_proto_valid, SHOWS_BYTES, 0 },
        { "prototype, transition", is_proto_transition, SKIPS_AT_FIRST, 0 },
        { "prototype, demand zero", is_proto_demand_zero, SHOWS_ZEROS, 0 },
        { "prototype, zero", is_proto_zero, IS_REFUSED, GVA_FAULT_ZERO_ENTRY },
        { "prototype, decommitted", is_proto_decommitted, IS_REFUSED, GVA_FAULT_NOT_PRESENT },
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
                cmocka_unit_test(what_was_learnt_goes_to_other_memory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
