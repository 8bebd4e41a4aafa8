/*
 * protocol_test.c - what a client may say, and what it is told when it says something else
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "listen.h"
#include "message.h"
#include "relay.h"

/* A packet under construction. */
struct packet {
        _Alignas(uint64_t) uint8_t bytes[8192];
        size_t len;
        int fd; /* attached if >= 0 */
};

static int dial(const struct relay *r)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        strcpy(addr.sun_path, r->path);
        assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
        return fd;
}

static void put(struct packet *p, enum vgpu_msg_type type, size_t len)
{
        struct vgpu_msg_header h = message_header(type, len);

        memset(p, 0, sizeof(*p));
        p->len = len;
        p->fd = -1;
        memcpy(p->bytes, &h, sizeof(h));
}

static struct vgpu_msg_header *header(struct packet *p)
{
        return (struct vgpu_msg_header *)p->bytes;
}

static int transmit(int fd, const struct packet *p)
{
        return message_send(fd, p->bytes, p->len, NULL, 0, &p->fd, p->fd >= 0);
}

static void say_hello(int fd, uint32_t wants)
{
        struct packet p;

        put(&p, VGPU_MSG_HELLO, sizeof(struct vgpu_msg_hello));
        ((struct vgpu_msg_hello *)p.bytes)->wants = wants;
        assert_int_equal(transmit(fd, &p), 0);
}

/* Next message into @p; descriptors that came are closed, their number returned in p->fd. Return: type, 0 at the end. */
static uint32_t hear(int fd, struct packet *p)
{
        int fds[MESSAGE_MAX_FDS];
        size_t n_fds;
        ssize_t n = message_recv(fd, p->bytes, sizeof(p->bytes), fds, &n_fds);

        if (n == -ECONNRESET)
                n = message_recv(fd, p->bytes, sizeof(p->bytes), fds, &n_fds);
        for (size_t i = 0; i < n_fds; i++)
                close(fds[i]);
        p->fd = (int)n_fds;
        if (n <= 0)
                return 0;
        assert_int_equal(message_check(p->bytes, (size_t)n), MESSAGE_OK);
        return header(p)->type;
}

/* ---- what breaks the protocol ------------------------------------------------------------------ */

static void short_header(struct packet *p)
{
        put(p, VGPU_MSG_STATS, sizeof(struct vgpu_msg_stats));
        p->len = 10;
}

static void wrong_magic(struct packet *p)
{
        put(p, VGPU_MSG_STATS, sizeof(struct vgpu_msg_stats));
        header(p)->magic ^= 1;
}

static void wrong_major(struct packet *p)
{
        put(p, VGPU_MSG_STATS, sizeof(struct vgpu_msg_stats));
        header(p)->version = 0x00070003;
}

static void length_too_small(struct packet *p)
{
        put(p, VGPU_MSG_STATS, sizeof(struct vgpu_msg_stats));
        header(p)->length--;
}

static void length_too_large(struct packet *p)
{
        put(p, VGPU_MSG_STATS, sizeof(struct vgpu_msg_stats));
        header(p)->length = UINT32_MAX;
}

static void body_missing(struct packet *p)
{
        put(p, VGPU_MSG_QUERY, sizeof(struct vgpu_msg_header));
}

static void oversize(struct packet *p)
{
        put(p, VGPU_MSG_STATS, VGPU_MSG_MAX_CLIENT + 1);
}

static void unknown_required(struct packet *p)
{
        put(p, (enum vgpu_msg_type)0x7F, sizeof(struct vgpu_msg_header));
        header(p)->flags = VGPU_MSG_REQUIRED;
}

static void half_an_intent(struct packet *p)
{
        put(p, VGPU_MSG_INTENT, sizeof(struct vgpu_msg_header) + 16);
}

static void half_a_drop(struct packet *p)
{
        put(p, VGPU_MSG_DROP, sizeof(struct vgpu_msg_header));
}

static void second_hello(struct packet *p)
{
        put(p, VGPU_MSG_HELLO, sizeof(struct vgpu_msg_hello));
}

static void release_of_the_future(struct packet *p)
{
        put(p, VGPU_MSG_RELEASE, sizeof(struct vgpu_msg_release));
        ((struct vgpu_msg_release *)p->bytes)->generation = 1000;
}

static void descriptor_attached(struct packet *p)
{
        put(p, VGPU_MSG_STATS, sizeof(struct vgpu_msg_stats));
        p->fd = STDIN_FILENO;
}

/* ---- what does not ------------------------------------------------------------------------------ */

static void unknown_optional(struct packet *p)
{
        put(p, (enum vgpu_msg_type)0x7F, sizeof(struct vgpu_msg_header) + 100);
}

static void newer_minor(struct packet *p)
{
        put(p, VGPU_MSG_STATS, sizeof(struct vgpu_msg_stats));
        header(p)->version++;
}

static void longer_body(struct packet *p)
{
        put(p, VGPU_MSG_STATS, sizeof(struct vgpu_msg_stats) + 64);
}

static void a_daemons_own_message(struct packet *p)
{
        put(p, VGPU_MSG_WELCOME, sizeof(struct vgpu_msg_welcome));
}

static const struct {
        const char *name;
        void (*build)(struct packet *p);
        enum vgpu_goodbye expect; /* NONE: goes on */
} cases[] = {
        { "short_header", short_header, VGPU_GOODBYE_MALFORMED },
        { "wrong_magic", wrong_magic, VGPU_GOODBYE_MALFORMED },
        { "wrong_major", wrong_major, VGPU_GOODBYE_VERSION },
        { "length_too_small", length_too_small, VGPU_GOODBYE_MALFORMED },
        { "length_too_large", length_too_large, VGPU_GOODBYE_MALFORMED },
        { "body_missing", body_missing, VGPU_GOODBYE_MALFORMED },
        { "oversize", oversize, VGPU_GOODBYE_MALFORMED },
        { "unknown_required", unknown_required, VGPU_GOODBYE_UNSUPPORTED },
        { "half_an_intent", half_an_intent, VGPU_GOODBYE_MALFORMED },
        { "half_a_drop", half_a_drop, VGPU_GOODBYE_MALFORMED },
        { "second_hello", second_hello, VGPU_GOODBYE_MALFORMED },
        { "release_of_the_future", release_of_the_future, VGPU_GOODBYE_MALFORMED },
        { "descriptor_attached", descriptor_attached, VGPU_GOODBYE_MALFORMED },
        { "unknown_optional", unknown_optional, VGPU_GOODBYE_NONE },
        { "newer_minor", newer_minor, VGPU_GOODBYE_NONE },
        { "longer_body", longer_body, VGPU_GOODBYE_NONE },
        { "a_daemons_own_message", a_daemons_own_message, VGPU_GOODBYE_NONE },
};

static void expect_goodbye(int fd, enum vgpu_goodbye reason)
{
        const struct vgpu_msg_goodbye *said;
        struct packet p;

        assert_int_equal(hear(fd, &p), VGPU_MSG_GOODBYE);
        said = (const void *)p.bytes;
        assert_int_equal(said->reason, reason);
        assert_true(said->text[0] != '\0' && memchr(said->text, 0, sizeof(said->text)));
        assert_int_equal(hear(fd, &p), 0);
}

/* As it is before Linux 6.16: what is attached to a message arrives. Return: whether there is a difference. */
static bool let_descriptors_in(int fd)
{
        return setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &(int){ 1 }, sizeof(int)) == 0;
}

static void after_hello_each_case_ends_as_it_should(void **state)
{
        struct relay r;
        int before;

        (void)state;
        relay_start(&r);
        let_descriptors_in(server_fd(r.server));
        before = count_fds();
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                int fd = dial(&r);
                struct packet p;

                print_message("  %s\n", cases[i].name);
                say_hello(fd, VGPU_WANT_RING | VGPU_WANT_WAKE);
                cases[i].build(&p);
                assert_int_equal(transmit(fd, &p), 0);
                relay_turn(&r);
                assert_int_equal(hear(fd, &p), VGPU_MSG_WELCOME);
                assert_int_equal(p.fd, 3);
                if (cases[i].expect != VGPU_GOODBYE_NONE)
                        expect_goodbye(fd, cases[i].expect);
                else
                        assert_int_equal(server_n_peers(r.server), 1);
                close(fd);
                relay_turn(&r);
                assert_int_equal(server_n_peers(r.server), 0);
                assert_int_equal(r.last_goodbye, cases[i].expect);
        }
        assert_int_equal(count_fds(), before);
        relay_remove(&r);
}

/* Whoever receives a descriptor closes it, and closing can take as long as its sender likes. */
static void the_kernel_lets_no_descriptor_in(void **state)
{
        struct relay r;
        struct packet p;
        int fd;

        (void)state;
        relay_start(&r);
        fd = dial(&r);
        if (!let_descriptors_in(fd)) {
                close(fd);
                relay_remove(&r);
                print_message("skipped: this kernel has no SO_PASSRIGHTS\n");
                skip();
        }
        descriptor_attached(&p);
        assert_int_equal(transmit(fd, &p), -EPERM);
        relay_turn(&r);
        assert_int_equal(transmit(fd, &p), -EPERM);
        /* the other way they go as before */
        say_hello(fd, VGPU_WANT_RING | VGPU_WANT_WAKE);
        relay_turn(&r);
        assert_int_equal(hear(fd, &p), VGPU_MSG_WELCOME);
        assert_int_equal(p.fd, 3);
        close(fd);

        /* who connected before the socket was ours, to one that another program had opened */
        let_descriptors_in(server_fd(r.server));
        fd = dial(&r);
        relay_turn(&r);
        descriptor_attached(&p);
        assert_int_equal(transmit(fd, &p), -EPERM);
        close(fd);
        relay_remove(&r);
}

static void anything_before_hello_is_refused(void **state)
{
        struct relay r;

        (void)state;
        relay_start(&r);
        let_descriptors_in(server_fd(r.server));
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                int fd;
                struct packet p;

                if (cases[i].build == second_hello)
                        continue;
                fd = dial(&r);
                cases[i].build(&p);
                assert_int_equal(transmit(fd, &p), 0);
                relay_turn(&r);
                expect_goodbye(fd, cases[i].expect == VGPU_GOODBYE_VERSION
                                           ? VGPU_GOODBYE_VERSION
                                           : VGPU_GOODBYE_MALFORMED);
                close(fd);
        }
        assert_int_equal(server_n_peers(r.server), 0);
        relay_remove(&r);
}

static void another_major_is_told_both_versions(void **state)
{
        struct relay r;
        struct packet p;
        int fd;

        (void)state;
        relay_start(&r);
        fd = dial(&r);
        put(&p, VGPU_MSG_HELLO, sizeof(struct vgpu_msg_hello));
        header(&p)->version = 0x00070003;
        assert_int_equal(transmit(fd, &p), 0);
        relay_turn(&r);
        assert_int_equal(hear(fd, &p), VGPU_MSG_GOODBYE);
        assert_non_null(strstr(((struct vgpu_msg_goodbye *)p.bytes)->text, "7.3"));
        assert_non_null(strstr(((struct vgpu_msg_goodbye *)p.bytes)->text, "1.0"));
        close(fd);
        relay_remove(&r);
}

static void who_never_says_hello_is_dropped_at_the_deadline(void **state)
{
        struct relay r;
        int fd;

        (void)state;
        relay_start(&r);
        fd = dial(&r);
        relay_turn(&r);
        assert_int_equal(server_n_peers(r.server), 1);
        r.now_ns += 1999999999;
        relay_turn(&r);
        assert_int_equal(server_n_peers(r.server), 1);
        r.now_ns += 1;
        relay_turn(&r);
        assert_int_equal(server_n_peers(r.server), 0);
        expect_goodbye(fd, VGPU_GOODBYE_TOO_LATE);
        close(fd);
        relay_remove(&r);
}

static void who_closes_after_half_a_hello_leaves_nothing(void **state)
{
        struct relay r;
        struct packet p;
        int before, fd;

        (void)state;
        relay_start(&r);
        before = count_fds();
        fd = dial(&r);
        put(&p, VGPU_MSG_HELLO, sizeof(struct vgpu_msg_hello));
        p.len /= 2;
        assert_int_equal(transmit(fd, &p), 0);
        close(fd);
        relay_turn(&r);
        assert_int_equal(server_n_peers(r.server), 0);

        /* and with a whole one, gone before the welcome */
        fd = dial(&r);
        say_hello(fd, VGPU_WANT_RING | VGPU_WANT_WAKE);
        close(fd);
        relay_turn(&r);
        assert_int_equal(server_n_peers(r.server), 0);
        assert_int_equal(count_fds(), before);
        relay_remove(&r);
}

static void only_what_is_wanted_and_known_is_granted(void **state)
{
        static const struct {
                uint32_t wants, granted;
                int n_fds;
        } wants[] = {
                { 0, 0, 0 },
                { VGPU_WANT_RING, VGPU_WANT_RING, 1 },
                { VGPU_WANT_WAKE, VGPU_WANT_WAKE, 2 },
                { VGPU_WANT_LEASE, VGPU_WANT_LEASE, 1 },
                { VGPU_WANT_SOON, VGPU_WANT_SOON, 0 },
                /* of what there is to wake with */
                { VGPU_WANT_EDGE, 0, 0 },
                { VGPU_WANT_WAKE | VGPU_WANT_EDGE, VGPU_WANT_WAKE | VGPU_WANT_EDGE, 2 },
                { UINT32_MAX,
                        VGPU_WANT_RING | VGPU_WANT_WAKE | VGPU_WANT_LEASE | VGPU_WANT_SOON |
                                VGPU_WANT_EDGE,
                        3 },
        };
        struct relay r;

        (void)state;
        relay_start(&r);
        for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
                const struct vgpu_msg_welcome *said;
                struct packet p;
                int fd = dial(&r);

                say_hello(fd, wants[i].wants);
                relay_turn(&r);
                assert_int_equal(hear(fd, &p), VGPU_MSG_WELCOME);
                said = (const void *)p.bytes;
                assert_int_equal(said->granted, wants[i].granted);
                assert_int_equal(
                        said->lease_ns, said->granted & VGPU_WANT_LEASE ? RELAY_LEASE_NS : 0);
                assert_int_equal(p.fd, wants[i].n_fds);
                close(fd);
                relay_turn(&r);
        }
        relay_remove(&r);
}

static void a_query_is_answered_with_its_cookie(void **state)
{
        static const struct {
                uint32_t what;
                int32_t error;
                uint32_t len;
        } queries[] = {
                { VGPU_QUERY_STATUS, 0, 21 },
                { 99, -EOPNOTSUPP, 0 },
        };
        struct relay r;
        struct packet p;
        int fd;

        (void)state;
        relay_start(&r);
        fd = dial(&r);
        say_hello(fd, 0);
        relay_turn(&r);
        assert_int_equal(hear(fd, &p), VGPU_MSG_WELCOME);
        for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
                const struct vgpu_msg_reply *reply = (const void *)p.bytes;

                put(&p, VGPU_MSG_QUERY, sizeof(struct vgpu_msg_query));
                ((struct vgpu_msg_query *)p.bytes)->what = queries[i].what;
                ((struct vgpu_msg_query *)p.bytes)->cookie = 1234;
                assert_int_equal(transmit(fd, &p), 0);
                relay_turn(&r);
                assert_int_equal(hear(fd, &p), VGPU_MSG_REPLY);
                assert_int_equal(reply->cookie, 1234);
                assert_int_equal(reply->error, queries[i].error);
                assert_int_equal(reply->len, queries[i].len);
        }
        close(fd);
        relay_remove(&r);
}

static void who_asks_and_never_reads_is_dropped(void **state)
{
        struct relay r;
        struct packet p;
        int fd;

        (void)state;
        relay_start(&r);
        fd = dial(&r);
        say_hello(fd, 0);
        relay_turn(&r);
        put(&p, VGPU_MSG_QUERY, sizeof(struct vgpu_msg_query));
        ((struct vgpu_msg_query *)p.bytes)->what = VGPU_QUERY_CLIENTS;
        while (server_n_peers(r.server) == 1) {
                transmit(fd, &p);
                relay_turn(&r);
        }
        assert_int_equal(r.last_goodbye, VGPU_GOODBYE_UNREAD);
        close(fd);
        relay_remove(&r);
}

static void a_flood_ends_the_connection(void **state)
{
        struct relay r;
        struct packet p;
        int fd;

        (void)state;
        relay_start(&r);
        fd = dial(&r);
        say_hello(fd, 0);
        put(&p, VGPU_MSG_STATS, sizeof(struct vgpu_msg_stats));
        do {
                transmit(fd, &p);
                relay_turn(&r);
        } while (server_n_peers(r.server) == 1);
        assert_int_equal(r.last_goodbye, VGPU_GOODBYE_FLOOD);
        close(fd);
        relay_remove(&r);
}

/* Else connecting again would buy what a flood does not. */
static void who_has_just_connected_may_say_little(void **state)
{
        struct relay r;
        struct packet p;
        int fd, turns = 0;

        (void)state;
        relay_start(&r);
        fd = dial(&r);
        say_hello(fd, 0);
        put(&p, VGPU_MSG_QUERY, sizeof(struct vgpu_msg_query));
        ((struct vgpu_msg_query *)p.bytes)->what = VGPU_QUERY_STATUS;
        for (int i = 0; i < 10; i++)
                assert_int_equal(transmit(fd, &p), 0);
        while (turns == 0 || server_n_peers(r.server) == 1) {
                relay_turn(&r);
                turns++;
        }
        assert_int_equal(turns, 3);
        assert_int_equal(r.last_goodbye, VGPU_GOODBYE_FLOOD);
        assert_int_equal(hear(fd, &p), VGPU_MSG_WELCOME);
        for (int i = 0; i < 7; i++)
                assert_int_equal(hear(fd, &p), VGPU_MSG_REPLY);
        assert_int_equal(hear(fd, &p), VGPU_MSG_GOODBYE);
        assert_true(((struct vgpu_msg_goodbye *)p.bytes)->retry_ms >= 1000);
        close(fd);
        relay_remove(&r);
}

static void one_message_a_second_is_no_flood(void **state)
{
        struct relay r;
        struct packet p;
        int fd;

        (void)state;
        relay_start(&r);
        fd = dial(&r);
        say_hello(fd, 0);
        put(&p, VGPU_MSG_STATS, sizeof(struct vgpu_msg_stats));
        ((struct vgpu_msg_stats *)p.bytes)->frames_seen = 5;
        for (int i = 0; i < 2000; i++) {
                assert_int_equal(transmit(fd, &p), 0);
                r.now_ns += 1000000000;
                relay_turn(&r);
        }
        assert_int_equal(server_n_peers(r.server), 1);
        assert_int_equal(peer_info(server_next_peer(r.server, NULL)).frames_seen, 5);
        close(fd);
        relay_remove(&r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(after_hello_each_case_ends_as_it_should),
                cmocka_unit_test(the_kernel_lets_no_descriptor_in),
                cmocka_unit_test(anything_before_hello_is_refused),
                cmocka_unit_test(another_major_is_told_both_versions),
                cmocka_unit_test(who_never_says_hello_is_dropped_at_the_deadline),
                cmocka_unit_test(who_closes_after_half_a_hello_leaves_nothing),
                cmocka_unit_test(only_what_is_wanted_and_known_is_granted),
                cmocka_unit_test(a_query_is_answered_with_its_cookie),
                cmocka_unit_test(who_asks_and_never_reads_is_dropped),
                cmocka_unit_test(a_flood_ends_the_connection),
                cmocka_unit_test(who_has_just_connected_may_say_little),
                cmocka_unit_test(one_message_a_second_is_no_flood),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
