/*
 * hostile_socket_test.c - what clients do to the daemon's socket, and stopped or killed ones
 *
 * Every test is one attack. Four healthy clients see every frame's bytes meanwhile; see siege.h for what must hold.
 *
 *      hostile_socket_test [PATTERN]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "siege.h"

#define EVERYTHING (VGPU_WANT_RING | VGPU_WANT_WAKE | VGPU_WANT_LEASE)

static struct siege siege;

static int abandon(void **state)
{
        (void)state;
        siege_abandon(&siege);
        return 0;
}

/* ---- stopped and killed ------------------------------------------------------------------------ */

enum step {
        STEP_CONNECTED = 1,
        STEP_GREETED,
        STEP_WELCOME_UNREAD,
        STEP_WELCOMED,
        STEP_SETTLED,
        STEP_ARMED,
        STEP_HOLDING,
        STEP_ASKED,
        STEP_RING_UNREAD, /* takes another ring: a change of mode */
        STEP_END
};

static void enter_until(const char *path, uint64_t step, struct hostile_board *board)
{
        struct hostile h = HOSTILE_NONE;
        const struct vgpu_msg_query query = {
                .header = message_header(VGPU_MSG_QUERY, sizeof(query)),
                .what = VGPU_QUERY_STATUS,
        };
        int r = hostile_enter(&h, path, EVERYTHING);

        if (r < 0) {
                hostile_found(board, "could not enter", r);
                return;
        }
        if (step >= STEP_SETTLED)
                r = hostile_settle(&h);
        if (r < 0)
                hostile_found(board, "the page was not taken", r);
        if (step == STEP_ARMED)
                h.page->armed = 1;
        if (step == STEP_HOLDING)
                h.page->hold[0] = __atomic_load_n(&h.ring->publish, __ATOMIC_ACQUIRE);
        if (step == STEP_ASKED)
                hostile_say(h.fd, &query);
        if (step == STEP_RING_UNREAD) {
                hostile_round(board);
                if (!hostile_has_news(h.fd))
                        hostile_found(board, "no other ring came", 0);
        }
        hostile_step(board, step);
        pause();
}

static void go_to_step(const char *path, uint64_t step, struct hostile_board *board)
{
        int fd;

        if (step > STEP_WELCOME_UNREAD) {
                enter_until(path, step, board);
                return;
        }
        fd = hostile_dial(path);
        if (fd < 0) {
                hostile_found(board, "could not connect", fd);
                return;
        }
        if (step >= STEP_GREETED)
                hostile_greet(fd, EVERYTHING);
        if (step == STEP_WELCOME_UNREAD && !hostile_has_news(fd))
                hostile_found(board, "no welcome came", 0);
        hostile_step(board, step);
        pause();
}

/* One attacker at each step; @then_stop: and stopped there at once. */
static void man_every_step(bool then_stop)
{
        struct hostile_proc *at[STEP_END];

        for (uint64_t step = 1; step < STEP_END; step++)
                at[step] = siege_attack(&siege, go_to_step, step);
        for (uint64_t step = 1; step < STEP_RING_UNREAD; step++) {
                siege_until_step(&siege, at[step], step);
                if (then_stop)
                        hostile_freeze(at[step]);
        }
        siege_until_rounds(&siege, at[STEP_RING_UNREAD], 1);
        siege_mode(&siege, "2048x1152@60");
        siege_until_step(&siege, at[STEP_RING_UNREAD], STEP_RING_UNREAD);
        if (then_stop)
                hostile_freeze(at[STEP_RING_UNREAD]);
}

static void clients_stopped_at_any_step_hold_nobody_up(void **state)
{
        (void)state;
        siege_begin(&siege, NULL);
        man_every_step(true);
        siege_mode(&siege, SIEGE_MODE);
        siege_goes_on(&siege, 60);
        siege_end(&siege);
}

static void clients_killed_at_any_step_leave_nothing(void **state)
{
        (void)state;
        siege_begin(&siege, NULL);
        man_every_step(false);
        for (unsigned i = 0; i < siege.n_attackers; i++)
                siege_kill(&siege, &siege.attacker[i]);
        siege_mode(&siege, SIEGE_MODE);
        siege_goes_on(&siege, 20);
        siege_end(&siege);
}

/* ---- too many ---------------------------------------------------------------------------------- */

static struct vgpu_msg_goodbye hear_goodbye(int fd)
{
        _Alignas(uint64_t) uint8_t buf[4096];
        struct vgpu_msg_goodbye goodbye;

        assert_int_equal(hostile_hear(fd, buf, sizeof(buf), NULL, NULL), VGPU_MSG_GOODBYE);
        memcpy(&goodbye, buf, sizeof(goodbye));
        return goodbye;
}

/* Words for people: several, and an end. */
static void assert_is_a_sentence(const char *text)
{
        size_t len = strnlen(text, sizeof(((struct vgpu_msg_goodbye *)0)->text));

        assert_in_range(len, 12, sizeof(((struct vgpu_msg_goodbye *)0)->text) - 1);
        assert_non_null(strchr(text, ' '));
        assert_int_equal(text[len - 1], '.');
}

static void assert_refused_as_full(void)
{
        struct vgpu_msg_goodbye goodbye;
        int fd = hostile_dial(siege_socket(&siege));

        assert_true(fd >= 0);
        goodbye = hear_goodbye(fd);
        assert_int_equal(goodbye.reason, VGPU_GOODBYE_FULL);
        assert_is_a_sentence(goodbye.text);
        assert_true(goodbye.retry_ms > 0);
        close(fd);
}

/* The daemon learns of who left and of who comes in an order of its own. */
static void enter_at_last(struct hostile *h)
{
        int r;

        do {
                r = hostile_enter(h, siege_socket(&siege), EVERYTHING);
        } while (r == -ECONNREFUSED);
        assert_int_equal(r, 0);
}

/* All places but those of the healthy are two. */
static void fill_and_overfill(const char *config)
{
        struct hostile h[2] = { HOSTILE_NONE, HOSTILE_NONE };

        siege_begin(&siege, config);
        for (int i = 0; i < 2; i++)
                assert_int_equal(hostile_enter(&h[i], siege_socket(&siege), EVERYTHING), 0);
        for (int i = 0; i < 200; i++)
                assert_refused_as_full();
        hostile_leave(&h[0]);
        enter_at_last(&h[0]);
        assert_refused_as_full();
        for (int i = 0; i < 2; i++)
                hostile_leave(&h[i]);
        siege_goes_on(&siege, 20);
        siege_end(&siege);
}

static void one_client_more_than_may_be_is_told_so_and_when_to_come_again(void **state)
{
        (void)state;
        fill_and_overfill("max_clients = 6\n");
}

static void one_client_more_than_a_user_may_have_is_told_so(void **state)
{
        (void)state;
        fill_and_overfill("max_clients = 60\nmax_clients_user = 6\n");
}

/* ---- garbage ----------------------------------------------------------------------------------- */

struct packet {
        const char *name;
        bool greet_first;
        uint32_t magic, type, version, flags;
        uint32_t length; /* what the header says; 0: what is sent */
        size_t bytes;    /* sent */
        uint32_t reason; /* of the goodbye; VGPU_GOODBYE_NONE: the socket just closes */
};

#define MAGIC   VGPU_PROTOCOL_MAGIC
#define VERSION VGPU_PROTOCOL_VERSION

static const struct packet bad_packets[] = {
        { "zero_length", false, 0, 0, 0, 0, 0, 0, VGPU_GOODBYE_NONE },
        { "one_byte", false, MAGIC, 0, 0, 0, 0, 1, VGPU_GOODBYE_MALFORMED },
        { "short_header", false, MAGIC, VGPU_MSG_HELLO, VERSION, 0, 0, 23, VGPU_GOODBYE_MALFORMED },
        { "header_alone", false, MAGIC, VGPU_MSG_HELLO, VERSION, 0, 0, 24, VGPU_GOODBYE_MALFORMED },
        { "wrong_magic", false, 0x50555046, VGPU_MSG_HELLO, VERSION, 0, 0, 64,
                VGPU_GOODBYE_MALFORMED },
        { "other_major", false, MAGIC, VGPU_MSG_HELLO, 0x00020000, 0, 0, 64, VGPU_GOODBYE_VERSION },
        { "length_too_small", false, MAGIC, VGPU_MSG_HELLO, VERSION, 0, 24, 64,
                VGPU_GOODBYE_MALFORMED },
        { "length_too_large", false, MAGIC, VGPU_MSG_HELLO, VERSION, 0, 0xFFFFFFFF, 64,
                VGPU_GOODBYE_MALFORMED },
        { "no_hello", false, MAGIC, VGPU_MSG_QUERY, VERSION, 0, 0, 32, VGPU_GOODBYE_MALFORMED },
        { "larger_than_may_be", false, MAGIC, VGPU_MSG_HELLO, VERSION, 0, 0, 4097,
                VGPU_GOODBYE_MALFORMED },
        { "much_larger", true, MAGIC, VGPU_MSG_STATS, VERSION, 0, 0, 60000,
                VGPU_GOODBYE_MALFORMED },
        { "required_unknown", true, MAGIC, 0x7F, VERSION, VGPU_MSG_REQUIRED, 0, 24,
                VGPU_GOODBYE_UNSUPPORTED },
        { "our_own_type", true, MAGIC, VGPU_MSG_WELCOME, VERSION, VGPU_MSG_REQUIRED, 0, 96,
                VGPU_GOODBYE_UNSUPPORTED },
        { "hello_twice", true, MAGIC, VGPU_MSG_HELLO, VERSION, 0, 0, 64, VGPU_GOODBYE_MALFORMED },
        { "short_stats", true, MAGIC, VGPU_MSG_STATS, VERSION, 0, 0, 71, VGPU_GOODBYE_MALFORMED },
        { "short_intent", true, MAGIC, VGPU_MSG_INTENT, VERSION, 0, 0, 47, VGPU_GOODBYE_MALFORMED },
        { "page_of_nobody", true, MAGIC, VGPU_MSG_PAGE, VERSION, 0, 0, 24, VGPU_GOODBYE_MALFORMED },
        { "zero_length_later", true, 0, 0, 0, 0, 0, 0, VGPU_GOODBYE_NONE },
};

static void send_packet(int fd, const struct packet *packet)
{
        static uint8_t bytes[65536];
        const struct vgpu_msg_header header = {
                .magic = packet->magic,
                .type = packet->type,
                .length = packet->length ? packet->length : (uint32_t)packet->bytes,
                .version = packet->version,
                .flags = packet->flags,
        };

        memcpy(bytes, &header, sizeof(header));
        assert_int_equal(send(fd, bytes, packet->bytes, MSG_NOSIGNAL), packet->bytes);
}

static void assert_ends_with(int fd, const struct packet *packet)
{
        _Alignas(uint64_t) uint8_t buf[4096];
        uint32_t type = hostile_hear(fd, buf, sizeof(buf), NULL, NULL);
        struct vgpu_msg_goodbye goodbye;

        if (packet->reason == VGPU_GOODBYE_NONE) {
                assert_int_equal(type, 0);
                return;
        }
        if (type != VGPU_MSG_GOODBYE)
                fail_msg("%s: was answered by 0x%x", packet->name, type);
        memcpy(&goodbye, buf, sizeof(goodbye));
        if (goodbye.reason != packet->reason)
                fail_msg("%s: goodbye %u: %s", packet->name, goodbye.reason, goodbye.text);
        assert_is_a_sentence(goodbye.text);
        assert_int_equal(hostile_hear(fd, buf, sizeof(buf), NULL, NULL), 0);
}

static void garbage_is_answered_with_a_reason_and_the_end(void **state)
{
        (void)state;
        siege_begin(&siege, NULL);
        for (size_t i = 0; i < sizeof(bad_packets) / sizeof(bad_packets[0]); i++) {
                const struct packet *packet = &bad_packets[i];
                struct hostile h = HOSTILE_NONE;

                if (packet->greet_first)
                        assert_int_equal(
                                hostile_enter(&h, siege_socket(&siege), VGPU_WANT_RING), 0);
                else
                        h.fd = hostile_dial(siege_socket(&siege));
                assert_true(h.fd >= 0);
                send_packet(h.fd, packet);
                assert_ends_with(h.fd, packet);
                hostile_leave(&h);
        }
        siege_goes_on(&siege, 20);
        siege_end(&siege);
}

static void a_ring_that_was_never_sent_cannot_be_released(void **state)
{
        const struct vgpu_msg_release release = {
                .header = message_header(VGPU_MSG_RELEASE, sizeof(release)),
                .generation = UINT64_MAX,
        };
        struct vgpu_msg_goodbye goodbye;
        struct hostile h;

        (void)state;
        siege_begin(&siege, NULL);
        assert_int_equal(hostile_enter(&h, siege_socket(&siege), EVERYTHING), 0);
        assert_int_equal(hostile_say(h.fd, &release), 0);
        goodbye = hear_goodbye(h.fd);
        assert_int_equal(goodbye.reason, VGPU_GOODBYE_MALFORMED);
        assert_is_a_sentence(goodbye.text);
        hostile_leave(&h);
        siege_end(&siege);
}

/* A header that is right, more often than not, before bytes that are not. */
static size_t make_noise(uint8_t *bytes, size_t cap, uint64_t *random)
{
        static const uint32_t types[] = { VGPU_MSG_HELLO, VGPU_MSG_STATS, VGPU_MSG_QUERY,
                VGPU_MSG_RELEASE, VGPU_MSG_INTENT, VGPU_MSG_DROP, VGPU_MSG_WELCOME, 0x77 };
        size_t len = hostile_random(random) % cap;
        struct vgpu_msg_header header;

        for (size_t i = 0; i < len; i++)
                bytes[i] = (uint8_t)hostile_random(random);
        if (len < sizeof(header) || hostile_random(random) % 4 == 0)
                return len;
        header = message_header(types[hostile_random(random) % 8], len);
        header.flags = (uint32_t)hostile_random(random) & 1;
        memcpy(bytes, &header, sizeof(header));
        return len;
}

static void make_noise_for_ever(const char *path, uint64_t arg, struct hostile_board *board)
{
        uint64_t random = arg | 1;
        uint8_t bytes[5000];

        for (;;) {
                int fd = hostile_dial(path);
                size_t len;

                if (fd < 0) {
                        hostile_found(board, "the daemon takes no connections", fd);
                        return;
                }
                if (hostile_random(&random) % 4 != 0)
                        hostile_greet(fd, (uint32_t)hostile_random(&random));
                do {
                        len = make_noise(
                                bytes, hostile_random(&random) % 2 ? 200 : sizeof(bytes), &random);
                } while (send(fd, bytes, len, MSG_NOSIGNAL) >= 0 &&
                         hostile_random(&random) % 16 != 0);
                close(fd);
                hostile_round(board);
        }
}

static void random_messages_at_full_speed_hurt_nobody(void **state)
{
        struct hostile_proc *p[2];

        (void)state;
        siege_begin(&siege, NULL);
        p[0] = siege_attack(&siege, make_noise_for_ever, 1);
        p[1] = siege_attack(&siege, make_noise_for_ever, UINT64_C(0x9E3779B97F4A7C15));
        siege_goes_on(&siege, 60);
        siege_until_rounds(&siege, p[0], 500);
        siege_until_rounds(&siege, p[1], 500);
        siege_end(&siege);
}

#define FDS_PER_MESSAGE 253 /* the kernel's SCM_MAX_FD */

static ssize_t send_with_fds(int over, const void *msg, size_t len, int fd)
{
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(FDS_PER_MESSAGE * sizeof(int))];
        } control = { 0 };
        struct iovec iov = { .iov_base = (void *)msg, .iov_len = len };
        struct msghdr h = { .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control) };
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);

        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(FDS_PER_MESSAGE * sizeof(int));
        for (size_t i = 0; i < FDS_PER_MESSAGE; i++)
                memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(fd));
        return sendmsg(over, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
}

#define KEPT_OUT 1

/* @own_socket: what is sent is the socket it is sent over, which only the kernel's collector finds again. */
static void flood_with_fds(const char *path, uint64_t own_socket, struct hostile_board *board)
{
        const struct vgpu_msg_stats stats = {
                .header = message_header(VGPU_MSG_STATS, sizeof(stats)),
        };

        for (;;) {
                struct hostile h;
                int r = hostile_enter(&h, path, VGPU_WANT_RING);

                /* who was dropped just now is still counted for a moment */
                if (r == -ECONNREFUSED)
                        continue;
                if (r < 0) {
                        hostile_found(board, "could not enter", r);
                        return;
                }
                while (send_with_fds(h.fd, &stats, sizeof(stats), own_socket ? h.fd : h.ring_fd) >
                        0)
                        continue;
                /* EPERM: from Linux 6.16 on the kernel keeps them out */
                if (errno != EAGAIN && errno != EPIPE && errno != ECONNRESET &&
                        errno != ETOOMANYREFS && errno != EPERM)
                        hostile_found(board, "no descriptors can be sent", -errno);
                if (errno == EPERM)
                        hostile_step(board, KEPT_OUT);
                hostile_leave(&h);
                hostile_round(board);
        }
}

static void floods_of_descriptors_stay_outside(void **state)
{
        struct hostile_proc *p[2];

        (void)state;
        siege_begin(&siege, NULL);
        p[0] = siege_attack(&siege, flood_with_fds, 0);
        p[1] = siege_attack(&siege, flood_with_fds, 1);
        siege_goes_on(&siege, 60);
        siege_until_rounds(&siege, p[0], 50);
        siege_until_rounds(&siege, p[1], 50);
        if (p[0]->board->step != KEPT_OUT)
                siege_until_said(&siege, "Descriptors may not be sent to vgpud.");
        siege_end(&siege);
}

static void knock_and_run(const char *path, uint64_t arg, struct hostile_board *board)
{
        (void)arg;
        for (;;) {
                int fd = hostile_dial(path);

                if (fd < 0) {
                        hostile_found(board, "the daemon takes no connections", fd);
                        return;
                }
                close(fd);
                hostile_round(board);
        }
}

/* More connections at once than the daemon serves, each new one in place of the oldest. */
static void knock_and_stay(const char *path, uint64_t n, struct hostile_board *board)
{
        int fd[256];

        for (uint64_t i = 0;; i++) {
                if (i >= n)
                        close(fd[i % n]);
                fd[i % n] = hostile_dial(path);
                if (fd[i % n] < 0) {
                        hostile_found(board, "the daemon takes no connections", fd[i % n]);
                        return;
                }
                hostile_round(board);
        }
}

/* The same, each of them welcomed and dropped, with all of that unread. */
static void be_dropped_and_stay(const char *path, uint64_t n, struct hostile_board *board)
{
        int fd[256];

        for (uint64_t i = 0;; i++) {
                if (i >= n)
                        close(fd[i % n]);
                fd[i % n] = hostile_dial(path);
                if (fd[i % n] < 0) {
                        hostile_found(board, "the daemon takes no connections", fd[i % n]);
                        return;
                }
                if (hostile_greet(fd[i % n], EVERYTHING) == 0)
                        send(fd[i % n], "x", 1, MSG_NOSIGNAL);
                hostile_round(board);
        }
}

static void ten_thousand_connections_without_a_hello_are_got_over(void **state)
{
        struct hostile_proc *run, *stay;

        (void)state;
        siege_begin(&siege, NULL);
        run = siege_attack(&siege, knock_and_run, 0);
        stay = siege_attack(&siege, knock_and_stay, 100);
        siege_goes_on(&siege, 60);
        siege_until_rounds(&siege, run, 10000);
        siege_until_rounds(&siege, stay, 1000);
        siege_kill(&siege, stay);
        /* a backlog that is full is to be waited for */
        for (int i = 0; i < 20; i++)
                siege_status(&siege, "frames");
        siege_end(&siege);
}

static void who_is_dropped_and_keeps_its_socket_takes_one_place_each(void **state)
{
        struct hostile_proc *p;

        (void)state;
        siege_begin(&siege, NULL);
        p = siege_attack(&siege, be_dropped_and_stay, 200);
        siege_goes_on(&siege, 60);
        siege_until_rounds(&siege, p, 1000);
        /* what they left unread is in nobody's way when there is more to be sent */
        siege_mode(&siege, "2048x1152@60");
        siege_mode(&siege, SIEGE_MODE);
        siege_end(&siege);
}

/* ---- who does not read ------------------------------------------------------------------------- */

/* What is there to be heard now, without waiting. */
static uint32_t overhear(int fd, void *buf, size_t cap)
{
        int fds[MESSAGE_MAX_FDS];
        size_t n_fds = 0;
        ssize_t n = message_recv(fd, buf, cap, fds, &n_fds);

        while (n_fds > 0)
                close(fds[--n_fds]);
        return n <= 0 ? 0 : ((const struct vgpu_msg_header *)buf)->type;
}

static void a_client_that_does_not_read_has_one_ring_waiting_and_then_the_newest(void **state)
{
        _Alignas(uint64_t) uint8_t buf[4096];
        struct vgpu_msg_welcome welcome;
        struct vgpu_msg_ring ring;
        struct hostile reads_no_ring;
        int reads_nothing;

        (void)state;
        siege_begin(&siege, NULL);
        assert_int_equal(hostile_enter(&reads_no_ring, siege_socket(&siege), EVERYTHING), 0);
        reads_nothing = hostile_dial(siege_socket(&siege));
        assert_true(reads_nothing >= 0);
        assert_int_equal(hostile_greet(reads_nothing, EVERYTHING), 0);
        assert_true(hostile_has_news(reads_nothing));

        siege_mode(&siege, "2048x1152@60");
        siege_mode(&siege, "2560x1700@30");
        siege_mode(&siege, SIEGE_MODE);
        siege_goes_on(&siege, 20);

        assert_int_equal(overhear(reads_no_ring.fd, buf, sizeof(buf)), VGPU_MSG_RING);
        memcpy(&ring, buf, sizeof(ring));
        assert_int_equal(ring.generation, 2);
        assert_int_equal(
                hostile_hear(reads_no_ring.fd, buf, sizeof(buf), NULL, NULL), VGPU_MSG_RING);
        memcpy(&ring, buf, sizeof(ring));
        assert_int_equal(ring.generation, 3);
        assert_int_equal(overhear(reads_no_ring.fd, buf, sizeof(buf)), 0);

        assert_int_equal(overhear(reads_nothing, buf, sizeof(buf)), VGPU_MSG_WELCOME);
        memcpy(&welcome, buf, sizeof(welcome));
        assert_int_equal(welcome.generation, 1);
        assert_int_equal(hostile_hear(reads_nothing, buf, sizeof(buf), NULL, NULL), VGPU_MSG_RING);
        memcpy(&ring, buf, sizeof(ring));
        assert_int_equal(ring.generation, 3);

        close(reads_nothing);
        hostile_leave(&reads_no_ring);
        siege_end(&siege);
}

/* @pause_ns: between two questions, so as not to be a flood. */
static void ask_and_never_read(const char *path, uint64_t pause_ns, struct hostile_board *board)
{
        const struct timespec pace = { .tv_nsec = (long)pause_ns };
        const struct vgpu_msg_query query = {
                .header = message_header(VGPU_MSG_QUERY, sizeof(query)),
                .what = VGPU_QUERY_STATUS,
        };

        for (;;) {
                struct hostile h;
                int r = hostile_enter(&h, path, 0);

                if (r < 0 && r != -ECONNREFUSED) {
                        hostile_found(board, "could not enter", r);
                        return;
                }
                while (r == 0 || r == -EAGAIN) {
                        r = hostile_say(h.fd, &query);
                        if (pause_ns)
                                nanosleep(&pace, NULL);
                }
                hostile_leave(&h);
                hostile_round(board);
        }
}

static void drain(int fd)
{
        static _Alignas(uint64_t) uint8_t buf[VGPU_MSG_MAX];

        while (message_recv(fd, buf, sizeof(buf), NULL, NULL) > 0)
                continue;
}

/* As often as the daemon lets anybody ask, and by many: each reads its answers. Who is dropped comes again. */
static void ask_together(const char *path, uint64_t n, struct hostile_board *board)
{
        const struct timespec pace = { .tv_nsec = 8000000 };
        const struct vgpu_msg_query query = {
                .header = message_header(VGPU_MSG_QUERY, sizeof(query)),
                .what = VGPU_QUERY_CLIENTS,
        };
        int fd[64];

        for (uint64_t i = 0; i < n; i++)
                fd[i] = -1;
        for (;;) {
                for (uint64_t i = 0; i < n; i++) {
                        drain(fd[i]);
                        if (hostile_say(fd[i], &query) == 0)
                                continue;
                        close(fd[i]);
                        fd[i] = hostile_dial(path);
                        if (fd[i] < 0)
                                hostile_found(board, "the daemon takes no connections", fd[i]);
                        hostile_greet(fd[i], 0);
                }
                nanosleep(&pace, NULL);
                hostile_round(board);
        }
}

static void questions_of_many_at_once_delay_no_frame(void **state)
{
        struct hostile_proc *p[2];

        (void)state;
        siege_begin(&siege, NULL);
        for (int i = 0; i < 2; i++)
                p[i] = siege_attack(&siege, ask_together, 28);
        siege_goes_on(&siege, 60);
        for (int i = 0; i < 2; i++)
                siege_until_rounds(&siege, p[i], 5);
        siege_end(&siege);
}

static void who_floods_with_questions_is_dropped(void **state)
{
        struct hostile_proc *p;

        (void)state;
        siege_begin(&siege, NULL);
        p = siege_attack(&siege, ask_and_never_read, 0);
        siege_goes_on(&siege, 60);
        siege_until_rounds(&siege, p, 20);
        siege_until_said(&siege, "Too many messages.");
        siege_end(&siege);
}

static void who_asks_and_does_not_read_is_dropped(void **state)
{
        struct hostile_proc *p;

        (void)state;
        siege_begin(&siege, NULL);
        p = siege_attack(&siege, ask_and_never_read, 9000000);
        siege_goes_on(&siege, 60);
        siege_until_rounds(&siege, p, 1);
        siege_until_said(&siege, "Replies were asked for and not read.");
        siege_end(&siege);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(clients_stopped_at_any_step_hold_nobody_up, abandon),
                cmocka_unit_test_teardown(clients_killed_at_any_step_leave_nothing, abandon),
                cmocka_unit_test_teardown(
                        one_client_more_than_may_be_is_told_so_and_when_to_come_again, abandon),
                cmocka_unit_test_teardown(one_client_more_than_a_user_may_have_is_told_so, abandon),
                cmocka_unit_test_teardown(garbage_is_answered_with_a_reason_and_the_end, abandon),
                cmocka_unit_test_teardown(a_ring_that_was_never_sent_cannot_be_released, abandon),
                cmocka_unit_test_teardown(random_messages_at_full_speed_hurt_nobody, abandon),
                cmocka_unit_test_teardown(floods_of_descriptors_stay_outside, abandon),
                cmocka_unit_test_teardown(
                        ten_thousand_connections_without_a_hello_are_got_over, abandon),
                cmocka_unit_test_teardown(
                        who_is_dropped_and_keeps_its_socket_takes_one_place_each, abandon),
                cmocka_unit_test_teardown(
                        a_client_that_does_not_read_has_one_ring_waiting_and_then_the_newest,
                        abandon),
                cmocka_unit_test_teardown(questions_of_many_at_once_delay_no_frame, abandon),
                cmocka_unit_test_teardown(who_floods_with_questions_is_dropped, abandon),
                cmocka_unit_test_teardown(who_asks_and_does_not_read_is_dropped, abandon),
        };

        if (argc > 1)
                cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests_name("hostile_socket", tests, NULL, NULL);
}
