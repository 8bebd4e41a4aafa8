/*
 * wake_test.c - who gets a byte and who does not, one by one and many at once
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "caller.h"

#define CROWD 40

/* Every test runs with plain sends and with submissions: what a client sees must be the same. */
static struct relay relay;

static int start_plain(void **state)
{
        (void)state;
        relay_start_with(&relay, &(struct server_config){ .group = SERVER_GROUP_NONE,
                                         .max_clients = CROWD + 1,
                                         .wake_batch = SERVER_BATCH_NEVER });
        return 0;
}

static int start_batched(void **state)
{
        (void)state;
        relay_start_with(&relay,
                &(struct server_config){
                        .group = SERVER_GROUP_NONE, .max_clients = CROWD + 1, .wake_batch = 1 });
        return 0;
}

static int stop(void **state)
{
        (void)state;
        relay_remove(&relay);
        return 0;
}

static const struct server_counters *counters(void)
{
        return server_counters(relay.server);
}

static void who_is_not_armed_is_not_woken(void **state)
{
        struct caller c;

        (void)state;
        caller_start(&c, &relay, VGPU_WANT_RING | VGPU_WANT_WAKE);
        relay_publish(&relay);
        server_wake(relay.server, 0);
        assert_int_equal(caller_wakes(&c), 0);
        assert_int_equal(counters()->wakes, 0);
        caller_stop(&c);
}

static void a_ticket_is_answered_once(void **state)
{
        struct caller c;

        (void)state;
        caller_start(&c, &relay, VGPU_WANT_WAKE);
        for (uint32_t ticket = 1; ticket < 100; ticket++) {
                caller_arm(&c, ticket, 0);
                assert_true(peer_info(server_next_peer(relay.server, NULL)).armed);
                relay_publish(&relay);
                relay_publish(&relay);
                server_wake(relay.server, VGPU_CHANGE_CURSOR);
                assert_int_equal(caller_wakes(&c), 1);
                assert_false(peer_info(server_next_peer(relay.server, NULL)).armed);
        }
        assert_int_equal(counters()->wakes, 99);
        caller_stop(&c);
}

static void only_changes_of_interest_wake(void **state)
{
        static const struct {
                uint32_t interest, changes;
                int wakes;
        } rows[] = {
                { 0, VGPU_CHANGE_CURSOR, 1 },
                { VGPU_CHANGE_CURSOR, VGPU_CHANGE_CURSOR, 1 },
                { VGPU_CHANGE_CURSOR, VGPU_CHANGE_FRAME, 0 },
                { VGPU_CHANGE_CURSOR | VGPU_CHANGE_FRAME, VGPU_CHANGE_FRAME, 1 },
                { VGPU_CHANGE_CURSOR, VGPU_CHANGE_FRAME | VGPU_CHANGE_CURSOR, 1 },
                /* superseded, closed: everybody */
                { VGPU_CHANGE_CURSOR, 0, 1 },
                { UINT32_C(1) << 31, 0, 1 },
                { UINT32_C(1) << 31, VGPU_CHANGE_STATE, 0 },
        };
        struct caller c;

        (void)state;
        caller_start(&c, &relay, VGPU_WANT_WAKE);
        for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                caller_arm(&c, i + 1, rows[i].interest);
                server_wake(relay.server, rows[i].changes);
                assert_int_equal(caller_wakes(&c), rows[i].wakes);
        }
        caller_stop(&c);
}

static void of_a_crowd_those_who_armed_are_woken(void **state)
{
        struct caller crowd[CROWD];

        (void)state;
        for (int i = 0; i < CROWD; i++)
                caller_start(&crowd[i], &relay, VGPU_WANT_WAKE);
        for (uint32_t round = 1; round < 20; round++) {
                for (uint32_t i = 0; i < CROWD; i++) {
                        if (i % round == 0)
                                caller_arm(&crowd[i], round, 0);
                }
                relay_publish(&relay);
                for (uint32_t i = 0; i < CROWD; i++)
                        assert_int_equal(caller_wakes(&crowd[i]), i % round == 0);
        }
        if (server_wake_batch(relay.server) == 1)
                assert_int_equal(counters()->batches, 19);
        else
                assert_int_equal(counters()->batches, 0);
        for (int i = 0; i < CROWD; i++)
                caller_stop(&crowd[i]);
}

/* A new ticket for every change, and never a look at the socket. */
static void a_client_that_never_reads_its_wakes_is_sent_a_few(void **state)
{
        struct caller greedy, healthy;
        uint32_t ticket = 0;
        int bytes;

        (void)state;
        caller_start(&greedy, &relay, VGPU_WANT_WAKE);
        caller_start(&healthy, &relay, VGPU_WANT_WAKE);
        /* its own end, its own flags and sizes: nothing of ours */
        assert_int_equal(fcntl(greedy.wake_fd, F_SETFL, 0), 0);
        setsockopt(greedy.wake_fd, SOL_SOCKET, SO_RCVBUF, &(int){ 1 << 30 }, sizeof(int));
        while (counters()->wakes_full < 1000) {
                caller_arm(&greedy, ++ticket, 0);
                caller_arm(&healthy, ticket, 0);
                relay_publish(&relay);
                assert_int_equal(caller_wakes(&healthy), 1);
        }
        bytes = caller_wakes(&greedy);
        assert_true(bytes > 0 && bytes < 100);
        caller_arm(&greedy, ++ticket, 0);
        relay_publish(&relay);
        assert_int_equal(caller_wakes(&greedy), 1);
        caller_stop(&greedy);
        caller_stop(&healthy);
}

static void a_client_that_closes_its_end_hurts_nobody(void **state)
{
        struct caller c;

        (void)state;
        caller_start(&c, &relay, VGPU_WANT_WAKE);
        close(c.wake_fd);
        c.wake_fd = -1;
        caller_arm(&c, 1, 0);
        relay_publish(&relay);
        assert_int_equal(counters()->wakes, 0);
        assert_int_equal(counters()->wakes_full, 1);
        caller_stop(&c);
}

/* Nothing can be put into it, so nothing of ours is ever held up or filled by what a client sends there. */
static void the_wake_socket_has_one_direction(void **state)
{
        struct caller c;
        char path[64];

        (void)state;
        caller_start(&c, &relay, VGPU_WANT_WAKE);
        assert_int_equal(send(c.wake_fd, "x", 1, MSG_NOSIGNAL), -1);
        assert_int_equal(errno, EPIPE);
        assert_int_equal(message_send(c.wake_fd, "x", 1, NULL, 0, &c.fd, 1), -EPIPE);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", c.wake_fd);
        assert_int_equal(open(path, O_RDWR), -1);
        caller_arm(&c, 1, 0);
        relay_publish(&relay);
        assert_int_equal(caller_wakes(&c), 1);
        caller_stop(&c);
}

static void the_wake_socket_ends_with_the_client_and_the_daemon(void **state)
{
        struct pollfd pfd = { .events = POLLIN };
        struct caller c;

        (void)state;
        caller_start(&c, &relay, VGPU_WANT_WAKE);
        pfd.fd = c.wake_fd;
        assert_int_equal(poll(&pfd, 1, 0), 0);
        relay_stop(&relay);
        assert_int_equal(poll(&pfd, 1, -1), 1);
        assert_true(pfd.revents & POLLHUP);
        assert_int_equal(read(c.wake_fd, &(char){ 0 }, 1), 0);
        caller_stop(&c);
}

static void when_to_batch_is_measured_if_nobody_says(void **state)
{
        static const uint32_t asked[] = { 0, SERVER_BATCH_AUTO, SERVER_BATCH_NEVER, 7 };

        (void)state;
        for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
                struct relay r;
                int before = count_fds();
                uint32_t batch;

                relay_start_with(&r, &(struct server_config){ .group = SERVER_GROUP_NONE,
                                             .max_clients = 256,
                                             .wake_batch = asked[i] });
                batch = server_wake_batch(r.server);
                print_message("asked %u: from %u on\n", asked[i], batch);
                if (asked[i] == SERVER_BATCH_NEVER)
                        assert_int_equal(batch, UINT32_MAX);
                else if (asked[i] == 7)
                        assert_true(batch == 7 || batch == UINT32_MAX);
                else
                        assert_true(batch >= 2);
                relay_remove(&r);
                assert_int_equal(count_fds(), before);
        }
}

#define BOTH(test)                                                                                 \
        { #test " (single sends)", test, start_plain, stop, NULL },                                \
        {                                                                                          \
#test " (submissions)", test, start_batched, stop, NULL                            \
        }

int main(void)
{
        const struct CMUnitTest tests[] = {
                BOTH(who_is_not_armed_is_not_woken),
                BOTH(a_ticket_is_answered_once),
                BOTH(only_changes_of_interest_wake),
                BOTH(of_a_crowd_those_who_armed_are_woken),
                BOTH(a_client_that_never_reads_its_wakes_is_sent_a_few),
                BOTH(a_client_that_closes_its_end_hurts_nobody),
                BOTH(the_wake_socket_has_one_direction),
                BOTH(the_wake_socket_ends_with_the_client_and_the_daemon),
                cmocka_unit_test(when_to_batch_is_measured_if_nobody_says),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
