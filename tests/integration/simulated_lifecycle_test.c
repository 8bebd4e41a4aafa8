/*
 * simulated_lifecycle_test.c - the life of a guest, end to end, with the simulated guest
 *
 * Words on the command line go to the guest: what must work with a plain one must work with one that makes it hard.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "lifecycle.h"
#include "rig.h"

#define MAX_WORDS 30

static struct rig rig;
static const char *const plain[] = { "--scatter", NULL };
static const char *const *words = plain;

static int set_up(void **state)
{
        const char *args[MAX_WORDS + 3] = { "--mode", "1280x720@30" };
        size_t n = 2;

        for (size_t i = 0; words[i] && i < MAX_WORDS; i++)
                args[n++] = words[i];
        rig = RIG_NONE;
        rig_start_simulated(&rig, args);
        *state = &rig;
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        rig_stop(&rig);
        return 0;
}

static void the_first_frames_are_of_the_first_epoch(void **state)
{
        (void)state;
        rig_until_frame(&rig);
        assert_int_equal(rig.verify.frame.epoch, 1);
        assert_int_equal(rig.verify.frame.producer_pid, rig.guest.facts.pid);
}

static void nothing_was_torn_or_foreign_in_all_this(void **state)
{
        (void)state;
        assert_int_equal(rig.verify.tally.torn, 0);
        assert_int_equal(rig.verify.tally.foreign, 0);
        print_message("%llu frames, %llu bytes checked\n",
                (unsigned long long)rig.verify.tally.frames,
                (unsigned long long)rig.verify.tally.bytes_checked);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_first_frames_are_of_the_first_epoch),
                cmocka_unit_test(a_producer_restart_is_picked_up_by_the_same_connection),
                cmocka_unit_test(a_pause_shows_as_stalled_and_ends_well),
                cmocka_unit_test(a_new_run_is_reported_in_the_same_epoch),
                cmocka_unit_test(a_hanging_producer_shows_as_stalled_and_ends_well),
                cmocka_unit_test(a_killed_producer_is_searched_for_until_it_is_back),
                cmocka_unit_test(a_reboot_leads_to_the_next_epoch),
                cmocka_unit_test(a_restarted_daemon_is_found_by_a_running_client),
                cmocka_unit_test(a_producer_restart_is_picked_up_by_the_same_connection),
                cmocka_unit_test(nothing_was_torn_or_foreign_in_all_this),
        };

        if (argc > 1)
                words = (const char *const *)argv + 1;
        return cmocka_run_group_tests(tests, set_up, tear_down);
}
