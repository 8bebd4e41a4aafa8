/*
 * passed_test.c - what the service manager passes is told apart by what it is and what it is called
 */
#include <errno.h>
#include <fcntl.h>
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
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

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

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_descriptor_is_taken_for_what_it_is_or_closed),
                cmocka_unit_test(what_is_for_another_process_is_not_taken),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
