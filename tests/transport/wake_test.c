/*
 * wake_test.c - who is woken and who is not, by bytes and by edges, one by one and many at once
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "caller.h"

#define CROWD 40

/* Every test runs with plain sends and with submissions: what a client sees must be the same. */
static struct relay relay;
static uint32_t
        batch; /* what the server made of it: without io_uring there are single sends only */

static void start(uint32_t asked)
{
        relay_start_with(&relay, &(struct server_config){ .group = SERVER_GROUP_NONE,
                                         .max_clients = CROWD + 1,
                                         .wake_batch = asked });
        batch = server_wake_batch(relay.server);
}

static int start_plain(void **state)
{
        (void)state;
        start(SERVER_BATCH_NEVER);
        return 0;
}

static int start_batched(void **state)
{
        (void)state;
        start(1);
        if (batch != 1)
                print_message("no io_uring here: single sends in place of submissions\n");
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
        assert_int_equal(server_wake_batch(relay.server), batch);
        if (batch == 1)
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
        /* a submission answered each refusal at once, or the server would have turned away from them */
        assert_int_equal(server_wake_batch(relay.server), batch);
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
        assert_int_equal(server_wake_batch(relay.server), batch);
        caller_stop(&c);
}

/* ---- a reader in the middle of a read, for ever ------------------------------------------------ */

struct stuck {
        pthread_t thread;
        int faults;
        int fd;
        void *area;
};

static void *read_into_nowhere(void *arg)
{
        struct stuck *s = arg;

        return (void *)read(s->fd, s->area, 100);
}

/* Memory whose first touch waits for us, as that of a FUSE file waits for its server. */
static bool stuck_init(struct stuck *s, int fd)
{
        struct uffdio_api api = { .api = UFFD_API };
        struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };

        s->fd = fd;
        s->faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
        if (s->faults < 0 || ioctl(s->faults, UFFDIO_API, &api) < 0)
                return false;
        s->area = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        range.range = (struct uffdio_range){ .start = (uintptr_t)s->area, .len = 4096 };
        return ioctl(s->faults, UFFDIO_REGISTER, &range) == 0;
}

static void stuck_wait(const struct stuck *s)
{
        struct pollfd pfd = { .fd = s->faults, .events = POLLIN };

        assert_int_equal(poll(&pfd, 1, -1), 1);
}

static void stuck_end(struct stuck *s)
{
        struct uffdio_zeropage page = { .range = { .start = (uintptr_t)s->area, .len = 4096 } };

        assert_int_equal(ioctl(s->faults, UFFDIO_ZEROPAGE, &page), 0);
        pthread_join(s->thread, NULL);
        close(s->faults);
        munmap(s->area, 4096);
}

/* With a pipe the server would now wait for a lock that the client keeps as long as it likes. */
static void a_reader_that_never_finishes_holds_up_nobody(void **state)
{
        struct caller stuck, healthy;
        struct stuck s;

        (void)state;
        caller_start(&stuck, &relay, VGPU_WANT_WAKE);
        caller_start(&healthy, &relay, VGPU_WANT_WAKE);
        if (!stuck_init(&s, stuck.wake_fd)) {
                print_message("skipped: no userfaultfd\n");
                skip();
        }
        caller_arm(&stuck, 1, 0);
        relay_publish(&relay);
        assert_int_equal(pthread_create(&s.thread, NULL, read_into_nowhere, &s), 0);
        stuck_wait(&s);
        for (uint32_t ticket = 2; ticket < 1000; ticket++) {
                caller_arm(&stuck, ticket, 0);
                caller_arm(&healthy, ticket, 0);
                relay_publish(&relay);
                assert_int_equal(caller_wakes(&healthy), 1);
        }
        stuck_end(&s);
        caller_stop(&stuck);
        caller_stop(&healthy);
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

/* ---- edges ------------------------------------------------------------------------------------- */

#define EDGES (VGPU_WANT_WAKE | VGPU_WANT_EDGE)

/* A caller that asked for edges, and an epoll that sees them. */
struct poller {
        struct caller c;
        int epoll_fd;
};

static int edges(const struct poller *p)
{
        struct epoll_event event;

        return epoll_wait(p->epoll_fd, &event, 1, 0);
}

static void poller_start(struct poller *p)
{
        struct epoll_event event = { .events = EPOLLIN | EPOLLET };

        caller_start(&p->c, &relay, EDGES);
        if (!(p->c.welcome.granted & VGPU_WANT_EDGE)) {
                print_message("skipped: this kernel has no edges\n");
                skip();
        }
        p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        assert_int_equal(epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, p->c.wake_fd, &event), 0);
        assert_int_equal(edges(p), 1); /* readable it is from the start */
}

static void poller_stop(struct poller *p)
{
        close(p->epoll_fd);
        caller_stop(&p->c);
}

static void an_edge_comes_for_each_ticket_and_nothing_to_read(void **state)
{
        struct poller p;

        (void)state;
        poller_start(&p);
        for (uint32_t ticket = 1; ticket < 100; ticket++) {
                assert_int_equal(edges(&p), 0);
                caller_arm(&p.c, ticket, 0);
                relay_publish(&relay);
                relay_publish(&relay);
                assert_int_equal(edges(&p), 1);
                assert_int_equal(read(p.c.wake_fd, &(char){ 0 }, 1), 0);
        }
        assert_int_equal(counters()->wakes, 99);
        poller_stop(&p);
}

/* Unlike a socket of bytes there is nothing to be full. */
static void edges_that_nobody_takes_do_not_run_out(void **state)
{
        struct poller p;

        (void)state;
        poller_start(&p);
        for (uint32_t ticket = 1; ticket < 1000; ticket++) {
                caller_arm(&p.c, ticket, 0);
                relay_publish(&relay);
        }
        assert_int_equal(counters()->wakes_full, 0);
        assert_int_equal(edges(&p), 1);
        assert_int_equal(edges(&p), 0);
        caller_arm(&p.c, 1000, 0);
        relay_publish(&relay);
        assert_int_equal(edges(&p), 1);
        poller_stop(&p);
}

static void bytes_and_edges_go_to_whoever_asked_for_them(void **state)
{
        struct caller plain;
        struct poller p;

        (void)state;
        caller_start(&plain, &relay, VGPU_WANT_WAKE);
        poller_start(&p);
        for (uint32_t ticket = 1; ticket < 10; ticket++) {
                caller_arm(&plain, ticket, 0);
                caller_arm(&p.c, ticket, 0);
                relay_publish(&relay);
                assert_int_equal(caller_wakes(&plain), 1);
                assert_int_equal(edges(&p), 1);
        }
        poller_stop(&p);
        caller_stop(&plain);
}

static void edges_have_one_direction_and_end_with_the_client(void **state)
{
        struct poller p, gone;

        (void)state;
        poller_start(&p);
        poller_start(&gone);
        assert_int_equal(send(p.c.wake_fd, "x", 1, MSG_NOSIGNAL), -1);
        assert_int_equal(errno, EPIPE);
        assert_int_equal(message_send(p.c.wake_fd, "x", 1, NULL, 0, &p.c.fd, 1), -EPIPE);
        close(gone.c.wake_fd);
        gone.c.wake_fd = -1;
        caller_arm(&gone.c, 1, 0);
        caller_arm(&p.c, 1, 0);
        relay_publish(&relay);
        assert_int_equal(edges(&p), 1);
        poller_stop(&gone);
        poller_stop(&p);
}

static void *wait_into_nowhere(void *arg)
{
        struct stuck *s = arg;

        return (void *)(intptr_t)epoll_wait(s->fd, s->area, 1, -1);
}

/* The client's epoll is locked for as long as its events are copied; giving it an edge takes another lock. */
static void a_poller_that_never_finishes_holds_up_nobody(void **state)
{
        struct poller p, healthy;
        struct stuck s;

        (void)state;
        poller_start(&p);
        poller_start(&healthy);
        if (!stuck_init(&s, p.epoll_fd)) {
                print_message("skipped: no userfaultfd\n");
                skip();
        }
        caller_arm(&p.c, 1, 0);
        relay_publish(&relay);
        assert_int_equal(pthread_create(&s.thread, NULL, wait_into_nowhere, &s), 0);
        stuck_wait(&s);
        for (uint32_t ticket = 2; ticket < 1000; ticket++) {
                caller_arm(&p.c, ticket, 0);
                caller_arm(&healthy.c, ticket, 0);
                relay_publish(&relay);
                assert_int_equal(edges(&healthy), 1);
        }
        stuck_end(&s);
        poller_stop(&healthy);
        poller_stop(&p);
}

/* ---- without io_uring -------------------------------------------------------------------------- */

/* What a service's SystemCallFilter= does, or an old kernel (ENOSYS). */
static void refuse_call(uint32_t number, uint32_t error)
{
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog filter = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
                prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
                _exit(77);
}

static void wake_without(uint32_t number, uint32_t error, uint32_t asked, bool before)
{
        struct caller c;

        if (before)
                refuse_call(number, error);
        start(asked);
        while (server_measure(relay.server))
                ;
        caller_start(&c, &relay, VGPU_WANT_WAKE);
        if (!before)
                refuse_call(number, error);
        for (uint32_t ticket = 1; ticket < 10; ticket++) {
                caller_arm(&c, ticket, 0);
                relay_publish(&relay);
                if (caller_wakes(&c) != 1)
                        _exit(2);
        }
        if (server_wake_batch(relay.server) != UINT32_MAX || counters()->wakes != 9)
                _exit(3);
        caller_stop(&c);
        relay_remove(&relay);
        _exit(0);
}

static void where_io_uring_is_refused_single_sends_do(void **state)
{
        static const struct {
                uint32_t number, error, asked;
                bool before; /* the server was made */
        } rows[] = {
                { SYS_io_uring_setup, ENOSYS, 1, true },
                { SYS_io_uring_setup, EPERM, SERVER_BATCH_AUTO, true },
                { SYS_io_uring_enter, EPERM, SERVER_BATCH_AUTO, true },
                { SYS_io_uring_enter, EPERM, 1, true },
                { SYS_io_uring_enter, EPERM, 1, false },
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                pid_t pid = fork();
                int status;

                if (pid == 0)
                        wake_without(rows[i].number, rows[i].error, rows[i].asked, rows[i].before);
                status = process_wait(pid);
                if (status == 77) {
                        print_message("skipped: no seccomp\n");
                        skip();
                }
                assert_int_equal(status, 0);
        }
}

static void when_to_batch_is_measured_if_nobody_says(void **state)
{
        static const uint32_t asked[] = { 0, SERVER_BATCH_AUTO, SERVER_BATCH_NEVER, 7 };

        (void)state;
        for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
                struct relay r;
                int before = count_fds();
                uint32_t from, n_steps = 0;

                relay_start_with(&r, &(struct server_config){ .group = SERVER_GROUP_NONE,
                                             .max_clients = 256,
                                             .wake_batch = asked[i] });
                /* a daemon serves before it knows, and until then writes to each */
                from = server_wake_batch(r.server);
                assert_true(from == UINT32_MAX || (asked[i] == 7 && from == 7));
                while (server_measure(r.server))
                        n_steps++;
                assert_true(n_steps <= 35);
                if (asked[i] == SERVER_BATCH_NEVER || asked[i] == 7)
                        assert_int_equal(n_steps, 0);
                from = server_wake_batch(r.server);
                print_message("asked %u: from %u on\n", asked[i], from);
                if (asked[i] == SERVER_BATCH_NEVER)
                        assert_int_equal(from, UINT32_MAX);
                else if (asked[i] == 7)
                        assert_true(from == 7 || from == UINT32_MAX);
                else
                        assert_true(from >= 2);
                relay_remove(&r);
                assert_int_equal(count_fds(), before);
        }
}

#define BOTH(test)                                                                                 \
        { #test " (single sends)", test, start_plain, stop, NULL },                                \
        {                                                                                          \
#test " (submissions)", test, start_batched, stop, NULL                            \
        }
#define ONCE(test) cmocka_unit_test_setup_teardown(test, start_plain, stop)

int main(void)
{
        const struct CMUnitTest tests[] = {
                BOTH(who_is_not_armed_is_not_woken),
                BOTH(a_ticket_is_answered_once),
                BOTH(only_changes_of_interest_wake),
                BOTH(of_a_crowd_those_who_armed_are_woken),
                BOTH(a_client_that_never_reads_its_wakes_is_sent_a_few),
                BOTH(a_client_that_closes_its_end_hurts_nobody),
                BOTH(a_reader_that_never_finishes_holds_up_nobody),
                BOTH(the_wake_socket_has_one_direction),
                BOTH(the_wake_socket_ends_with_the_client_and_the_daemon),
                ONCE(an_edge_comes_for_each_ticket_and_nothing_to_read),
                ONCE(edges_that_nobody_takes_do_not_run_out),
                BOTH(bytes_and_edges_go_to_whoever_asked_for_them),
                ONCE(edges_have_one_direction_and_end_with_the_client),
                ONCE(a_poller_that_never_finishes_holds_up_nobody),
                cmocka_unit_test(where_io_uring_is_refused_single_sends_do),
                cmocka_unit_test(when_to_batch_is_measured_if_nobody_says),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
