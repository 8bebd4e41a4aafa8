/* client_test.c - status, watch and screenshot against a publisher that says what each case needs */
#include <json-c/json.h>
#include <png.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "publisher.h"
#include "tool.h"

#define W 64
#define H 48

static struct publisher publisher;

static int begin(void **state)
{
        (void)state;
        publisher_init(&publisher, W * H * 8);
        return 0;
}

static int end(void **state)
{
        (void)state;
        publisher_deinit(&publisher);
        return 0;
}

static void turn(void *ctx, const char *out, int pid)
{
        (void)out;
        (void)pid;
        publisher_turn(ctx);
}

static const struct tool_company beside = { .turn = turn, .ctx = &publisher };

/* vgpuctl --socket PATH and up to four arguments. */
static struct tool_result run(const struct tool_company *company, const char *a, const char *b,
        const char *c, const char *d)
{
        const char *argv[] = { VGPUCTL, "--socket", publisher.path, a, b, c, d, NULL };
        struct tool_result r;

        tool_run(argv, company, &r);
        return r;
}

/* ---- status ---- */

static void status_prints_lines_or_the_object(void **state)
{
        struct tool_result r;
        json_object *o;

        (void)state;
        publisher.status = "{\"schema\":1,\"state\":\"searching\",\"since_ms\":1000,\"reason\":"
                           "\"no live region\"}";
        r = run(&beside, "status", NULL, NULL, NULL);
        assert_int_equal(r.exit_code, 0);
        assert_non_null(strstr(r.out, "State: searching since 1.0 s\n"));
        tool_result_deinit(&r);

        r = run(&beside, "status", "--json", NULL, NULL);
        assert_int_equal(r.exit_code, 0);
        o = json_tokener_parse(r.out);
        assert_string_equal(
                json_object_get_string(json_object_object_get(o, "state")), "searching");
        json_object_put(o);
        tool_result_deinit(&r);
}

static void json_is_one_line_in_a_pipe_and_many_when_it_is_to_be_pretty(void **state)
{
        static const struct {
                const char *option;
                int n_lines;
        } cases[] = { { "-j", 1 }, { "--json", 1 }, { "--json=short", 1 }, { "--json=pretty", 4 } };

        (void)state;
        publisher.status = "{\"schema\":1,\"state\":\"absent\"}";
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct tool_result r = run(&beside, cases[i].option, "status", NULL, NULL);
                int n = 0;

                assert_int_equal(r.exit_code, 0);
                for (const char *p = r.out; *p; p++)
                        n += *p == '\n';
                assert_int_equal(n, cases[i].n_lines);
                tool_result_deinit(&r);
        }
        {
                struct tool_result r = run(&beside, "status", "--json=off", "--no-pager", NULL);

                assert_int_equal(r.exit_code, 0);
                assert_non_null(strstr(r.out, "State: absent"));
                tool_result_deinit(&r);
        }
}

static void an_answer_that_is_no_status_is_an_error(void **state)
{
        static const char *const answers[] = { "", "nonsense", "[1,2]", "{\"state\":" };

        (void)state;
        for (size_t i = 0; i < 4; i++) {
                struct tool_result r;

                publisher.status = answers[i];
                r = run(&beside, "status", NULL, NULL, NULL);
                assert_int_equal(r.exit_code, 1);
                assert_int_equal(r.out_len, 0);
                assert_int_equal(strncmp(r.err, "vgpuctl: ", 9), 0);
                tool_result_deinit(&r);
        }
}

/* ---- clients, drop ---- */

static void clients_are_a_table_or_the_object(void **state)
{
        struct tool_result r;
        json_object *o, *first;

        (void)state;
        publisher.clients = "{\"schema\":1,\"total\":3,\"clients\":[{\"uid\":0,\"pid\":77,"
                            "\"name\":\"viewer\"}],\"listed\":1}";
        r = run(&beside, "clients", NULL, NULL, NULL);
        assert_int_equal(r.exit_code, 0);
        assert_non_null(strstr(r.out, "NAME"));
        assert_non_null(strstr(r.out, "viewer"));
        assert_non_null(strstr(r.err, "1 of 3 clients are shown"));
        tool_result_deinit(&r);

        r = run(&beside, "clients", "--json", NULL, NULL);
        assert_int_equal(r.exit_code, 0);
        o = json_tokener_parse(r.out);
        assert_int_equal(json_object_get_int(json_object_object_get(o, "total")), 3);
        first = json_object_array_get_idx(json_object_object_get(o, "clients"), 0);
        assert_string_equal(json_object_get_string(json_object_object_get(first, "user")), "root");
        json_object_put(o);
        tool_result_deinit(&r);

        publisher.clients = "{\"state\":1}";
        r = run(&beside, "clients", NULL, NULL, NULL);
        assert_int_equal(r.exit_code, 1);
        assert_int_equal(r.out_len, 0);
        assert_non_null(strstr(r.err, "no list of clients"));
        tool_result_deinit(&r);

        publisher.clients = NULL; /* a daemon that is older */
        r = run(&beside, "clients", NULL, NULL, NULL);
        assert_int_equal(r.exit_code, 1);
        assert_non_null(strstr(r.err, "no such report"));
        tool_result_deinit(&r);
}

static void a_dropped_process_is_told_and_counted(void **state)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        struct vgpu_msg_goodbye goodbye;
        struct tool_result r;
        char pid[16];

        (void)state;
        snprintf(addr.sun_path, sizeof addr.sun_path, "%s", publisher.path);
        assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
        publisher_turn(&publisher);
        snprintf(pid, sizeof pid, "%d", (int)getpid());

        r = run(&beside, "drop", pid, NULL, NULL);
        assert_int_equal(r.exit_code, 0);
        assert_non_null(strstr(r.out, "Dropped 1 client of process"));
        tool_result_deinit(&r);
        assert_int_equal(recv(fd, &goodbye, sizeof goodbye, 0), sizeof goodbye);
        assert_int_equal(goodbye.reason, VGPU_GOODBYE_DROPPED);
        publisher_turn(&publisher);
        close(fd);

        r = run(&beside, "drop", pid, NULL, NULL);
        assert_int_equal(r.exit_code, 1);
        assert_int_equal(r.out_len, 0);
        assert_non_null(strstr(r.err, "no client has pid"));
        tool_result_deinit(&r);
}

/* ---- screenshot ---- */

static uint32_t frame_pixels[W * H];

/* Grey, with a red pixel top left and a blue one bottom right. */
static void publish_picture(uint32_t flags)
{
        struct ring_frame frame = publisher_frame(&publisher, W, H, "XR24");

        for (size_t i = 0; i < W * H; i++)
                frame_pixels[i] = 0x404040;
        frame_pixels[0] = 0xff0000;
        frame_pixels[W * H - 1] = 0x0000ff;
        frame.flags = flags;
        publisher_publish(&publisher, &frame, frame_pixels);
}

static void set_cursor(int32_t x, int32_t y, uint32_t visible)
{
        struct vgpu_ring_cursor cursor = { .x = x,
                .y = y,
                .glyph_w = 32,
                .glyph_h = 32,
                .visible = visible,
                .id = VGPU_CURSOR_ID_ARROW };

        ring_set_cursor(publisher.ring, &cursor);
}

/* The picture on the program's standard output as RGB; the caller frees it. */
static uint8_t *decode(const struct tool_result *r)
{
        png_image image = { .version = PNG_IMAGE_VERSION };
        uint8_t *pixels;

        if (r->exit_code != 0)
                fail_msg("exit %d: %s", r->exit_code, r->err);
        assert_true(png_image_begin_read_from_memory(&image, r->out, r->out_len));
        assert_int_equal(image.width, W);
        assert_int_equal(image.height, H);
        image.format = PNG_FORMAT_RGB;
        pixels = malloc(PNG_IMAGE_SIZE(image));
        assert_non_null(pixels);
        assert_true(png_image_finish_read(&image, NULL, pixels, 0, NULL));
        return pixels;
}

static uint32_t rgb(const uint8_t *pixels, unsigned x, unsigned y)
{
        const uint8_t *p = pixels + (y * W + x) * 3;

        return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static uint8_t *shoot(const char *option)
{
        struct tool_result r = run(&beside, "screenshot", "-", option, NULL);
        uint8_t *pixels = decode(&r);

        tool_result_deinit(&r);
        return pixels;
}

static void a_screenshot_has_real_colours_and_the_right_orientation(void **state)
{
        uint8_t *pixels;

        (void)state;
        publish_picture(0);
        pixels = shoot(NULL);
        assert_int_equal(rgb(pixels, 0, 0), 0xff0000);
        assert_int_equal(rgb(pixels, W - 1, H - 1), 0x0000ff);
        assert_int_equal(rgb(pixels, 1, 0), 0x404040);
        free(pixels);
}

static void the_cursor_is_drawn_relative_to_what_is_captured(void **state)
{
        struct vgpu_ring_geometry geometry = {
                .virt_x = -1920, .virt_w = 3840, .virt_h = 1080, .cap_x = -1920, .cap_y = 100
        };
        uint8_t *pixels;

        (void)state;
        publish_picture(0);
        ring_set_geometry(publisher.ring, &geometry);
        set_cursor(-1920 + 10, 100 + 20, 1);
        pixels = shoot(NULL);
        assert_int_equal(rgb(pixels, 10, 20), 0x000000);
        assert_int_equal(rgb(pixels, 11, 22), 0xffffff);
        assert_int_equal(rgb(pixels, 9, 20), 0x404040);
        free(pixels);
}

static void the_cursor_is_left_out_when_told_or_hidden_or_already_drawn(void **state)
{
        uint8_t *pixels;

        (void)state;
        publish_picture(0);
        set_cursor(10, 20, 1);
        pixels = shoot("--no-cursor");
        assert_int_equal(rgb(pixels, 10, 20), 0x404040);
        free(pixels);

        publish_picture(VGPU_RING_FRAME_CURSOR_DRAWN);
        pixels = shoot(NULL);
        assert_int_equal(rgb(pixels, 10, 20), 0x404040);
        free(pixels);

        publish_picture(0);
        set_cursor(10, 20, 0);
        pixels = shoot(NULL);
        assert_int_equal(rgb(pixels, 10, 20), 0x404040);
        free(pixels);
}

static void an_old_frame_is_saved_and_said_to_be_old(void **state)
{
        struct tool_result r;

        (void)state;
        publish_picture(0);
        publisher_set_state(&publisher, VGPU_RING_STALLED, 1);
        r = run(&beside, "screenshot", "-", NULL, NULL);
        free(decode(&r));
        assert_non_null(strstr(r.err, "the stream is stalled since"));
        tool_result_deinit(&r);
}

static void without_a_frame_the_state_is_named_and_the_file_kept(void **state)
{
        char path[128], kept[8] = "";
        struct tool_result r;
        FILE *f;

        (void)state;
        snprintf(path, sizeof path, "%s/old.png", publisher.dir);
        f = fopen(path, "w");
        fputs("old", f);
        fclose(f);
        publisher_set_state(&publisher, VGPU_RING_SEARCHING, 1);
        r = run(&beside, "screenshot", "--timeout", "0.1", path);
        assert_int_equal(r.exit_code, 1);
        assert_non_null(strstr(r.err, "the daemon is searching"));
        f = fopen(path, "r");
        assert_non_null(fgets(kept, sizeof kept, f));
        fclose(f);
        assert_string_equal(kept, "old");
        tool_result_deinit(&r);
}

static void an_unwritable_place_is_an_error_with_its_reason(void **state)
{
        struct tool_result r;

        (void)state;
        publish_picture(0);
        r = run(&beside, "screenshot", "/nonexistent/a.png", NULL, NULL);
        assert_int_equal(r.exit_code, 1);
        assert_non_null(strstr(r.err, "'/nonexistent/a.png': No such file or directory"));
        tool_result_deinit(&r);
}

static void a_format_we_do_not_know_is_named(void **state)
{
        struct ring_frame frame = publisher_frame(&publisher, W, H, "XR24");
        struct tool_result r;

        (void)state;
        frame.fourcc = publisher_fourcc("NV12");
        publisher_publish(&publisher, &frame, frame_pixels);
        r = run(&beside, "screenshot", "-", NULL, NULL);
        assert_int_equal(r.exit_code, 1);
        assert_non_null(strstr(r.err, "NV12"));
        tool_result_deinit(&r);
}

/* ---- watch ---- */

/* Publishes until a line tells of it, then interrupts as Ctrl-C does. */
static void turn_until_line(void *ctx, const char *out, int pid)
{
        struct publisher *p = ctx;

        publisher_turn(p);
        if (publisher_has_reader(p))
                publish_picture(0);
        if (strstr(out, "streaming") && strstr(out, "64x48 XR24"))
                kill(pid, SIGINT);
}

static void watch_tells_the_stream_and_ends_well_on_an_interrupt(void **state)
{
        const struct tool_company company = { .turn = turn_until_line, .ctx = &publisher };
        struct tool_result r = run(&company, "watch", NULL, NULL, NULL);

        (void)state;
        assert_int_equal(r.exit_code, 0);
        assert_non_null(strstr(r.out, " fps  missed "));
        assert_null(strchr(r.out, '\033'));
        tool_result_deinit(&r);
}

/* The same until an object tells of it. */
static void turn_until_object(void *ctx, const char *out, int pid)
{
        struct publisher *p = ctx;

        publisher_turn(p);
        if (publisher_has_reader(p))
                publish_picture(0);
        if (strstr(out, "\"format\":\"XR24\""))
                kill(pid, SIGINT);
}

static void watch_is_an_object_a_line_for_programs(void **state)
{
        const struct tool_company company = { .turn = turn_until_object, .ctx = &publisher };
        struct tool_result r = run(&company, "watch", "--json", NULL, NULL);
        json_object *o = json_tokener_parse(r.out);

        (void)state;
        assert_int_equal(r.exit_code, 0);
        assert_true(json_object_is_type(o, json_type_object));
        json_object_put(o);
        tool_result_deinit(&r);
}

static void watch_ends_by_itself_when_told_how_long(void **state)
{
        struct tool_result r = run(&beside, "watch", "--seconds", "0.05", NULL);

        (void)state;
        assert_int_equal(r.exit_code, 0);
        assert_int_equal(r.err_len, 0);
        tool_result_deinit(&r);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(status_prints_lines_or_the_object),
                CASE(json_is_one_line_in_a_pipe_and_many_when_it_is_to_be_pretty),
                CASE(an_answer_that_is_no_status_is_an_error),
                CASE(clients_are_a_table_or_the_object),
                CASE(a_dropped_process_is_told_and_counted),
                CASE(a_screenshot_has_real_colours_and_the_right_orientation),
                CASE(the_cursor_is_drawn_relative_to_what_is_captured),
                CASE(the_cursor_is_left_out_when_told_or_hidden_or_already_drawn),
                CASE(an_old_frame_is_saved_and_said_to_be_old),
                CASE(without_a_frame_the_state_is_named_and_the_file_kept),
                CASE(an_unwritable_place_is_an_error_with_its_reason),
                CASE(a_format_we_do_not_know_is_named),
                CASE(watch_tells_the_stream_and_ends_well_on_an_interrupt),
                CASE(watch_is_an_object_a_line_for_programs),
                CASE(watch_ends_by_itself_when_told_how_long),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
