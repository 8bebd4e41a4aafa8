/*
 * verify_test.c - the checker is checked: it must pass what is right and refuse everything else
 */
#include <json-c/json.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "publisher.h"
#include "tool.h"
#include "verify.h"

#define W     200 /* rows that are no multiple of 64 bytes */
#define H     30
#define BYTES (W * H * 8)

static struct publisher publisher;
static uint8_t pixels[BYTES];

static int begin(void **state)
{
        (void)state;
        publisher_init(&publisher, BYTES);
        return 0;
}

static int end(void **state)
{
        (void)state;
        publisher_deinit(&publisher);
        return 0;
}

/* ---- the judgement alone ---- */

static void no_byte_can_be_flipped_unseen(void **state)
{
        static uint8_t frame[5 * 272];
        struct vgpu_client_frame about = { .width = 66,
                .height = 5,
                .stride = 272,
                .fourcc = publisher_fourcc("XR24"),
                .bytes = sizeof frame,
                .frame_id = 9,
                .producer_pid = 77 };
        struct verify_tally tally = { 0 };
        struct pattern_count count;

        (void)state;
        pattern_fill(frame, 66, 5, 272, VGPU_FMT_BGRX8888, 9, 77);
        assert_true(verify_frame(&tally, &about, 1, frame, &count));
        for (size_t i = 0; i < sizeof frame; i++) {
                frame[i] ^= (uint8_t)(1u << i % 8);
                if (verify_frame(&tally, &about, 1, frame, &count))
                        fail_msg("byte %zu", i);
                assert_int_equal(count.first_bad, i / 272 * 272 + i % 272 / 64 * 64);
                frame[i] ^= (uint8_t)(1u << i % 8);
        }
        assert_int_equal(tally.foreign, sizeof frame);
}

static void another_frames_rows_are_torn_and_another_producers_are_foreign(void **state)
{
        struct vgpu_client_frame about = { .width = W,
                .height = H,
                .stride = W * 4,
                .fourcc = publisher_fourcc("AR24"),
                .bytes = W * H * 4,
                .frame_id = 100,
                .producer_pid = 77 };
        static uint8_t other[W * H * 4];
        struct verify_tally tally = { 0 };
        struct pattern_count count;

        (void)state;
        pattern_fill(pixels, W, H, W * 4, VGPU_FMT_BGRA8888, 100, 77);
        pattern_fill(other, W, H, W * 4, VGPU_FMT_BGRA8888, 97, 77);
        memcpy(pixels + 20 * W * 4, other + 20 * W * 4, 10 * W * 4);
        assert_false(verify_frame(&tally, &about, 1, pixels, &count));
        assert_int_equal(tally.torn, 1);
        assert_int_equal(tally.foreign, 0);
        assert_int_equal(count.first_torn_id, 97);

        pattern_fill(pixels, W, H, W * 4, VGPU_FMT_BGRA8888, 100, 78);
        assert_false(verify_frame(&tally, &about, 1, pixels, &count));
        assert_int_equal(tally.torn, 1);
        assert_int_equal(tally.foreign, 1);
        assert_int_equal(count.good, 0);
}

static void a_descriptor_that_allows_no_check_is_foreign(void **state)
{
        const struct vgpu_client_frame good = { .width = W,
                .height = H,
                .stride = W * 4,
                .fourcc = publisher_fourcc("XR24"),
                .bytes = W * H * 4 };
        struct verify_tally tally = { 0 };
        struct pattern_count count;
        struct vgpu_client_frame bad;

        (void)state;
        bad = good;
        bad.fourcc = publisher_fourcc("NV12");
        assert_false(verify_frame(&tally, &bad, 1, pixels, &count));
        bad = good;
        bad.bytes--;
        assert_false(verify_frame(&tally, &bad, 1, pixels, &count));
        bad = good;
        bad.stride -= 4;
        assert_false(verify_frame(&tally, &bad, 1, pixels, &count));
        bad = good;
        bad.height = 0;
        assert_false(verify_frame(&tally, &bad, 1, pixels, &count));
        assert_int_equal(tally.foreign, 4);
}

/* ---- the program beside a publisher ---- */

struct scene {
        const char *fourcc;
        uint32_t format;
        void (*spoil)(struct ring_frame *frame); /* NULL: every frame is right */
        unsigned step;                           /* a scene's own progress */
};

static void publish(struct scene *scene)
{
        struct ring_frame frame = publisher_frame(&publisher, W, H, scene->fourcc);

        pattern_fill(pixels, W, H, frame.stride, scene->format, frame.frame_id, PUBLISHER_PID);
        if (scene->spoil)
                scene->spoil(&frame);
        publisher_publish(&publisher, &frame, pixels);
}

static void publish_each_turn(void *ctx, const char *out, int pid)
{
        (void)out;
        (void)pid;
        publisher_turn(&publisher);
        if (publisher_has_reader(&publisher))
                publish(ctx);
}

#define MAX_ARGS 8

static struct tool_result run(const struct tool_company *company, const char *const *args)
{
        const char *argv[MAX_ARGS + 4] = { VGPU_VERIFY, "--socket", publisher.path };
        struct tool_result r;

        for (size_t i = 0; i < MAX_ARGS && args[i]; i++)
                argv[i + 3] = args[i];
        tool_run(argv, company, &r);
        return r;
}

/*
 * The program beside a publisher of one scene. What a reader finds on connecting is of this scene already: the newest frame
 * of the one before is still in the ring, and a reader that is early would be given that first.
 */
static struct tool_result run_scene(struct scene *scene, const char *const *args)
{
        const struct tool_company company = { publish_each_turn, scene };

        publish(scene);
        return run(&company, args);
}

/* A number of the JSON object that is the last line. */
static int64_t number(const struct tool_result *r, const char *key)
{
        const char *at = strstr(r->out, "{ ");
        json_object *o = json_tokener_parse(at ? at : "null"), *member;
        int64_t value;

        if (!o || !json_object_object_get_ex(o, key, &member))
                fail_msg("no '%s' in %s%s", key, r->out, r->err);
        value = json_object_get_int64(member);
        json_object_put(o);
        return value;
}

static const char *const twenty_frames[MAX_ARGS] = { "--frames", "20", "--json" };

static void right_frames_pass_in_every_format(void **state)
{
        static struct scene scenes[] = {
                { "AR24", VGPU_FMT_BGRA8888, NULL, 0 },
                { "XR24", VGPU_FMT_BGRX8888, NULL, 0 },
                { "AB24", VGPU_FMT_RGBA8888, NULL, 0 },
                { "XB24", VGPU_FMT_RGBX8888, NULL, 0 },
                { "AR30", VGPU_FMT_BGRA1010102, NULL, 0 },
                { "AB30", VGPU_FMT_RGBA1010102, NULL, 0 },
                { "AB4H", VGPU_FMT_RGBA16F, NULL, 0 },
        };

        (void)state;
        for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++) {
                struct tool_result r = run_scene(&scenes[i], twenty_frames);

                if (r.exit_code != 0)
                        fail_msg("%s: %s%s", scenes[i].fourcc, r.out, r.err);
                assert_int_equal(number(&r, "frames"), 20);
                assert_int_equal(number(&r, "torn"), 0);
                assert_int_equal(number(&r, "foreign"), 0);
                assert_int_equal(number(&r, "stale"), 0);
                assert_int_equal(number(&r, "bytes_checked"),
                        20 * W * H * vgpu_format_bpp(scenes[i].format));
                assert_int_equal(number(&r, "width"), W);
                assert_int_equal(number(&r, "height"), H);
                tool_result_deinit(&r);
        }
}

static void waiting_on_the_futex_gets_the_frames_too(void **state)
{
        static struct scene scene = { "XR24", VGPU_FMT_BGRX8888, NULL, 0 };
        static const char *const args[MAX_ARGS] = { "--frames", "20", "--json", "--wait", "futex" };
        struct tool_result r = run_scene(&scene, args);

        (void)state;
        assert_int_equal(r.exit_code, 0);
        assert_int_equal(number(&r, "frames"), 20);
        tool_result_deinit(&r);
}

static void flip_last_byte(struct ring_frame *frame)
{
        pixels[frame->height * frame->stride - 1] ^= 1;
}

/* The lower half is still the frame before. */
static void stop_halfway(struct ring_frame *frame)
{
        static uint8_t before[BYTES];
        size_t half = (size_t)H / 2 * frame->stride;

        pattern_fill(
                before, W, H, frame->stride, VGPU_FMT_BGRX8888, frame->frame_id - 1, PUBLISHER_PID);
        memcpy(pixels + half, before + half, half);
}

static void mislabel_producer(struct ring_frame *frame)
{
        frame->producer_pid++;
}

static void a_wrong_frame_ends_in_failure_and_is_described(void **state)
{
        static struct scene scenes[] = {
                { "XR24", VGPU_FMT_BGRX8888, flip_last_byte, 0 },
                { "XR24", VGPU_FMT_BGRX8888, stop_halfway, 0 },
                { "XR24", VGPU_FMT_BGRX8888, mislabel_producer, 0 },
        };
        static const char *const counted[] = { "foreign", "torn", "foreign" };

        (void)state;
        for (size_t i = 0; i < 3; i++) {
                struct tool_result r = run_scene(&scenes[i], twenty_frames);

                assert_int_equal(r.exit_code, 1);
                assert_int_equal(number(&r, "frames"), 20);
                assert_int_equal(number(&r, counted[i]), 20);
                assert_int_equal(number(&r, i == 1 ? "foreign" : "torn"), 0);
                assert_non_null(strstr(r.err, "vgpu-verify: frame "));
                tool_result_deinit(&r);
        }
}

/* One frame, then five while the reader is stopped: it gets the fifth and has missed four. */
static void stop_and_publish(void *ctx, const char *out, int pid)
{
        struct scene *scene = ctx;
        int status;

        publisher_turn(&publisher);
        if (scene->step == 0 && publisher_has_reader(&publisher)) {
                publish(scene);
                scene->step = 1;
        } else if (scene->step == 1 && strstr(out, " frames=1 ")) {
                kill(pid, SIGSTOP);
                assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
                assert_true(WIFSTOPPED(status));
                for (int i = 0; i < 5; i++)
                        publish(scene);
                kill(pid, SIGCONT);
                scene->step = 2;
        }
}

static void a_stopped_reader_counts_what_it_missed(void **state)
{
        static struct scene scene = { "XR24", VGPU_FMT_BGRX8888, NULL, 0 };
        static const char *const args[MAX_ARGS] = { "--frames", "2", "--json", "--events" };
        const struct tool_company company = { stop_and_publish, &scene };
        struct tool_result r = run(&company, args);

        (void)state;
        assert_int_equal(r.exit_code, 0);
        assert_int_equal(number(&r, "missed"), 4);
        tool_result_deinit(&r);
}

static void restart_after_ten(void *ctx, const char *out, int pid)
{
        struct scene *scene = ctx;

        publish_each_turn(ctx, out, pid);
        if (scene->step == 0 && publisher.frame_id >= 10 && strstr(out, " frames=")) {
                publisher_restart(&publisher, BYTES);
                scene->step = 1;
        }
        if (scene->step == 1 && strstr(out, " reconnects=1 ") && publisher.frame_id > 1000)
                kill(pid, SIGTERM);
}

static void another_daemon_is_found_and_its_serials_start_over(void **state)
{
        static struct scene scene = { "XR24", VGPU_FMT_BGRX8888, NULL, 0 };
        static const char *const args[MAX_ARGS] = { "--json", "--events" };
        const struct tool_company company = { restart_after_ten, &scene };
        struct tool_result r = run(&company, args);

        (void)state;
        if (r.exit_code != 0)
                fail_msg("%s%s", r.out, r.err);
        assert_int_equal(number(&r, "reconnects"), 1);
        assert_int_equal(number(&r, "backwards"), 0);
        assert_non_null(strstr(r.out, " connected=0 "));
        tool_result_deinit(&r);
}

static void stall_then_end(void *ctx, const char *out, int pid)
{
        struct scene *scene = ctx;

        publisher_turn(&publisher);
        if (scene->step == 0 && publisher_has_reader(&publisher)) {
                publish(scene);
                scene->step = 1;
        } else if (scene->step == 1 && strstr(out, " frames=1 ")) {
                publisher_set_state(&publisher, VGPU_RING_STALLED, 1);
                scene->step = 2;
        } else if (scene->step == 2 &&
                   strstr(out, "event state=stalled epoch=1 run_epoch=1 pid=4321 ")) {
                kill(pid, SIGTERM);
                scene->step = 3;
        }
}

static void a_state_is_told_at_once_and_sigterm_ends_with_the_summary(void **state)
{
        static struct scene scene = { "XR24", VGPU_FMT_BGRX8888, NULL, 0 };
        static const char *const args[MAX_ARGS] = { "--events" };
        const struct tool_company company = { stall_then_end, &scene };
        struct tool_result r = run(&company, args);

        (void)state;
        assert_int_equal(r.exit_code, 0);
        assert_int_equal(scene.step, 3);
        assert_non_null(strstr(r.out, "torn 0, foreign 0, missed 0, stale 0; all of "));
        tool_result_deinit(&r);
}

static void move_to_epoch_2(struct ring_frame *frame)
{
        frame->epoch = frame->frame_id > 50 ? 2 : 1;
}

static void it_ends_with_the_first_frame_of_an_epoch(void **state)
{
        static struct scene scene = { "XR24", VGPU_FMT_BGRX8888, move_to_epoch_2, 0 };
        static const char *const args[MAX_ARGS] = { "--until-epoch", "2", "--json" };
        const struct tool_company company = { publish_each_turn, &scene };
        struct tool_result r = run(&company, args);

        (void)state;
        assert_int_equal(r.exit_code, 0);
        assert_int_equal(number(&r, "epoch"), 2);
        tool_result_deinit(&r);
}

static void only_turn(void *ctx, const char *out, int pid)
{
        (void)ctx;
        (void)out;
        (void)pid;
        publisher_turn(&publisher);
}

static void a_frame_from_before_the_connection_is_checked_but_not_timed(void **state)
{
        static struct scene scene = { "XR24", VGPU_FMT_BGRX8888, NULL, 0 };
        static const char *const args[MAX_ARGS] = { "--frames", "1", "--json" };
        const struct tool_company company = { only_turn, NULL };
        struct tool_result r;

        (void)state;
        publish(&scene);
        r = run(&company, args);
        assert_int_equal(r.exit_code, 0);
        assert_int_equal(number(&r, "frames"), 1);
        assert_non_null(strstr(r.out, "\"latency_us\": { \"p50\": 0.0"));
        tool_result_deinit(&r);
}

static void without_a_frame_it_fails(void **state)
{
        static const char *const args[MAX_ARGS] = { "--seconds", "0.05", "--json" };
        const struct tool_company company = { only_turn, NULL };
        struct tool_result r = run(&company, args);

        (void)state;
        assert_int_equal(r.exit_code, 1);
        assert_int_equal(number(&r, "frames"), 0);
        assert_non_null(strstr(r.err, "no frame came"));
        tool_result_deinit(&r);
}

static void what_was_not_reached_in_time_is_a_failure(void **state)
{
        static struct scene scene = { "XR24", VGPU_FMT_BGRX8888, NULL, 0 };
        static const char *const args[MAX_ARGS] = { "--seconds", "0.1", "--until-epoch", "2",
                "--quiet" };
        const struct tool_company company = { publish_each_turn, &scene };
        struct tool_result r = run(&company, args);

        (void)state;
        assert_int_equal(r.exit_code, 1);
        assert_int_equal(r.out_len, 0);
        tool_result_deinit(&r);
}

static void a_wrong_command_line_ends_with_2(void **state)
{
        static const char *const cases[][MAX_ARGS] = {
                { "--frames", "0" },
                { "--frames", "x" },
                { "--seconds", "-1" },
                { "--wait", "bell" },
                { "--bogus" },
                { "extra" },
                { "--until-epoch" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct tool_result r = run(NULL, cases[i]);

                assert_int_equal(r.exit_code, 2);
                assert_int_equal(r.out_len, 0);
                tool_result_deinit(&r);
        }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(no_byte_can_be_flipped_unseen),
                cmocka_unit_test(another_frames_rows_are_torn_and_another_producers_are_foreign),
                cmocka_unit_test(a_descriptor_that_allows_no_check_is_foreign),
                CASE(right_frames_pass_in_every_format),
                CASE(waiting_on_the_futex_gets_the_frames_too),
                CASE(a_wrong_frame_ends_in_failure_and_is_described),
                CASE(a_stopped_reader_counts_what_it_missed),
                CASE(another_daemon_is_found_and_its_serials_start_over),
                CASE(a_state_is_told_at_once_and_sigterm_ends_with_the_summary),
                CASE(it_ends_with_the_first_frame_of_an_epoch),
                CASE(a_frame_from_before_the_connection_is_checked_but_not_timed),
                CASE(without_a_frame_it_fails),
                CASE(what_was_not_reached_in_time_is_a_failure),
                CASE(a_wrong_command_line_ends_with_2),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
