/*
 * unread_test.c - clients that are dropped and have not read what they were sent
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "caller.h"

#include <grp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVERYTHING (VGPU_WANT_RING | VGPU_WANT_WAKE | VGPU_WANT_LEASE)

static void start(struct relay *r)
{
        const struct server_config config = {
                .max_clients = 2,
                .max_clients_user = 1,
                .group = SERVER_GROUP_NONE,
        };

        relay_start_with(r, &config);
}

static void stop(struct relay *r)
{
        relay_stop(r);
        relay_remove(r);
}

/* Has itself dropped with WELCOME and GOODBYE unread. */
static int be_dropped(struct relay *r)
{
        int fd = dial_and_greet(r->path, EVERYTHING);

        relay_turn(r);
        assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), 1);
        relay_turn(r);
        assert_int_equal(r->last_goodbye, VGPU_GOODBYE_MALFORMED);
        assert_int_equal(server_n_peers(r->server), 0);
        return fd;
}

/* What a new client is told first. */
static uint32_t told(struct relay *r)
{
        _Alignas(uint64_t) uint8_t buf[4096];
        int fds[MESSAGE_MAX_FDS];
        int fd = dial_and_greet(r->path, 0);
        size_t n_fds;
        uint32_t type;

        relay_turn(r);
        type = hear(fd, buf, sizeof(buf), fds, &n_fds);
        assert_int_equal(n_fds, 0);
        close(fd);
        relay_turn(r);
        return type;
}

static void a_dropped_client_keeps_its_place_until_it_has_read(void **state)
{
        struct caller c;
        struct relay r;
        int fd;

        (void)state;
        start(&r);
        fd = be_dropped(&r);
        assert_int_equal(told(&r), VGPU_MSG_GOODBYE);
        caller_welcomed(&c, fd);
        assert_int_equal(told(&r), VGPU_MSG_GOODBYE);
        assert_int_equal(caller_hear(&c), VGPU_MSG_GOODBYE);
        assert_int_equal(caller_hear(&c), 0);
        assert_int_equal(told(&r), VGPU_MSG_WELCOME);
        caller_stop(&c);
        stop(&r);
}

static void a_dropped_client_gives_up_its_place_when_it_closes(void **state)
{
        struct relay r;
        int fd;

        (void)state;
        start(&r);
        fd = be_dropped(&r);
        assert_int_equal(told(&r), VGPU_MSG_GOODBYE);
        close(fd);
        assert_int_equal(told(&r), VGPU_MSG_WELCOME);
        stop(&r);
}

static void what_dropped_clients_left_goes_with_the_server(void **state)
{
        struct relay r;
        char byte;
        int fd;

        (void)state;
        start(&r);
        fd = be_dropped(&r);
        stop(&r);
        while (recv(fd, &byte, 1, MSG_DONTWAIT) > 0)
                continue;
        assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
        close(fd);
}

/* As a daemon without privileges, which the kernel lets have as many descriptors under way as files open. */
static bool give_up_privileges(void)
{
        const struct rlimit limit = { 400, 400 };

        if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(12345) < 0 || setuid(12345) < 0))
                return false;
        return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static int see_a_ring_beside_them(void)
{
        const struct server_config config = { .max_clients = 8, .group = SERVER_GROUP_NONE };
        struct caller healthy;
        struct relay r;
        uint32_t type;

        if (!give_up_privileges())
                return 2;
        relay_start_with(&r, &config);
        caller_start(&healthy, &r, EVERYTHING);
        for (int i = 0; i < 300; i++) {
                int fd = dial(r.path); /* and never closed */

                if (fd < 0)
                        return 3;
                send(fd,
                        &(struct vgpu_msg_hello){
                                .header = message_header(
                                        VGPU_MSG_HELLO, sizeof(struct vgpu_msg_hello)),
                                .wants = EVERYTHING,
                        },
                        sizeof(struct vgpu_msg_hello), MSG_NOSIGNAL);
                send(fd, "x", 1, MSG_NOSIGNAL);
                relay_turn(&r);
        }
        relay_regenerate(&r, 2 * RELAY_BYTES);
        type = caller_hear(&healthy);
        stop(&r);
        return type == VGPU_MSG_RING ? 0 : 4;
}

static void descriptors_that_dropped_clients_left_unread_shut_nobody_out(void **state)
{
        pid_t pid;

        (void)state;
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                _exit(see_a_ring_beside_them());
        assert_int_equal(process_wait(pid), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_dropped_client_keeps_its_place_until_it_has_read),
                cmocka_unit_test(a_dropped_client_gives_up_its_place_when_it_closes),
                cmocka_unit_test(what_dropped_clients_left_goes_with_the_server),
                cmocka_unit_test(descriptors_that_dropped_clients_left_unread_shut_nobody_out),
        };

        return cmocka_run_group_tests_name("unread", tests, NULL, NULL);
}
