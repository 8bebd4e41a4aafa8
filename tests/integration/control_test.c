/*
 * control_test.c - what clients ask for, all the way into a simulated guest and back
 *
 * Two clients, a daemon, a guest, and an external writer: the program of tests/guest where it is to live and die, and the test
 * itself where it is to lie. Words on the command line go to the guest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"
#include "vgpu_protocol.h"
#include "vgpu_stream.h"
#include "writer.h"

#define MAX_WORDS 20
#define MODE_FPS  60
#define NOBODY    65534 /* a user who may connect and nothing else */

static const char *const plain[] = { "--scatter", NULL };
static const char *const *words = plain; /* for the guest */
static struct rig rig;
static struct vgpu_client *other; /* the second client */
static char dir[] = "/tmp/vgpud-control-XXXXXX";
static char control_socket[64];
static struct writer hand = { .fd = -1, .ram_fd = -1 }; /* the writer that is this test */
static pid_t program;                                   /* the writer that is a program, 0: none */

/* ---- writers ------------------------------------------------------------------------------------------------------- */

static void start_program(bool die)
{
        const struct guest_facts *facts = &rig.guest.facts;
        char size[24];

        snprintf(size, sizeof(size), "%llu", (unsigned long long)facts->ram_size);
        program = fork();
        assert_true(program >= 0);
        if (program > 0)
                return;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (!freopen("/dev/null", "w", stdout))
                _exit(126);
        execl(TEST_WRITER, TEST_WRITER, "--socket", control_socket, "--ram", facts->ram,
                "--machine", facts->machine, "--ram-size", size, die ? "--die" : (char *)NULL,
                (char *)NULL);
        _exit(127);
}

static int end_program(int number)
{
        int status = 0;

        if (program == 0)
                return 0;
        if (number)
                kill(program, number);
        while (waitpid(program, &status, 0) < 0 && errno == EINTR)
                ;
        program = 0;
        return status;
}

static void connect_hand(void)
{
        const struct guest_facts *facts = &rig.guest.facts;

        if (!hand.ram)
                assert_int_equal(
                        writer_open_ram(&hand, facts->ram, facts->machine, facts->ram_size), 0);
        assert_int_equal(writer_connect(&hand, control_socket), 0);
}

static struct vgpu_control_write next_write(void)
{
        struct vgpu_control_write write;

        assert_int_equal(writer_receive(&hand, RIG_PATIENCE_MS, &write, NULL), 1);
        return write;
}

static void answer(const struct vgpu_control_written *written)
{
        assert_int_equal(writer_send(&hand, written, sizeof(*written)), 0);
}

/* Do as one is told. */
static struct vgpu_control_written obey(const struct vgpu_control_write *write)
{
        struct vgpu_control_written written;

        writer_perform(&hand, write, &written);
        answer(&written);
        return written;
}

/* ---- clients ------------------------------------------------------------------------------------------------------- */

static void ask(
        struct vgpu_client *c, uint32_t fields, uint32_t state, uint32_t fps, uint32_t cursor)
{
        const struct vgpu_client_intent intent = { fields, state, fps, cursor };

        assert_int_equal(vgpu_client_set_intent(c, &intent), 0);
}

static void ask_nothing(void)
{
        ask(rig.verify.client, 0, 0, 0, 0);
        ask(other, 0, 0, 0, 0);
}

static struct vgpu_client_intent_state progress_of(struct vgpu_client *c)
{
        struct vgpu_client_intent_state state;

        assert_true(vgpu_client_dispatch(c) >= 0);
        vgpu_client_intent_state(c, &state);
        return state;
}

static bool both_are(const struct rig *r, uint64_t progress)
{
        return progress_of(r->verify.client).progress == progress &&
               progress_of(other).progress == progress;
}

static bool first_is(const struct rig *r, uint64_t progress)
{
        return progress_of(r->verify.client).progress == progress;
}

static bool first_waits_for_a_writer(const struct rig *r, uint64_t arg)
{
        struct vgpu_client_intent_state state = progress_of(r->verify.client);

        (void)arg;
        return state.progress == VGPU_CLIENT_INTENT_TAKEN && state.error == -ENOTCONN;
}

static struct vgpu_ring_status status_now(const struct rig *r)
{
        struct vgpu_ring_status status = { 0 };

        vgpu_client_status(r->verify.client, &status);
        return status;
}

static bool fps_is(const struct rig *r, uint64_t fps)
{
        return status_now(r).applied_fps == fps;
}

static bool producer_is(const struct rig *r, uint64_t status)
{
        return status_now(r).status == status;
}

static bool frame_is_honoured(const struct rig *r, uint64_t ack)
{
        return status_now(r).full_frame_ack == ack;
}

static bool cursor_is_drawn(const struct rig *r, uint64_t drawn)
{
        return ((r->verify.frame.flags & VGPU_RING_FRAME_CURSOR_DRAWN) != 0) == (bool)drawn;
}

static void until_applied(const char *what)
{
        rig_until(&rig, both_are, VGPU_CLIENT_INTENT_APPLIED, what);
}

static uint64_t frames_drawn(void)
{
        rig_tell(&rig, "status");
        return rig.guest.facts.frames;
}

/* Every test begins with nobody asking, the block saying so, and the writer as a program. */
static void begin(void)
{
        writer_close(&hand);
        if (program == 0)
                start_program(false);
        ask_nothing();
        rig_until_status(&rig, "\"streaming\"", "\"control\":{\"writer\":true,\"state\":\"idle\"");
}

/* The writer is this test from now on. */
static void begin_by_hand(void)
{
        begin();
        end_program(SIGKILL);
        rig_until_status(&rig, "\"streaming\"", "\"writer\":false");
        connect_hand();
        rig_until_status(&rig, "\"streaming\"", "\"writer\":true");
}

/* ---- intents ------------------------------------------------------------------------------------------------------- */

static void nothing_is_written_while_nobody_asks(void **state)
{
        (void)state;
        begin();
        rig_until_status(&rig, "\"requested\":null", "\"writes\":0");
        assert_int_equal(status_now(&rig).ctrl_gen, 0);
}

static void intents_of_two_clients_are_merged_written_and_applied(void **state)
{
        struct vgpu_ring_status status;

        (void)state;
        begin();
        ask(rig.verify.client, VGPU_INTENT_STATE | VGPU_INTENT_FPS | VGPU_INTENT_CURSOR,
                VGPU_CMD_RUN, 20, 1);
        ask(other, VGPU_INTENT_STATE | VGPU_INTENT_FPS | VGPU_INTENT_CURSOR, VGPU_CMD_PAUSE, 25, 0);
        until_applied("two intents in force");
        rig_until(&rig, fps_is, 25, "the larger rate");
        status = status_now(&rig);
        assert_int_equal(status.status, VGPU_ST_RUNNING);
        assert_int_equal(status.ctrl_gen % 2, 0);
        assert_int_equal(status.ctrl_ack, status.ctrl_gen);
        rig_until_frame(&rig);
        rig_until(&rig, cursor_is_drawn, false, "a frame without a cursor");

        ask(other, VGPU_INTENT_STATE | VGPU_INTENT_FPS | VGPU_INTENT_CURSOR, VGPU_CMD_PAUSE, 25, 1);
        until_applied("the cursor both want");
        rig_until(&rig, cursor_is_drawn, true, "a frame with a cursor");
}

/* By the guest's own clock, which no host slows down: ten frames are at least nine periods apart. */
static void the_producer_draws_at_the_rate_that_was_asked_for(void **state)
{
        uint64_t first_ns, first_id;

        (void)state;
        begin();
        ask(rig.verify.client, VGPU_INTENT_FPS, 0, 20, 0);
        rig_until(&rig, first_is, VGPU_CLIENT_INTENT_APPLIED, "20 frames a second");
        rig_until_frame(&rig);
        rig_until_frame(&rig);
        first_ns = rig.verify.frame.timestamp_ns;
        first_id = rig.verify.frame.frame_id;
        while (rig.verify.frame.frame_id < first_id + 10)
                rig_until_frame(&rig);
        assert_true((rig.verify.frame.timestamp_ns - first_ns) /
                            (rig.verify.frame.frame_id - first_id) >=
                    UINT64_C(9) * 50000000 / 10);
}

static void a_paused_producer_gives_one_whole_frame_to_who_asks(void **state)
{
        uint32_t ack;
        uint64_t n;

        (void)state;
        begin();
        ask(rig.verify.client, VGPU_INTENT_STATE, VGPU_CMD_PAUSE, 0, 0);
        rig_until(&rig, first_is, VGPU_CLIENT_INTENT_APPLIED, "a pause in force");
        rig_until(&rig, producer_is, VGPU_ST_PAUSED, "a paused producer");
        ack = status_now(&rig).full_frame_ack;
        n = frames_drawn();

        ask(other, VGPU_INTENT_FRAME, 0, 0, 0);
        until_applied("a frame for the asking");
        assert_int_equal(status_now(&rig).full_frame_ack, ack + 1);
        assert_int_equal(frames_drawn(), n + 1);
        rig_until(&rig, rig_state_is, VGPU_RING_STREAMING, "a stream that rests");

        ask(other, VGPU_INTENT_FRAME, 0, 0, 0);
        rig_until(&rig, frame_is_honoured, ack + 2, "another one");
        assert_int_equal(frames_drawn(), n + 2);
}

static void what_nobody_asks_for_any_more_is_withdrawn(void **state)
{
        (void)state;
        begin();
        ask(rig.verify.client, VGPU_INTENT_STATE | VGPU_INTENT_FPS, VGPU_CMD_PAUSE, 10, 0);
        rig_until(&rig, producer_is, VGPU_ST_PAUSED, "a paused producer");
        ask_nothing();
        rig_until(&rig, producer_is, VGPU_ST_RUNNING, "a producer that runs again");
        rig_until(&rig, fps_is, MODE_FPS, "its own rate");
        rig_until_frame(&rig);
}

static void a_client_that_leaves_takes_its_intent_along(void **state)
{
        struct vgpu_client *guest;

        (void)state;
        begin();
        assert_int_equal(vgpu_client_connect(rig.daemon.socket, NULL, &guest, NULL), 0);
        ask(guest, VGPU_INTENT_FPS, 0, 100, 0);
        ask(rig.verify.client, VGPU_INTENT_FPS, 0, 30, 0);
        rig_until(&rig, fps_is, 100, "the larger rate");
        vgpu_client_close(guest);
        rig_until(&rig, fps_is, 30, "the rate of who is left");
}

/* ---- lifetimes ----------------------------------------------------------------------------------------------------- */

static void a_new_producer_is_asked_again(void **state)
{
        uint32_t ack;

        (void)state;
        begin();
        ask(rig.verify.client, VGPU_INTENT_FPS | VGPU_INTENT_FRAME, 0, 30, 0);
        rig_until(&rig, first_is, VGPU_CLIENT_INTENT_APPLIED, "30 frames a second");
        rig_tell(&rig, "restart-producer");
        rig_until(&rig, rig_pid_is, rig.guest.facts.pid, "a frame of the new producer");
        rig_until(&rig, fps_is, 30, "the same rate");
        rig_until(&rig, first_is, VGPU_CLIENT_INTENT_APPLIED, "the intent in force again");

        /* Its own count of whole frames goes on, not that of the one before. */
        ack = status_now(&rig).full_frame_ack;
        ask(rig.verify.client, VGPU_INTENT_FPS | VGPU_INTENT_FRAME, 0, 30, 0);
        rig_until(&rig, frame_is_honoured, ack + 1, "a whole frame of the new producer");
}

static void a_guest_that_rebooted_is_asked_again(void **state)
{
        uint64_t epoch;

        (void)state;
        begin();
        ask(rig.verify.client, VGPU_INTENT_FPS, 0, 30, 0);
        rig_until(&rig, first_is, VGPU_CLIENT_INTENT_APPLIED, "30 frames a second");
        epoch = rig.now.stream.epoch;
        rig_reboot(&rig);
        rig_until(&rig, rig_epoch_is, epoch + 1, "a frame of the next epoch");
        rig_until(&rig, fps_is, 30, "the same rate");
        rig_until(&rig, first_is, VGPU_CLIENT_INTENT_APPLIED, "the intent in force again");
}

static void a_daemon_that_was_killed_takes_it_up_again(void **state)
{
        (void)state;
        begin();
        ask(rig.verify.client, VGPU_INTENT_STATE, VGPU_CMD_PAUSE, 0, 0);
        rig_until(&rig, producer_is, VGPU_ST_PAUSED, "a paused producer");
        daemon_proc_kill(&rig.daemon);
        end_program(0); /* it has nobody to write for, and says so */
        assert_int_equal(daemon_proc_restart(&rig.daemon), 0);
        rig_until(&rig, rig_state_is, VGPU_RING_STREAMING, "the next daemon");
        rig_until(&rig, first_waits_for_a_writer, 0, "an intent that waits for a writer");
        start_program(false);
        rig_until(&rig, first_is, VGPU_CLIENT_INTENT_APPLIED, "the pause in force");
        assert_int_equal(status_now(&rig).status, VGPU_ST_PAUSED);
}

static void what_a_daemon_before_this_one_asked_for_is_withdrawn(void **state)
{
        (void)state;
        begin();
        ask(rig.verify.client, VGPU_INTENT_STATE, VGPU_CMD_PAUSE, 0, 0);
        rig_until(&rig, producer_is, VGPU_ST_PAUSED, "a paused producer");
        daemon_proc_kill(&rig.daemon);
        end_program(0);
        ask_nothing();
        assert_int_equal(daemon_proc_restart(&rig.daemon), 0);
        rig_until_status(&rig, "\"requested\":null", "\"state\":\"waiting\"");
        start_program(false);
        rig_until(&rig, producer_is, VGPU_ST_RUNNING, "a producer that runs again");
}

/* ---- writers that die ---------------------------------------------------------------------------------------------- */

static void a_writer_that_was_killed_is_waited_for(void **state)
{
        (void)state;
        begin();
        end_program(SIGKILL);
        ask(rig.verify.client, VGPU_INTENT_FPS, 0, 15, 0);
        rig_until(&rig, first_waits_for_a_writer, 0, "an intent that waits for a writer");
        start_program(false);
        rig_until(&rig, first_is, VGPU_CLIENT_INTENT_APPLIED, "the intent in force");
        assert_int_equal(status_now(&rig).applied_fps, 15);
}

/* The block is left odd; the producer must not take it up, and the next writer must find its way. */
static void a_writer_that_dies_while_it_writes_is_taken_over(void **state)
{
        int status;

        (void)state;
        begin();
        end_program(SIGKILL);
        start_program(true);
        ask(rig.verify.client, VGPU_INTENT_FPS, 0, 15, 0);
        status = end_program(0);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        rig_until(&rig, first_waits_for_a_writer, 0, "an intent that waits for a writer");
        assert_int_equal(status_now(&rig).applied_fps, MODE_FPS);
        start_program(false);
        rig_until(&rig, first_is, VGPU_CLIENT_INTENT_APPLIED, "the intent in force");
        assert_int_equal(status_now(&rig).applied_fps, 15);
}

/* ---- writers that lie ---------------------------------------------------------------------------------------------- */

static void answers_to_nothing_that_was_asked_are_not_believed(void **state)
{
        struct vgpu_control_written forged;
        struct vgpu_control_write write;
        uint32_t gen;

        (void)state;
        begin_by_hand();
        gen = status_now(&rig).ctrl_gen;
        ask(rig.verify.client, VGPU_INTENT_FPS, 0, 24, 0);
        write = next_write();
        forged = writer_answer(&write, VGPU_CONTROL_DONE, vgpu_control_next(write.ctrl_gen));
        forged.request += 1000;
        answer(&forged);
        forged = writer_answer(&write, VGPU_CONTROL_DONE, vgpu_control_next(write.ctrl_gen));
        forged.epoch++;
        answer(&forged);
        forged = writer_answer(&write, VGPU_CONTROL_DONE, vgpu_control_next(write.ctrl_gen) + 2);
        answer(&forged);
        rig_until_status(&rig, "\"state\":\"sent\"", "\"answers_forged\":3");
        assert_int_equal(status_now(&rig).ctrl_gen, gen);
        assert_int_equal(progress_of(rig.verify.client).progress, VGPU_CLIENT_INTENT_TAKEN);

        assert_int_equal(obey(&write).result, VGPU_CONTROL_DONE);
        rig_until(&rig, first_is, VGPU_CLIENT_INTENT_APPLIED, "the intent in force");
        forged = writer_answer(&write, VGPU_CONTROL_DONE, vgpu_control_next(write.ctrl_gen));
        answer(&forged);
        rig_until_status(&rig, "\"state\":\"applied\"", "\"answers_late\":1");
}

static void a_write_is_refused_where_anything_is_not_as_it_says(void **state)
{
        struct vgpu_control_write honest, write;
        struct vgpu_control_written written;

        (void)state;
        begin_by_hand();
        ask(rig.verify.client, VGPU_INTENT_FPS, 0, 24, 0);
        honest = next_write();
        for (int i = 0; i < 6; i++) {
                write = honest;
                write.ctrl_gen += i == 0 ? 2 : 0;
                write.pid += i == 1;
                write.create_time += i == 2;
                write.identity[63] ^= i == 3;
                write.control_gva += i == 4 ? UINT64_C(1) << 40 : 0;
                write.kcr3 += i == 5 ? 0x1000 : 0;
                writer_perform(&hand, &write, &written);
                assert_int_equal(written.result, VGPU_CONTROL_STALE);
        }
        write = honest;
        write.deadline_ns = 1;
        writer_perform(&hand, &write, &written);
        assert_int_equal(written.result, VGPU_CONTROL_LATE);
        assert_int_equal(obey(&honest).result, VGPU_CONTROL_DONE);
        rig_until(&rig, first_is, VGPU_CLIENT_INTENT_APPLIED, "the intent in force");
}

static void a_write_that_failed_is_sent_again(void **state)
{
        static const uint32_t results[] = { VGPU_CONTROL_STALE, VGPU_CONTROL_LATE,
                VGPU_CONTROL_FAILED };
        struct vgpu_control_write write, before;
        struct vgpu_control_written written;

        (void)state;
        begin_by_hand();
        ask(rig.verify.client, VGPU_INTENT_FPS, 0, 24, 0);
        before = next_write();
        for (size_t i = 0; i < 3; i++) {
                written = writer_answer(&before, results[i], 0);
                answer(&written);
                write = next_write();
                assert_int_equal(write.request, before.request + 1);
                assert_memory_equal(write.bytes, before.bytes, sizeof(write.bytes));
                before = write;
        }
        assert_int_equal(obey(&write).result, VGPU_CONTROL_DONE);
        rig_until(&rig, first_is, VGPU_CLIENT_INTENT_APPLIED, "the intent in force");
        rig_until_status(&rig, "\"state\":\"applied\"", "\"stale\":1,\"late\":1,\"failed\":1");
}

static void a_write_without_an_answer_is_sent_again(void **state)
{
        struct vgpu_control_write write, again;
        struct vgpu_control_written late;

        (void)state;
        begin_by_hand();
        ask(rig.verify.client, VGPU_INTENT_FPS, 0, 24, 0);
        write = next_write();
        again = next_write();
        assert_int_equal(again.request, write.request + 1);
        late = writer_answer(&write, VGPU_CONTROL_DONE, vgpu_control_next(write.ctrl_gen));
        answer(&late);
        assert_int_equal(obey(&again).result, VGPU_CONTROL_DONE);
        rig_until(&rig, first_is, VGPU_CLIENT_INTENT_APPLIED, "the intent in force");
        rig_until_status(&rig, "\"unanswered\":1", "\"answers_late\":2");
}

static void only_the_newest_of_many_wishes_is_written(void **state)
{
        struct vgpu_control_write first, last;

        (void)state;
        begin_by_hand();
        ask(rig.verify.client, VGPU_INTENT_FPS, 0, 24, 0);
        first = next_write();
        for (uint32_t fps = 30; fps <= 50; fps++)
                ask(rig.verify.client, VGPU_INTENT_FPS, 0, fps, 0);
        rig_until_status(&rig, "\"state\":\"outdated\"", "\"fps\":50");
        obey(&first);
        last = next_write();
        assert_int_equal(last.request, first.request + 1);
        obey(&last);
        rig_until(&rig, fps_is, 50, "the last of them");
        rig_until(&rig, first_is, VGPU_CLIENT_INTENT_APPLIED, "the intent in force");
}

/* What was sent for one life of the guest finds nothing in the next, and an answer to it is nobody's. */
static void a_write_for_a_guest_that_is_gone_does_nothing(void **state)
{
        struct vgpu_control_write old, write;
        struct vgpu_control_written written;
        uint64_t epoch;

        (void)state;
        begin_by_hand();
        ask(rig.verify.client, VGPU_INTENT_FPS, 0, 24, 0);
        old = next_write();
        epoch = rig.now.stream.epoch;
        rig_reboot(&rig);
        rig_until(&rig, rig_epoch_is, epoch + 1, "a frame of the next epoch");
        write = next_write();
        assert_int_equal(write.epoch, old.epoch + 1);
        old.deadline_ns = UINT64_MAX;
        writer_perform(&hand, &old, &written);
        assert_int_equal(written.result, VGPU_CONTROL_STALE);
        answer(&written);
        written = writer_answer(&old, VGPU_CONTROL_DONE, vgpu_control_next(old.ctrl_gen));
        answer(&written);
        assert_int_equal(obey(&write).result, VGPU_CONTROL_DONE);
        rig_until(&rig, first_is, VGPU_CLIENT_INTENT_APPLIED, "the intent in force");
        rig_until_status(&rig, "\"state\":\"applied\"", "\"answers_stale\":2");
}

/* ---- who may be the writer ----------------------------------------------------------------------------------------- */

static uint32_t goodbye_to(const void *packet, size_t len)
{
        struct vgpu_control_write write;
        uint32_t goodbye = VGPU_GOODBYE_NONE;

        assert_int_equal(writer_send(&hand, packet, len), 0);
        while (writer_receive(&hand, RIG_PATIENCE_MS, &write, &goodbye) == 1)
                ;
        writer_disconnect(&hand);
        return goodbye;
}

static void a_writer_that_breaks_the_protocol_is_told_why(void **state)
{
        static uint8_t large[VGPU_MSG_MAX_CLIENT + 1];
        struct vgpu_control_written msg = writer_answer(&(struct vgpu_control_write){ 0 }, 0, 0);

        (void)state;
        begin_by_hand();
        assert_int_equal(goodbye_to("garbage", 7), VGPU_GOODBYE_MALFORMED);
        connect_hand();
        assert_int_equal(goodbye_to(large, sizeof(large)), VGPU_GOODBYE_MALFORMED);
        connect_hand();
        msg.header.length = sizeof(msg) - 8;
        assert_int_equal(goodbye_to(&msg, sizeof(msg) - 8), VGPU_GOODBYE_MALFORMED);
        connect_hand();
        msg.header.length = sizeof(msg);
        msg.header.version += 1u << 16;
        assert_int_equal(goodbye_to(&msg, sizeof(msg)), VGPU_GOODBYE_VERSION);
        connect_hand();
        msg.header.version = VGPU_PROTOCOL_VERSION;
        msg.header.type = 0x2FF;
        msg.header.flags = VGPU_MSG_REQUIRED;
        assert_int_equal(goodbye_to(&msg, sizeof(msg)), VGPU_GOODBYE_UNSUPPORTED);
        rig_until_status(&rig, "\"streaming\"", "\"writer\":false");
        rig_until_frame(&rig);
}

static void a_second_writer_is_refused_while_the_first_lives(void **state)
{
        struct writer second = WRITER_NONE;
        struct vgpu_control_write write;
        uint32_t goodbye = 0;

        (void)state;
        begin();
        assert_int_equal(writer_connect(&second, control_socket), 0);
        assert_int_equal(writer_receive(&second, RIG_PATIENCE_MS, &write, &goodbye), -ECONNREFUSED);
        assert_int_equal(goodbye, VGPU_GOODBYE_FULL);
        writer_close(&second);
        ask(rig.verify.client, VGPU_INTENT_FPS, 0, 15, 0);
        rig_until(&rig, first_is, VGPU_CLIENT_INTENT_APPLIED, "the work of the first");
}

/* One that took a request and does not answer, as if it were stopped. */
static void a_silent_writer_makes_room_for_another(void **state)
{
        (void)state;
        begin_by_hand();
        ask(rig.verify.client, VGPU_INTENT_FPS, 0, 24, 0);
        next_write();
        next_write(); /* the first was given up */
        start_program(false);
        rig_until(&rig, first_is, VGPU_CLIENT_INTENT_APPLIED, "the work of another");
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
        writer_connect(&w, control_socket);
        writer_receive(&w, RIG_PATIENCE_MS, &write, &goodbye);
        return goodbye == VGPU_GOODBYE_DENIED ? 0 : 1;
}

static void another_user_cannot_be_the_writer(void **state)
{
        (void)state;
        begin();
        assert_int_equal(as_nobody(write_as_nobody), 0);
        rig_until_status(&rig, "\"writer\":true", "\"control\"");
}

static int ask_as_nobody(void)
{
        const struct vgpu_client_intent pause = { VGPU_INTENT_STATE, VGPU_CMD_PAUSE, 0, 0 };
        struct vgpu_client_intent_state state;
        struct vgpu_client *c;

        if (vgpu_client_connect(rig.daemon.socket, NULL, &c, NULL) < 0)
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
        begin();
        assert_int_equal(as_nobody(ask_as_nobody), 0);
        rig_until_status(&rig, "\"requested\":null", "\"state\":\"idle\"");
        assert_int_equal(status_now(&rig).status, VGPU_ST_RUNNING);
}

/* ---- */

static int set_up(void **state)
{
        const char *args[MAX_WORDS + 3] = { "--mode", "320x200@60" };
        char config[256];

        for (size_t i = 0; words[i] && i < MAX_WORDS; i++)
                args[i + 2] = words[i];
        rig = RIG_NONE;
        assert_non_null(mkdtemp(dir));
        chmod(dir, 0711);
        snprintf(control_socket, sizeof(control_socket), "%s/control", dir);
        snprintf(config, sizeof(config), "mode = 0666\n[control]\nsocket = %s\nmode = 0666\n",
                control_socket);
        rig_guest_simulated(&rig, args);
        rig_daemon(&rig, config);
        chmod(rig.daemon.dir, 0711);
        rig_client(&rig);
        assert_int_equal(vgpu_client_connect(rig.daemon.socket,
                                 &(struct vgpu_client_options){ .flags = VGPU_CLIENT_WAIT_DAEMON },
                                 &other, NULL),
                0);
        rig_until(&rig, rig_state_is, VGPU_RING_STREAMING, "the stream");
        rig_until_frame(&rig);
        *state = &rig;
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        writer_close(&hand);
        end_program(SIGKILL);
        vgpu_client_close(other);
        rig_stop(&rig);
        unlink(control_socket);
        rmdir(dir);
        return 0;
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
                cmocka_unit_test(a_writer_that_was_killed_is_waited_for),
                cmocka_unit_test(a_writer_that_dies_while_it_writes_is_taken_over),
                cmocka_unit_test(a_second_writer_is_refused_while_the_first_lives),
                cmocka_unit_test(another_user_cannot_be_the_writer),
                cmocka_unit_test(a_client_outside_the_list_may_look_and_not_ask),
                cmocka_unit_test(answers_to_nothing_that_was_asked_are_not_believed),
                cmocka_unit_test(a_write_is_refused_where_anything_is_not_as_it_says),
                cmocka_unit_test(a_write_that_failed_is_sent_again),
                cmocka_unit_test(a_write_without_an_answer_is_sent_again),
                cmocka_unit_test(only_the_newest_of_many_wishes_is_written),
                cmocka_unit_test(a_write_for_a_guest_that_is_gone_does_nothing),
                cmocka_unit_test(a_silent_writer_makes_room_for_another),
                cmocka_unit_test(a_writer_that_breaks_the_protocol_is_told_why),
                cmocka_unit_test(a_daemon_that_was_killed_takes_it_up_again),
                cmocka_unit_test(what_a_daemon_before_this_one_asked_for_is_withdrawn),
        };

        if (geteuid() != 0) {
                puts("skipped: another user can be played by root alone");
                return 77;
        }
        if (argc > 1)
                words = (const char *const *)argv + 1;
        return cmocka_run_group_tests(tests, set_up, tear_down);
}
