/*
 * journal_test.c - events without a journal: lines on stderr, their limits, escapes and identities
 */
#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "systemd/journal.h"

static time_t clock_s = 1000;

/* The library's clock in this program. */
int clock_gettime(clockid_t clock, struct timespec *ts)
{
        (void)clock;
        *ts = (struct timespec){ .tv_sec = clock_s };
        return 0;
}

/* stderr goes to a file from begin to end. */
static int saved_stderr = -1;

static void capture_begin(void)
{
        int fd = memfd_create("stderr", MFD_CLOEXEC);

        assert_true(fd >= 0);
        saved_stderr = dup(STDERR_FILENO);
        assert_true(dup2(fd, STDERR_FILENO) >= 0);
        close(fd);
}

static const char *capture_end(void)
{
        static char text[65536];
        ssize_t n = pread(STDERR_FILENO, text, sizeof(text) - 1, 0);

        dup2(saved_stderr, STDERR_FILENO);
        close(saved_stderr);
        assert_true(n >= 0);
        text[n] = '\0';
        return text;
}

static unsigned count_lines(const char *text)
{
        unsigned n = 0;

        for (; (text = strchr(text, '\n')) != NULL; text++)
                n++;
        return n;
}

/* Every test begins with full buckets. */
static int later(void **state)
{
        (void)state;
        clock_s += 100000;
        capture_begin();
        journal_flush();
        capture_end();
        clock_s += 100000;
        journal_set_level(LOG_INFO);
        unsetenv("JOURNAL_STREAM");
        journal_init();
        return 0;
}

static void without_a_journal_an_event_is_one_line(void **state)
{
        (void)state;
        capture_begin();
        journal_event(EVENT_PRODUCER_LOST, JOURNAL_FIELDS(JOURNAL_U64("VGPU_PID", 12)),
                "Producer '%s' is gone, searching again", "capture.exe");
        journal_log(LOG_INFO, "plain");
        journal_log(LOG_WARNING, "careful");
        journal_log(LOG_ERR, "wrong");
        journal_log(LOG_CRIT, "very wrong");
        assert_string_equal(capture_end(),
                "systemd_journal_test: notice: Producer 'capture.exe' is gone, searching again\n"
                "systemd_journal_test: plain\n"
                "systemd_journal_test: warning: careful\n"
                "systemd_journal_test: error: wrong\n"
                "systemd_journal_test: error: very wrong\n");
}

static void what_is_below_the_level_is_not_said(void **state)
{
        (void)state;
        capture_begin();
        journal_log(LOG_DEBUG, "not shown");
        journal_set_level(LOG_WARNING);
        journal_event(EVENT_RAM_APPEARED, NULL, "not shown");
        journal_event(EVENT_RAM_GONE, NULL, "shown");
        journal_set_level(LOG_DEBUG);
        journal_log(LOG_DEBUG, "shown too");
        assert_string_equal(capture_end(),
                "systemd_journal_test: warning: shown\nsystemd_journal_test: debug: shown too\n");
}

static void a_repeated_event_is_limited_and_says_how_often(void **state)
{
        const char *text;

        (void)state;
        capture_begin();
        for (int i = 0; i < 25; i++)
                journal_event(EVENT_CLIENT_DROPPED, NULL, "number %d", i);
        journal_flush();
        text = capture_end();
        assert_int_equal(count_lines(text), 10);
        assert_null(strstr(text, "number 10"));

        clock_s += 130;
        capture_begin();
        journal_event(EVENT_CLIENT_DROPPED, NULL, "next");
        journal_event(EVENT_CLIENT_DROPPED, NULL, "and next");
        assert_string_equal(capture_end(),
                "systemd_journal_test: notice: next (15 more of this kind in the last 130 s were "
                "not logged)\nsystemd_journal_test: notice: and next\n");
}

static void events_swallowed_without_a_successor_are_reported_by_a_flush(void **state)
{
        (void)state;
        capture_begin();
        for (int i = 0; i < 13; i++)
                journal_event(EVENT_MODE_CHANGED, NULL, "flip");
        capture_end();

        capture_begin();
        journal_flush(); /* the bucket is still empty */
        clock_s += 100;
        journal_flush();
        journal_flush();
        assert_string_equal(capture_end(),
                "systemd_journal_test: 3 more of the kind 'mode-changed' in the last 100 s were "
                "not logged\n");
}

static void before_the_end_what_was_swallowed_is_said_at_once(void **state)
{
        (void)state;
        capture_begin();
        for (int i = 0; i < 12; i++)
                journal_event(EVENT_MODE_CHANGED, NULL, "flip");
        capture_end();

        capture_begin();
        journal_finish();
        journal_finish();
        assert_string_equal(capture_end(),
                "systemd_journal_test: 2 more of the kind 'mode-changed' in the last 0 s were not "
                "logged\n");
}

static void what_was_swallowed_is_counted_for_ever(void **state)
{
        uint64_t before = journal_n_swallowed();

        (void)state;
        capture_begin();
        for (int i = 0; i < 1010; i++)
                journal_event(EVENT_RAM_GONE, NULL, "gone");
        journal_finish();
        capture_end();
        assert_int_equal(journal_n_swallowed() - before, 1000);
}

static unsigned lines_in_an_hour(int first, int end)
{
        unsigned n = 0;

        for (int s = 0; s < 3600; s++, clock_s++) {
                capture_begin();
                for (int i = 0; i < 10; i++)
                        for (int event = first; event < end; event++)
                                if (journal_event_info((enum journal_event)event)->limit_burst != 0)
                                        journal_event((enum journal_event)event, NULL, "again");
                journal_flush();
                n += count_lines(capture_end());
        }
        return n;
}

/* What docs/journal.md promises: a guest or a client that does all it can fills no disk. */
static void an_hour_of_flapping_is_seventy_lines_of_each_kind(void **state)
{
        unsigned n_limited = 0;

        (void)state;
        assert_int_equal(lines_in_an_hour(EVENT_STREAM_STALLED, EVENT_STREAM_STALLED + 1), 69);
        later(state);
        for (int i = 0; i < JOURNAL_N_EVENTS; i++)
                n_limited += journal_event_info((enum journal_event)i)->limit_burst != 0;
        assert_in_range(lines_in_an_hour(0, JOURNAL_N_EVENTS), 60 * n_limited, 70 * n_limited);
}

static void one_event_does_not_use_up_anothers_limit(void **state)
{
        (void)state;
        capture_begin();
        for (int i = 0; i < 50; i++)
                journal_event(EVENT_CLIENT_REFUSED, NULL, "x");
        for (int i = 0; i < 50; i++)
                journal_event(EVENT_DAEMON_STARTED, NULL, "x");
        journal_event(EVENT_EPOCH_ENDED, NULL, "x");
        assert_int_equal(count_lines(capture_end()), 10 + 50 + 1);
}

static void an_overlong_message_is_cut_and_still_one_line(void **state)
{
        static char big[5000];
        const char *text;

        (void)state;
        memset(big, 'a', sizeof(big) - 1);
        capture_begin();
        journal_log(LOG_INFO, "%s", big);
        text = capture_end();
        assert_int_equal(count_lines(text), 1);
        assert_in_range(strlen(text), 1000, 1200);
}

static void errno_survives_and_may_be_printed(void **state)
{
        (void)state;
        capture_begin();
        errno = ENOENT;
        journal_event(EVENT_RAM_GONE, NULL, "%m");
        assert_int_equal(errno, ENOENT);
        journal_flush();
        assert_int_equal(errno, ENOENT);
        assert_string_equal(
                capture_end(), "systemd_journal_test: warning: No such file or directory\n");
}

/* ---- which stream ------------------------------------------------------------------------------------------------ */

static void a_stream_that_is_not_stderr_keeps_the_lines_on_stderr(void **state)
{
        static const char *const streams[] = { "1:1", "", "x", "8:12junk", ":",
                "18446744073709551616:1" };
        char text[64];
        struct stat st;

        (void)state;
        for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
                capture_begin();
                setenv("JOURNAL_STREAM", streams[i], 1);
                journal_init();
                journal_log(LOG_INFO, "here");
                assert_string_equal(capture_end(), "systemd_journal_test: here\n");
        }

        /* The inode alone is not enough. */
        capture_begin();
        assert_int_equal(fstat(STDERR_FILENO, &st), 0);
        snprintf(text, sizeof(text), "%lu:%lu", (unsigned long)st.st_dev + 1,
                (unsigned long)st.st_ino);
        setenv("JOURNAL_STREAM", text, 1);
        journal_init();
        journal_log(LOG_INFO, "here");
        assert_string_equal(capture_end(), "systemd_journal_test: here\n");
}

/* ---- escapes ----------------------------------------------------------------------------------------------------- */

struct escape_case {
        const char *src;
        size_t len, cap;
        const char *want;
};

static const struct escape_case escapes[] = {
        { "", 0, 4, "" },
        { "explorer.exe", 12, 64, "explorer.exe" },
        { "a'b\"c\\d", 7, 64, "a\\x27b\\x22c\\x5cd" },
        { "\n\x1b[31m\0\x7f\xff", 8, 64, "\\x0a\\x1b[31m\\x00\\x7f" },
        { "\xff", 1, 5, "\\xff" },
        { "abc", 3, 4, "abc" },
        { "abcd", 4, 4, "..." },
        { "abcd", 4, 5, "abcd" },
        { "abcdef", 6, 6, "ab..." },
        { "\xff", 1, 4, "..." },
        { "ab\xff\xff", 4, 9, "ab..." },
        { "ab\xff\xff", 4, 10, "ab\\xff..." },
        { "ab\xff\xff", 4, 11, "ab\\xff\\xff" },
};

static void any_bytes_become_printable_and_fit(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
                const struct escape_case *c = &escapes[i];
                char *dst = malloc(c->cap);

                assert_ptr_equal(journal_escape(c->src, c->len, dst, c->cap), dst);
                assert_string_equal(dst, c->want);
                free(dst);
        }
}

static void every_escape_is_printable_in_every_room(void **state)
{
        unsigned char all[256];

        (void)state;
        for (int i = 0; i < 256; i++)
                all[i] = (unsigned char)(255 - i);
        for (size_t cap = 4; cap <= JOURNAL_ESCAPED(sizeof(all)); cap++) {
                char *dst = malloc(cap);

                journal_escape(all, sizeof(all), dst, cap);
                assert_true(strlen(dst) < cap);
                for (char *c = dst; *c != '\0'; c++)
                        assert_true(isprint((unsigned char)*c));
                if (cap == JOURNAL_ESCAPED(sizeof(all)))
                        assert_null(strstr(dst, "..."));
                free(dst);
        }
}

/* ---- identities -------------------------------------------------------------------------------------------------- */

static void each_event_has_a_valid_identity_of_its_own(void **state)
{
        (void)state;
        for (int i = 0; i < JOURNAL_N_EVENTS; i++) {
                const struct journal_event_info *info = journal_event_info((enum journal_event)i);

                assert_non_null(info->name);
                assert_non_null(info->message_id);
                assert_int_equal(strlen(info->message_id), 32);
                assert_int_equal(strspn(info->message_id, "0123456789abcdef"), 32);
                assert_int_equal(info->limit_burst == 0, info->limit_interval_s == 0);
                assert_in_range(info->priority, LOG_ERR, LOG_INFO);
                assert_int_equal(
                        strspn(info->name, "abcdefghijklmnopqrstuvwxyz-"), strlen(info->name));
                for (int j = 0; j < i; j++) {
                        assert_string_not_equal(info->message_id,
                                journal_event_info((enum journal_event)j)->message_id);
                        assert_string_not_equal(
                                info->name, journal_event_info((enum journal_event)j)->name);
                }
        }
}

/* Return: the number of the event whose entry the catalog's line begins, or -1. */
static int event_of_entry(const char *line)
{
        for (int i = 0; i < JOURNAL_N_EVENTS; i++) {
                if (strncmp(line + 3, journal_event_info((enum journal_event)i)->message_id, 32) ==
                        0)
                        return i;
        }
        return -1;
}

static void each_event_is_explained_in_the_catalog_once(void **state)
{
        unsigned n_entries[JOURNAL_N_EVENTS] = { 0 };
        FILE *f = fopen(CATALOG, "re");
        char line[512];

        (void)state;
        assert_non_null(f);
        while (fgets(line, sizeof(line), f) != NULL) {
                int event;

                if (strncmp(line, "-- ", 3) != 0)
                        continue;
                event = event_of_entry(line);
                assert_in_range(event, 0, JOURNAL_N_EVENTS - 1);
                n_entries[event]++;
                assert_non_null(fgets(line, sizeof(line), f));
                assert_memory_equal(line, "Subject: ", 9);
        }
        fclose(f);
        for (int i = 0; i < JOURNAL_N_EVENTS; i++)
                assert_int_equal(n_entries[i], 1);
}

/* "VGPU_PID VGPU_REASON" as the page has it: each between backticks. */
static void render_fields(const char *fields, char *text, size_t cap)
{
        char copy[256], *save;
        size_t len = 0;

        snprintf(copy, sizeof(copy), "%s", fields);
        snprintf(text, cap, "-");
        for (char *f = strtok_r(copy, " ", &save); f != NULL; f = strtok_r(NULL, " ", &save))
                len += (size_t)snprintf(text + len, cap - len, "%s`%s`", len > 0 ? " " : "", f);
}

/* A row says what the table of events says; between the two halves are words about when. */
static bool is_row(const char *line, const struct journal_event_info *info)
{
        static const char *const priorities[] = { [LOG_ERR] = "err",
                [LOG_WARNING] = "warning",
                [LOG_NOTICE] = "notice",
                [LOG_INFO] = "info" };
        char first[128], last[512], fields[256];
        size_t len = strcspn(line, "\n");

        render_fields(info->fields, fields, sizeof(fields));
        snprintf(first, sizeof(first), "| `%s` | %s | ", info->name, priorities[info->priority]);
        snprintf(last, sizeof(last), " | %s | %s | `%s` |", info->limit_burst != 0 ? "yes" : "no",
                fields, info->message_id);
        return len > strlen(first) + strlen(last) && strncmp(line, first, strlen(first)) == 0 &&
               strncmp(line + len - strlen(last), last, strlen(last)) == 0;
}

static void each_event_has_its_row_in_the_documentation(void **state)
{
        bool has_row[JOURNAL_N_EVENTS] = { false };
        FILE *f = fopen(JOURNAL_DOC, "re");
        char line[1024];

        (void)state;
        assert_non_null(f);
        while (fgets(line, sizeof(line), f) != NULL)
                for (int i = 0; i < JOURNAL_N_EVENTS; i++)
                        has_row[i] |= is_row(line, journal_event_info((enum journal_event)i));
        fclose(f);
        for (int i = 0; i < JOURNAL_N_EVENTS; i++)
                if (!has_row[i])
                        fail_msg("no row like the table's for %s",
                                journal_event_info((enum journal_event)i)->name);
}

/* Is @len bytes at @name one of the fields that @info's events carry? */
static bool carries(const struct journal_event_info *info, const char *name, size_t len)
{
        static const char *const common[] = { "VGPU_VM", "VGPU_STATE", "VGPU_EPOCH", "VGPU_EVENT" };

        for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++)
                if (strlen(common[i]) == len && memcmp(common[i], name, len) == 0)
                        return true;
        for (const char *at = info->fields; (at = strstr(at, "VGPU_")) != NULL; at++)
                if (strcspn(at, " ") == len && memcmp(at, name, len) == 0)
                        return true;
        return false;
}

static void the_catalog_names_no_field_that_an_event_lacks(void **state)
{
        FILE *f = fopen(CATALOG, "re");
        char line[512];
        int event = -1;

        (void)state;
        assert_non_null(f);
        while (fgets(line, sizeof(line), f) != NULL) {
                if (strncmp(line, "-- ", 3) == 0)
                        event = event_of_entry(line);
                for (const char *at = line; (at = strstr(at, "@VGPU_")) != NULL; at++) {
                        size_t len = strspn(at + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");

                        assert_int_equal(at[1 + len], '@');
                        if (!carries(journal_event_info((enum journal_event)event), at + 1, len))
                                fail_msg("no such field: %s", line);
                }
        }
        fclose(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(without_a_journal_an_event_is_one_line, later),
                cmocka_unit_test_setup(what_is_below_the_level_is_not_said, later),
                cmocka_unit_test_setup(a_repeated_event_is_limited_and_says_how_often, later),
                cmocka_unit_test_setup(
                        events_swallowed_without_a_successor_are_reported_by_a_flush, later),
                cmocka_unit_test_setup(before_the_end_what_was_swallowed_is_said_at_once, later),
                cmocka_unit_test_setup(what_was_swallowed_is_counted_for_ever, later),
                cmocka_unit_test_setup(an_hour_of_flapping_is_seventy_lines_of_each_kind, later),
                cmocka_unit_test_setup(one_event_does_not_use_up_anothers_limit, later),
                cmocka_unit_test_setup(an_overlong_message_is_cut_and_still_one_line, later),
                cmocka_unit_test_setup(errno_survives_and_may_be_printed, later),
                cmocka_unit_test_setup(
                        a_stream_that_is_not_stderr_keeps_the_lines_on_stderr, later),
                cmocka_unit_test(any_bytes_become_printable_and_fit),
                cmocka_unit_test(every_escape_is_printable_in_every_room),
                cmocka_unit_test(each_event_has_a_valid_identity_of_its_own),
                cmocka_unit_test(each_event_is_explained_in_the_catalog_once),
                cmocka_unit_test(the_catalog_names_no_field_that_an_event_lacks),
                cmocka_unit_test(each_event_has_its_row_in_the_documentation),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
