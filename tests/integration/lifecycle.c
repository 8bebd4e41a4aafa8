/* lifecycle.c - see lifecycle.h. `state` is a struct rig ** that streams. */
#include "lifecycle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rig.h"

/* Whatever came before, this test begins with a frame of the producer that runs now. */
static struct rig *streaming(void **state)
{
        struct rig *rig = *state;

        rig_until(rig, rig_state_is, VGPU_RING_STREAMING, "the stream");
        rig_until_frame(rig);
        return rig;
}

void a_producer_restart_is_picked_up_by_the_same_connection(void **state)
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

void a_pause_shows_as_stalled_and_ends_well(void **state)
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

void a_new_run_is_reported_in_the_same_epoch(void **state)
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

void a_hanging_producer_shows_as_stalled_and_ends_well(void **state)
{
        struct rig *rig = streaming(state);

        rig_tell(rig, "stop-heartbeat");
        rig_until(rig, rig_state_is, VGPU_RING_STALLED, "stalled");
        rig_tell(rig, "start-heartbeat");
        rig_until(rig, rig_state_is, VGPU_RING_STREAMING, "streaming again");
        rig_until_frame(rig);
}

void a_killed_producer_is_searched_for_until_it_is_back(void **state)
{
        struct rig *rig = streaming(state);

        rig_tell(rig, "kill");
        rig_until(rig, rig_state_is, VGPU_RING_SEARCHING, "searching");
        rig_tell(rig, "restart-producer");
        rig_until(rig, rig_pid_is, rig->guest.facts.pid, "a frame of the new producer");
}

void a_reboot_leads_to_the_next_epoch(void **state)
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

void a_restarted_daemon_is_found_by_a_running_client(void **state)
{
        struct rig *rig = streaming(state);
        unsigned reconnects = rig->reconnects;

        daemon_proc_kill(&rig->daemon);
        assert_int_equal(daemon_proc_restart(&rig->daemon), 0);
        rig_until(rig, streams_again, reconnects + 1, "streaming from the new daemon");
        rig_until_frame(rig);
        assert_int_equal(rig->reconnects, reconnects + 1);
}
