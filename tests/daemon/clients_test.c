/*
 * clients_test.c - the list of clients: what each says of itself, and an answer that has a limit
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon.h"
#include "schema.h"

#define MOST 300

struct rig {
        struct vgpu_config config;
        struct daemon daemon;
        int fd[MOST];
        uint32_t n;
};

static struct rig rig;

static int begin(void **state)
{
        struct server_failure why;

        (void)state;
        memset(&rig, 0, sizeof(rig));
        rig.config.ring.max_bytes = UINT64_C(1) << 30;
        rig.config.ring.slots = 3;
        rig.config.ring.mode = 0600;
        rig.config.ring.max_clients = MOST;
        snprintf(rig.config.ring.socket, sizeof(rig.config.ring.socket),
                "/tmp/vgpud-clients-test-%d", (int)getpid());
        rig.daemon.config = rig.config;
        assert_int_equal(uv_loop_init(&rig.daemon.loop), 0);
        assert_int_equal(outlet_init(&rig.daemon.outlet, &rig.daemon.loop, &rig.config, -1,
                                 &(struct outlet_hooks){ 0 }, &why),
                0);
        return 0;
}

static int end(void **state)
{
        (void)state;
        outlet_close(&rig.daemon.outlet);
        uv_run(&rig.daemon.loop, UV_RUN_DEFAULT);
        outlet_deinit(&rig.daemon.outlet);
        assert_int_equal(uv_loop_close(&rig.daemon.loop), 0);
        while (rig.n > 0)
                close(rig.fd[--rig.n]);
        return 0;
}

static struct vgpu_msg_header header(uint32_t type, size_t len)
{
        return (struct vgpu_msg_header){
                .magic = VGPU_PROTOCOL_MAGIC,
                .type = type,
                .length = (uint32_t)len,
                .version = VGPU_PROTOCOL_VERSION,
        };
}

/* Returns when the daemon has taken its HELLO. */
static int join(const char *name, uint32_t wants)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        struct vgpu_msg_hello hello = { .header = header(VGPU_MSG_HELLO, sizeof(hello)) };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        char welcome[256];

        snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", rig.config.ring.socket);
        assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
        hello.wants = wants;
        memcpy(hello.name, name, strnlen(name, sizeof(hello.name)));
        assert_int_equal(send(fd, &hello, sizeof(hello), 0), sizeof(hello));
        while (recv(fd, welcome, sizeof(welcome), 0) < 0)
                uv_run(&rig.daemon.loop, UV_RUN_ONCE);
        rig.fd[rig.n++] = fd;
        return fd;
}

static void assert_as_documented(json_object *o)
{
        json_object *schema = json_object_from_file(CLIENTS_SCHEMA);
        char why[256] = "";

        assert_non_null(schema);
        if (!schema_matches(schema, o, why, sizeof(why)))
                fail_msg("%s", why);
        json_object_put(schema);
}

/* The list, checked for its limit and its form; put by the caller. */
static json_object *list(void)
{
        static char buf[VGPU_REPLY_MAX + 1];
        int len = daemon_clients_json(&rig.daemon, buf, VGPU_REPLY_MAX);
        json_object *o;

        assert_true(len > 0 && len <= (int)VGPU_REPLY_MAX);
        buf[len] = '\0';
        o = json_tokener_parse(buf);
        assert_non_null(o);
        assert_as_documented(o);
        assert_int_equal(json_object_array_length(json_object_object_get(o, "clients")),
                json_object_get_int(json_object_object_get(o, "listed")));
        return o;
}

static uint64_t number(json_object *o, const char *key)
{
        return json_object_get_uint64(json_object_object_get(o, key));
}

static json_object *client(json_object *o, size_t i)
{
        return json_object_array_get_idx(json_object_object_get(o, "clients"), i);
}

static void say(int fd, const struct vgpu_msg_stats *stats, size_t i)
{
        json_object *o = NULL;

        assert_int_equal(send(fd, stats, sizeof(*stats), 0), sizeof(*stats));
        do {
                json_object_put(o);
                uv_run(&rig.daemon.loop, UV_RUN_ONCE);
                o = list();
        } while (number(client(o, i), "frames") != stats->frames_seen);
        json_object_put(o);
}

static void publish(uint64_t frames)
{
        struct ring_frame frame = { .width = 16, .height = 16, .stride = 64 };

        for (uint64_t i = 1; i <= frames; i++) {
                frame.frame_id = i;
                outlet_begin(&rig.daemon.outlet);
                outlet_publish(&rig.daemon.outlet, &frame);
        }
}

static void each_client_is_listed_with_what_it_says_of_itself(void **state)
{
        const struct vgpu_msg_stats stats = {
                .header = header(VGPU_MSG_STATS, sizeof(stats)),
                .frames_seen = 5,
                .frames_missed = 2,
                .torn_retries = 1,
                .leases = 4,
                .lost = 3,
                .last_serial = 7,
        };
        json_object *o, *c;
        int fd;

        (void)state;
        fd = join("a 'viewer'\n", VGPU_WANT_RING);
        join("second", VGPU_WANT_RING | VGPU_WANT_WAKE);
        join("only asks", 0);
        publish(10);
        say(fd, &stats, 0);

        o = list();
        assert_int_equal(number(o, "total"), 2);
        assert_int_equal(number(o, "listed"), 2);
        assert_int_equal(number(o, "serial"), 10);
        assert_int_equal(number(o, "generation"), 1);
        c = client(o, 0);
        assert_string_equal(json_object_get_string(json_object_object_get(c, "name")),
                "a \\x27viewer\\x27\\x0a");
        assert_int_equal(number(c, "uid"), getuid());
        assert_int_equal(number(c, "pid"), getpid());
        assert_int_equal(number(c, "missed"), 2);
        assert_int_equal(number(c, "torn"), 1);
        assert_int_equal(number(c, "leases"), 4);
        assert_int_equal(number(c, "lost"), 3);
        assert_int_equal(number(c, "held"), 0);
        assert_int_equal(number(c, "ended"), 0);
        assert_int_equal(number(c, "lag"), 3);
        assert_int_equal(number(c, "generation"), 1);
        assert_false(json_object_get_boolean(json_object_object_get(c, "armed")));
        assert_false(json_object_get_boolean(json_object_object_get(c, "behind")));
        assert_null(json_object_object_get(client(o, 1), "lag"));
        json_object_put(o);
}

static void as_many_clients_as_there_may_be_by_default_are_listed_four_times_over(void **state)
{
        json_object *o;

        (void)state;
        for (int i = 0; i < 256; i++)
                join("libvgpu-client viewer", VGPU_WANT_RING);
        o = list();
        assert_int_equal(number(o, "total"), 256);
        assert_int_equal(number(o, "listed"), 256);
        json_object_put(o);
}

/* Names of nothing but escapes, counts of twenty digits: the answer keeps its limit and says what is missing. */
static void clients_that_make_themselves_long_are_not_all_listed_and_that_is_said(void **state)
{
        struct vgpu_msg_stats stats;
        json_object *o;

        (void)state;
        memset(&stats, 0xff, sizeof(stats));
        stats.header = header(VGPU_MSG_STATS, sizeof(stats));
        for (uint32_t i = 0; i < MOST; i++) {
                int fd = join("\x01\x02\x03\x04\x05\x06\x07\x08\x01\x02\x03\x04\x05\x06\x07\x08"
                              "\x01\x02\x03\x04\x05\x06\x07\x08\x01\x02\x03\x04\x05\x06\x07\x08",
                        VGPU_WANT_RING);

                assert_int_equal(send(fd, &stats, sizeof(stats), 0), sizeof(stats));
        }
        for (int i = 0; i < 3; i++)
                uv_run(&rig.daemon.loop, UV_RUN_ONCE);
        o = list();
        assert_int_equal(number(o, "total"), MOST);
        assert_true(number(o, "listed") < MOST);
        assert_true(number(o, "listed") > 100);
        json_object_put(o);
}

static void an_answer_with_no_room_at_all_is_an_error(void **state)
{
        char buf[64];

        (void)state;
        for (size_t cap = 0; cap <= sizeof(buf); cap++)
                assert_true(daemon_clients_json(&rig.daemon, buf, cap) < 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(each_client_is_listed_with_what_it_says_of_itself),
                CASE(as_many_clients_as_there_may_be_by_default_are_listed_four_times_over),
                CASE(clients_that_make_themselves_long_are_not_all_listed_and_that_is_said),
                CASE(an_answer_with_no_room_at_all_is_an_error),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
