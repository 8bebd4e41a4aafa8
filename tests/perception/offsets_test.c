/*
 * offsets_test.c - where the fields of a process object are: every layout, every field, and every pair of sources that
 * can disagree about it
 */
#include <stdio.h>
#include <string.h>

#include "guest_windows.h"

struct field {
        const char *name;
        size_t member;
};

#define MEMBER(field) offsetof(struct win32_offsets, field)

static const struct field fields[] = {
        { "UniqueProcessId", MEMBER(pid) },
        { "ImageFileName", MEMBER(name) },
        { "InheritedFromUniqueProcessId", MEMBER(ppid) },
        { "CreateTime", MEMBER(create_time) },
        { "ExitStatus", MEMBER(exit_status) },
};

#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

static uint32_t *offset_in(struct win32_offsets *o, const struct field *f)
{
        return (uint32_t *)(void *)((char *)o + f->member);
}

/* Opens, and lists both processes with all that is known of them. */
static void expect_opens(const struct windows_config *config)
{
        struct guest_windows w;
        vmie_win32 *v;
        process list[3];
        size_t n;

        windows_init(&w, config);
        v = vmie_win32_open(&w.image.mem, 0, NULL);
        if (!v)
                fail_msg("build %u did not open", config->build);
        assert_int_equal(proc_list(v, list, 3, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(list[0].pid, 4);
        assert_int_equal(list[1].pid, 400);
        assert_int_equal(list[1].ppid, 4);
        assert_string_equal(list[1].name, "smss.exe");
        assert_int_equal(list[1].create_time, w.now);
        assert_int_equal(list[1].flags, 0);
        assert_int_equal(list[1].cr3, w.last.cr3);
        vmie_win32_close(v);
        windows_deinit(&w);
}

static struct win32_failure expect_fails(const struct windows_config *config)
{
        struct win32_failure why;
        struct guest_windows w;

        windows_init(&w, config);
        assert_null(vmie_win32_open(&w.image.mem, 0, &why));
        windows_deinit(&w);
        return why;
}

static void every_layout_opens_by_each_pair_of_sources(void **state)
{
        (void)state;
        for (size_t i = 0; i < win32_n_layouts; i++) {
                struct windows_config config = windows_known(win32_layouts[i].build);

                expect_opens(&config); /* all three */
                memset(&config.code, 0, sizeof(config.code));
                expect_opens(&config); /* table and shape */
                config = windows_known(win32_layouts[i].build);
                config.build = 40000 + i; /* accessors and shape */
                config.offsets.exit_time = config.code.exit_time = 0;
                expect_opens(&config);
        }
}

static void every_accessor_that_the_table_denies_is_named_with_it(void **state)
{
        (void)state;
        for (size_t i = 0; i < win32_n_layouts; i++) {
                for (size_t j = 0; j < N_FIELDS; j++) {
                        struct windows_config config = windows_known(win32_layouts[i].build);
                        uint32_t *said = offset_in(&config.code, &fields[j]);
                        struct win32_failure why;
                        char expected[96];

                        *said += 8;
                        why = expect_fails(&config);
                        assert_int_equal(why.stage, WIN32_STAGE_OFFSETS);
                        assert_int_equal(why.reason, WIN32_OFFSETS_CONTRADICT);
                        assert_int_equal(why.address, *said);
                        snprintf(expected, sizeof(expected), "%s: 0x%x by accessor, 0x%x by table",
                                fields[j].name, *said, *said - 8);
                        assert_string_equal(why.detail, expected);
                }
        }
}

static void every_field_that_only_its_accessor_knows_needs_its_shape(void **state)
{
        (void)state;
        for (size_t j = 0; j < N_FIELDS; j++) {
                struct windows_config config = windows_future();
                uint32_t *said = offset_in(&config.code, &fields[j]);
                struct win32_failure why;
                char expected[96];

                *said = 0x700; /* empty: neither 4 nor a name, a time or a status, but a parent of 0 */
                if (fields[j].member == MEMBER(ppid))
                        *said = config.offsets.create_time;
                why = expect_fails(&config);
                assert_int_equal(why.stage, WIN32_STAGE_OFFSETS);
                assert_int_equal(why.reason,
                        fields[j].member == MEMBER(pid) || fields[j].member == MEMBER(name)
                                ? WIN32_SYSTEM_MISSHAPEN
                                : WIN32_OFFSETS_CONTRADICT);
                snprintf(expected, sizeof(expected), "%s: 0x%x by accessor, but not by shape",
                        fields[j].name, *said);
                assert_string_equal(why.detail, expected);
        }
}

static void every_field_that_nobody_knows_is_named(void **state)
{
        (void)state;
        for (size_t j = 0; j < N_FIELDS; j++) {
                struct windows_config config = windows_future();
                struct win32_failure why;
                char expected[96];

                *offset_in(&config.code, &fields[j]) = 0;
                why = expect_fails(&config);
                assert_int_equal(why.reason, WIN32_OFFSETS_UNKNOWN);
                snprintf(expected, sizeof(expected),
                        "%s: no accessor, and the build is not in the table", fields[j].name);
                assert_string_equal(why.detail, expected);
        }
}

/* ActiveProcessLinks has no accessor: it is where the pid says. */
static void links_that_are_not_after_the_pid_are_named(void **state)
{
        struct windows_config config = windows_known(19045);
        struct win32_failure why;

        (void)state;
        config.offsets.links = 0x458;
        why = expect_fails(&config);
        assert_int_equal(why.stage, WIN32_STAGE_OFFSETS);
        assert_int_equal(why.reason, WIN32_SYSTEM_MISSHAPEN);
        assert_string_equal(
                why.detail, "ActiveProcessLinks: 0x448 after UniqueProcessId, but not by shape");
}

static void a_table_that_the_shape_denies_is_named(void **state)
{
        struct windows_config config = windows_known(19045);
        struct win32_failure why;

        (void)state;
        memset(&config.code, 0, sizeof(config.code));
        config.offsets.exit_status = 0x700;
        why = expect_fails(&config);
        assert_int_equal(why.reason, WIN32_OFFSETS_CONTRADICT);
        assert_string_equal(why.detail, "ExitStatus: 0x7d4 by table, but not by shape");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_layout_opens_by_each_pair_of_sources),
                cmocka_unit_test(every_accessor_that_the_table_denies_is_named_with_it),
                cmocka_unit_test(every_field_that_only_its_accessor_knows_needs_its_shape),
                cmocka_unit_test(every_field_that_nobody_knows_is_named),
                cmocka_unit_test(links_that_are_not_after_the_pid_are_named),
                cmocka_unit_test(a_table_that_the_shape_denies_is_named),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
