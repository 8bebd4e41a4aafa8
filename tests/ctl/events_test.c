/*
 * events_test.c - events out of a journal that is known to the last byte
 *
 * Written in the journal's export format, and made a journal of by systemd-journal-remote.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "events.h"
#include "schema.h"
#include "systemd/events.h"
#include "tool.h"

#define REMOTE "/lib/systemd/systemd-journal-remote"
#define BEGIN  UINT64_C(1700000000) /* 2023-11-14 22:13:20 UTC */

static char dir[32], journal[64];

/* One entry, @second seconds after BEGIN. @id: NULL: no event of ours. */
static void entry(FILE *f, unsigned second, const char *unit, const char *name, const char *id,
        int priority, const char *message, const char *fields)
{
        static uint64_t seq;

        fprintf(f,
                "__REALTIME_TIMESTAMP=%llu\n__MONOTONIC_TIMESTAMP=%llu\n_BOOT_ID="
                "0123456789abcdef0123456789abcdef\n"
                "_MACHINE_ID=0123456789abcdef0123456789abcdee\n_SYSTEMD_UNIT=%s\nPRIORITY=%"
                "d\nMESSAGE=%s\n%s",
                (unsigned long long)(BEGIN + second) * 1000000, (unsigned long long)++seq, unit,
                priority, message, fields);
        if (id)
                fprintf(f, "MESSAGE_ID=%s\nVGPU_EVENT=%s\n", id, name);
        fputc('\n', f);
}

static const char *id_of(enum journal_event event)
{
        return journal_event_info(event)->message_id;
}

static void write_export(const char *path)
{
        FILE *f = fopen(path, "w");

        assert_non_null(f);
        entry(f, 0, "vgpud@win11.service", "daemon-started", id_of(EVENT_DAEMON_STARTED), 6,
                "Ready", "VGPU_VM=win11\n");
        entry(f, 1, "vgpud@win11.service", NULL, NULL, 6, "a line without identity", "");
        entry(f, 2, "vgpud@other.service", "daemon-started", id_of(EVENT_DAEMON_STARTED), 6,
                "Ready too", "VGPU_VM=other\n");
        entry(f, 3, "vgpud@win11.service", "producer-found", id_of(EVENT_PRODUCER_FOUND), 5,
                "Producer 'a\\x1b.exe' (pid 4321)",
                "VGPU_EPOCH=1\nVGPU_PID=4321\nVGPU_STATE=confirming\n_UID=0\n");
        /* Anybody can send such fields, but not under that unit. */
        entry(f, 4, "evil.service", "producer-lost", id_of(EVENT_PRODUCER_LOST), 3, "forged",
                "VGPU_VM=win11\n");
        entry(f, 5, "vgpud@win11.service", "ram-gone", id_of(EVENT_RAM_GONE), 4, "No guest RAM",
                "VGPU_REASON=why\n");
        fclose(f);
}

static int begin(void **state)
{
        char export[64], command[512];

        (void)state;
        strcpy(dir, "/tmp/events.XXXXXX");
        assert_non_null(mkdtemp(dir));
        snprintf(journal, sizeof journal, "%s/made.journal", dir);
        snprintf(export, sizeof export, "%s/export", dir);
        write_export(export);
        snprintf(command, sizeof command,
                REMOTE " --output=%s %s >%s/said 2>&1 || { cat %s/said; false; }", journal, export,
                dir, dir);
        return system(command);
}

static int end(void **state)
{
        char command[64];

        (void)state;
        snprintf(command, sizeof command, "rm -rf '%s'", dir);
        return system(command);
}

static struct tool_result run(const char *a, const char *b, const char *c, const char *d)
{
        const char *argv[] = { VGPUCTL, "events", "--file", journal, a, b, c, d, NULL };
        struct tool_result r;

        tool_run(argv, NULL, &r);
        if (r.exit_code != 0)
                fail_msg("exit %d: %s", r.exit_code, r.err);
        return r;
}

static void events_of_one_machine_are_lines_in_their_order(void **state)
{
        struct tool_result r = run("--vm", "win11", NULL, NULL);

        (void)state;
        assert_string_equal(r.out, "2023-11-14 22:13:20  Ready\n"
                                   "2023-11-14 22:13:23  Producer 'a\\x1b.exe' (pid 4321)\n"
                                   "2023-11-14 22:13:25  No guest RAM\n");
        tool_result_deinit(&r);
}

static void those_of_all_machines_name_theirs_and_a_forged_one_is_not_among_them(void **state)
{
        struct tool_result r = run(NULL, NULL, NULL, NULL);

        (void)state;
        assert_non_null(strstr(r.out, "2023-11-14 22:13:22  other  Ready too\n"));
        assert_non_null(strstr(r.out, "2023-11-14 22:13:20  win11  Ready\n"));
        assert_null(strstr(r.out, "forged"));
        assert_null(strstr(r.out, "without identity"));
        tool_result_deinit(&r);
}

static void the_last_ones_and_those_since_a_time_are_fewer(void **state)
{
        struct tool_result r = run("-n", "1", NULL, NULL);

        (void)state;
        assert_string_equal(r.out, "2023-11-14 22:13:25  win11  No guest RAM\n");
        tool_result_deinit(&r);
        r = run("--since", "2023-11-14 22:13:23", "--vm", "win11");
        assert_string_equal(r.out, "2023-11-14 22:13:23  Producer 'a\\x1b.exe' (pid "
                                   "4321)\n2023-11-14 22:13:25  No guest RAM\n");
        tool_result_deinit(&r);
        r = run("--since", "2023-11-14 22:13:25", "-n", "5");
        assert_string_equal(r.out, "2023-11-14 22:13:25  win11  No guest RAM\n");
        tool_result_deinit(&r);
        r = run("-n", "0", NULL, NULL);
        assert_string_equal(r.out, "No events.\n");
        tool_result_deinit(&r);
        r = run("--since", "today", "--no-legend", NULL);
        assert_int_equal(r.out_len, 0);
        tool_result_deinit(&r);
}

static void as_json_each_is_one_line_that_its_schema_knows(void **state)
{
        json_object *schema = json_object_from_file(EVENTS_SCHEMA), *o, *fields;
        struct tool_result r = run("--vm", "win11", "-j", "-x");
        char *rest = r.out, *line, why[256];
        size_t n = 0;

        (void)state;
        while ((line = strsep(&rest, "\n")) && *line) {
                o = json_tokener_parse(line);
                if (!schema_matches(schema, o, why, sizeof why))
                        fail_msg("%s: %s", why, line);
                assert_string_equal(
                        json_object_get_string(json_object_object_get(o, "vm")), "win11");
                if (n++ == 1) {
                        fields = json_object_object_get(o, "fields");
                        assert_string_equal(
                                json_object_get_string(json_object_object_get(o, "time")),
                                "2023-11-14T22:13:23.000000Z");
                        assert_string_equal(
                                json_object_get_string(json_object_object_get(o, "event")),
                                "producer-found");
                        assert_int_equal(
                                json_object_get_int(json_object_object_get(o, "priority")), 5);
                        assert_string_equal(
                                json_object_get_string(json_object_object_get(fields, "VGPU_PID")),
                                "4321");
                        assert_null(json_object_object_get(fields, "_UID"));
                }
                json_object_put(o);
        }
        assert_int_equal(n, 3);
        json_object_put(schema);
        tool_result_deinit(&r);
}

static void until_all_is_there(void *ctx, const char *out, int pid)
{
        (void)ctx;
        if (strstr(out, "No guest RAM"))
                kill(pid, SIGTERM);
}

static void who_follows_is_shown_the_past_and_ends_well_on_a_signal(void **state)
{
        const struct tool_company company = { .turn = until_all_is_there };
        const char *argv[] = { VGPUCTL, "events", "--file", journal, "--follow", "--json=short",
                NULL };
        struct tool_result r;

        (void)state;
        tool_run(argv, &company, &r);
        assert_int_equal(r.exit_code, 0);
        assert_int_equal(r.err_len, 0);
        tool_result_deinit(&r);
}

static void a_journal_that_is_not_there_is_a_sentence(void **state)
{
        const char *argv[] = { VGPUCTL, "events", "--file", "/nonexistent/a.journal", NULL };
        struct tool_result r;

        (void)state;
        tool_run(argv, NULL, &r);
        assert_int_equal(r.exit_code, 1);
        assert_string_equal(r.err, "vgpuctl: there is no such journal\n");
        tool_result_deinit(&r);
}

static void points_in_time_are_read_as_people_write_them(void **state)
{
        /* 2023-11-14 22:13:20 */
        static const uint64_t now = BEGIN * 1000000;
        static const struct {
                const char *text;
                uint64_t seconds; /* after the epoch */
        } cases[] = {
                { "today", BEGIN - 80000 },
                { "yesterday", BEGIN - 80000 - 86400 },
                { "2023-11-14", BEGIN - 80000 },
                { "2023-11-14 22:13", BEGIN - 20 },
                { "2023-11-14 22:13:20", BEGIN },
                { "22:00", BEGIN - 800 },
                { "22:13:19", BEGIN - 1 },
                { "-90s", BEGIN - 90 },
                { "-30min", BEGIN - 1800 },
                { "-2h", BEGIN - 7200 },
                { "-99999999d", 0 },
        };
        static const char *const wrong[] = { "", "-", "-2", "-2y", "2h", "soon", "2023-11-14 ",
                "2023-13-01", "25:00", "-99999999999999999h" };
        uint64_t us;

        (void)state;
        setenv("TZ", "UTC", 1);
        tzset();
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                assert_int_equal(events_since(cases[i].text, now, &us), 0);
                assert_int_equal(us, cases[i].seconds * 1000000);
        }
        for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
                if (events_since(wrong[i], now, &us) == 0)
                        fail_msg("'%s' was taken", wrong[i]);
}

int main(void)
{
        static const struct CMUnitTest without[] = {
                cmocka_unit_test(points_in_time_are_read_as_people_write_them),
                cmocka_unit_test(a_journal_that_is_not_there_is_a_sentence),
        };

        static const struct CMUnitTest in_a_journal[] = {
                cmocka_unit_test(events_of_one_machine_are_lines_in_their_order),
                cmocka_unit_test(
                        those_of_all_machines_name_theirs_and_a_forged_one_is_not_among_them),
                cmocka_unit_test(the_last_ones_and_those_since_a_time_are_fewer),
                cmocka_unit_test(as_json_each_is_one_line_that_its_schema_knows),
                cmocka_unit_test(who_follows_is_shown_the_past_and_ends_well_on_a_signal),
        };
        int failed;

        setenv("TZ", "UTC", 1);
        failed = cmocka_run_group_tests(without, NULL, NULL);
        if (access(REMOTE, X_OK) == 0)
                return failed + cmocka_run_group_tests(in_a_journal, begin, end);
        puts("skipped: " REMOTE " is not there (Debian package systemd-journal-remote)");
        return failed ? failed : 77;
}
