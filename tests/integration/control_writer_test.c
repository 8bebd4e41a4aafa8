/* control_writer_test.c - writers that lie, dawdle, break the protocol or are somebody else's; and clients that may not ask */
#include "seam_rig.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vgpu_protocol.h"

#define NOBODY 65534 /* a user who may connect and nothing else */

/* ---- writers that lie ---------------------------------------------------------------------------------------------- */

static void answers_to_nothing_that_was_asked_are_not_believed(void **state)
{
        struct vgpu_control_written forged;
        struct vgpu_control_write write;
        uint64_t n_forged, n_late;
        uint32_t gen;

        (void)state;
        seam_begin_by_hand();
        n_forged = seam_count("answers_forged");
        n_late = seam_count("answers_late");
        gen = seam_status().ctrl_gen;
        seam_ask(seam.rig.verify.client, VGPU_INTENT_FPS, 0, 24, 0);
        write = seam_next_write();
        forged = writer_answer(&write, VGPU_CONTROL_DONE, vgpu_control_next(write.ctrl_gen));
        forged.request += 1000;
        seam_answer(&forged);
        forged = writer_answer(&write, VGPU_CONTROL_DONE, vgpu_control_next(write.ctrl_gen));
        forged.epoch++;
        seam_answer(&forged);
        forged = writer_answer(&write, VGPU_CONTROL_DONE, vgpu_control_next(write.ctrl_gen) + 2);
        seam_answer(&forged);
        seam_until_count("answers_forged", n_forged + 3);
        assert_int_equal(seam_status().ctrl_gen, gen);
        assert_int_equal(seam_progress(seam.rig.verify.client).progress, VGPU_CLIENT_INTENT_TAKEN);

        seam_obey(&write);
        seam_until_applied_by_hand();
        forged = writer_answer(&write, VGPU_CONTROL_DONE, vgpu_control_next(write.ctrl_gen));
        seam_answer(&forged);
        seam_until_count("answers_late", n_late + 1);
}

static void a_write_is_refused_where_anything_is_not_as_it_says(void **state)
{
        struct vgpu_control_write honest, write;
        struct vgpu_control_written written;

        (void)state;
        seam_begin_by_hand();
        seam_ask(seam.rig.verify.client, VGPU_INTENT_FPS, 0, 24, 0);
        honest = seam_next_write();
        for (int i = 0; i < 6; i++) {
                write = honest;
                write.ctrl_gen += i == 0 ? 2 : 0;
                write.pid += i == 1;
                write.create_time += i == 2;
                write.identity[63] ^= i == 3;
                write.control_gva += i == 4 ? UINT64_C(1) << 40 : 0;
                write.kcr3 += i == 5 ? 0x1000 : 0;
                writer_perform(&seam.hand, &write, &written);
                assert_int_equal(written.result, VGPU_CONTROL_STALE);
        }
        write = honest;
        write.deadline_ns = 1;
        writer_perform(&seam.hand, &write, &written);
        assert_int_equal(written.result, VGPU_CONTROL_LATE);
        seam_obey(&honest);
        seam_until_applied_by_hand();
}

static void a_write_that_failed_is_sent_again(void **state)
{
        static const uint32_t results[] = { VGPU_CONTROL_STALE, VGPU_CONTROL_LATE,
                VGPU_CONTROL_FAILED };
        struct vgpu_control_write write, before;
        struct vgpu_control_written written;
        uint64_t n_failed;

        (void)state;
        seam_begin_by_hand();
        n_failed = seam_count("failed");
        seam_ask(seam.rig.verify.client, VGPU_INTENT_FPS, 0, 24, 0);
        before = seam_next_write();
        for (size_t i = 0; i < 3; i++) {
                written = writer_answer(&before, results[i], 0);
                seam_answer(&written);
                write = seam_next_write();
                assert_true(write.request > before.request);
                assert_memory_equal(write.bytes, before.bytes, sizeof(write.bytes));
                before = write;
        }
        seam_obey(&write);
        seam_until_applied_by_hand();
        seam_until_count("failed", n_failed + 1);
}

static void a_write_without_an_answer_is_sent_again(void **state)
{
        struct vgpu_control_write write, again;
        struct vgpu_control_written late;
        uint64_t n_unanswered, n_late;

        (void)state;
        seam_begin_by_hand();
        n_unanswered = seam_count("unanswered");
        n_late = seam_count("answers_late");
        seam_ask(seam.rig.verify.client, VGPU_INTENT_FPS, 0, 24, 0);
        write = seam_next_write();
        again = seam_next_write();
        assert_true(again.request > write.request);
        late = writer_answer(&write, VGPU_CONTROL_DONE, vgpu_control_next(write.ctrl_gen));
        seam_answer(&late);
        seam_obey(&again);
        seam_until_applied_by_hand();
        seam_until_count("unanswered", n_unanswered + 1);
        seam_until_count("answers_late", n_late + 1);
}

static void only_the_newest_of_many_wishes_is_written(void **state)
{
        struct vgpu_control_write first, last;

        (void)state;
        seam_begin_by_hand();
        seam_ask(seam.rig.verify.client, VGPU_INTENT_FPS, 0, 24, 0);
        first = seam_next_write();
        for (uint32_t fps = 30; fps <= 50; fps++)
                seam_ask(seam.rig.verify.client, VGPU_INTENT_FPS, 0, fps, 0);
        rig_until_status(&seam.rig, "\"requested\":{", "\"fps\":50");
        seam_obey(&first);
        last = seam_next_write();
        assert_int_equal(last.request, first.request + 1);
        seam_obey(&last);
        seam_until_applied_by_hand();
        rig_until(&seam.rig, seam_fps_is, 50, "the last of them");
}

/* What was sent for one life of the guest finds nothing in the next, and an answer to it is nobody's. */
static void a_write_for_a_guest_that_is_gone_does_nothing(void **state)
{
        struct vgpu_control_write old, write;
        struct vgpu_control_written written;
        uint64_t epoch, n_stale;

        (void)state;
        seam_begin_by_hand();
        n_stale = seam_count("answers_stale");
        seam_ask(seam.rig.verify.client, VGPU_INTENT_FPS, 0, 24, 0);
        old = seam_next_write();
        epoch = seam.rig.now.stream.epoch;
        rig_reboot(&seam.rig);
        rig_until(&seam.rig, rig_epoch_is, epoch + 1, "a frame of the next epoch");
        write = seam_next_write();
        assert_int_equal(write.epoch, old.epoch + 1);
        old.deadline_ns = UINT64_MAX;
        writer_perform(&seam.hand, &old, &written);
        assert_int_equal(written.result, VGPU_CONTROL_STALE);
        seam_answer(&written);
        written = writer_answer(&old, VGPU_CONTROL_DONE, vgpu_control_next(old.ctrl_gen));
        seam_answer(&written);
        seam_obey(&write);
        seam_until_applied_by_hand();
        seam_until_count("answers_stale", n_stale + 2);
}

/* As a careful one does, so that nothing in the guest moves between its checks and its write. */
static void a_machine_may_be_stopped_for_the_write(void **state)
{
        struct vgpu_control_write write;
        uint64_t n_writes;

        (void)state;
        seam_begin_by_hand();
        seam_ask(seam.rig.verify.client, VGPU_INTENT_FPS, 0, 24, 0);
        write = seam_next_write();
        rig_pause(&seam.rig);
        assert_int_equal(seam_obey(&write).result, VGPU_CONTROL_DONE);
        rig_until(&seam.rig, rig_state_is, VGPU_RING_STALLED, "a machine that stands");
        n_writes = seam_count("writes");
        rig_resume(&seam.rig);
        rig_until(&seam.rig, seam_first_is, VGPU_CLIENT_INTENT_APPLIED, "the intent in force");
        assert_int_equal(seam_count("writes"), n_writes);
}

/* ---- who may be the writer ----------------------------------------------------------------------------------------- */

static uint32_t goodbye_to(const void *packet, size_t len)
{
        struct vgpu_control_write write;
        uint32_t goodbye = VGPU_GOODBYE_NONE;

        assert_int_equal(writer_send(&seam.hand, packet, len), 0);
        while (writer_receive(&seam.hand, RIG_PATIENCE_MS, &write, &goodbye) == 1)
                ;
        writer_disconnect(&seam.hand);
        return goodbye;
}

static void a_writer_that_breaks_the_protocol_is_told_why(void **state)
{
        static uint8_t large[VGPU_MSG_MAX_CLIENT + 1];
        struct vgpu_control_written msg = writer_answer(&(struct vgpu_control_write){ 0 }, 0, 0);

        (void)state;
        seam_begin_by_hand();
        assert_int_equal(goodbye_to("garbage", 7), VGPU_GOODBYE_MALFORMED);
        seam_connect();
        assert_int_equal(goodbye_to(large, sizeof(large)), VGPU_GOODBYE_MALFORMED);
        seam_connect();
        msg.header.length = sizeof(msg) - 8;
        assert_int_equal(goodbye_to(&msg, sizeof(msg) - 8), VGPU_GOODBYE_MALFORMED);
        seam_connect();
        msg.header.length = sizeof(msg);
        msg.header.version += 1u << 16;
        assert_int_equal(goodbye_to(&msg, sizeof(msg)), VGPU_GOODBYE_VERSION);
        seam_connect();
        msg.header.version = VGPU_PROTOCOL_VERSION;
        msg.header.type = 0x2FF;
        msg.header.flags = VGPU_MSG_REQUIRED;
        assert_int_equal(goodbye_to(&msg, sizeof(msg)), VGPU_GOODBYE_UNSUPPORTED);
        rig_until_status(&seam.rig, "\"streaming\"", "\"writer\":false");
        rig_until_frame(&seam.rig);
}

static void a_second_writer_is_refused_while_the_first_lives(void **state)
{
        struct writer second = WRITER_NONE;
        struct vgpu_control_write write;
        uint32_t goodbye = 0;

        (void)state;
        seam_begin();
        writer_connect(
                &second, seam.socket); /* being refused may come before what was said has left */
        assert_int_equal(writer_receive(&second, RIG_PATIENCE_MS, &write, &goodbye), -ECONNREFUSED);
        assert_int_equal(goodbye, VGPU_GOODBYE_FULL);
        writer_close(&second);
        seam_ask(seam.rig.verify.client, VGPU_INTENT_FPS, 0, 15, 0);
        rig_until(&seam.rig, seam_first_is, VGPU_CLIENT_INTENT_APPLIED, "the work of the first");
}

/* One that took a request and does not answer, as if it were stopped. */
static void a_silent_writer_makes_room_for_another(void **state)
{
        (void)state;
        seam_begin_by_hand();
        seam_ask(seam.rig.verify.client, VGPU_INTENT_FPS, 0, 24, 0);
        seam_next_write();
        seam_next_write(); /* the first was given up */
        seam_start_writer(false);
        rig_until(&seam.rig, seam_first_is, VGPU_CLIENT_INTENT_APPLIED, "the work of another");
}

static int as_nobody(int (*what)(void))
{
        pid_t pid = fork();
        int status = 0;

        assert_true(pid >= 0);
        if (pid == 0)
                _exit(setgid(NOBODY) < 0 || setuid(NOBODY) < 0 ? 99 : what());
        assert_true(waitpid(pid, &status, 0) == pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static int write_as_nobody(void)
{
        struct writer w = WRITER_NONE;
        struct vgpu_control_write write;
        uint32_t goodbye = 0;

        /* Being refused may come before what was said has left. */
        writer_connect(&w, seam.socket);
        writer_receive(&w, RIG_PATIENCE_MS, &write, &goodbye);
        return goodbye == VGPU_GOODBYE_DENIED ? 0 : 1;
}

static void another_user_cannot_be_the_writer(void **state)
{
        (void)state;
        seam_begin();
        assert_int_equal(as_nobody(write_as_nobody), 0);
        rig_until_status(&seam.rig, "\"writer\":true", "\"control\"");
}

static int ask_as_nobody(void)
{
        const struct vgpu_client_intent pause = { VGPU_INTENT_STATE, VGPU_CMD_PAUSE, 0, 0 };
        struct vgpu_client_intent_state state;
        struct vgpu_client *c;

        if (vgpu_client_connect(seam.rig.daemon.socket, NULL, &c, NULL) < 0)
                return 2;
        vgpu_client_set_intent(c, &pause);
        do {
                if (vgpu_client_wait(c, RIG_PATIENCE_MS) < 0)
                        return 3;
                vgpu_client_intent_state(c, &state);
        } while (state.progress == VGPU_CLIENT_INTENT_SENT);
        return state.progress == VGPU_CLIENT_INTENT_REFUSED && state.error == -EACCES ? 0 : 4;
}

static void a_client_outside_the_list_may_look_and_not_ask(void **state)
{
        (void)state;
        seam_begin();
        assert_int_equal(as_nobody(ask_as_nobody), 0);
        rig_until_status(&seam.rig, "\"requested\":null", "\"state\":\"idle\"");
        assert_int_equal(seam_status().status, VGPU_ST_RUNNING);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(answers_to_nothing_that_was_asked_are_not_believed),
                cmocka_unit_test(a_write_is_refused_where_anything_is_not_as_it_says),
                cmocka_unit_test(a_write_that_failed_is_sent_again),
                cmocka_unit_test(a_write_without_an_answer_is_sent_again),
                cmocka_unit_test(only_the_newest_of_many_wishes_is_written),
                cmocka_unit_test(a_write_for_a_guest_that_is_gone_does_nothing),
                cmocka_unit_test(a_machine_may_be_stopped_for_the_write),
                cmocka_unit_test(a_writer_that_breaks_the_protocol_is_told_why),
                cmocka_unit_test(a_second_writer_is_refused_while_the_first_lives),
                cmocka_unit_test(a_silent_writer_makes_room_for_another),
                cmocka_unit_test(another_user_cannot_be_the_writer),
                cmocka_unit_test(a_client_outside_the_list_may_look_and_not_ask),
        };

        return seam_run(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
