/* probe_test.c - what a probe says about files that are no running guest */
#include <fcntl.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tool.h"

static char dir[64];

static int make_dir(void **state)
{
        (void)state;
        strcpy(dir, "/tmp/probe_test.XXXXXX");
        return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
        char command[128];

        (void)state;
        snprintf(command, sizeof command, "rm -rf '%s'", dir);
        return system(command);
}

static const char *file_of(const char *name, off_t size)
{
        static char path[128];
        int fd;

        snprintf(path, sizeof path, "%s/%s", dir, name);
        fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, size), 0);
        close(fd);
        return path;
}

/* Probes and expects it to end at @stage, saying @reason. @extra: NULL or one more pair of arguments. */
static void assert_ends_at(
        const char *ram, const char *const *extra, const char *stage, const char *reason)
{
        const char *argv[] = { VGPUCTL, "probe", "--ram", ram, extra ? extra[0] : NULL,
                extra ? extra[1] : NULL, NULL };
        char line[64];
        struct tool_result r;

        tool_run(argv, NULL, &r);
        snprintf(line, sizeof line, "%-11s FAILED", stage);
        if (r.exit_code != 1 || !strstr(r.out, line) || !strstr(r.out, reason) ||
                !strstr(r.out, "try: "))
                fail_msg("exit %d\n%s%s", r.exit_code, r.out, r.err);
        assert_non_null(strstr(r.err, "vgpuctl: no live region: "));
        tool_result_deinit(&r);
}

static void a_missing_file_is_named(void **state)
{
        (void)state;
        assert_ends_at("/nonexistent/ram", NULL, "source", "'/nonexistent/ram'");
}

static void a_directory_is_no_ram(void **state)
{
        (void)state;
        assert_ends_at(dir, NULL, "source", dir);
}

static void an_empty_file_is_no_ram(void **state)
{
        const char *path = file_of("empty", 0);

        (void)state;
        assert_ends_at(path, NULL, "source", path);
}

static void a_file_shorter_than_the_ram_says_both_sizes(void **state)
{
        static const char *const size[] = { "--ram-size", "4G" };

        (void)state;
        assert_ends_at(file_of("short", 1 << 20), size, "source", "4 GiB wanted, 1 MiB there");
}

static void a_size_that_is_not_whole_pages_is_refused(void **state)
{
        static const char *const size[] = { "--ram-size", "5000" };

        (void)state;
        assert_ends_at(file_of("odd", 1 << 20), size, "source", "whole number of pages");
}

static void zeros_hold_no_kernel(void **state)
{
        (void)state;
        assert_ends_at(file_of("zeros", 64 << 20), NULL, "kcr3", "");
}

static void a_given_root_that_is_none_is_named(void **state)
{
        static const char *const kcr3[] = { "--kcr3", "0x1ad000" };

        (void)state;
        assert_ends_at(file_of("zeros", 64 << 20), kcr3, "kcr3", "0x1ad000");
}

static void a_root_outside_of_the_ram_is_named(void **state)
{
        static const char *const kcr3[] = { "--kcr3", "0x7fffffff000" };

        (void)state;
        assert_ends_at(file_of("zeros", 64 << 20), kcr3, "kcr3", "0x7fffffff000");
}

static void probing_a_sparse_file_allocates_nothing_in_it(void **state)
{
        const char *path = file_of("sparse", 256 << 20);
        struct stat st;

        (void)state;
        assert_ends_at(path, NULL, "kcr3", "");
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_blocks, 0);
}

static void json_is_one_object_that_says_the_same(void **state)
{
        const char *argv[] = { VGPUCTL, "probe", "--json", "--ram", file_of("z\"\\\033", 1 << 20),
                NULL };
        json_object *o, *stages, *last;
        struct tool_result r;

        (void)state;
        tool_run(argv, NULL, &r);
        assert_int_equal(r.exit_code, 1);
        o = json_tokener_parse(r.out);
        assert_non_null(o);
        stages = json_object_object_get(o, "stages");
        assert_int_equal(json_object_array_length(stages), 2);
        last = json_object_array_get_idx(stages, 1);
        assert_string_equal(json_object_get_string(json_object_object_get(last, "stage")), "kcr3");
        assert_false(json_object_get_boolean(json_object_object_get(last, "ok")));
        assert_true(strlen(json_object_get_string(json_object_object_get(last, "reason"))) > 0);
        assert_false(json_object_get_boolean(json_object_object_get(o, "ok")));
        assert_null(json_object_object_get(o, "kernel"));
        assert_int_equal(json_object_array_length(json_object_object_get(o, "candidates")), 0);
        json_object_put(o);
        tool_result_deinit(&r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_missing_file_is_named),
                cmocka_unit_test(a_directory_is_no_ram),
                cmocka_unit_test(an_empty_file_is_no_ram),
                cmocka_unit_test(a_file_shorter_than_the_ram_says_both_sizes),
                cmocka_unit_test(a_size_that_is_not_whole_pages_is_refused),
                cmocka_unit_test(zeros_hold_no_kernel),
                cmocka_unit_test(a_given_root_that_is_none_is_named),
                cmocka_unit_test(a_root_outside_of_the_ram_is_named),
                cmocka_unit_test(probing_a_sparse_file_allocates_nothing_in_it),
                cmocka_unit_test(json_is_one_object_that_says_the_same),
        };

        return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
