/*
 * offer_test.c - an answer is taken whole and as it says it is, or not at all, and nothing of it stays open
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "helper/offer.h"

static int sides[2];

static int connected(void **state)
{
        (void)state;
        return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sides);
}

static int disconnected(void **state)
{
        (void)state;
        close(sides[0]);
        close(sides[1]);
        return 0;
}

static unsigned count_fds(void)
{
        DIR *dir = opendir("/proc/self/fd");
        unsigned n = 0;

        while (readdir(dir))
                n++;
        closedir(dir);
        return n;
}

static int file(int flags)
{
        int fd = memfd_create("ram", MFD_CLOEXEC), again;
        char path[32];

        assert_int_equal(ftruncate(fd, 2 << 20), 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        again = open(path, flags | O_CLOEXEC);
        close(fd);
        assert_true(again >= 0);
        return again;
}

/* An honest answer of one file and its process; a descriptor stands in for a pidfd. */
static struct ram_hand honest(int flags)
{
        struct ram_hand hand = RAM_HAND_EMPTY;
        struct stat st;

        hand.fd[0] = file(flags);
        hand.fd[1] = file(O_RDONLY);
        hand.n_fds = 2;
        assert_int_equal(fstat(hand.fd[0], &st), 0);
        hand.offer.file[0] = (struct ram_offer_file){ .dev = st.st_dev,
                .ino = st.st_ino,
                .size = (uint64_t)st.st_size,
                .begin = 4096,
                .end = 8192 };
        hand.offer.n_files = 1;
        hand.offer.pid = 7;
        return hand;
}

static void an_honest_answer_arrives(void **state)
{
        struct ram_hand sent = honest(O_RDONLY), got = RAM_HAND_EMPTY;
        unsigned before = count_fds();

        (void)state;
        assert_int_equal(ram_hand_receive(sides[1], &got), -EAGAIN);
        assert_int_equal(ram_hand_send(sides[0], &sent), 0);
        assert_int_equal(ram_hand_receive(sides[1], &got), 0);
        assert_int_equal(got.n_fds, 2);
        assert_memory_equal(&got.offer, &sent.offer, sizeof(got.offer));
        assert_true(fcntl(got.fd[0], F_GETFD) & FD_CLOEXEC);
        ram_hand_close(&got);
        assert_int_equal(count_fds(), before);
        ram_hand_close(&sent);
}

static void a_refusal_is_a_line_of_text(void **state)
{
        struct ram_hand sent = RAM_HAND_EMPTY, got;

        (void)state;
        memset(sent.offer.reason, 'x', sizeof(sent.offer.reason));
        memcpy(sent.offer.reason, "no\nREADY=1\x1b", 11);
        assert_int_equal(ram_hand_send(sides[0], &sent), 0);
        assert_int_equal(ram_hand_receive(sides[1], &got), 0);
        assert_int_equal(got.offer.n_files, 0);
        assert_memory_equal(got.offer.reason, "no?READY=1?x", 12);
        assert_int_equal(strlen(got.offer.reason), sizeof(got.offer.reason) - 1);
        shutdown(sides[0], SHUT_WR);
        assert_int_equal(ram_hand_receive(sides[1], &got), -ECONNRESET);
}

static void lie_magic(struct ram_hand *h)
{
        h->offer.magic++;
}

static void lie_version(struct ram_hand *h)
{
        h->offer.version++;
}

static void lie_size(struct ram_hand *h)
{
        h->offer.file[0].size += 4096;
}

static void lie_inode(struct ram_hand *h)
{
        h->offer.file[0].ino++;
}

static void lie_address(struct ram_hand *h)
{
        h->offer.file[0].end = 1;
}

static void lie_more_files(struct ram_hand *h)
{
        h->offer.n_files = 2;
}

static void lie_far_too_many(struct ram_hand *h)
{
        h->offer.n_files = UINT32_MAX;
}

static void lie_no_process(struct ram_hand *h)
{
        h->offer.pid = 0;
}

static void lie_strange_process(struct ram_hand *h)
{
        h->offer.pid = -1;
}

static void lie_descriptors_of_nothing(struct ram_hand *h)
{
        h->offer.n_files = 0;
}

static void lie_a_folder(struct ram_hand *h)
{
        struct stat st;

        close(h->fd[0]);
        h->fd[0] = open("/tmp", O_RDONLY | O_CLOEXEC);
        assert_int_equal(fstat(h->fd[0], &st), 0);
        h->offer.file[0].dev = st.st_dev;
        h->offer.file[0].ino = st.st_ino;
        h->offer.file[0].size = (uint64_t)st.st_size;
}

static void a_lie_is_refused_and_nothing_stays_open(void **state)
{
        static void (*const lies[])(struct ram_hand * h) = { lie_magic, lie_version, lie_size,
                lie_inode, lie_address, lie_more_files, lie_far_too_many, lie_no_process,
                lie_strange_process, lie_descriptors_of_nothing, lie_a_folder };

        (void)state;
        for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
                struct ram_hand sent = honest(O_RDONLY), got = RAM_HAND_EMPTY;
                unsigned before;

                lies[i](&sent);
                before = count_fds();
                assert_int_equal(ram_hand_send(sides[0], &sent), 0);
                if (ram_hand_receive(sides[1], &got) != -EPROTO)
                        fail_msg("lie %zu was believed", i);
                assert_int_equal(got.n_fds, 0);
                assert_int_equal(count_fds(), before);
                ram_hand_close(&sent);
        }
}

static void a_descriptor_that_could_write_is_refused(void **state)
{
        struct ram_hand sent = honest(O_RDWR), got = RAM_HAND_EMPTY;

        (void)state;
        assert_int_equal(ram_hand_send(sides[0], &sent), 0);
        assert_int_equal(ram_hand_receive(sides[1], &got), -EPERM);
        assert_int_equal(got.n_fds, 0);
        ram_hand_close(&sent);
}

static void a_message_of_another_length_is_none(void **state)
{
        struct ram_hand got = RAM_HAND_EMPTY;
        char text[sizeof(struct ram_offer) + 8] = { 0 };

        (void)state;
        assert_int_equal(send(sides[0], text, 5, 0), 5);
        assert_int_equal(ram_hand_receive(sides[1], &got), -EPROTO);
        assert_int_equal(send(sides[0], text, sizeof(text), 0), sizeof(text));
        assert_int_equal(ram_hand_receive(sides[1], &got), -EPROTO);
}

/* One more than any answer has: there is room for it behind an array of an odd number, by alignment. */
static void more_descriptors_than_there_may_be_are_refused_and_closed(void **state)
{
        enum { N = RAM_OFFER_FDS + 1 };
        union {
                struct cmsghdr align;
                char buf[CMSG_SPACE(N * sizeof(int))];
        } control = { 0 };
        struct ram_hand got = RAM_HAND_EMPTY;
        struct iovec iov = { &got.offer, sizeof(got.offer) };
        struct msghdr msg = { .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control.buf,
                .msg_controllen = sizeof(control.buf) };
        int fds[N], fd = file(O_RDONLY);
        unsigned before = count_fds();

        (void)state;
        for (size_t i = 0; i < N; i++)
                fds[i] = fd;
        control.align = (struct cmsghdr){
                .cmsg_len = CMSG_LEN(sizeof(fds)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS
        };
        memcpy(CMSG_DATA(&control.align), fds, sizeof(fds));
        assert_int_equal(sendmsg(sides[0], &msg, 0), sizeof(got.offer));
        assert_int_equal(ram_hand_receive(sides[1], &got), -EPROTO);
        assert_int_equal(count_fds(), before);
        close(fd);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(an_honest_answer_arrives, connected, disconnected),
                cmocka_unit_test_setup_teardown(
                        a_refusal_is_a_line_of_text, connected, disconnected),
                cmocka_unit_test_setup_teardown(
                        a_lie_is_refused_and_nothing_stays_open, connected, disconnected),
                cmocka_unit_test_setup_teardown(
                        a_descriptor_that_could_write_is_refused, connected, disconnected),
                cmocka_unit_test_setup_teardown(
                        a_message_of_another_length_is_none, connected, disconnected),
                cmocka_unit_test_setup_teardown(
                        more_descriptors_than_there_may_be_are_refused_and_closed, connected,
                        disconnected),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
