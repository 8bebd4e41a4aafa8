/*
 * attach_test.c - finding a kernel that nothing points at: roots that refer to themselves, and how many levels they have
 */
#include <errno.h>
#include <string.h>

#include "region_fixture.h"

static struct windows_config without_stub(void)
{
        struct windows_config config = windows_known(19045);

        config.no_stub = true;
        return config;
}

static struct win32_failure open_fails(vmie_mem *m)
{
        struct win32_failure why;

        memset(&why, MARKER, sizeof(why));
        assert_null(vmie_win32_open(m, 0, &why));
        assert_int_equal(m->kcr3, 0);
        return why;
}

static void expect_opens(struct guest_windows *w)
{
        vmie_win32 *v = vmie_win32_open(&w->image.mem, 0, NULL);

        assert_non_null(v);
        assert_int_equal(vmie_win32_info(v)->kcr3, w->kcr3);
        assert_false(vmie_win32_info(v)->kcr3_from_stub);
        assert_int_equal(w->image.mem.kcr3, w->kcr3);
        vmie_win32_close(v);
}

static void a_root_that_refers_to_itself_is_found(void **state)
{
        struct windows_config config = without_stub();
        struct guest_windows w;

        (void)state;
        windows_init(&w, &config);
        windows_self_reference(&w, w.kcr3);
        expect_opens(&w);
        windows_deinit(&w);
}

static void a_stub_that_is_stale_leaves_the_scan(void **state)
{
        struct windows_config config = windows_known(19045);
        struct guest_windows w;

        (void)state;
        windows_init(&w, &config);
        windows_self_reference(&w, w.kcr3);
        image_put64(&w.image, WINDOWS_STUB_GPA + 0xa0, image_page(&w.image));
        expect_opens(&w);
        windows_deinit(&w);
}

/* Its own root, below System's, that maps the kernel as every process' does. */
static void another_process_root_leads_on_to_systems(void **state)
{
        struct windows_config config = without_stub();
        const uint64_t low = 0x8000;
        struct guest_windows w;

        (void)state;
        windows_init(&w, &config);
        windows_self_reference(&w, w.kcr3);
        memcpy((uint8_t *)image_at(&w.image, low) + 2048,
                (uint8_t *)image_at(&w.image, w.kcr3) + 2048, 2048);
        windows_self_reference(&w, low);
        expect_opens(&w);

        /* And where System's own says nothing of itself, its root is known all the same. */
        image_put64(&w.image, w.kcr3 + WINDOWS_SELF_INDEX * 8, 0);
        image_put64(&w.image, low + WINDOWS_SELF_INDEX * 8, 0);
        image_put64(&w.image, low + 0x1ecu * 8, low | PTE_P | PTE_W);
        expect_opens(&w);
        windows_deinit(&w);
}

/* KPTI: the table that user code runs on maps little of the kernel, and refers to itself too. */
static void a_user_table_is_not_taken_for_a_root(void **state)
{
        static const uint32_t builds[] = { 7601, 10240, 17763, 18363, 19045, 26100 };
        static const uint32_t user_root_at[] = { 0x110, 0x278, 0x278, 0x280, 0x388, 0x158 };

        (void)state;
        for (size_t i = 0; i < sizeof(builds) / sizeof(builds[0]); i++) {
                struct windows_config config = windows_known(builds[i]);
                uint64_t user_root = 0x8000, shared;
                struct guest_windows w;
                struct guest_region r;
                vmie_win32 *v;
                size_t n;
                struct vgpup_candidate c;

                config.no_stub = true;
                guest_of(&w, &r, &config);
                windows_self_reference(&w, w.kcr3);
                windows_self_reference(&w, user_root);
                shared = image_entry(&w.image, w.kcr3, WINDOWS_SHARED_VA, 4);
                image_put64(&w.image, user_root + (shared & 0xfff), image_get64(&w.image, shared));
                image_put64(&w.image, windows_field(&w, &w.system, user_root_at[i]), user_root | 2);
                image_put64(&w.image, windows_field(&w, &r.proc, user_root_at[i]), user_root | 2);
                v = vmie_win32_open(&w.image.mem, 0, NULL);
                assert_non_null(v);
                assert_int_equal(vmie_win32_info(v)->kcr3, w.kcr3);
                assert_int_equal(vgpup_discover_all(v, &c, 1, &n), 0);
                assert_int_equal(n, 1);
                assert_int_equal(c.proc.cr3, r.proc.cr3);
                vmie_win32_close(v);
                windows_deinit(&w);
        }
}

static void roots_that_lead_nowhere_say_why(void **state)
{
        struct windows_config config = without_stub();
        struct win32_failure why;
        struct guest_windows w;

        (void)state;
        windows_init(&w, &config);
        windows_self_reference(&w, 0x8000);
        image_put64(&w.image, 0x8000 + 300 * 8, image_page(&w.image) | PTE_P);
        why = open_fails(&w.image.mem);
        assert_int_equal(why.stage, WIN32_STAGE_KERNEL);
        assert_int_equal(why.reason, WIN32_ROOTS_REJECTED);
        assert_int_equal(why.address, 0x8000);
        assert_string_equal(why.detail, "page 0x8000: no image named ntoskrnl.exe is mapped");
        assert_int_equal(w.image.mem.levels, 4);
        windows_deinit(&w);
}

static void of_many_roots_the_one_that_got_furthest_is_told(void **state)
{
        struct windows_config config = windows_future();
        struct win32_failure why;
        struct guest_windows w;

        (void)state;
        config.no_stub = true;
        config.code.pid = 0;
        windows_init(&w, &config);
        windows_self_reference(&w, 0x8000);
        image_put64(&w.image, 0x8000 + 300 * 8, image_page(&w.image) | PTE_P);
        windows_self_reference(&w, w.kcr3);
        why = open_fails(&w.image.mem);
        assert_int_equal(why.stage, WIN32_STAGE_OFFSETS);
        assert_int_equal(why.reason, WIN32_OFFSETS_UNKNOWN);
        windows_deinit(&w);
}

static void what_is_nearly_a_root_is_none(void **state)
{
        static const struct {
                uint64_t self, self_index, other;
        } cases[] = {
                { 0x8000 | PTE_W, 300, 0x9000 | PTE_P },                  /* not present */
                { 0x8000 | PTE_P, 300, 0x9000 | PTE_P },                  /* not writable */
                { 0x8000 | PTE_P | PTE_W | PTE_U, 300, 0x9000 | PTE_P },  /* the user's */
                { 0x8000 | PTE_P | PTE_W | PTE_PS, 300, 0x9000 | PTE_P }, /* no table */
                { 0x8000 | PTE_P | PTE_W, 200, 0x9000 | PTE_P },          /* in the user half */
                { 0x8000 | PTE_P | PTE_W, 300, 0x9000 | PTE_P | PTE_U }, /* nothing of the kernel */
                { 0x8000 | PTE_P | PTE_W, 300, 0x8000 | PTE_P | PTE_W }, /* twice */
                { 0x7000 | PTE_P | PTE_W, 300, 0x9000 | PTE_P },         /* another page */
        };
        struct windows_config config = without_stub();

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct guest_windows w;

                windows_init(&w, &config);
                image_put64(&w.image, 0x8000 + cases[i].self_index * 8, cases[i].self);
                image_put64(&w.image, 0x8000 + 400 * 8, cases[i].other);
                assert_int_equal(open_fails(&w.image.mem).reason, WIN32_NO_STUB);
                windows_deinit(&w);
        }
}

static void a_page_that_refers_to_itself_twice_is_no_root(void **state)
{
        struct windows_config config = without_stub();
        struct guest_windows w;

        (void)state;
        windows_init(&w, &config);
        windows_self_reference(&w, w.kcr3);
        image_put64(&w.image, w.kcr3 + 300 * 8, w.kcr3 | PTE_P | PTE_W);
        assert_int_equal(open_fails(&w.image.mem).reason, WIN32_NO_STUB);
        windows_deinit(&w);
}

/* What is wrong with a kernel that a block led to will not be better when a scan finds it. */
static void a_kernel_that_was_found_is_not_scanned_for(void **state)
{
        struct windows_config config = windows_future();
        struct guest_windows w;
        size_t n_reads;

        (void)state;
        config.code.pid = 0;
        windows_init(&w, &config);
        w.image.n_reads = 0;
        assert_int_equal(open_fails(&w.image.mem).reason, WIN32_OFFSETS_UNKNOWN);
        n_reads = w.image.n_reads;
        assert_true(n_reads < w.image.ram_bytes / GVA_PAGE_BYTES);
        windows_deinit(&w);
}

static struct pte_software not_asked(const vmie_mem *m, uint64_t entry)
{
        (void)m;
        fail_msg("the entry %#llx was taken for another kernel's", (unsigned long long)entry);
        return (struct pte_software){ 0 };
}

static void what_entries_meant_in_an_earlier_kernel_is_forgotten(void **state)
{
        struct windows_config config = windows_known(19045);
        struct guest_windows w;

        (void)state;
        windows_init(&w, &config);
        image_put64(&w.image, image_entry(&w.image, w.kcr3, WINDOWS_KERNEL_BASE + RVA_BUILD, 1), 0);
        w.image.mem.software = not_asked;
        assert_int_equal(open_fails(&w.image.mem).reason, WIN32_KERNEL_DAMAGED);
        assert_null(w.image.mem.software);
        windows_deinit(&w);
}

static void a_memory_full_of_false_roots_costs_a_few_tries(void **state)
{
        struct windows_config config = without_stub();
        struct guest_windows w;
        size_t reads;

        (void)state;
        windows_init(&w, &config);
        for (uint64_t gpa = 0; gpa < 0xa0000; gpa += GVA_PAGE_BYTES) {
                windows_self_reference(&w, gpa);
                image_put64(&w.image, gpa + 300 * 8, PTE_P);
        }
        windows_self_reference(&w, w.kcr3);
        w.image.n_reads = 0;
        assert_int_equal(open_fails(&w.image.mem).reason, WIN32_ROOTS_REJECTED);
        reads = w.image.n_reads;
        assert_true(reads < 2000);
        windows_deinit(&w);
}

static void a_failing_read_of_the_scan_ends_in_a_reason(void **state)
{
        struct windows_config config = without_stub();
        struct guest_windows w;
        size_t total;

        (void)state;
        windows_init(&w, &config);
        windows_self_reference(&w, w.kcr3);
        w.image.n_reads = 0;
        expect_opens(&w);
        total = w.image.n_reads;
        for (size_t n = 1; n <= total; n++) {
                struct win32_failure why;

                image_calm(&w.image);
                w.image.mem.kcr3 = 0;
                w.image.fail_at = n;
                w.image.fail_with = -EIO;
                why = open_fails(&w.image.mem);
                assert_int_not_equal(why.reason, WIN32_OK);
                assert_int_equal(why.fault.error, -EIO);
        }
        windows_deinit(&w);
}

static void raise_flag(void *ctx)
{
        atomic_store((atomic_bool *)ctx, true);
}

static void a_scan_can_be_cancelled_at_any_read(void **state)
{
        struct windows_config config = without_stub();
        atomic_bool cancel = false;
        struct guest_windows w;
        size_t total;

        (void)state;
        windows_init(&w, &config);
        windows_self_reference(&w, 0x8000);
        image_put64(&w.image, 0x8000 + 300 * 8, PTE_P);
        w.image.n_reads = 0;
        assert_int_equal(open_fails(&w.image.mem).reason, WIN32_ROOTS_REJECTED);
        total = w.image.n_reads;
        w.image.mem.cancel = &cancel;
        for (size_t n = 1; n < total; n += 7) {
                image_calm(&w.image);
                atomic_store(&cancel, false);
                w.image.change = raise_flag;
                w.image.change_ctx = &cancel;
                w.image.change_at = n;
                assert_int_equal(open_fails(&w.image.mem).reason, WIN32_CANCELED);
        }
        windows_deinit(&w);
}

/* ---- holes ------------------------------------------------------------------------------------------------------- */

/* A source that knows where its data is, or says something else. */
struct holes {
        struct guest_windows w;
        const struct vmie_mem_ops *ram;
        struct vmie_mem_ops ops;
        uint64_t data; /* the first and only page with data from the middle of RAM on */
        enum { TELLS_THE_TRUTH, GOES_BACK, GOES_OUT, FAILS } manner;
        size_t n_pages_read;
};

static int read_counted(void *ctx, uint64_t gpa, void *dst, size_t len)
{
        struct holes *h = ctx;

        h->n_pages_read += len == 2048;
        return h->ram->read(&h->w.image, gpa, dst, len);
}

static int next_data(void *ctx, uint64_t gpa, uint64_t end, uint64_t *ret_gpa)
{
        struct holes *h = ctx;

        assert_true(gpa < end);
        switch (h->manner) {
        case GOES_BACK:
                *ret_gpa = gpa - GVA_PAGE_BYTES;
                return 0;
        case GOES_OUT:
                *ret_gpa = end + GVA_PAGE_BYTES;
                return 0;
        case FAILS:
                return -EIO;
        case TELLS_THE_TRUTH:
                break;
        }
        if (gpa > h->w.image.next_page)
                return -ENXIO;
        *ret_gpa = gpa < h->data ? h->data : gpa;
        return 0;
}

static void open_with_holes(struct holes *h)
{
        struct windows_config config = without_stub();

        windows_init(&h->w, &config);
        windows_self_reference(&h->w, h->w.kcr3);
        h->ram = h->w.image.mem.ops;
        h->ops = (struct vmie_mem_ops){ .read = read_counted, .next_data = next_data };
        h->w.image.mem.ops = &h->ops;
        h->w.image.mem.ctx = h;
        h->data = h->w.kcr3;
        h->n_pages_read = 0;
}

static void holes_are_not_read(void **state)
{
        struct holes h = { .manner = TELLS_THE_TRUTH };

        (void)state;
        open_with_holes(&h);
        expect_opens(&h.w);
        assert_int_equal(h.n_pages_read, 1);
        /* And with nothing to be found, each run of them is asked for once, up to the end. */
        h.w.image.mem.kcr3 = 0;
        image_put64(&h.w.image, h.w.kcr3 + WINDOWS_SELF_INDEX * 8, 0);
        h.n_pages_read = 0;
        assert_int_equal(open_fails(&h.w.image.mem).reason, WIN32_NO_STUB);
        assert_true(h.n_pages_read <= (h.w.image.next_page - h.data) / GVA_PAGE_BYTES + 2);
        windows_deinit(&h.w);
}

static void a_source_that_misleads_is_read_from_end_to_end(void **state)
{
        (void)state;
        for (int manner = GOES_BACK; manner <= FAILS; manner++) {
                struct holes h = { .manner = manner };

                open_with_holes(&h);
                expect_opens(&h.w);
                assert_int_equal(h.n_pages_read, h.w.kcr3 / GVA_PAGE_BYTES + 1);
                windows_deinit(&h.w);
        }
}

static int read_junk(void *ctx, uint64_t gpa, void *dst, size_t len)
{
        size_t *n = ctx;

        (void)gpa;
        ++*n;
        memset(dst, 0x5a, len);
        return 0;
}

static void a_scan_of_a_huge_memory_ends(void **state)
{
        static const struct vmie_mem_ops junk = { .read = read_junk };
        static const struct gpa_extent extents[] = {
                { 0x800, 0x400 }, /* less than a page */
                { UINT64_C(1) << 20, UINT64_C(1) << 45 },
        };
        size_t n_reads = 0;
        vmie_mem m = { .ops = &junk, .ctx = &n_reads, .extents = extents, .n_extents = 2 };

        (void)state;
        assert_int_equal(open_fails(&m).reason, WIN32_NO_STUB);
        assert_in_range(n_reads, 1000, (1u << 21) + 1000);
}

/* ---- the layout held against every process' root ----------------------------------------------------------------- */

/* System, smss.exe and one more, each with a root that refers to itself. */
static struct guest_process three_processes(struct guest_windows *w)
{
        struct windows_config config = windows_known(19045);
        struct guest_process p;

        windows_init(w, &config);
        windows_self_reference(w, w->kcr3);
        windows_self_reference(w, w->last.cr3);
        p = windows_process(w, 1000, "other.exe");
        windows_self_reference(w, p.cr3);
        return p;
}

static void a_root_beyond_ram_contradicts_the_layout(void **state)
{
        struct win32_failure why;
        struct guest_process p;
        struct guest_windows w;

        (void)state;
        p = three_processes(&w);
        image_put64(&w.image, windows_field(&w, &p, EPROCESS_DIRECTORY_TABLE_BASE), 0x7fff000);
        why = open_fails(&w.image.mem);
        assert_int_equal(why.stage, WIN32_STAGE_PROCESSES);
        assert_int_equal(why.reason, WIN32_LAYOUT_WRONG);
        assert_int_equal(why.address, 0x7fff000);
        assert_string_equal(why.detail, "root 0x7fff000 of process 1000 is beyond RAM");
        windows_deinit(&w);
}

/* RAM in two pieces, the second somewhere else than it is said to be: no root in it checks out. */
static void a_piece_of_ram_without_a_right_root_is_not_where_it_is_said_to_be(void **state)
{
        struct gpa_extent halves[2];
        struct win32_failure why;
        struct guest_process p;
        struct guest_windows w;

        (void)state;
        p = three_processes(&w);
        image_put64(&w.image, p.cr3 + WINDOWS_SELF_INDEX * 8, image_page(&w.image) | PTE_P | PTE_W);
        halves[0] = (struct gpa_extent){ 0, p.cr3 };
        halves[1] = (struct gpa_extent){ p.cr3, w.image.ram_bytes - p.cr3 };
        w.image.mem.extents = halves;
        w.image.mem.n_extents = 2;
        why = open_fails(&w.image.mem);
        assert_int_equal(why.reason, WIN32_LAYOUT_WRONG);
        assert_int_equal(why.address, p.cr3);
        assert_non_null(strstr(why.detail, "of process 1000 is not there"));

        /* In the same piece as right ones it is a process that ends just now. */
        w.image.mem.n_extents = 1;
        halves[0].len = w.image.ram_bytes;
        vmie_win32_close(vmie_win32_open(&w.image.mem, 0, NULL));
        assert_int_equal(w.image.mem.kcr3, w.kcr3);
        windows_deinit(&w);
}

/* ---- levels ------------------------------------------------------------------------------------------------------ */

static void five_levels_are_found_where_nobody_said_so(void **state)
{
        struct windows_config config = windows_known(26100);
        struct fixture f;

        (void)state;
        config.levels = 5;
        for (int no_stub = 0; no_stub <= 1; no_stub++) {
                config.no_stub = no_stub;
                guest_of(&f.w, &f.r, &config);
                windows_self_reference(&f.w, f.w.kcr3);
                f.w.image.mem.levels = 0;
                f.v = vmie_win32_open(&f.w.image.mem, 0, NULL);
                assert_non_null(f.v);
                assert_int_equal(f.w.image.mem.levels, 5);
                f.m = vmie_win32_mem(f.v);
                f.region = vgpup_open(f.v);
                assert_non_null(f.region);
                assert_int_equal(fixture_sample(&f), 1);
                assert_frame(f.buf, f.info.bytes, 1);
                fixture_close(&f);
        }
}

static void four_levels_are_found_where_nobody_said_so(void **state)
{
        struct windows_config config = windows_known(19045);
        struct guest_windows w;
        vmie_win32 *v;

        (void)state;
        windows_init(&w, &config);
        w.image.mem.levels = 0;
        v = vmie_win32_open(&w.image.mem, 0, NULL);
        assert_non_null(v);
        assert_int_equal(w.image.mem.levels, 4);
        vmie_win32_close(v);
        windows_deinit(&w);
}

static void a_configured_number_of_levels_is_not_second_guessed(void **state)
{
        struct windows_config config = windows_known(26100);
        struct guest_windows w;

        (void)state;
        config.levels = 5;
        windows_init(&w, &config);
        w.image.mem.levels = 4;
        assert_int_equal(open_fails(&w.image.mem).reason, WIN32_STUB_STALE);
        assert_int_equal(w.image.mem.levels, 4);
        windows_deinit(&w);
}

static void of_both_numbers_the_one_that_got_further_is_told(void **state)
{
        struct windows_config config = windows_future();
        struct win32_failure why;
        struct guest_windows w;

        (void)state;
        config.levels = 5;
        config.code.pid = 0;
        windows_init(&w, &config);
        w.image.mem.levels = 0;
        why = open_fails(&w.image.mem);
        assert_int_equal(why.reason, WIN32_OFFSETS_UNKNOWN);
        assert_int_equal(w.image.mem.levels, 0);
        windows_deinit(&w);

        /* With neither, the four come first. */
        windows_init(&w, &config);
        image_put64(&w.image, image_entry(&w.image, w.kcr3, WINDOWS_KERNEL_BASE, 4), 0);
        w.image.mem.levels = 0;
        why = open_fails(&w.image.mem);
        assert_int_equal(why.reason, WIN32_STUB_STALE);
        assert_int_equal(w.image.mem.levels, 0);
        windows_deinit(&w);
}

/* Five levels that lead to less must not cover up what four came to. */
static void a_damaged_kernel_of_four_levels_is_told_as_that(void **state)
{
        struct windows_config config = windows_known(19045);
        const uint32_t n_names = UINT32_MAX;
        struct guest_windows w;

        (void)state;
        windows_init(&w, &config);
        image_map(&w.image, w.kcr3, UINT64_C(0xfffffffffffff000), image_page(&w.image), 1, PTE_W);
        windows_kernel_write(&w, WINDOWS_KERNEL_BASE + RVA_EXPORTS + 24, &n_names, 4);
        w.image.mem.levels = 0;
        assert_int_equal(open_fails(&w.image.mem).reason, WIN32_KERNEL_DAMAGED);
        windows_deinit(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_root_that_refers_to_itself_is_found),
                cmocka_unit_test(a_stub_that_is_stale_leaves_the_scan),
                cmocka_unit_test(another_process_root_leads_on_to_systems),
                cmocka_unit_test(a_user_table_is_not_taken_for_a_root),
                cmocka_unit_test(roots_that_lead_nowhere_say_why),
                cmocka_unit_test(of_many_roots_the_one_that_got_furthest_is_told),
                cmocka_unit_test(what_is_nearly_a_root_is_none),
                cmocka_unit_test(a_page_that_refers_to_itself_twice_is_no_root),
                cmocka_unit_test(a_kernel_that_was_found_is_not_scanned_for),
                cmocka_unit_test(what_entries_meant_in_an_earlier_kernel_is_forgotten),
                cmocka_unit_test(a_memory_full_of_false_roots_costs_a_few_tries),
                cmocka_unit_test(a_failing_read_of_the_scan_ends_in_a_reason),
                cmocka_unit_test(a_scan_can_be_cancelled_at_any_read),
                cmocka_unit_test(holes_are_not_read),
                cmocka_unit_test(a_source_that_misleads_is_read_from_end_to_end),
                cmocka_unit_test(a_scan_of_a_huge_memory_ends),
                cmocka_unit_test(a_root_beyond_ram_contradicts_the_layout),
                cmocka_unit_test(a_piece_of_ram_without_a_right_root_is_not_where_it_is_said_to_be),
                cmocka_unit_test(five_levels_are_found_where_nobody_said_so),
                cmocka_unit_test(four_levels_are_found_where_nobody_said_so),
                cmocka_unit_test(a_configured_number_of_levels_is_not_second_guessed),
                cmocka_unit_test(a_damaged_kernel_of_four_levels_is_told_as_that),
                cmocka_unit_test(of_both_numbers_the_one_that_got_further_is_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
