/* control_seam_test.c - the seam on a loop: a region in an array, a writer at the other end of the socket */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "control.h"
#include "region_fixture.h"

struct seam {
        struct fixture f;
        uv_loop_t loop;
        struct vgpu_config config;
        struct control c;
        char dir[32];
        int fd; /* the writer's, -1: none */
        struct control_progress told;
};

static void on_tell(void *ctx)
{
        struct seam *s = ctx;

        control_progress(&s->c, &s->told);
}

static int set_up(void **state)
{
        struct seam *s = calloc(1, sizeof(*s));
        struct server_failure why;

        fixture_open(&s->f);
        strcpy(s->dir, "/tmp/control-seam-XXXXXX");
        assert_non_null(mkdtemp(s->dir));
        snprintf(s->config.control.socket, sizeof(s->config.control.socket), "%s/sock", s->dir);
        s->config.control.mode = 0600;
        s->fd = -1;
        assert_int_equal(uv_loop_init(&s->loop), 0);
        assert_int_equal(control_init(&s->c, &s->loop, &s->config, (const uint8_t[16]){ 1, 2, 3 },
                                 on_tell, s, &why),
                0);
        /* Answers may take as long as they like, tries follow each other at once. */
        s->c.patience = (struct control_patience){ 3600000, 0, 1, 4, 3 };
        *state = s;
        return 0;
}

static int tear_down(void **state)
{
        struct seam *s = *state;

        control_stop(&s->c);
        uv_run(&s->loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&s->loop), 0);
        if (s->fd >= 0)
                close(s->fd);
        assert_int_equal(rmdir(s->dir), 0);
        fixture_close(&s->f);
        free(s);
        return 0;
}

/* ---- what happens to it -------------------------------------------------------------------------------------------- */

static void until(struct seam *s, enum control_state state)
{
        while (s->c.state != state)
                uv_run(&s->loop, UV_RUN_ONCE);
}

static void writer_comes(struct seam *s)
{
        const struct vgpu_control_writer hello = {
                .header = { VGPU_PROTOCOL_MAGIC, VGPU_CONTROL_WRITER, sizeof(hello),
                        VGPU_PROTOCOL_VERSION, 0, 0 },
        };
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        uint64_t accepted = s->c.link.counters.accepted;

        s->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        strcpy(addr.sun_path, s->config.control.socket);
        assert_int_equal(connect(s->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
        assert_int_equal(send(s->fd, &hello, sizeof(hello), 0), sizeof(hello));
        while (s->c.link.counters.accepted == accepted || !control_has_writer(&s->c))
                uv_run(&s->loop, UV_RUN_ONCE);
}

static void writer_goes(struct seam *s)
{
        close(s->fd);
        s->fd = -1;
        while (control_has_writer(&s->c))
                uv_run(&s->loop, UV_RUN_ONCE);
}

static struct vgpu_control_write next_write(struct seam *s)
{
        struct vgpu_control_write write;

        while (recv(s->fd, &write, sizeof(write), MSG_DONTWAIT) != sizeof(write))
                uv_run(&s->loop, UV_RUN_ONCE);
        assert_int_equal(write.header.type, VGPU_CONTROL_WRITE);
        return write;
}

static vgpu_control_t image_of(const struct vgpu_control_write *write)
{
        vgpu_control_t image;

        memcpy(&image, write->bytes, sizeof(image));
        return image;
}

static void answer(struct seam *s, const struct vgpu_control_write *write, uint32_t result)
{
        const bool done = result == VGPU_CONTROL_DONE;
        const struct vgpu_control_written msg = {
                .header = { VGPU_PROTOCOL_MAGIC, VGPU_CONTROL_WRITTEN, sizeof(msg),
                        VGPU_PROTOCOL_VERSION, 0, 0 },
                .request = write->request,
                .epoch = write->epoch,
                .result = result,
                .error = result == VGPU_CONTROL_FAILED ? -EIO : 0,
                .ctrl_gen = done ? vgpu_control_next(write->ctrl_gen) : 0,
        };

        if (done) {
                vgpu_control_t block = image_of(write);

                block.ctrl_gen = msg.ctrl_gen;
                image_write(
                        &s->f.w.image, write->proc_cr3, write->control_gva, &block, sizeof(block));
        }
        assert_int_equal(send(s->fd, &msg, sizeof(msg), 0), sizeof(msg));
}

/* The next request is done. */
static vgpu_control_t write_next(struct seam *s)
{
        struct vgpu_control_write write = next_write(s);

        answer(s, &write, VGPU_CONTROL_DONE);
        until(s, CONTROL_WRITTEN);
        return image_of(&write);
}

static void producer_says(struct seam *s, uint32_t ctrl_ack, uint32_t full_frame_ack)
{
        vgpup_status status;

        s->f.r.block->ctrl_ack = ctrl_ack;
        s->f.r.block->full_frame_ack = full_frame_ack;
        assert_int_equal(vgpup_read_status(s->f.region, s->f.m, &status), 0);
        control_status(&s->c, &status);
}

static void aim(struct seam *s, uint64_t binding)
{
        const struct control_target target = {
                .region = s->f.region,
                .mem = s->f.m,
                .epoch = 1,
                .binding = binding,
        };

        control_set_target(&s->c, &target);
}

static void ask(struct seam *s, uint32_t fields, uint32_t state, uint32_t fps)
{
        const struct vgpu_msg_intent intent = { .fields = fields, .state = state, .fps = fps };
        struct control_merge merge = CONTROL_MERGE_NONE;

        control_merge_add(&merge, &intent);
        control_intents(&s->c, &merge, fields & VGPU_INTENT_FRAME);
}

static void put_block(struct seam *s, const vgpu_control_t *block)
{
        image_write(&s->f.w.image, s->f.r.proc.cr3, REGION_GVA + VGPU_CONTROL_OFFSET, block,
                sizeof(*block));
}

/* ---- what is written, and when ------------------------------------------------------------------------------------- */

static void an_intent_goes_its_way(void **state)
{
        struct seam *s = *state;
        struct vgpu_control_write write;

        writer_comes(s);
        ask(s, VGPU_INTENT_FPS, 0, 30);
        assert_int_equal(s->c.state, CONTROL_AWAY);
        aim(s, 1);
        write = next_write(s);
        assert_int_equal(write.instance[1], 2);
        assert_int_equal(write.ctrl_gen, 0);
        assert_int_equal(image_of(&write).target_fps, 30);
        answer(s, &write, VGPU_CONTROL_DONE);
        until(s, CONTROL_WRITTEN);
        assert_true(s->told.written);
        assert_int_equal(s->told.ctrl_gen, 2);
        assert_int_equal(control_ctrl_gen(&s->c), 2);
        producer_says(s, 0, 0);
        assert_int_equal(s->c.state, CONTROL_WRITTEN);
        producer_says(s, 2, 0);
        assert_int_equal(s->c.state, CONTROL_APPLIED);
}

static void what_is_asked_for_by_default_is_written_once(void **state)
{
        struct seam *s = *state;

        writer_comes(s);
        aim(s, 1);
        ask(s, VGPU_INTENT_FPS, 0, 0);
        assert_int_equal(write_next(s).target_fps, 0);
        producer_says(s, 2, 0);
        ask(s, VGPU_INTENT_FPS, 0, 0);
        assert_int_equal(s->c.state, CONTROL_APPLIED);
        assert_int_equal(s->c.counters.writes, 1);
}

static void a_block_that_nobody_wrote_is_left_alone(void **state)
{
        struct seam *s = *state;

        writer_comes(s);
        aim(s, 1);
        ask(s, 0, 0, 0);
        assert_int_equal(s->c.state, CONTROL_IDLE);
        assert_int_equal(s->c.counters.writes, 0);
}

static void what_somebody_left_is_taken_back(void **state)
{
        struct seam *s = *state;
        vgpu_control_t block = { .ctrl_gen = 8, .desired_state = VGPU_CMD_PAUSE };

        put_block(s, &block);
        writer_comes(s);
        aim(s, 1);
        block = write_next(s);
        assert_int_equal(block.desired_state, VGPU_CMD_NONE);
        producer_says(s, 10, 0);
        assert_int_equal(s->c.state, CONTROL_IDLE);

        /* and what was left is what is wanted anyway: nothing to do */
        aim(s, 2);
        assert_int_equal(s->c.state, CONTROL_IDLE);
        assert_int_equal(s->c.counters.writes, 1);
}

/* Its page may be on the move just when the region is bound. */
static void what_somebody_left_is_taken_back_once_it_can_be_read(void **state)
{
        const vgpu_control_t left = { .ctrl_gen = 8, .desired_state = VGPU_CMD_PAUSE };
        struct seam *s = *state;
        uint64_t entry_gpa, entry;

        put_block(s, &left);
        writer_comes(s);
        entry_gpa =
                image_entry(&s->f.w.image, s->f.r.proc.cr3, REGION_GVA + VGPU_CONTROL_OFFSET, 1);
        memcpy(&entry, image_at(&s->f.w.image, entry_gpa), sizeof(entry));
        image_put64(&s->f.w.image, entry_gpa, 0);
        aim(s, 1);
        producer_says(s, 8, 0);
        assert_int_equal(s->c.state, CONTROL_IDLE);
        image_put64(&s->f.w.image, entry_gpa, entry);
        producer_says(s, 8, 0);
        assert_int_equal(s->c.state, CONTROL_SENT);
        assert_int_equal(write_next(s).desired_state, VGPU_CMD_NONE);
}

static void who_leaves_before_a_writer_comes_has_asked_for_nothing(void **state)
{
        struct seam *s = *state;

        aim(s, 1);
        ask(s, VGPU_INTENT_STATE | VGPU_INTENT_FRAME, VGPU_CMD_PAUSE, 0);
        assert_int_equal(s->c.state, CONTROL_WAITING);
        assert_int_equal(s->told.error, -ENOTCONN);
        ask(s, 0, 0, 0);
        assert_int_equal(s->c.state, CONTROL_IDLE);
        writer_comes(s);
        assert_int_equal(s->c.counters.writes, 0);
}

static void requests_for_frames_go_on_from_the_producers_own_count(void **state)
{
        struct seam *s = *state;
        struct vgpu_control_write write;

        s->f.r.block->full_frame_ack = 41;
        writer_comes(s);
        aim(s, 1);
        ask(s, VGPU_INTENT_FPS, 0, 30);
        assert_int_equal(write_next(s).full_frame_req, 41);
        ask(s, VGPU_INTENT_FRAME, 0, 0);
        write = next_write(s);
        assert_int_equal(image_of(&write).full_frame_req, 42);
        /* while that is on its way, two more: one frame */
        ask(s, VGPU_INTENT_FRAME, 0, 0);
        ask(s, VGPU_INTENT_FRAME, 0, 0);
        assert_int_equal(s->c.state, CONTROL_OUTDATED);
        answer(s, &write, VGPU_CONTROL_DONE);
        assert_int_equal(write_next(s).full_frame_req, 43);
        assert_int_equal(s->told.full_frame, 43);
        ask(s, VGPU_INTENT_FPS, 0, 31);
        assert_int_equal(write_next(s).full_frame_req, 43);
}

static void a_frame_that_was_not_got_is_asked_of_the_next_producer(void **state)
{
        struct seam *s = *state;

        writer_comes(s);
        aim(s, 1);
        ask(s, VGPU_INTENT_FRAME, 0, 0);
        assert_int_equal(write_next(s).full_frame_req, 1);
        producer_says(s, 2, 0);
        put_block(s, &(vgpu_control_t){ 0 });
        s->f.r.block->full_frame_ack = 7;
        aim(s, 2);
        assert_int_equal(write_next(s).full_frame_req, 8);
        producer_says(s, 2, 8);

        put_block(s, &(vgpu_control_t){ 0 });
        s->f.r.block->full_frame_ack = 0;
        aim(s, 3); /* that one was got: nothing to ask for again */
        assert_int_equal(write_next(s).full_frame_req, 0);
}

static void a_region_that_goes_takes_its_numbers_along(void **state)
{
        struct seam *s = *state;

        writer_comes(s);
        aim(s, 1);
        ask(s, VGPU_INTENT_FPS, 0, 30);
        write_next(s);
        control_set_target(&s->c, NULL);
        assert_int_equal(s->c.state, CONTROL_AWAY);
        assert_int_equal(control_ctrl_gen(&s->c), 0);
        assert_false(s->told.written);
        control_set_target(&s->c, NULL);
        aim(s, 1);
        write_next(s);
        assert_int_equal(control_ctrl_gen(&s->c), 4);
}

static void an_odd_block_is_taken_over(void **state)
{
        struct seam *s = *state;
        struct vgpu_control_write write;

        put_block(s, &(vgpu_control_t){ .ctrl_gen = 5 });
        writer_comes(s);
        aim(s, 1);
        ask(s, VGPU_INTENT_FPS, 0, 30);
        write = next_write(s);
        assert_int_equal(write.ctrl_gen, 5);
        answer(s, &write, VGPU_CONTROL_DONE);
        until(s, CONTROL_WRITTEN);
        assert_int_equal(control_ctrl_gen(&s->c), 8);
}

static void a_guest_that_stands_still_is_not_written_to(void **state)
{
        struct seam *s = *state;

        writer_comes(s);
        aim(s, 1);
        control_hold(&s->c, true);
        ask(s, VGPU_INTENT_FPS, 0, 30);
        assert_int_equal(s->c.state, CONTROL_WAITING);
        assert_int_equal(s->told.error, 0);
        assert_int_equal(s->c.counters.writes, 0);
        control_hold(&s->c, false);
        assert_int_equal(write_next(s).target_fps, 30);
}

/* As a careful writer does it. Asked again for it, it would stop the machine again, and so on. */
static void a_guest_that_is_stopped_for_the_write_is_written_to_once(void **state)
{
        struct seam *s = *state;
        struct vgpu_control_write write;

        writer_comes(s);
        aim(s, 1);
        ask(s, VGPU_INTENT_FPS, 0, 30);
        write = next_write(s);
        control_hold(&s->c, true);
        answer(s, &write, VGPU_CONTROL_DONE);
        until(s, CONTROL_WRITTEN);
        control_hold(&s->c, false);
        aim(s, 1);
        assert_int_equal(s->c.state, CONTROL_WRITTEN);
        assert_int_equal(s->c.counters.writes, 1);
}

/* ---- what goes wrong ----------------------------------------------------------------------------------------------- */

static void tries_are_bounded_and_a_new_wish_begins_anew(void **state)
{
        struct seam *s = *state;
        struct vgpu_control_write write;

        writer_comes(s);
        aim(s, 1);
        ask(s, VGPU_INTENT_FPS, 0, 30);
        for (unsigned i = 0; i < s->c.patience.tries; i++) {
                write = next_write(s);
                answer(s, &write, i % 2 ? VGPU_CONTROL_FAILED : VGPU_CONTROL_STALE);
        }
        until(s, CONTROL_GIVEN_UP);
        assert_int_equal(s->told.error, -EIO);
        assert_int_equal(s->c.counters.writes, s->c.patience.tries);
        ask(s, VGPU_INTENT_FPS, 0, 31);
        assert_int_equal(write_next(s).target_fps, 31);
        assert_int_equal(s->told.error, 0);
}

static void a_block_that_cannot_be_read_is_tried_for_and_given_up(void **state)
{
        struct seam *s = *state;

        writer_comes(s);
        aim(s, 1);
        windows_exit(&s->f.w, &s->f.r.proc);
        ask(s, VGPU_INTENT_FPS, 0, 30);
        until(s, CONTROL_GIVEN_UP);
        assert_int_equal(s->c.counters.writes, 0);
        assert_int_equal(s->c.counters.unreadable, s->c.patience.tries);
}

static void a_writer_that_never_answers_is_given_up(void **state)
{
        struct seam *s = *state;

        s->c.patience.deadline_ms = 5;
        writer_comes(s);
        aim(s, 1);
        ask(s, VGPU_INTENT_FPS, 0, 30);
        until(s, CONTROL_GIVEN_UP);
        assert_int_equal(s->c.counters.unanswered, s->c.patience.tries);
        assert_true(s->c.is_silent);

        /* and makes room */
        s->c.patience.deadline_ms = 3600000;
        close(s->fd);
        writer_comes(s);
        assert_false(s->c.is_silent);
        assert_int_equal(write_next(s).target_fps, 30);
}

/* What was sent before may have been written: only what is known to stand there needs no write. */
static void what_may_have_been_written_is_withdrawn(void **state)
{
        struct seam *s = *state;
        struct vgpu_control_write write;

        writer_comes(s);
        aim(s, 1);
        ask(s, VGPU_INTENT_STATE, VGPU_CMD_PAUSE, 0);
        write_next(s);
        ask(s, VGPU_INTENT_STATE, VGPU_CMD_RUN, 0);
        write = next_write(s);
        writer_goes(s);
        assert_int_equal(s->c.state, CONTROL_WAITING);
        ask(s, 0, 0, 0);
        assert_int_equal(s->c.state, CONTROL_WAITING);
        writer_comes(s);
        write = next_write(s);
        assert_int_equal(image_of(&write).desired_state, VGPU_CMD_NONE);
        answer(s, &write, VGPU_CONTROL_DONE);
        until(s, CONTROL_WRITTEN);
        producer_says(s, control_ctrl_gen(&s->c), 0);
        assert_int_equal(s->c.state, CONTROL_IDLE);
}

/* The same when it was the first of all: whoever could have answered died over it. */
static void what_was_never_answered_may_have_been_written(void **state)
{
        struct seam *s = *state;

        writer_comes(s);
        aim(s, 1);
        ask(s, VGPU_INTENT_STATE, VGPU_CMD_PAUSE, 0);
        next_write(s);
        writer_goes(s);
        ask(s, 0, 0, 0);
        assert_int_equal(s->c.state, CONTROL_WAITING);
        writer_comes(s);
        assert_int_equal(write_next(s).desired_state, VGPU_CMD_NONE);
        producer_says(s, control_ctrl_gen(&s->c), 0);
        assert_int_equal(s->c.state, CONTROL_IDLE);
}

static void what_failed_may_have_been_written_in_part(void **state)
{
        struct seam *s = *state;
        struct vgpu_control_write write;

        s->c.patience.tries = 1;
        writer_comes(s);
        aim(s, 1);
        ask(s, VGPU_INTENT_STATE, VGPU_CMD_PAUSE, 0);
        write = next_write(s);
        answer(s, &write, VGPU_CONTROL_FAILED);
        until(s, CONTROL_GIVEN_UP);
        ask(s, 0, 0, 0);
        assert_int_equal(write_next(s).desired_state, VGPU_CMD_NONE);
}

/* As fast as clients may change their minds: who answers each is no flood. */
static void a_writer_that_answers_is_never_too_much(void **state)
{
        struct seam *s = *state;

        writer_comes(s);
        aim(s, 1);
        for (uint32_t i = 1; i <= 500; i++) {
                ask(s, VGPU_INTENT_FPS, 0, i);
                assert_int_equal(write_next(s).target_fps, i);
        }
        assert_int_equal(s->c.link.counters.broken, 0);
}

/* Copying a frame, say, while somebody connects. */
static void keep_busy(uv_poll_t *poll, int status, int events)
{
        uint64_t end_ns = uv_hrtime() + 20000000;

        (void)status;
        (void)events;
        uv_poll_stop(poll);
        while (uv_hrtime() < end_ns)
                ;
}

static void who_says_nothing_to_a_busy_daemon_goes_all_the_same(void **state)
{
        struct seam *s = *state;
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        int ready = eventfd(0, EFD_CLOEXEC);
        uv_poll_t busy;

        uv_poll_init(&s->loop, &busy, ready);
        uv_poll_start(&busy, UV_READABLE, keep_busy);
        uv_run(&s->loop, UV_RUN_NOWAIT);
        assert_int_equal(eventfd_write(ready, 1), 0); /* heard before who connects */
        s->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        strcpy(addr.sun_path, s->config.control.socket);
        assert_int_equal(connect(s->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
        while (s->c.link.counters.broken == 0)
                assert_true(uv_run(&s->loop, UV_RUN_ONCE));
        assert_int_equal(s->c.link.fd, -1);
        uv_close((uv_handle_t *)&busy, NULL);
        uv_run(&s->loop, UV_RUN_NOWAIT);
        close(ready);
}

static void a_writer_that_comes_again_is_sent_what_stands(void **state)
{
        struct seam *s = *state;

        writer_comes(s);
        aim(s, 1);
        ask(s, VGPU_INTENT_FPS, 0, 30);
        write_next(s);
        producer_says(s, 2, 0);
        writer_goes(s);
        assert_int_equal(s->c.state, CONTROL_APPLIED);
        writer_comes(s);
        assert_int_equal(write_next(s).target_fps, 30);
        assert_int_equal(control_ctrl_gen(&s->c), 4);
}

static void a_producer_that_lies_about_its_acks_moves_nothing_else(void **state)
{
        struct seam *s = *state;

        s->f.r.block->full_frame_ack = UINT32_MAX;
        writer_comes(s);
        aim(s, 1);
        producer_says(s, UINT32_MAX, UINT32_MAX);
        assert_int_equal(s->c.state, CONTROL_IDLE);
        ask(s, VGPU_INTENT_FPS | VGPU_INTENT_FRAME, 0, 30);
        assert_int_equal(write_next(s).full_frame_req, 0); /* the count wraps around */
        producer_says(s, 6, 17);
        assert_int_equal(s->c.state, CONTROL_WRITTEN);
        assert_int_equal(s->c.counters.writes, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(an_intent_goes_its_way),
                TEST(what_is_asked_for_by_default_is_written_once),
                TEST(a_block_that_nobody_wrote_is_left_alone),
                TEST(what_somebody_left_is_taken_back),
                TEST(what_somebody_left_is_taken_back_once_it_can_be_read),
                TEST(who_leaves_before_a_writer_comes_has_asked_for_nothing),
                TEST(requests_for_frames_go_on_from_the_producers_own_count),
                TEST(a_frame_that_was_not_got_is_asked_of_the_next_producer),
                TEST(a_region_that_goes_takes_its_numbers_along),
                TEST(an_odd_block_is_taken_over),
                TEST(a_guest_that_stands_still_is_not_written_to),
                TEST(a_guest_that_is_stopped_for_the_write_is_written_to_once),
                TEST(tries_are_bounded_and_a_new_wish_begins_anew),
                TEST(a_block_that_cannot_be_read_is_tried_for_and_given_up),
                TEST(a_writer_that_never_answers_is_given_up),
                TEST(what_may_have_been_written_is_withdrawn),
                TEST(what_was_never_answered_may_have_been_written),
                TEST(what_failed_may_have_been_written_in_part),
                TEST(a_writer_that_answers_is_never_too_much),
                TEST(who_says_nothing_to_a_busy_daemon_goes_all_the_same),
                TEST(a_writer_that_comes_again_is_sent_what_stands),
                TEST(a_producer_that_lies_about_its_acks_moves_nothing_else),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
