/*
 * passed_test.c - what the service manager passes is told apart by what it is and what it is called
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "systemd/outbox.h"
#include "systemd/passed.h"

/* One letter each: L listening, C not listening, T a stream that listens, D a datagram socket, M a memfd. */
static int make(char what)
{
        static const struct {
                char what;
                int type;
        } types[] = { { 'L', SOCK_SEQPACKET }, { 'C', SOCK_SEQPACKET }, { 'T', SOCK_STREAM },
                { 'D', SOCK_DGRAM } };
        const struct sockaddr_un anywhere = { .sun_family = AF_UNIX };

        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
                int fd;

                if (types[i].what != what)
                        continue;
                fd = socket(AF_UNIX, types[i].type, 0);
                if (bind(fd, (const struct sockaddr *)&anywhere, sizeof(sa_family_t)) < 0)
                        _exit(90);
                if ((what == 'L' || what == 'T') && listen(fd, 1) < 0)
                        _exit(91);
                return fd;
        }
        return memfd_create("passed", 0);
}

/* In a child: what the letters say becomes descriptors 3 and on, as systemd passes them. */
static void become_activated(const char *what, const char *names)
{
        char text[32];
        int n = (int)strlen(what);

        for (int i = 0; i < n; i++) {
                int fd;

                close(3 + i);
                fd = make(what[i]);
                if (fd != 3 + i && dup2(fd, 3 + i) < 0)
                        _exit(92);
        }
        snprintf(text, sizeof(text), "%d", (int)getpid());
        setenv("LISTEN_PID", text, 1);
        snprintf(text, sizeof(text), "%d", n);
        setenv("LISTEN_FDS", text, 1);
        if (names != NULL)
                setenv("LISTEN_FDNAMES", names, 1);
        else
                unsetenv("LISTEN_FDNAMES");
}

struct pass_case {
        const char *what;
        const char *names; /* NULL: a manager that does not tell */
        int want;          /* what passed_take() returns */
        int socket;
        size_t n_ram, n_strange;
};

static const struct pass_case cases[] = {
        { "L", NULL, 0, 3, 0, 0 },
        { "L", "vgpud@win11.socket", 0, 3, 0, 0 },
        { "C", NULL, -EINVAL, -1, 0, 0 },
        { "T", NULL, -EINVAL, -1, 0, 0 },
        { "D", NULL, -EINVAL, -1, 0, 0 },
        { "LL", NULL, -EINVAL, -1, 0, 0 },
        { "LT", NULL, -EINVAL, -1, 0, 0 },
        /* A socket is one whatever it is called, and RAM that is a socket is none. */
        { "L", "ram", 0, 3, 0, 0 },
        { "M", "ram", 0, -1, 1, 0 },
        { "MLM", "ram-0-7f0000000000-1:vgpud@win11.socket:ram-process-1", 0, 4, 2, 0 },
        { "MM", "ramdisk:stored", 0, -1, 0, 2 },
        { "M", NULL, 0, -1, 0, 1 },
};

static int child_of(const struct pass_case *c)
{
        struct passed p, again;

        become_activated(c->what, c->names);
        if (passed_take(&p) != c->want)
                return 1;
        if (p.socket != c->socket || p.n_ram != c->n_ram || p.n_strange != c->n_strange)
                return 2;
        if (getenv("LISTEN_FDS") != NULL || passed_take(&again) != 0 || again.socket != -1)
                return 3;
        if (p.socket >= 0 && !(fcntl(p.socket, F_GETFD) & FD_CLOEXEC))
                return 4;
        for (size_t i = 0; i < p.n_ram; i++)
                if (!(fcntl(p.ram[i].fd, F_GETFD) & FD_CLOEXEC))
                        return 5;
        passed_close(&p);
        for (int i = 0; i < (int)strlen(c->what); i++)
                if (fcntl(3 + i, F_GETFD) >= 0)
                        return 6;
        return 0;
}

static void each_descriptor_is_taken_for_what_it_is_or_closed(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                int status = 0;
                pid_t child = fork();

                if (child == 0)
                        _exit(child_of(&cases[i]));
                assert_int_equal(waitpid(child, &status, 0), child);
                if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                        fail_msg("case %zu ended with 0x%x", i, (unsigned)status);
        }
}

static void what_is_for_another_process_is_not_taken(void **state)
{
        struct passed p;

        (void)state;
        setenv("LISTEN_PID", "1", 1);
        setenv("LISTEN_FDS", "1", 1);
        assert_int_equal(passed_take(&p), 0);
        assert_int_equal(p.socket, -1);
        unsetenv("LISTEN_PID");
        unsetenv("LISTEN_FDS");
        assert_int_equal(passed_take(&p), 0);
        assert_int_equal(p.socket, -1);
}

/* ---- the store ----------------------------------------------------------------------------------------------------- */

static int begin_managed(void **state)
{
        const struct sockaddr_un anywhere = { .sun_family = AF_UNIX };
        struct sockaddr_un address = { 0 };
        socklen_t len = sizeof(address);
        char name[sizeof(address.sun_path) + 1] = "@";
        int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (bind(manager, (const struct sockaddr *)&anywhere, sizeof(sa_family_t)) < 0 ||
                getsockname(manager, (struct sockaddr *)&address, &len) < 0)
                return -1;
        memcpy(name + 1, address.sun_path + 1, len - offsetof(struct sockaddr_un, sun_path) - 1);
        *state = (void *)(intptr_t)manager;
        return setenv("NOTIFY_SOCKET", name, 1);
}

static int end_managed(void **state)
{
        close((int)(intptr_t)*state);
        return unsetenv("NOTIFY_SOCKET");
}

struct word {
        char text[256]; /* "": nothing was said */
        ino_t inode;    /* of what came with it, 0: nothing did */
};

static struct word hear(void **state)
{
        struct word w = { 0 };
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec iov = { w.text, sizeof(w.text) - 1 };
        struct msghdr msg = { .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control) };
        ssize_t n = recvmsg((int)(intptr_t)*state, &msg, MSG_CMSG_CLOEXEC);
        struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
        struct stat st;
        int fd;

        if (c) {
                memcpy(&fd, CMSG_DATA(c), sizeof(fd));
                assert_int_equal(fstat(fd, &st), 0);
                w.inode = st.st_ino;
                close(fd);
        }
        return w;
}

static int memory(ino_t *ret_inode)
{
        int fd = memfd_create("ram", 0);
        struct stat st;

        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &st), 0);
        *ret_inode = st.st_ino;
        return fd;
}

/* Until the manager's queue is full. Return: how many are in it. */
static unsigned say_until_full(void)
{
        unsigned n = 0;

        while (outbox_send("X=1") == 0)
                n++;
        return n;
}

static void heard_is(void **state, const char *text, ino_t inode)
{
        struct word w = hear(state);

        assert_string_equal(w.text, text);
        assert_int_equal(w.inode, inode);
}

static void what_is_stored_goes_to_the_manager(void **state)
{
        ino_t inode;
        int fd = memory(&inode);

        passed_store("ram-0", fd);
        close(fd);
        heard_is(state, "FDSTORE=1\nFDPOLL=0\nFDNAME=ram-0", inode);
        passed_unstore("ram-0");
        heard_is(state, "FDSTOREREMOVE=1\nFDNAME=ram-0", 0);
        heard_is(state, "", 0);
}

static void what_the_manager_has_no_room_for_reaches_it_later_and_in_order(void **state)
{
        unsigned n = say_until_full();
        ino_t first, second;
        int fd = memory(&first), other = memory(&second);

        passed_unstore("ram-before");
        passed_store("ram-0", fd);
        passed_store("ram-1", other);
        close(fd);
        close(other);
        while (n-- > 0)
                heard_is(state, "X=1", 0);
        heard_is(state, "", 0);
        outbox_flush();
        heard_is(state, "FDSTOREREMOVE=1\nFDNAME=ram-before", 0);
        heard_is(state, "FDSTORE=1\nFDPOLL=0\nFDNAME=ram-0", first);
        heard_is(state, "FDSTORE=1\nFDPOLL=0\nFDNAME=ram-1", second);
        heard_is(state, "", 0);
}

/* Somebody has the other end of @pipe open. */
static bool is_open(int pipe)
{
        struct pollfd end = { .fd = pipe, .events = POLLOUT };

        assert_int_equal(poll(&end, 1, 0), 1);
        return !(end.revents & POLLERR);
}

static void what_was_never_stored_is_not_kept_open(void **state)
{
        unsigned n = say_until_full();
        int ends[2];

        assert_int_equal(pipe(ends), 0);
        passed_store("ram-0", ends[0]);
        close(ends[0]);
        assert_true(is_open(ends[1]));
        passed_unstore("ram-0");
        assert_false(is_open(ends[1]));
        while (n-- > 0)
                heard_is(state, "X=1", 0);
        outbox_flush();
        heard_is(state, "FDSTOREREMOVE=1\nFDNAME=ram-0", 0);
        heard_is(state, "", 0);

        /* Nor where there is nobody who could take it. */
        setenv("NOTIFY_SOCKET", "@vgpu-nobody-is-here", 1);
        close(ends[1]);
        assert_int_equal(pipe(ends), 0);
        passed_store("ram-0", ends[0]);
        close(ends[0]);
        assert_false(is_open(ends[1]));
        close(ends[1]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_descriptor_is_taken_for_what_it_is_or_closed),
                cmocka_unit_test(what_is_for_another_process_is_not_taken),
                cmocka_unit_test_setup_teardown(
                        what_is_stored_goes_to_the_manager, begin_managed, end_managed),
                cmocka_unit_test_setup_teardown(
                        what_the_manager_has_no_room_for_reaches_it_later_and_in_order,
                        begin_managed, end_managed),
                cmocka_unit_test_setup_teardown(
                        what_was_never_stored_is_not_kept_open, begin_managed, end_managed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
