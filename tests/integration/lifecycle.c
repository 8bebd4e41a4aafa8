/* lifecycle.c - see lifecycle.h */
#include "lifecycle.h"

#include <stdlib.h>
#include <string.h>

#include "rig.h"

/* Whatever came before, this test begins with a frame of the producer that runs now. */
static struct rig *streaming(void **state)
{
        struct rig *rig = *state;

        rig_until(rig, rig_state_is, VGPU_RING_STREAMING, "the stream");
        rig_until_frame(rig);
        return rig;
}

static void the_first_frames_are_of_the_first_epoch(void **state)
{
        struct rig *rig = *state;

        rig_until_frame(rig);
        assert_int_equal(rig->verify.frame.epoch, 1);
        assert_int_equal(rig->verify.frame.producer_pid, rig->guest.facts.pid);
}

static void a_producer_restart_is_picked_up_by_the_same_connection(void **state)
{
        struct rig *rig = streaming(state);
        unsigned reconnects = rig->reconnects;
        uint32_t old = rig->guest.facts.pid;
        uint64_t epoch = rig->now.stream.epoch;

        rig_tell(rig, "restart-producer");
        assert_int_not_equal(rig->guest.facts.pid, old);
        rig_until(rig, rig_pid_is, rig->guest.facts.pid, "a frame of the new producer");
        assert_int_equal(rig->verify.frame.epoch, epoch);
        assert_int_equal(rig->reconnects, reconnects);
}

static void a_pause_shows_as_stalled_and_ends_well(void **state)
{
        struct rig *rig = streaming(state);
        uint64_t epoch = rig->now.stream.epoch;

        rig_pause(rig);
        rig_until(rig, rig_state_is, VGPU_RING_STALLED, "stalled");
        rig_resume(rig);
        rig_until(rig, rig_state_is, VGPU_RING_STREAMING, "streaming again");
        rig_until_frame(rig);
        assert_int_equal(rig->verify.frame.epoch, epoch);
}

static void a_new_run_is_reported_in_the_same_epoch(void **state)
{
        struct rig *rig = streaming(state);
        uint64_t epoch = rig->now.stream.epoch;
        uint32_t run = rig->now.stream.run_epoch;
        uint32_t pid = rig->verify.frame.producer_pid;

        rig_tell(rig, "run-epoch");
        rig_until(rig, rig_run_is, run + 1, "a frame of the next run");
        assert_int_equal(rig->verify.frame.epoch, epoch);
        assert_int_equal(rig->verify.frame.producer_pid, pid);
}

static void a_hanging_producer_shows_as_stalled_and_ends_well(void **state)
{
        struct rig *rig = streaming(state);

        rig_tell(rig, "stop-heartbeat");
        rig_until(rig, rig_state_is, VGPU_RING_STALLED, "stalled");
        rig_tell(rig, "start-heartbeat");
        rig_until(rig, rig_state_is, VGPU_RING_STREAMING, "streaming again");
        rig_until_frame(rig);
}

/* Whoever asks is told what is so now, not what was so when frames stopped. */
static void a_stall_is_explained_anew_when_its_cause_changes(void **state)
{
        struct rig *rig = streaming(state);

        rig_tell(rig, "stop-heartbeat");
        rig_until_status(rig, "\"stalled\"", "it hangs");
        rig_pause(rig);
        rig_until_status(rig, "\"stalled\"", "the machine is paused");
        rig_resume(rig);
        rig_tell(rig, "start-heartbeat");
        rig_until(rig, rig_state_is, VGPU_RING_STREAMING, "streaming again");
        rig_until_frame(rig);
}

static void a_killed_producer_is_searched_for_until_it_is_back(void **state)
{
        struct rig *rig = streaming(state);

        rig_tell(rig, "kill");
        rig_until(rig, rig_state_is, VGPU_RING_SEARCHING, "searching");
        rig_tell(rig, "restart-producer");
        rig_until(rig, rig_pid_is, rig->guest.facts.pid, "a frame of the new producer");
}

static void a_reboot_leads_to_the_next_epoch(void **state)
{
        struct rig *rig = streaming(state);
        uint64_t epoch = rig->now.stream.epoch;
        unsigned reconnects = rig->reconnects;

        rig_reboot(rig);
        rig_until(rig, rig_epoch_is, epoch + 1, "a frame of the next epoch");
        assert_int_equal(rig->verify.frame.producer_pid, rig->guest.facts.pid);
        assert_int_equal(rig->reconnects, reconnects);
}

/* What is mapped still says "streaming" when its daemon was killed, so the state alone tells nothing. */
static bool streams_again(const struct rig *rig, uint64_t reconnects)
{
        return rig->reconnects == reconnects && rig_state_is(rig, VGPU_RING_STREAMING);
}

static void a_restarted_daemon_is_found_by_a_running_client(void **state)
{
        struct rig *rig = streaming(state);
        unsigned reconnects = rig->reconnects;

        daemon_proc_kill(&rig->daemon);
        assert_int_equal(daemon_proc_restart(&rig->daemon), 0);
        rig_until(rig, streams_again, reconnects + 1, "streaming from the new daemon");
        rig_until_frame(rig);
        assert_int_equal(rig->reconnects, reconnects + 1);
}

static uint64_t times_said(const struct rig *rig, const char *words)
{
        char *said = daemon_proc_said(&rig->daemon);
        uint64_t n = 0;

        for (const char *at = said; (at = strstr(at, words)); at++)
                n++;
        free(said);
        return n;
}

static bool has_been_silent(const struct rig *rig, uint64_t times)
{
        return times_said(rig, "still-silent: searching -> searching") >= times;
}

/* The daemon looks for it again, but nobody is told of a state each time. */
static void a_silent_region_is_waited_for_once(struct rig *rig, const char *why)
{
        uint64_t confirming;

        daemon_proc_kill(&rig->daemon);
        assert_int_equal(daemon_proc_restart(&rig->daemon), 0);
        rig_until_status(rig, "\"searching\"", why);
        confirming = times_said(rig, "-> confirming");
        rig_until(rig, has_been_silent, times_said(rig, "still-silent: searching -> searching") + 4,
                "more silence");
        assert_int_equal(times_said(rig, "-> confirming"), confirming);
}

static void a_daemon_that_finds_a_hanging_producer_waits_for_its_heartbeat(void **state)
{
        struct rig *rig = streaming(state);

        rig_tell(rig, "stop-heartbeat");
        a_silent_region_is_waited_for_once(rig, "hangs or is dead");
        rig_tell(rig, "start-heartbeat");
        rig_until(rig, rig_state_is, VGPU_RING_STREAMING, "streaming");
        rig_until_frame(rig);
}

static void a_daemon_that_finds_a_paused_machine_waits_for_its_clock(void **state)
{
        struct rig *rig = streaming(state);

        rig_pause(rig);
        a_silent_region_is_waited_for_once(rig, "the machine is paused");
        rig_resume(rig);
        rig_until(rig, rig_state_is, VGPU_RING_STREAMING, "streaming");
        rig_until_frame(rig);
}

static void nothing_was_torn_or_foreign_in_all_this(void **state)
{
        struct rig *rig = *state;

        assert_int_equal(rig->verify.tally.torn, 0);
        assert_int_equal(rig->verify.tally.foreign, 0);
        print_message("%llu frames, %llu bytes checked\n",
                (unsigned long long)rig->verify.tally.frames,
                (unsigned long long)rig->verify.tally.bytes_checked);
}

int lifecycle_run(CMFixtureFunction set_up, CMFixtureFunction tear_down)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_first_frames_are_of_the_first_epoch),
                cmocka_unit_test(a_producer_restart_is_picked_up_by_the_same_connection),
                cmocka_unit_test(a_pause_shows_as_stalled_and_ends_well),
                cmocka_unit_test(a_new_run_is_reported_in_the_same_epoch),
                cmocka_unit_test(a_hanging_producer_shows_as_stalled_and_ends_well),
                cmocka_unit_test(a_stall_is_explained_anew_when_its_cause_changes),
                cmocka_unit_test(a_killed_producer_is_searched_for_until_it_is_back),
                cmocka_unit_test(a_reboot_leads_to_the_next_epoch),
                cmocka_unit_test(a_restarted_daemon_is_found_by_a_running_client),
                cmocka_unit_test(a_producer_restart_is_picked_up_by_the_same_connection),
                cmocka_unit_test(a_daemon_that_finds_a_hanging_producer_waits_for_its_heartbeat),
                cmocka_unit_test(a_daemon_that_finds_a_paused_machine_waits_for_its_clock),
                cmocka_unit_test(nothing_was_torn_or_foreign_in_all_this),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
