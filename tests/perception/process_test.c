/*
 * process_test.c - the process list: whole, in motion, and as a trap
 */
#include <errno.h>
#include <string.h>

#include "guest_windows.h"
#include "process.h"

struct fixture {
        struct guest_windows w;
        vmie_win32 *v;
        struct guest_process a, b, c;
};

static void open_guest(struct fixture *f)
{
        struct windows_config config = windows_known(19045);

        windows_init(&f->w, &config);
        f->a = windows_process(&f->w, 500, "csrss.exe");
        f->b = windows_process(&f->w, 600, "a-name-of-more-than-15-bytes.exe");
        f->c = windows_process(&f->w, 700, "svchost.exe");
        f->v = vmie_win32_open(&f->w.image.mem, 0, NULL);
        assert_non_null(f->v);
        image_calm(&f->w.image);
}

static void close_guest(struct fixture *f)
{
        vmie_win32_close(f->v);
        windows_deinit(&f->w);
}

static uint64_t links_of(const struct fixture *f, const struct guest_process *p)
{
        return p->eprocess + f->w.config.offsets.links;
}

static void put_link(
        struct fixture *f, const struct guest_process *p, unsigned back, uint64_t value)
{
        windows_kernel_write(&f->w, links_of(f, p) + 8 * back, &value, 8);
}

static void the_list_is_walked_from_system_to_the_head(void **state)
{
        static const uint32_t pids[] = { 4, 400, 500, 600, 700 };
        struct fixture f;
        process list[8];
        size_t n;

        (void)state;
        open_guest(&f);
        assert_int_equal(proc_list(f.v, list, 8, &n), 0);
        assert_int_equal(n, 5);
        for (size_t i = 0; i < n; i++) {
                assert_int_equal(list[i].pid, pids[i]);
                assert_int_equal(list[i].ppid, i ? 4 : 0);
                assert_int_equal(list[i].flags, i ? 0 : PROCESS_SYSTEM);
                if (i > 0)
                        assert_true(list[i].create_time > list[i - 1].create_time);
        }
        assert_int_equal(list[0].cr3, f.w.kcr3);
        assert_int_equal(list[2].cr3, f.a.cr3); /* without the PCID bits */
        assert_int_equal(list[2].eprocess, f.a.eprocess);
        assert_string_equal(list[3].name, "a-name-of-more-");
        close_guest(&f);
}

static void a_short_array_is_filled_and_the_total_says_so(void **state)
{
        struct fixture f;
        process list[3];
        size_t n;

        (void)state;
        open_guest(&f);
        memset(list, MARKER, sizeof(list));
        assert_int_equal(proc_list(f.v, list, 2, &n), 0);
        assert_int_equal(n, 5);
        assert_int_equal(list[1].pid, 400);
        assert_int_equal(((uint8_t *)&list[2])[0], MARKER);
        assert_int_equal(proc_list(f.v, NULL, 0, &n), 0);
        assert_int_equal(n, 5);
        close_guest(&f);
}

static void a_process_that_ended_is_listed_as_such(void **state)
{
        struct fixture f;
        process list[8];
        size_t n;

        (void)state;
        open_guest(&f);
        windows_exit(&f.w, &f.b);
        assert_int_equal(proc_list(f.v, list, 8, &n), 0);
        assert_int_equal(list[3].flags, PROCESS_EXITED);
        close_guest(&f);
}

static void an_exit_time_alone_is_an_end(void **state)
{
        struct fixture f;
        process list[8];
        size_t n;

        (void)state;
        open_guest(&f);
        image_put64(&f.w.image, windows_field(&f.w, &f.b, f.w.config.offsets.exit_time), 1);
        assert_int_equal(proc_list(f.v, list, 8, &n), 0);
        assert_int_equal(list[3].flags, PROCESS_EXITED);
        close_guest(&f);
}

static void a_wrong_blink_is_torn_past_the_retries(void **state)
{
        struct fixture f;
        process list[8];
        size_t n = 99;

        (void)state;
        open_guest(&f);
        put_link(&f, &f.b, 1, links_of(&f, &f.c));
        assert_int_equal(proc_list(f.v, list, 8, &n), -EAGAIN);
        assert_int_equal(n, 99);
        close_guest(&f);
}

static void a_list_that_cycles_is_told_from_a_torn_one(void **state)
{
        struct fixture f;
        process list[8];
        size_t n;

        (void)state;
        open_guest(&f);
        put_link(&f, &f.c, 0, links_of(&f, &f.a));
        assert_int_equal(proc_list(f.v, list, 8, &n), -ELOOP);
        put_link(&f, &f.a, 1, links_of(&f, &f.c)); /* with a Blink that agrees */
        assert_int_equal(proc_list(f.v, list, 8, &n), -ELOOP);
        put_link(&f, &f.b, 0, links_of(&f, &f.b));
        assert_int_equal(proc_list(f.v, list, 8, &n), -ELOOP);
        close_guest(&f);
}

/* Nodes inside the kernel image count as heads; a ring of them alone never comes back to System. */
static void heads_that_only_know_each_other_end_the_walk(void **state)
{
        const uint64_t one = WINDOWS_KERNEL_BASE + 0x2100, two = WINDOWS_KERNEL_BASE + 0x2200;
        struct fixture f;
        process list[8];
        size_t n;

        (void)state;
        open_guest(&f);
        put_link(&f, &f.b, 0, one);
        windows_kernel_write(&f.w, one, &(uint64_t[]){ two, links_of(&f, &f.b) }, 16);
        windows_kernel_write(&f.w, two, &(uint64_t[]){ two, one }, 16);
        assert_int_equal(proc_list(f.v, list, 8, &n), -ELOOP);
        windows_kernel_write(&f.w, two, &(uint64_t[]){ two, two }, 16);
        assert_int_equal(proc_list(f.v, list, 8, &n), -ELOOP);
        close_guest(&f);
}

static void links_into_nowhere_are_a_read_error(void **state)
{
        struct fixture f;
        process list[8];
        size_t n;

        (void)state;
        open_guest(&f);
        put_link(&f, &f.b, 0, UINT64_C(0xffffbbbb00000000));
        assert_int_equal(proc_list(f.v, list, 8, &n), -EFAULT);
        put_link(&f, &f.b, 0, 0x1000); /* the user half is nobody's process object */
        assert_int_equal(proc_list(f.v, list, 8, &n), -EAGAIN);
        close_guest(&f);
}

static void a_pid_of_more_than_32_bits_is_no_process(void **state)
{
        struct fixture f;
        process list[8];
        size_t n;

        (void)state;
        open_guest(&f);
        image_put64(
                &f.w.image, windows_field(&f.w, &f.b, f.w.config.offsets.pid), UINT64_C(1) << 32);
        assert_int_equal(proc_list(f.v, list, 8, &n), -EAGAIN);
        close_guest(&f);
}

static void mend_b(void *ctx)
{
        struct fixture *f = ctx;

        put_link(f, &f->b, 1, links_of(f, &f->a));
}

static void a_list_in_motion_is_walked_again(void **state)
{
        struct fixture f;
        process list[8];
        size_t n;

        (void)state;
        open_guest(&f);
        assert_int_equal(proc_list(f.v, list, 8, &n), 0);
        put_link(&f, &f.b, 1, links_of(&f, &f.c));
        f.w.image.change_at = f.w.image.n_reads + 20;
        f.w.image.change = mend_b;
        f.w.image.change_ctx = &f;
        assert_int_equal(proc_list(f.v, list, 8, &n), 0);
        assert_int_equal(n, 5);
        close_guest(&f);
}

static void every_failed_read_of_the_list_is_reported(void **state)
{
        struct fixture f;
        process list[8];
        size_t n, total;

        (void)state;
        open_guest(&f);
        assert_int_equal(proc_list(f.v, list, 8, &n), 0);
        total = f.w.image.n_reads;
        for (size_t nth = 1; nth <= total; nth++) {
                image_calm(&f.w.image);
                f.w.image.fail_at = nth;
                f.w.image.fail_with = -EIO;
                assert_int_equal(proc_list(f.v, list, 8, &n), -EIO);
        }
        close_guest(&f);
}

static void the_end_of_the_list_is_read_from_its_last_on(void **state)
{
        static const uint32_t pids[] = { 700, 600, 500, 400 };
        struct fixture f;
        process list[8];
        size_t n;

        (void)state;
        open_guest(&f);
        assert_int_equal(proc_newest(f.v, &f.w.image.mem, list, 8, &n), 0);
        assert_int_equal(n, 4);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(list[i].pid, pids[i]);
        assert_int_equal(proc_newest(f.v, &f.w.image.mem, list, 2, &n), 0);
        assert_int_equal(n, 2);
        windows_unlink(&f.w, &f.c);
        assert_int_equal(proc_newest(f.v, &f.w.image.mem, list, 1, &n), 0);
        assert_int_equal(list[0].pid, 600);
        put_link(&f, &f.b, 0, links_of(&f, &f.a));
        assert_int_equal(proc_newest(f.v, &f.w.image.mem, list, 8, &n), -EAGAIN);
        close_guest(&f);
}

static void the_end_of_a_list_that_cycles_ends_with_the_room(void **state)
{
        struct fixture f;
        process list[8];
        size_t n;

        (void)state;
        open_guest(&f);
        /* b and c, each before and behind the other */
        put_link(&f, &f.b, 1, links_of(&f, &f.c));
        put_link(&f, &f.c, 0, links_of(&f, &f.b));
        assert_int_equal(proc_newest(f.v, &f.w.image.mem, list, 8, &n), -EAGAIN);
        close_guest(&f);
}

static void every_failed_read_of_the_end_of_the_list_is_reported(void **state)
{
        struct fixture f;
        process list[8];
        size_t n, reads;

        (void)state;
        open_guest(&f);
        assert_int_equal(proc_newest(f.v, &f.w.image.mem, list, 8, &n), 0);
        reads = f.w.image.n_reads;
        for (size_t i = 1; i <= reads; i++) {
                image_calm(&f.w.image);
                f.w.image.fail_at = i;
                f.w.image.fail_with = -EIO;
                n = MARKER;
                assert_int_equal(proc_newest(f.v, &f.w.image.mem, list, 8, &n), -EIO);
                assert_int_equal(n, MARKER);
        }
        close_guest(&f);
}

static void a_process_checks_out_until_anything_of_it_changes(void **state)
{
        const struct win32_anchors *anchors;
        struct fixture f;
        process list[8];
        size_t n;

        (void)state;
        open_guest(&f);
        anchors = win32_anchors_of(f.v);
        assert_int_equal(proc_list(f.v, list, 8, &n), 0);
        assert_int_equal(win32_process_check(anchors, &f.w.image.mem, &list[3]), 0);

        const uint32_t fields[] = { anchors->offsets.pid, anchors->offsets.create_time,
                EPROCESS_DIRECTORY_TABLE_BASE, anchors->offsets.exit_status,
                anchors->offsets.exit_time };

        for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
                uint64_t at = windows_field(&f.w, &f.b, fields[i]);
                uint64_t was = image_get64(&f.w.image, at);

                image_put64(&f.w.image, at, was ^ 0x4000);
                assert_int_equal(win32_process_check(anchors, &f.w.image.mem, &list[3]), -ESTALE);
                image_put64(&f.w.image, at, was);
        }
        put_link(&f, &f.a, 0, links_of(&f, &f.c));
        assert_int_equal(win32_process_check(anchors, &f.w.image.mem, &list[3]), -ESTALE);
        put_link(&f, &f.a, 0, links_of(&f, &f.b));
        put_link(&f, &f.c, 1, links_of(&f, &f.a));
        assert_int_equal(win32_process_check(anchors, &f.w.image.mem, &list[3]), -ESTALE);
        put_link(&f, &f.c, 1, links_of(&f, &f.b));
        assert_int_equal(win32_process_check(anchors, &f.w.image.mem, &list[3]), 0);
        windows_unlink(&f.w, &f.b);
        assert_int_equal(win32_process_check(anchors, &f.w.image.mem, &list[3]), -ESTALE);
        close_guest(&f);
}

static void a_neighbour_that_comes_or_goes_does_no_harm(void **state)
{
        const struct win32_anchors *anchors;
        struct fixture f;
        process list[8];
        size_t n;

        (void)state;
        open_guest(&f);
        anchors = win32_anchors_of(f.v);
        assert_int_equal(proc_list(f.v, list, 8, &n), 0);
        windows_unlink(&f.w, &f.a);
        assert_int_equal(win32_process_check(anchors, &f.w.image.mem, &list[3]), 0);
        windows_process(&f.w, 800, "new.exe");
        assert_int_equal(win32_process_check(anchors, &f.w.image.mem, &list[4]), 0);
        close_guest(&f);
}

static void the_last_of_the_list_has_the_head_for_a_neighbour(void **state)
{
        struct fixture f;
        process list[8];
        size_t n;

        (void)state;
        open_guest(&f);
        assert_int_equal(proc_list(f.v, list, 8, &n), 0);
        assert_int_equal(win32_process_check(win32_anchors_of(f.v), &f.w.image.mem, &list[4]), 0);
        close_guest(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_list_is_walked_from_system_to_the_head),
                cmocka_unit_test(a_short_array_is_filled_and_the_total_says_so),
                cmocka_unit_test(a_process_that_ended_is_listed_as_such),
                cmocka_unit_test(an_exit_time_alone_is_an_end),
                cmocka_unit_test(a_wrong_blink_is_torn_past_the_retries),
                cmocka_unit_test(a_list_that_cycles_is_told_from_a_torn_one),
                cmocka_unit_test(heads_that_only_know_each_other_end_the_walk),
                cmocka_unit_test(links_into_nowhere_are_a_read_error),
                cmocka_unit_test(a_pid_of_more_than_32_bits_is_no_process),
                cmocka_unit_test(a_list_in_motion_is_walked_again),
                cmocka_unit_test(every_failed_read_of_the_list_is_reported),
                cmocka_unit_test(the_end_of_the_list_is_read_from_its_last_on),
                cmocka_unit_test(the_end_of_a_list_that_cycles_ends_with_the_room),
                cmocka_unit_test(every_failed_read_of_the_end_of_the_list_is_reported),
                cmocka_unit_test(a_process_checks_out_until_anything_of_it_changes),
                cmocka_unit_test(a_neighbour_that_comes_or_goes_does_no_harm),
                cmocka_unit_test(the_last_of_the_list_has_the_head_for_a_neighbour),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
