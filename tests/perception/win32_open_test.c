/*
 * win32_open_test.c - finding the kernel and learning its offsets: what is believed, and what is refused with which words
 */
#include <errno.h>
#include <string.h>

#include "guest_windows.h"

static struct win32_failure open_fails(struct guest_windows *w, uint64_t kcr3)
{
        struct win32_failure why;

        memset(&why, MARKER, sizeof(why));
        assert_null(vmie_win32_open(&w->image.mem, kcr3, &why));
        assert_int_equal(w->image.mem.kcr3, 0);
        assert_null(vmie_win32_open(&w->image.mem, kcr3, NULL));
        return why;
}

static void expect_reason(struct guest_windows *w, enum win32_stage stage, enum win32_reason reason)
{
        struct win32_failure why = open_fails(w, 0);

        if (why.stage != stage || why.reason != reason)
                fail_msg("%s: %s: %s", win32_stage_text(why.stage), win32_reason_text(why.reason),
                        why.detail);
}

static void every_known_build_opens_by_its_low_stub(void **state)
{
        (void)state;
        for (size_t i = 0; i < win32_n_layouts; i++) {
                struct windows_config config = windows_known(win32_layouts[i].build);
                const struct win32_info *info;
                struct guest_windows w;
                vmie_win32 *v;

                windows_init(&w, &config);
                v = vmie_win32_open(&w.image.mem, 0, NULL);
                assert_non_null(v);
                info = vmie_win32_info(v);
                assert_int_equal(info->build, config.build);
                assert_int_equal(info->kcr3, w.kcr3);
                assert_true(info->kcr3_from_stub);
                assert_int_equal(info->stub_gpa, WINDOWS_STUB_GPA);
                assert_int_equal(info->kernel_base, WINDOWS_KERNEL_BASE);
                assert_int_equal(info->kernel_bytes, WINDOWS_KERNEL_BYTES);
                assert_int_equal(info->system_eprocess, w.system.eprocess);
                assert_int_equal(info->boot_id, config.build >= 10240 ? 77 : 0);
                assert_true(info->build_in_table);
                assert_int_equal(w.image.mem.kcr3, w.kcr3);
                assert_ptr_equal(vmie_win32_mem(v), &w.image.mem);
                vmie_win32_close(v);
                windows_deinit(&w);
        }
}

static void a_given_root_needs_no_stub(void **state)
{
        struct windows_config config = windows_known(26100);
        struct guest_windows w;
        vmie_win32 *v;

        (void)state;
        config.no_stub = true;
        windows_init(&w, &config);
        v = vmie_win32_open(&w.image.mem, w.kcr3 | 0x2, NULL);
        assert_non_null(v);
        assert_false(vmie_win32_info(v)->kcr3_from_stub);
        assert_int_equal(vmie_win32_info(v)->kcr3, w.kcr3);
        vmie_win32_close(v);
        windows_deinit(&w);
}

static void a_build_in_no_table_opens_by_accessors_and_shape(void **state)
{
        struct windows_config config = windows_future();
        struct guest_windows w;
        vmie_win32 *v;
        process list[4];
        size_t n;

        (void)state;
        windows_init(&w, &config);
        v = vmie_win32_open(&w.image.mem, 0, NULL);
        assert_non_null(v);
        assert_false(vmie_win32_info(v)->build_in_table);
        assert_int_equal(proc_list(v, list, 4, &n), 0);
        assert_int_equal(n, 2);
        assert_string_equal(list[1].name, "smss.exe");
        vmie_win32_close(v);
        windows_deinit(&w);
}

static void a_known_build_opens_without_any_accessor(void **state)
{
        struct windows_config config = windows_known(7601);
        struct guest_windows w;
        vmie_win32 *v;

        (void)state;
        memset(&config.code, 0, sizeof(config.code));
        windows_init(&w, &config);
        v = vmie_win32_open(&w.image.mem, 0, NULL);
        assert_non_null(v);
        vmie_win32_close(v);
        windows_deinit(&w);
}

static void an_offset_only_one_source_knows_is_refused(void **state)
{
        struct windows_config config = windows_future();
        struct guest_windows w;
        struct win32_failure why;

        (void)state;
        config.code.create_time = 0;
        windows_init(&w, &config);
        why = open_fails(&w, 0);
        assert_int_equal(why.stage, WIN32_STAGE_OFFSETS);
        assert_int_equal(why.reason, WIN32_OFFSETS_UNKNOWN);
        assert_string_equal(
                why.detail, "CreateTime: no accessor, and the build is not in the table");
        windows_deinit(&w);
}

static void two_sources_that_disagree_are_both_named(void **state)
{
        struct windows_config config = windows_known(19045);
        struct guest_windows w;
        struct win32_failure why;

        (void)state;
        config.code.pid = 0x2e0;
        windows_init(&w, &config);
        why = open_fails(&w, 0);
        assert_int_equal(why.stage, WIN32_STAGE_OFFSETS);
        assert_int_equal(why.reason, WIN32_OFFSETS_CONTRADICT);
        assert_string_equal(why.detail, "UniqueProcessId: 0x2e0 by accessor, 0x440 by table");
        assert_int_equal(why.address, 0x2e0);
        windows_deinit(&w);
}

static void an_accessor_that_the_shape_denies_is_refused(void **state)
{
        struct windows_config config = windows_future();
        struct guest_windows w;
        struct win32_failure why;

        (void)state;
        config.code.exit_status = 0x5b0;
        windows_init(&w, &config);
        why = open_fails(&w, 0);
        assert_int_equal(why.reason, WIN32_OFFSETS_CONTRADICT);
        assert_string_equal(why.detail, "ExitStatus: 0x5b0 by accessor, but not by shape");
        windows_deinit(&w);
}

static void an_accessor_pointing_outside_any_object_has_no_opinion(void **state)
{
        static const uint32_t offsets[] = { 0x10, 0x28, 0x2000, 0x7fffffff, 0xfffffff8 };

        (void)state;
        for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
                struct windows_config config = windows_future();
                struct guest_windows w;

                config.code.pid = offsets[i];
                windows_init(&w, &config);
                expect_reason(&w, WIN32_STAGE_OFFSETS, WIN32_OFFSETS_UNKNOWN);
                windows_deinit(&w);
        }
}

static void a_system_process_of_another_shape_is_refused(void **state)
{
        static const struct {
                size_t member;
                uint64_t value;
        } cases[] = {
                { offsetof(struct win32_offsets, pid), 8 },
                { offsetof(struct win32_offsets, name), 0x7374737953 },
                { offsetof(struct win32_offsets, links), 0 },
        };
        struct windows_config config = windows_known(22631);

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                uint32_t offset = *(uint32_t *)((char *)&config.offsets + cases[i].member);
                struct guest_windows w;

                windows_init(&w, &config);
                image_put64(&w.image, windows_field(&w, &w.system, offset), cases[i].value);
                expect_reason(&w, WIN32_STAGE_OFFSETS, WIN32_SYSTEM_MISSHAPEN);
                windows_deinit(&w);
        }
}

static void a_root_that_is_not_systems_own_is_refused(void **state)
{
        struct windows_config config = windows_known(19045);
        struct guest_process other;
        struct win32_failure why;
        struct guest_windows w;

        (void)state;
        windows_init(&w, &config);
        other = windows_process(&w, 1000, "other.exe");
        why = open_fails(&w, other.cr3);
        assert_int_equal(why.reason, WIN32_SYSTEM_MISSHAPEN);
        assert_non_null(strstr(why.detail, "DirectoryTableBase"));
        windows_deinit(&w);
}

static void no_stub_is_told(void **state)
{
        struct windows_config config = windows_known(19045);
        struct guest_windows w;

        (void)state;
        config.no_stub = true;
        windows_init(&w, &config);
        expect_reason(&w, WIN32_STAGE_KCR3, WIN32_NO_STUB);
        windows_deinit(&w);
}

static void put_stub(
        struct guest_windows *w, uint64_t gpa, uint64_t jump, uint64_t entry, uint64_t root)
{
        image_put64(&w->image, gpa, jump);
        image_put64(&w->image, gpa + 0x70, entry);
        image_put64(&w->image, gpa + 0xa0, root);
}

#define JUMP UINT64_C(0x00000001000600e9)

static void stale_stubs_are_passed_over(void **state)
{
        struct windows_config config = windows_known(19045);
        struct guest_windows w;
        uint64_t empty;
        vmie_win32 *v;

        (void)state;
        windows_init(&w, &config);
        empty = image_page(&w.image);
        put_stub(&w, 0x1000, JUMP, WINDOWS_KERNEL_BASE, UINT64_C(0x80000000)); /* past RAM */
        put_stub(&w, 0x2000, JUMP | 0xff00, WINDOWS_KERNEL_BASE, empty);       /* no kernel half */
        v = vmie_win32_open(&w.image.mem, 0, NULL);
        assert_non_null(v);
        assert_int_equal(vmie_win32_info(v)->stub_gpa, WINDOWS_STUB_GPA);
        vmie_win32_close(v);
        windows_deinit(&w);
}

static void stubs_that_all_lead_nowhere_say_why(void **state)
{
        struct windows_config config = windows_known(19045);
        struct win32_failure why;
        struct guest_windows w;
        uint64_t empty;

        (void)state;
        config.no_stub = true;
        windows_init(&w, &config);
        empty = image_page(&w.image);
        put_stub(&w, 0x9f000, JUMP, WINDOWS_KERNEL_BASE, empty);
        why = open_fails(&w, 0);
        assert_int_equal(why.reason, WIN32_STUB_STALE);
        assert_int_equal(why.address, empty);
        assert_string_equal(
                why.detail, "block at 0x9f000: the page-table root maps no kernel half");
        windows_deinit(&w);
}

static void a_low_megabyte_full_of_stubs_costs_a_few_tries(void **state)
{
        struct windows_config config = windows_known(19045);
        struct guest_windows w;
        uint64_t trap;

        (void)state;
        config.no_stub = true;
        windows_init(&w, &config);
        trap = image_page(&w.image);
        for (unsigned i = 0; i < 512; i++)
                image_put64(&w.image, trap + i * 8, trap | PTE_P);
        for (uint64_t gpa = 0x1000; gpa <= 0x9f000; gpa += GVA_PAGE_BYTES)
                put_stub(&w, gpa, JUMP, WINDOWS_KERNEL_BASE, trap);
        image_put64(&w.image, trap, 0x5a4d); /* every page of that world begins with MZ */
        expect_reason(&w, WIN32_STAGE_KERNEL, WIN32_STUB_STALE);
        windows_deinit(&w);
}

static void what_is_nearly_a_stub_is_none(void **state)
{
        static const struct {
                uint64_t jump, entry, root;
        } cases[] = {
                { JUMP ^ 1, WINDOWS_KERNEL_BASE, 0x100000 },
                { JUMP | UINT64_C(1) << 33, WINDOWS_KERNEL_BASE, 0x100000 },
                { JUMP, WINDOWS_KERNEL_BASE | 1, 0x100000 },
                { JUMP, 0x1000, 0x100000 },
                { JUMP, WINDOWS_KERNEL_BASE, 0x100008 },
                { JUMP, WINDOWS_KERNEL_BASE, UINT64_C(1) << 41 },
                { JUMP, WINDOWS_KERNEL_BASE, 0 },
        };
        struct windows_config config = windows_known(19045);

        (void)state;
        config.no_stub = true;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct guest_windows w;

                windows_init(&w, &config);
                put_stub(&w, 0x5000, cases[i].jump, cases[i].entry, cases[i].root);
                expect_reason(&w, WIN32_STAGE_KCR3, WIN32_NO_STUB);
                windows_deinit(&w);
        }
}

static void the_kernel_is_found_without_an_entry_near_it(void **state)
{
        struct windows_config config = windows_known(19045);
        struct guest_windows w;
        vmie_win32 *v;

        (void)state;
        windows_init(&w, &config);
        /* An entry in another image, more than 32 MiB away. */
        image_put64(&w.image, WINDOWS_STUB_GPA + 0x70, UINT64_C(0xfffff87000001000));
        v = vmie_win32_open(&w.image.mem, 0, NULL);
        assert_non_null(v);
        assert_int_equal(vmie_win32_info(v)->kernel_base, WINDOWS_KERNEL_BASE);
        vmie_win32_close(v);
        windows_deinit(&w);
}

static void another_image_below_the_entry_is_not_the_kernel(void **state)
{
        struct windows_config config = windows_known(19045);
        struct guest_windows w;
        vmie_win32 *v;

        (void)state;
        windows_init(&w, &config);
        for (uint64_t at = 0; at < WINDOWS_KERNEL_BYTES; at += GVA_PAGE_BYTES) {
                uint64_t gpa = image_page(&w.image);

                memcpy(image_at(&w.image, gpa),
                        image_at(&w.image,
                                image_translate(&w.image, w.kcr3, WINDOWS_KERNEL_BASE + at)),
                        GVA_PAGE_BYTES);
                image_map(&w.image, w.kcr3, WINDOWS_KERNEL_BASE - 0x100000 + at, gpa, 1, 0);
        }
        windows_kernel_write(
                &w, WINDOWS_KERNEL_BASE - 0x100000 + RVA_EXPORTS + 0x200, "hal.dll", 8);
        v = vmie_win32_open(&w.image.mem, 0, NULL);
        assert_non_null(v);
        assert_int_equal(vmie_win32_info(v)->kernel_base, WINDOWS_KERNEL_BASE);
        vmie_win32_close(v);
        windows_deinit(&w);
}

static void a_kernel_in_a_large_page_is_found_at_any_offset(void **state)
{
        static const struct gpa_extent ram[] = { { 0, 0x1a0000 }, { 0x40000000, 0x200000 } };
        struct windows_config config = windows_known(19045);
        struct guest_windows w, large;
        vmie_win32 *v;

        (void)state;
        windows_init(&w, &config);
        image_init_extents(&large.image, ram, 2);
        memcpy(large.image.ram, w.image.ram, w.image.ram_bytes);
        for (uint64_t at = 0; at < WINDOWS_KERNEL_BYTES; at += GVA_PAGE_BYTES)
                memcpy(image_at(&large.image, 0x40003000 + at),
                        image_at(&w.image,
                                image_translate(&w.image, w.kcr3, WINDOWS_KERNEL_BASE + at)),
                        GVA_PAGE_BYTES);
        /* The kernel 0x3000 into a 2 MiB page; what points at itself by address is only the process list. */
        image_map(&large.image, w.kcr3, WINDOWS_KERNEL_BASE, 0x40000000, 2, PTE_W);
        for (int i = 0; i < 2; i++) {
                uint64_t head = WINDOWS_KERNEL_BASE + 0x3000 + RVA_LIST_HEAD;
                const struct guest_process *p = i ? &w.last : &w.system;

                image_write(&large.image, w.kcr3, p->eprocess + config.offsets.links + (i ? 0 : 8),
                        &head, 8);
        }
        v = vmie_win32_open(&large.image.mem, 0, NULL);
        assert_non_null(v);
        assert_int_equal(vmie_win32_info(v)->kernel_base, WINDOWS_KERNEL_BASE + 0x3000);
        vmie_win32_close(v);
        image_deinit(&large.image);
        windows_deinit(&w);
}

struct hostile_image {
        const char *name;
        uint32_t rva;
        uint32_t value;
        enum win32_reason reason;
};

#define NT RVA_NT_HEADERS

/* Sizes and addresses chosen so that 32-bit sums wrap back into the image. */
static const struct hostile_image hostile_images[] = {
        { "no MZ", 0, 0, WIN32_NO_KERNEL_IMAGE },
        { "headers before their own start", 60, 4, WIN32_NO_KERNEL_IMAGE },
        { "headers past the first page", 60, 0xff0, WIN32_NO_KERNEL_IMAGE },
        { "headers at the end of the world", 60, 0xfffffff0, WIN32_NO_KERNEL_IMAGE },
        { "no PE signature", NT, 0x4551, WIN32_NO_KERNEL_IMAGE },
        { "another machine", NT + 4, 0x14c, WIN32_NO_KERNEL_IMAGE },
        { "PE32", NT + 24, 0x10b, WIN32_NO_KERNEL_IMAGE },
        { "short optional header", NT + 20, 100, WIN32_NO_KERNEL_IMAGE },
        { "no image", NT + 24 + 56, 0, WIN32_NO_KERNEL_IMAGE },
        { "an image of 4 GiB", NT + 24 + 56, UINT32_MAX, WIN32_NO_KERNEL_IMAGE },
        { "no directories", NT + 24 + 108, 0, WIN32_NO_KERNEL_IMAGE },
        { "no export directory", NT + 24 + 112, 0, WIN32_NO_KERNEL_IMAGE },
        { "export directory past the image", NT + 24 + 112, 0x7fffffff, WIN32_NO_KERNEL_IMAGE },
        { "export directory that wraps", NT + 24 + 112, 0xfffffff0, WIN32_NO_KERNEL_IMAGE },
        { "export directory longer than the image", NT + 24 + 116, 0xfffff000,
                WIN32_KERNEL_DAMAGED },
        { "name past the image", RVA_EXPORTS + 12, 0xfffffffe, WIN32_NO_KERNEL_IMAGE },
        { "name at the image's last byte", RVA_EXPORTS + 12, 0x4fff, WIN32_NO_KERNEL_IMAGE },
        { "too many functions", RVA_EXPORTS + 20, 0x40000001, WIN32_KERNEL_DAMAGED },
        { "names times four wraps", RVA_EXPORTS + 24, 0x40000007, WIN32_KERNEL_DAMAGED },
        { "names past the image", RVA_EXPORTS + 24, 0x800, WIN32_KERNEL_DAMAGED },
        { "function table past the image", RVA_EXPORTS + 28, 0xfffffff0, WIN32_KERNEL_DAMAGED },
        { "name table past the image", RVA_EXPORTS + 32, 0x4ff0, WIN32_KERNEL_DAMAGED },
        { "ordinal table past the image", RVA_EXPORTS + 36, 0x4ffe, WIN32_KERNEL_DAMAGED },
        { "no names", RVA_EXPORTS + 24, 0, WIN32_NO_SYSTEM_PROCESS },
        { "no functions", RVA_EXPORTS + 20, 0, WIN32_NO_SYSTEM_PROCESS },
        { "System pointer in the user half", RVA_SYSTEM + 4, 0, WIN32_NO_SYSTEM_PROCESS },
        { "System pointer to nothing", RVA_SYSTEM + 4, 0xffffbbbb, WIN32_NO_SYSTEM_PROCESS },
};

static void a_hostile_image_is_refused_within_its_own_bounds(void **state)
{
        struct windows_config config = windows_known(19045);

        (void)state;
        for (size_t i = 0; i < sizeof(hostile_images) / sizeof(hostile_images[0]); i++) {
                const struct hostile_image *h = &hostile_images[i];
                struct win32_failure why;
                struct guest_windows w;

                windows_init(&w, &config);
                windows_kernel_write(&w, WINDOWS_KERNEL_BASE + h->rva, &h->value, 4);
                why = open_fails(&w, w.kcr3);
                if (why.reason != h->reason)
                        fail_msg("%s: %s", h->name, win32_reason_text(why.reason));
                windows_deinit(&w);
        }
}

static void an_unreadable_shared_page_is_told_with_its_fault(void **state)
{
        struct windows_config config = windows_known(19045);
        struct win32_failure why;
        struct guest_windows w;

        (void)state;
        windows_init(&w, &config);
        image_put64(&w.image, image_entry(&w.image, w.kcr3, WINDOWS_SHARED_VA, 1), 0);
        why = open_fails(&w, 0);
        assert_int_equal(why.reason, WIN32_NO_SHARED_DATA);
        assert_int_equal(why.fault.kind, GVA_FAULT_NOT_PRESENT);
        assert_int_equal(why.fault.gva, WINDOWS_SHARED_VA);
        windows_deinit(&w);
}

static void tables_that_loop_do_not_keep_the_search(void **state)
{
        struct windows_config config = windows_known(19045);
        struct win32_failure why;
        struct guest_windows w;
        uint64_t trap;

        (void)state;
        windows_init(&w, &config);
        trap = image_page(&w.image);
        for (unsigned i = 0; i < 512; i++)
                image_put64(&w.image, trap + i * 8, trap | PTE_P);
        why = open_fails(&w, trap);
        assert_int_equal(why.reason, WIN32_NO_KERNEL_IMAGE);
        windows_deinit(&w);
}

static void every_failed_read_ends_in_a_reason(void **state)
{
        struct windows_config config = windows_known(19045);
        struct guest_windows w;
        vmie_win32 *v;
        size_t total;

        (void)state;
        windows_init(&w, &config);
        v = vmie_win32_open(&w.image.mem, 0, NULL);
        assert_non_null(v);
        vmie_win32_close(v);
        total = w.image.n_reads;
        for (size_t n = 1; n <= total; n++) {
                struct win32_failure why;

                image_calm(&w.image);
                w.image.fail_at = n;
                w.image.fail_with = -EIO;
                memset(&why, 0, sizeof(why));
                assert_null(vmie_win32_open(&w.image.mem, 0, &why));
                assert_int_not_equal(why.reason, WIN32_OK);
                assert_int_equal(why.fault.kind, GVA_FAULT_SOURCE);
                assert_int_equal(why.fault.error, -EIO);
        }
        windows_deinit(&w);
}

static void cancelling_is_its_own_reason(void **state)
{
        struct windows_config config = windows_known(19045);
        atomic_bool cancel = true;
        struct win32_failure why;
        struct guest_windows w;

        (void)state;
        windows_init(&w, &config);
        w.image.mem.cancel = &cancel;
        why = open_fails(&w, 0);
        assert_int_equal(why.reason, WIN32_CANCELED);
        why = open_fails(&w, w.kcr3);
        assert_int_equal(why.reason, WIN32_CANCELED);
        windows_deinit(&w);
}

static void a_changed_kernel_no_longer_checks_out(void **state)
{
        static const uint64_t touched[] = {
                WINDOWS_KERNEL_BASE + RVA_NT_HEADERS + 8, /* time stamp: another build */
                WINDOWS_KERNEL_BASE + RVA_SYSTEM, WINDOWS_SHARED_VA + 0x2c4, /* BootId */
        };
        struct windows_config config = windows_known(19045);
        struct guest_windows w;
        vmie_win32 *v;

        (void)state;
        windows_init(&w, &config);
        v = vmie_win32_open(&w.image.mem, 0, NULL);
        assert_non_null(v);
        assert_int_equal(vmie_win32_check(v, &w.image.mem), 0);
        for (size_t i = 0; i < sizeof(touched) / sizeof(touched[0]); i++) {
                uint32_t was, now;

                image_read(&w.image, w.kcr3, touched[i], &was, 4);
                now = was + 8;
                windows_kernel_write(&w, touched[i], &now, 4);
                assert_int_equal(vmie_win32_check(v, &w.image.mem), -ESTALE);
                windows_kernel_write(&w, touched[i], &was, 4);
        }
        image_put64(&w.image, windows_field(&w, &w.system, EPROCESS_DIRECTORY_TABLE_BASE), 0x1000);
        assert_int_equal(vmie_win32_check(v, &w.image.mem), -ESTALE);
        image_put64(&w.image, image_entry(&w.image, w.kcr3, WINDOWS_KERNEL_BASE, 4), 0);
        assert_int_equal(vmie_win32_check(v, &w.image.mem), -EFAULT);
        vmie_win32_close(v);
        windows_deinit(&w);
}

static void the_clock_is_read_whole_or_not_at_all(void **state)
{
        struct windows_config config = windows_known(19045);
        struct win32_clock clock;
        struct guest_windows w;
        uint32_t torn = 8;
        vmie_win32 *v;

        (void)state;
        windows_init(&w, &config);
        v = vmie_win32_open(&w.image.mem, 0, NULL);
        assert_non_null(v);
        assert_int_equal(win32_read_clock(&w.image.mem, &clock), 1);
        assert_int_equal(clock.interrupt_time, UINT64_C(0x711223344));
        assert_int_equal(clock.system_time, UINT64_C(133500000000000000));
        assert_int_equal(clock.boot_id, 77);
        windows_kernel_write(&w, WINDOWS_SHARED_VA + 0x0c, &torn, 4);
        assert_int_equal(win32_read_clock(&w.image.mem, &clock), 0);
        image_put64(&w.image, image_entry(&w.image, w.kcr3, WINDOWS_SHARED_VA, 1), 0);
        assert_int_equal(win32_read_clock(&w.image.mem, &clock), -EFAULT);
        vmie_win32_close(v);
        windows_deinit(&w);
}

static void every_stage_and_reason_has_words(void **state)
{
        (void)state;
        for (int i = WIN32_STAGE_KCR3; i <= WIN32_STAGE_DONE; i++)
                assert_string_not_equal(win32_stage_text(i), "at an unknown stage");
        for (int i = WIN32_OK; i <= WIN32_CANCELED; i++)
                assert_string_not_equal(win32_reason_text(i), "unknown reason");
        vmie_win32_close(NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_known_build_opens_by_its_low_stub),
                cmocka_unit_test(a_given_root_needs_no_stub),
                cmocka_unit_test(a_build_in_no_table_opens_by_accessors_and_shape),
                cmocka_unit_test(a_known_build_opens_without_any_accessor),
                cmocka_unit_test(an_offset_only_one_source_knows_is_refused),
                cmocka_unit_test(two_sources_that_disagree_are_both_named),
                cmocka_unit_test(an_accessor_that_the_shape_denies_is_refused),
                cmocka_unit_test(an_accessor_pointing_outside_any_object_has_no_opinion),
                cmocka_unit_test(a_system_process_of_another_shape_is_refused),
                cmocka_unit_test(a_root_that_is_not_systems_own_is_refused),
                cmocka_unit_test(no_stub_is_told),
                cmocka_unit_test(stale_stubs_are_passed_over),
                cmocka_unit_test(stubs_that_all_lead_nowhere_say_why),
                cmocka_unit_test(a_low_megabyte_full_of_stubs_costs_a_few_tries),
                cmocka_unit_test(what_is_nearly_a_stub_is_none),
                cmocka_unit_test(the_kernel_is_found_without_an_entry_near_it),
                cmocka_unit_test(another_image_below_the_entry_is_not_the_kernel),
                cmocka_unit_test(a_kernel_in_a_large_page_is_found_at_any_offset),
                cmocka_unit_test(a_hostile_image_is_refused_within_its_own_bounds),
                cmocka_unit_test(an_unreadable_shared_page_is_told_with_its_fault),
                cmocka_unit_test(tables_that_loop_do_not_keep_the_search),
                cmocka_unit_test(every_failed_read_ends_in_a_reason),
                cmocka_unit_test(cancelling_is_its_own_reason),
                cmocka_unit_test(a_changed_kernel_no_longer_checks_out),
                cmocka_unit_test(the_clock_is_read_whole_or_not_at_all),
                cmocka_unit_test(every_stage_and_reason_has_words),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
