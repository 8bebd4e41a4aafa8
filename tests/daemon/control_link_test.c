/* control_link_test.c - one writer at a time, and what it may say */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control_link.h"

#define S UINT64_C(1000000000)

struct fixture {
        struct control_link link;
        char dir[32];
        char path[48];
};

static int set_up(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));
        struct server_failure why;

        strcpy(f->dir, "/tmp/control-link-XXXXXX");
        assert_non_null(mkdtemp(f->dir));
        snprintf(f->path, sizeof(f->path), "%s/sock", f->dir);
        assert_int_equal(
                control_link_init(&f->link,
                        &(struct control_link_config){
                                .path = f->path, .mode = 0600, .group = SERVER_GROUP_NONE },
                        &why),
                0);
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;

        control_link_deinit(&f->link);
        assert_int_equal(rmdir(f->dir), 0); /* nothing is left in it */
        free(f);
        return 0;
}

static int connect_to(const struct fixture *f)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        strcpy(addr.sun_path, f->path);
        assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
        return fd;
}

static struct vgpu_msg_header header(uint32_t type, size_t len)
{
        return (struct vgpu_msg_header){ VGPU_PROTOCOL_MAGIC, type, (uint32_t)len,
                VGPU_PROTOCOL_VERSION, 0, 0 };
}

static void say_hello(int fd)
{
        const struct vgpu_control_writer msg = {
                .header = header(VGPU_CONTROL_WRITER, sizeof(msg)),
                .name = "0123456789abcdef0123456789abcdef",
        };

        assert_int_equal(send(fd, &msg, sizeof(msg), 0), sizeof(msg));
}

static void say_written(int fd, uint64_t request)
{
        const struct vgpu_control_written msg = {
                .header = header(VGPU_CONTROL_WRITTEN, sizeof(msg)),
                .request = request,
        };

        assert_int_equal(send(fd, &msg, sizeof(msg), 0), sizeof(msg));
}

/* The reason of the GOODBYE that is there; -1: none, or something else. */
static int goodbye(int fd)
{
        struct vgpu_msg_goodbye msg;

        if (recv(fd, &msg, sizeof(msg), MSG_DONTWAIT) != sizeof(msg) ||
                msg.header.type != VGPU_MSG_GOODBYE || !msg.text[0])
                return -1;
        return (int)msg.reason;
}

/* A writer that has said who it is. */
static int writer_on(struct fixture *f)
{
        struct vgpu_control_written written;
        int fd = connect_to(f);

        say_hello(fd);
        assert_int_equal(control_link_accept(&f->link, S), CONTROL_LINK_TAKEN);
        assert_int_equal(control_link_read(&f->link, S, &written), CONTROL_LINK_WRITER);
        assert_int_equal(control_link_read(&f->link, S, &written), CONTROL_LINK_NOTHING);
        return fd;
}

static void a_writer_comes_speaks_and_goes(void **state)
{
        struct fixture *f = *state;
        struct vgpu_control_write write = { .request = 7 };
        struct vgpu_control_written written;
        int fd;

        assert_int_equal(control_link_accept(&f->link, S), CONTROL_LINK_NOBODY);
        assert_int_equal(control_link_send(&f->link, &write), -ENOTCONN);
        fd = writer_on(f);
        assert_true(f->link.ready);
        assert_string_equal(f->link.name, "0123456789abcdef0123456789abcdef");

        assert_int_equal(control_link_send(&f->link, &write), 0);
        assert_int_equal(recv(fd, &write, sizeof(write), MSG_DONTWAIT), sizeof(write));
        assert_int_equal(write.header.type, VGPU_CONTROL_WRITE);
        assert_int_equal(write.header.length, sizeof(write));
        assert_int_equal(write.request, 7);

        say_written(fd, 7);
        assert_int_equal(control_link_read(&f->link, S, &written), CONTROL_LINK_WRITTEN);
        assert_int_equal(written.request, 7);
        close(fd);
        assert_true(control_link_is_dead(&f->link));
        assert_int_equal(control_link_read(&f->link, S, &written), -ECONNRESET);
        control_link_drop(&f->link);
        assert_false(f->link.ready);
        assert_false(control_link_is_dead(&f->link));
}

static void a_second_one_is_refused_and_the_first_goes_on(void **state)
{
        struct fixture *f = *state;
        struct vgpu_control_write write = { .request = 1 };
        int fd = writer_on(f), second = connect_to(f);

        assert_int_equal(control_link_accept(&f->link, S), CONTROL_LINK_REFUSED);
        assert_int_equal(goodbye(second), VGPU_GOODBYE_FULL);
        assert_int_equal(control_link_send(&f->link, &write), 0);
        assert_int_equal(f->link.counters.full, 1);
        close(second);
        close(fd);
}

static void one_that_died_with_words_unread_is_known_to_be_dead(void **state)
{
        struct fixture *f = *state;
        int fd = writer_on(f);

        say_written(fd, 1);
        assert_false(control_link_is_dead(&f->link));
        close(fd);
        assert_true(control_link_is_dead(&f->link));
}

static void one_that_does_not_say_who_it_is_is_told_so(void **state)
{
        struct fixture *f = *state;
        int fd = connect_to(f);

        assert_int_equal(control_link_accept(&f->link, S), CONTROL_LINK_TAKEN);
        assert_false(control_link_expired(&f->link, S + CONTROL_LINK_HELLO_NS - 1));
        assert_int_equal(goodbye(fd), -1);
        assert_true(control_link_expired(&f->link, S + CONTROL_LINK_HELLO_NS));
        assert_int_equal(goodbye(fd), VGPU_GOODBYE_TOO_LATE);
        close(fd);
}

static void one_that_has_said_it_never_expires(void **state)
{
        struct fixture *f = *state;
        int fd = writer_on(f);

        assert_false(control_link_expired(&f->link, 1000 * S));
        close(fd);
}

/* ---- what breaks the protocol ---- */

static void hello_twice(int fd)
{
        say_hello(fd);
        say_hello(fd);
}

static void answer_before_hello(int fd)
{
        say_written(fd, 1);
}

static void short_answer(int fd)
{
        struct vgpu_control_written msg = {
                .header = header(VGPU_CONTROL_WRITTEN, sizeof(msg) - 1),
        };

        say_hello(fd);
        send(fd, &msg, sizeof(msg) - 1, 0);
}

static void short_hello(int fd)
{
        struct vgpu_control_writer msg = { .header = header(VGPU_CONTROL_WRITER, 40) };

        send(fd, &msg, 40, 0);
}

static void no_header(int fd)
{
        send(fd, "x", 1, 0);
}

static void another_magic(int fd)
{
        struct vgpu_control_writer msg = { .header = header(VGPU_CONTROL_WRITER, sizeof(msg)) };

        msg.header.magic++;
        send(fd, &msg, sizeof(msg), 0);
}

static void a_length_that_is_not_the_packets(int fd)
{
        struct vgpu_control_writer msg = { .header = header(VGPU_CONTROL_WRITER, 4096) };

        send(fd, &msg, sizeof(msg), 0);
}

static void larger_than_any(int fd)
{
        static uint8_t packet[VGPU_MSG_MAX_CLIENT + 1];

        send(fd, packet, sizeof(packet), 0);
}

static void a_descriptor(int fd)
{
        struct vgpu_control_writer msg = { .header = header(VGPU_CONTROL_WRITER, sizeof(msg)) };
        struct iovec iov = { &msg, sizeof(msg) };
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        struct msghdr h = { .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control) };
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);

        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(fd));
        sendmsg(fd, &h, 0);
}

static void another_major(int fd)
{
        struct vgpu_control_writer msg = { .header = header(VGPU_CONTROL_WRITER, sizeof(msg)) };

        msg.header.version += 1u << 16;
        send(fd, &msg, sizeof(msg), 0);
}

static void a_required_stranger(int fd)
{
        struct vgpu_msg_header msg = header(0x2FF, sizeof(msg));

        say_hello(fd);
        msg.flags = VGPU_MSG_REQUIRED;
        send(fd, &msg, sizeof(msg), 0);
}

static void a_flood(int fd)
{
        struct vgpu_msg_header msg = header(0x2FF, sizeof(msg));

        say_hello(fd);
        while (send(fd, &msg, sizeof(msg), MSG_DONTWAIT) > 0)
                ;
}

static void what_breaks_the_protocol_is_told_why_and_dropped(void **state)
{
        static const struct {
                const char *name;
                void (*act)(int fd);
                int goodbye;
        } bad[] = {
                { "hello twice", hello_twice, VGPU_GOODBYE_MALFORMED },
                { "answer before hello", answer_before_hello, VGPU_GOODBYE_MALFORMED },
                { "short answer", short_answer, VGPU_GOODBYE_MALFORMED },
                { "short hello", short_hello, VGPU_GOODBYE_MALFORMED },
                { "no header", no_header, VGPU_GOODBYE_MALFORMED },
                { "another magic", another_magic, VGPU_GOODBYE_MALFORMED },
                { "another length", a_length_that_is_not_the_packets, VGPU_GOODBYE_MALFORMED },
                { "larger than any", larger_than_any, VGPU_GOODBYE_MALFORMED },
                { "a descriptor", a_descriptor, VGPU_GOODBYE_MALFORMED },
                { "another major", another_major, VGPU_GOODBYE_VERSION },
                { "a required stranger", a_required_stranger, VGPU_GOODBYE_UNSUPPORTED },
                { "a flood", a_flood, VGPU_GOODBYE_FLOOD },
        };
        struct fixture *f = *state;

        /* as it is before Linux 6.16, or nothing could be attached */
        setsockopt(f->link.listener.fd, SOL_SOCKET, SO_PASSRIGHTS, &(int){ 1 }, sizeof(int));
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct vgpu_control_written written;
                int fd = connect_to(f), r;

                assert_int_equal(control_link_accept(&f->link, S), CONTROL_LINK_TAKEN);
                bad[i].act(fd);
                do {
                        r = control_link_read(&f->link, S, &written);
                } while (r > 0);
                if (r != -EPROTO || goodbye(fd) != bad[i].goodbye || !f->link.goodbye[0])
                        fail_msg("%s: %d", bad[i].name, r);
                control_link_drop(&f->link);
                close(fd);
        }
        assert_int_equal(f->link.counters.broken, sizeof(bad) / sizeof(bad[0]));
}

static void what_a_later_minor_says_is_ignored(void **state)
{
        struct fixture *f = *state;
        struct vgpu_msg_header msg = header(0x2FF, sizeof(msg));
        struct vgpu_control_written written;
        int fd = writer_on(f);
        struct {
                struct vgpu_control_written known;
                uint64_t appended;
        } longer = { .known = { .header = header(VGPU_CONTROL_WRITTEN, sizeof(longer)),
                             .request = 3 } };

        longer.known.header.version++;
        send(fd, &msg, sizeof(msg), 0);
        send(fd, &longer, sizeof(longer), 0);
        assert_int_equal(control_link_read(&f->link, S, &written), CONTROL_LINK_WRITTEN);
        assert_int_equal(written.request, 3);
        close(fd);
}

static void a_writer_that_does_not_read_is_not_waited_for(void **state)
{
        struct fixture *f = *state;
        struct vgpu_control_write write = { .request = 1 };
        int fd = writer_on(f), r = 0;

        for (int i = 0; i < 100000 && r == 0; i++)
                r = control_link_send(&f->link, &write);
        assert_int_equal(r, -EAGAIN);
        close(fd);
}

static void a_budget_comes_back_with_time(void **state)
{
        struct fixture *f = *state;
        struct vgpu_control_written written;
        int fd = writer_on(f);

        for (uint64_t i = 0; i < 1000; i++) {
                say_written(fd, i);
                assert_int_equal(control_link_read(&f->link, S + i * S / 32, &written),
                        CONTROL_LINK_WRITTEN);
        }
        close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_writer_comes_speaks_and_goes),
                TEST(a_second_one_is_refused_and_the_first_goes_on),
                TEST(one_that_died_with_words_unread_is_known_to_be_dead),
                TEST(one_that_does_not_say_who_it_is_is_told_so),
                TEST(one_that_has_said_it_never_expires),
                TEST(what_breaks_the_protocol_is_told_why_and_dropped),
                TEST(what_a_later_minor_says_is_ignored),
                TEST(a_writer_that_does_not_read_is_not_waited_for),
                TEST(a_budget_comes_back_with_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
