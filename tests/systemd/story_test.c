/*
 * story_test.c - the life of a guest as the journal has it
 *
 * The daemon at work, from its start to its stop, with all that happens to a guest in between; what it said is compared with
 * story.expected line by line. Who changes a message reads that file as somebody does who was woken at three in the morning.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "own_journal.h"
#include "rig.h"
#include "story.h"
#include "systemd/events.h"

static struct rig rig;
static char ram[64];

static void boot(void)
{
        const char *const args[] = { "--ram", ram, "--ram-size", "256M", "--mode", "640x480@30",
                "--scatter", NULL };

        assert_int_equal(guest_proc_spawn(&rig.guest, args), 0);
}

static void switch_off(void)
{
        guest_proc_stop(&rig.guest);
        rig.guest = (struct guest_proc)GUEST_PROC_NULL;
        unlink(ram);
}

static void until_streaming(void)
{
        rig_until(&rig, rig_state_is, VGPU_RING_STREAMING, "the stream");
        rig_until_frame(&rig);
}

static size_t told(const char *event, size_t from)
{
        long at = story_until(event, from);

        if (at < 0)
                fail_msg("the journal was not told of %s", event);
        return (size_t)at + 1;
}

/* Everything that happens, each thing when the one before has been told. */
static void live(void)
{
        size_t at;

        assert_int_equal(daemon_proc_start(&rig.daemon, ram, "q35", 0, NULL), 0);
        at = told("ram-gone", 0);
        boot();
        rig_client(&rig);
        until_streaming();
        at = told("mode-changed", at);

        rig_tell(&rig, "restart-producer");
        at = told("producer-found", at);
        until_streaming();

        rig_pause(&rig);
        at = told("machine-paused", at);
        rig_resume(&rig);
        at = told("stream-resumed", at);
        until_streaming();

        rig_tell(&rig, "stop-heartbeat");
        at = told("stream-stalled", at);
        rig_tell(&rig, "start-heartbeat");
        at = told("stream-resumed", at);
        until_streaming();

        rig_reboot(&rig);
        at = told("producer-found", at);
        until_streaming();

        switch_off();
        at = told("ram-gone", at);
        boot();
        at = told("producer-found", at);
        until_streaming();

        rig_stop(&rig);
        told("daemon-stopping", at);
}

/* ---- what was told ------------------------------------------------------------------------------------------------- */

static void print_story(void)
{
        char line[1200];

        for (size_t i = 0; i < story_n(); i++) {
                story_line(story_at(i), line, sizeof(line));
                fprintf(stderr, "%s\n", line);
        }
}

static void the_journal_tells_the_story_as_expected(void **state)
{
        FILE *f = fopen(EXPECTED, "re");
        char want[1200], line[1200];
        size_t i = 0;

        (void)state;
        assert_non_null(f);
        while (fgets(want, sizeof(want), f) != NULL) {
                want[strcspn(want, "\n")] = '\0';
                if (want[0] == '#')
                        continue;
                line[0] = '\0';
                if (i < story_n())
                        story_line(story_at(i), line, sizeof(line));
                if (strcmp(line, want) != 0) {
                        print_story();
                        fail_msg("line %zu is\n%s\nand not\n%s", i + 1, line, want);
                }
                i++;
        }
        fclose(f);
        if (story_n() != i) {
                print_story();
                fail_msg("%zu lines more", story_n() - i);
        }
}

static const struct journal_event_info *info_of(const struct story_entry *entry)
{
        const char *id = story_field(entry, "MESSAGE_ID");

        for (int i = 0; id != NULL && i < JOURNAL_N_EVENTS; i++)
                if (strcmp(journal_event_info((enum journal_event)i)->message_id, id) == 0)
                        return journal_event_info((enum journal_event)i);
        return NULL;
}

static void each_entry_has_the_fields_of_its_row_and_those_of_all(void **state)
{
        static const char *const common[] = { "VGPU_VM", "VGPU_STATE", "VGPU_EPOCH", "VGPU_EVENT" };

        (void)state;
        for (size_t i = 0; i < story_n(); i++) {
                const struct story_entry *entry = story_at(i);
                const struct journal_event_info *info = info_of(entry);
                char *fields, *save;

                assert_non_null(info);
                assert_string_equal(story_field(entry, "VGPU_EVENT"), info->name);
                assert_int_equal(atoi(story_field(entry, "PRIORITY")), info->priority);
                for (size_t k = 0; k < sizeof(common) / sizeof(common[0]); k++)
                        assert_non_null(story_field(entry, common[k]));
                assert_string_equal(story_field(entry, "VGPU_VM"), "daemon");
                fields = strdup(info->fields);
                for (char *f = strtok_r(fields, " ", &save); f != NULL;
                        f = strtok_r(NULL, " ", &save)) {
                        if (story_field(entry, f) == NULL)
                                fail_msg("%s has no %s", info->name, f);
                }
                free(fields);
        }
}

static void an_outage_that_is_over_says_how_long_it_was(void **state)
{
        unsigned n = 0;

        (void)state;
        for (size_t i = 0; i < story_n(); i++) {
                const char *ms = story_field(story_at(i), "VGPU_OUTAGE_MS");

                if (ms == NULL)
                        continue;
                n++;
                assert_true(strtoull(ms, NULL, 10) < 120000);
                assert_int_equal(n > 1,
                        strstr(story_field(story_at(i), "MESSAGE"), " without frames") != NULL);
        }
        assert_int_equal(n, 6);
}

static int set_up(void **state)
{
        int fd, r = own_journal_open(&fd);

        (void)state;
        if (r == -EPERM) {
                printf("skipped: no mount namespace with a /run of our own\n");
                exit(77);
        }
        assert_int_equal(r, 0);
        story_begin(fd);
        setenv("VGPU_SERVICE", VGPUD, 0);
        setenv("VGPU_DAEMON", AS_SERVICE, 1);
        snprintf(ram, sizeof(ram), "/dev/shm/vgpud-story-%d.ram", (int)getpid());
        rig = RIG_NONE;
        live();
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        unlink(ram);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_journal_tells_the_story_as_expected),
                cmocka_unit_test(each_entry_has_the_fields_of_its_row_and_those_of_all),
                cmocka_unit_test(an_outage_that_is_over_says_how_long_it_was),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
