/* control_test.c - what clients ask for, all the way into a guest and back; and what outlives what */
#include "seam_rig.h"

#include <signal.h>
#include <sys/wait.h>

#include "vgpu_protocol.h"

/* ---- intents ------------------------------------------------------------------------------------------------------- */

static void nothing_is_written_while_nobody_asks(void **state)
{
        (void)state;
        seam_begin();
        rig_until_status(&seam.rig, "\"requested\":null", "\"writes\":0");
        assert_int_equal(seam_status().ctrl_gen, 0);
}

static void intents_of_two_clients_are_merged_written_and_applied(void **state)
{
        struct vgpu_ring_status status;

        (void)state;
        seam_begin();
        seam_ask(seam.rig.verify.client, VGPU_INTENT_STATE | VGPU_INTENT_FPS | VGPU_INTENT_CURSOR,
                VGPU_CMD_RUN, 20, 1);
        seam_ask(seam.other, VGPU_INTENT_STATE | VGPU_INTENT_FPS | VGPU_INTENT_CURSOR,
                VGPU_CMD_PAUSE, 25, 0);
        seam_until_applied("two intents in force");
        rig_until(&seam.rig, seam_fps_is, 25, "the larger rate");
        status = seam_status();
        assert_int_equal(status.status, VGPU_ST_RUNNING);
        assert_int_equal(status.ctrl_gen % 2, 0);
        assert_int_equal(status.ctrl_ack, status.ctrl_gen);
        rig_until_frame(&seam.rig);
        rig_until(&seam.rig, seam_cursor_is_drawn, false, "a frame without a cursor");

        seam_ask(seam.other, VGPU_INTENT_STATE | VGPU_INTENT_FPS | VGPU_INTENT_CURSOR,
                VGPU_CMD_PAUSE, 25, 1);
        seam_until_applied("the cursor both want");
        rig_until(&seam.rig, seam_cursor_is_drawn, true, "a frame with a cursor");
}

/* By the guest's own clock, which no host slows down: ten frames are at least nine periods apart. */
static void the_producer_draws_at_the_rate_that_was_asked_for(void **state)
{
        uint64_t first_ns, first_id;

        (void)state;
        seam_begin();
        seam_ask(seam.rig.verify.client, VGPU_INTENT_FPS, 0, 20, 0);
        rig_until(&seam.rig, seam_first_is, VGPU_CLIENT_INTENT_APPLIED, "20 frames a second");
        rig_until_frame(&seam.rig);
        rig_until_frame(&seam.rig);
        first_ns = seam.rig.verify.frame.timestamp_ns;
        first_id = seam.rig.verify.frame.frame_id;
        while (seam.rig.verify.frame.frame_id < first_id + 10)
                rig_until_frame(&seam.rig);
        assert_true((seam.rig.verify.frame.timestamp_ns - first_ns) /
                            (seam.rig.verify.frame.frame_id - first_id) >=
                    UINT64_C(9) * 50000000 / 10);
}

static void a_paused_producer_gives_one_whole_frame_to_who_asks(void **state)
{
        uint32_t ack;
        uint64_t n;

        (void)state;
        seam_begin();
        seam_ask(seam.rig.verify.client, VGPU_INTENT_STATE, VGPU_CMD_PAUSE, 0, 0);
        rig_until(&seam.rig, seam_first_is, VGPU_CLIENT_INTENT_APPLIED, "a pause in force");
        rig_until(&seam.rig, seam_producer_is, VGPU_ST_PAUSED, "a paused producer");
        ack = seam_status().full_frame_ack;
        n = seam_frames_drawn();

        seam_ask(seam.other, VGPU_INTENT_FRAME, 0, 0, 0);
        seam_until_applied("a frame for the asking");
        assert_int_equal(seam_status().full_frame_ack, ack + 1);
        assert_int_equal(seam_frames_drawn(), n + 1);
        rig_until(&seam.rig, rig_state_is, VGPU_RING_STREAMING, "a stream that rests");

        seam_ask(seam.other, VGPU_INTENT_FRAME, 0, 0, 0);
        rig_until(&seam.rig, seam_frame_is_honoured, ack + 2, "another one");
        assert_int_equal(seam_frames_drawn(), n + 2);
}

static void what_nobody_asks_for_any_more_is_withdrawn(void **state)
{
        (void)state;
        seam_begin();
        seam_ask(
                seam.rig.verify.client, VGPU_INTENT_STATE | VGPU_INTENT_FPS, VGPU_CMD_PAUSE, 10, 0);
        rig_until(&seam.rig, seam_producer_is, VGPU_ST_PAUSED, "a paused producer");
        seam_ask_nothing();
        rig_until(&seam.rig, seam_producer_is, VGPU_ST_RUNNING, "a producer that runs again");
        rig_until(&seam.rig, seam_fps_is, SEAM_MODE_FPS, "its own rate");
        rig_until_frame(&seam.rig);
}

static void a_client_that_leaves_takes_its_intent_along(void **state)
{
        struct vgpu_client *guest;

        (void)state;
        seam_begin();
        assert_int_equal(vgpu_client_connect(seam.rig.daemon.socket, NULL, &guest, NULL), 0);
        seam_ask(guest, VGPU_INTENT_FPS, 0, 100, 0);
        seam_ask(seam.rig.verify.client, VGPU_INTENT_FPS, 0, 30, 0);
        rig_until(&seam.rig, seam_fps_is, 100, "the larger rate");
        vgpu_client_close(guest);
        rig_until(&seam.rig, seam_fps_is, 30, "the rate of who is left");
}

/* ---- lifetimes ----------------------------------------------------------------------------------------------------- */

static void a_new_producer_is_asked_again(void **state)
{
        uint32_t ack;

        (void)state;
        seam_begin();
        seam_ask(seam.rig.verify.client, VGPU_INTENT_FPS | VGPU_INTENT_FRAME, 0, 30, 0);
        rig_until(&seam.rig, seam_first_is, VGPU_CLIENT_INTENT_APPLIED, "30 frames a second");
        rig_tell(&seam.rig, "restart-producer");
        rig_until(&seam.rig, rig_pid_is, seam.rig.guest.facts.pid, "a frame of the new producer");
        rig_until(&seam.rig, seam_fps_is, 30, "the same rate");
        rig_until(
                &seam.rig, seam_first_is, VGPU_CLIENT_INTENT_APPLIED, "the intent in force again");

        /* Its own count of whole frames goes on, not that of the one before. */
        ack = seam_status().full_frame_ack;
        seam_ask(seam.rig.verify.client, VGPU_INTENT_FPS | VGPU_INTENT_FRAME, 0, 30, 0);
        rig_until(&seam.rig, seam_frame_is_honoured, ack + 1, "a whole frame of the new producer");
}

static void a_guest_that_rebooted_is_asked_again(void **state)
{
        uint64_t epoch;

        (void)state;
        seam_begin();
        seam_ask(seam.rig.verify.client, VGPU_INTENT_FPS, 0, 30, 0);
        rig_until(&seam.rig, seam_first_is, VGPU_CLIENT_INTENT_APPLIED, "30 frames a second");
        epoch = seam.rig.now.stream.epoch;
        rig_reboot(&seam.rig);
        rig_until(&seam.rig, rig_epoch_is, epoch + 1, "a frame of the next epoch");
        rig_until(&seam.rig, seam_fps_is, 30, "the same rate");
        rig_until(
                &seam.rig, seam_first_is, VGPU_CLIENT_INTENT_APPLIED, "the intent in force again");
}

static void a_daemon_that_was_killed_takes_it_up_again(void **state)
{
        (void)state;
        seam_begin();
        seam_ask(seam.rig.verify.client, VGPU_INTENT_STATE, VGPU_CMD_PAUSE, 0, 0);
        rig_until(&seam.rig, seam_producer_is, VGPU_ST_PAUSED, "a paused producer");
        daemon_proc_kill(&seam.rig.daemon);
        seam_end_writer(0); /* it has nobody to write for, and says so */
        assert_int_equal(daemon_proc_restart(&seam.rig.daemon), 0);
        rig_until(&seam.rig, rig_state_is, VGPU_RING_STREAMING, "the next daemon");
        rig_until(&seam.rig, seam_first_waits_for_a_writer, 0, "an intent that waits for a writer");
        seam_start_writer(false);
        rig_until(&seam.rig, seam_first_is, VGPU_CLIENT_INTENT_APPLIED, "the pause in force");
        assert_int_equal(seam_status().status, VGPU_ST_PAUSED);
}

static void what_a_daemon_before_this_one_asked_for_is_withdrawn(void **state)
{
        (void)state;
        seam_begin();
        seam_ask(seam.rig.verify.client, VGPU_INTENT_STATE, VGPU_CMD_PAUSE, 0, 0);
        rig_until(&seam.rig, seam_producer_is, VGPU_ST_PAUSED, "a paused producer");
        daemon_proc_kill(&seam.rig.daemon);
        seam_end_writer(0);
        seam_ask_nothing();
        assert_int_equal(daemon_proc_restart(&seam.rig.daemon), 0);
        rig_until_status(&seam.rig, "\"requested\":null", "\"state\":\"waiting\"");
        seam_start_writer(false);
        rig_until(&seam.rig, seam_producer_is, VGPU_ST_RUNNING, "a producer that runs again");
}

/* ---- writers that die ---------------------------------------------------------------------------------------------- */

static void a_writer_that_was_killed_is_waited_for(void **state)
{
        (void)state;
        seam_begin();
        seam_end_writer(SIGKILL);
        seam_ask(seam.rig.verify.client, VGPU_INTENT_FPS, 0, 15, 0);
        rig_until(&seam.rig, seam_first_waits_for_a_writer, 0, "an intent that waits for a writer");
        seam_start_writer(false);
        rig_until(&seam.rig, seam_first_is, VGPU_CLIENT_INTENT_APPLIED, "the intent in force");
        assert_int_equal(seam_status().applied_fps, 15);
}

/* The block is left odd; the producer must not take it up, and the next writer must find its way. */
static void a_writer_that_dies_while_it_writes_is_taken_over(void **state)
{
        int status;

        (void)state;
        seam_begin();
        seam_end_writer(SIGKILL);
        seam_start_writer(true);
        seam_ask(seam.rig.verify.client, VGPU_INTENT_FPS, 0, 15, 0);
        status = seam_end_writer(0);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        rig_until(&seam.rig, seam_first_waits_for_a_writer, 0, "an intent that waits for a writer");
        assert_int_equal(seam_status().applied_fps, SEAM_MODE_FPS);
        seam_start_writer(false);
        rig_until(&seam.rig, seam_first_is, VGPU_CLIENT_INTENT_APPLIED, "the intent in force");
        assert_int_equal(seam_status().applied_fps, 15);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(nothing_is_written_while_nobody_asks),
                cmocka_unit_test(intents_of_two_clients_are_merged_written_and_applied),
                cmocka_unit_test(the_producer_draws_at_the_rate_that_was_asked_for),
                cmocka_unit_test(a_paused_producer_gives_one_whole_frame_to_who_asks),
                cmocka_unit_test(what_nobody_asks_for_any_more_is_withdrawn),
                cmocka_unit_test(a_client_that_leaves_takes_its_intent_along),
                cmocka_unit_test(a_new_producer_is_asked_again),
                cmocka_unit_test(a_guest_that_rebooted_is_asked_again),
                cmocka_unit_test(a_daemon_that_was_killed_takes_it_up_again),
                cmocka_unit_test(what_a_daemon_before_this_one_asked_for_is_withdrawn),
                cmocka_unit_test(a_writer_that_was_killed_is_waited_for),
                cmocka_unit_test(a_writer_that_dies_while_it_writes_is_taken_over),
        };

        return seam_run(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
