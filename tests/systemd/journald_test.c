/*
 * journald_test.c - what the journal gets, read from a journal socket of our own
 *
 * The daemon's own lines are in story_test.c; these are of every kind of field there is.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "full_queue.h"
#include "own_journal.h"
#include "systemd/journal.h"

static int journal = -1;

/* stderr becomes a file that $JOURNAL_STREAM names, as systemd does it with a socket. */
static int connect_stderr(void)
{
        int fd = memfd_create("stderr", MFD_CLOEXEC);
        char stream[64];
        struct stat st;

        if (fd < 0 || dup2(fd, STDERR_FILENO) < 0 || fstat(STDERR_FILENO, &st) < 0)
                return -errno;
        close(fd);
        snprintf(stream, sizeof(stream), "%lu:%lu", (unsigned long)st.st_dev,
                (unsigned long)st.st_ino);
        return setenv("JOURNAL_STREAM", stream, 1) == 0 ? 0 : -errno;
}

/* The next entry in the journal's own form: FIELD=value lines, or FIELD, length and bytes. */
static const char *next_entry(void)
{
        static char text[8192];
        ssize_t n = recv(journal, text + 1, sizeof(text) - 2, 0);

        if (n < 0)
                return NULL;
        text[0] = '\n';
        text[n + 1] = '\0';
        return text;
}

static void assert_has(const char *entry, const char *line)
{
        char want[256];

        snprintf(want, sizeof(want), "\n%s\n", line);
        if (entry == NULL || strstr(entry, want) == NULL)
                fail_msg("no line \"%s\" in: %s", line, entry != NULL ? entry : "(nothing)");
}

static void an_event_arrives_with_identity_priority_and_fields(void **state)
{
        char id[64];
        const char *entry;
        struct stat st;

        (void)state;
        journal_set_vm("win\n11");
        journal_set_place("streaming", 7);
        journal_event(EVENT_PRODUCER_FOUND,
                JOURNAL_FIELDS(JOURNAL_U64("VGPU_PID", 4711),
                        JOURNAL_HEX("VGPU_PROC_CR3", 0x1ae000),
                        JOURNAL_TEXT("VGPU_PRODUCER", "capture.exe")),
                "Producer '%s' found", "capture.exe");
        entry = next_entry();
        snprintf(id, sizeof(id), "MESSAGE_ID=%s",
                journal_event_info(EVENT_PRODUCER_FOUND)->message_id);
        assert_has(entry, "MESSAGE=Producer 'capture.exe' found");
        assert_has(entry, "PRIORITY=5");
        assert_has(entry, "SYSLOG_IDENTIFIER=systemd_journald_test");
        assert_has(entry, id);
        assert_has(entry, "VGPU_EVENT=producer-found");
        assert_has(entry, "VGPU_VM=win\\x0a11");
        assert_has(entry, "VGPU_STATE=streaming");
        assert_has(entry, "VGPU_EPOCH=7");
        assert_has(entry, "VGPU_PID=4711");
        assert_has(entry, "VGPU_PROC_CR3=0x1ae000");
        assert_has(entry, "VGPU_PRODUCER=capture.exe");
        assert_null(strstr(entry, "CODE_FILE"));
        assert_null(next_entry());
        assert_int_equal(fstat(STDERR_FILENO, &st), 0);
        assert_int_equal(st.st_size, 0);
}

static void a_plain_line_has_no_identity(void **state)
{
        const char *entry;

        (void)state;
        journal_log(LOG_INFO, "hello");
        entry = next_entry();
        assert_has(entry, "MESSAGE=hello");
        assert_has(entry, "PRIORITY=6");
        assert_null(strstr(entry, "MESSAGE_ID"));
}

static void a_newline_in_a_message_forges_no_field(void **state)
{
        const char *entry;

        (void)state;
        journal_log(LOG_INFO, "two\nPRIORITY=0");
        entry = next_entry();
        assert_non_null(entry);
        /* The binary form: the field's name alone in its line, then a length, so what follows is no field. */
        assert_memory_equal(entry, "\nMESSAGE\n", 9);
        assert_int_equal((unsigned char)entry[9], strlen("two\nPRIORITY=0"));
}

static void as_many_fields_as_promised_arrive(void **state)
{
        struct journal_field fields[JOURNAL_FIELDS_MAX + 1] = { { 0 } };
        char names[JOURNAL_FIELDS_MAX][24];
        const char *entry;

        (void)state;
        for (int i = 0; i < JOURNAL_FIELDS_MAX; i++) {
                snprintf(names[i], sizeof(names[i]), "VGPU_F%d", i);
                fields[i] = (struct journal_field)JOURNAL_U64(names[i], (uint64_t)i);
        }
        journal_event(EVENT_GUEST_ATTACHED, fields, "all");
        entry = next_entry();
        assert_has(entry, "VGPU_F0=0");
        assert_has(entry, "VGPU_F15=15");
}

static void the_number_of_swallowed_events_is_a_field(void **state)
{
        (void)state;
        journal_flush();
        for (int i = 0; i < 30; i++)
                journal_event(EVENT_STREAM_STALLED, NULL, "again");
        for (int i = 0; i < 10; i++)
                assert_has(next_entry(), "MESSAGE=again");
        assert_null(next_entry());
}

static void a_journal_that_takes_nothing_in_is_not_waited_for(void **state)
{
        struct stat before, after;
        const char *entry;
        unsigned n;

        (void)state;
        journal_flush();
        while (next_entry())
                ;
        assert_int_equal(fstat(STDERR_FILENO, &before), 0);
        n = fill_queue(journal);
        journal_log(LOG_INFO, "lost");
        journal_event(EVENT_GUEST_ATTACHED, NULL, "lost as well");
        journal_flush();
        while (n-- > 0)
                assert_non_null(next_entry());
        assert_null(next_entry());
        journal_log(LOG_INFO, "heard");
        entry = next_entry();
        assert_has(entry, "MESSAGE=2 lines are lost: the journal took nothing in");
        assert_has(entry, "PRIORITY=4");
        assert_has(next_entry(), "MESSAGE=heard");
        assert_null(next_entry());
        assert_int_equal(fstat(STDERR_FILENO, &after), 0);
        assert_int_equal(after.st_size, before.st_size);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_event_arrives_with_identity_priority_and_fields),
                cmocka_unit_test(a_plain_line_has_no_identity),
                cmocka_unit_test(a_newline_in_a_message_forges_no_field),
                cmocka_unit_test(as_many_fields_as_promised_arrive),
                cmocka_unit_test(the_number_of_swallowed_events_is_a_field),
                cmocka_unit_test(a_journal_that_takes_nothing_in_is_not_waited_for),
        };
        int r = own_journal_open(&journal);

        if (r == -EPERM) {
                printf("skipped: no mount namespace with a /run of our own\n");
                return 77;
        }
        if (r == 0)
                r = connect_stderr();
        if (r < 0) {
                printf("cannot stand in for the journal: %s\n", strerror(-r));
                return 1;
        }
        journal_init();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
