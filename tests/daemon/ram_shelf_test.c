/*
 * ram_shelf_test.c - descriptors at hand: what is taken, what is over, what the next daemon gets
 *
 * The service manager is the notification socket: what the shelf wants stored and removed is read from it.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "ram_shelf.h"

#define RAM_BYTES (2u << 20)

static const struct vgpu_config by_path = { .guest.ram = "/dev/shm/a.ram" };
static const struct vgpu_config by_process = { .guest.ram = "auto", .guest.pidfile = "/run/a.pid" };
static char dir[] = "/tmp/vgpud-shelf-XXXXXX";
static int manager = -1;

static int begin(void **state)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        (void)state;
        if (!mkdtemp(dir))
                return -1;
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", dir);
        setenv("NOTIFY_SOCKET", address.sun_path, 1);
        manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        return bind(manager, (struct sockaddr *)&address, sizeof(address));
}

static int finish(void **state)
{
        char command[64];

        (void)state;
        close(manager);
        snprintf(command, sizeof(command), "rm -rf %s", dir);
        return system(command);
}

/* The next message, and its descriptor in *ret_fd. "" when there is none. */
static const char *heard(int *ret_fd)
{
        static char text[512];
        union {
                struct cmsghdr align;
                char buf[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec iov = { text, sizeof(text) - 1 };
        struct msghdr msg = { .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control) };
        ssize_t n = recvmsg(manager, &msg, MSG_CMSG_CLOEXEC);
        struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&msg);

        *ret_fd = -1;
        text[n < 0 ? 0 : n] = '\0';
        if (c && c->cmsg_type == SCM_RIGHTS)
                memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
        return text;
}

static void must_hear(const char *words)
{
        int fd;
        const char *said = heard(&fd);

        if (fd >= 0)
                close(fd);
        if (!strstr(said, words) || (words[0] == '\0' && said[0] != '\0'))
                fail_msg("'%s' was said, not '%s'", said, words);
}

/* Takes what is to be stored, as the manager would hand it to the next daemon. */
static void take_stored(struct passed *p)
{
        int fd;
        const char *said = heard(&fd);

        for (; said[0] != '\0'; said = heard(&fd)) {
                assert_memory_equal(said, "FDSTORE=1\nFDPOLL=0\nFDNAME=", 26);
                p->ram[p->n_ram].fd = fd;
                snprintf(p->ram[p->n_ram++].name, PASSED_NAME_MAX, "%s", said + 26);
        }
}

static int memfd(void)
{
        int fd = memfd_create("memory-backend-memfd", MFD_CLOEXEC), again;
        char path[32];

        assert_int_equal(ftruncate(fd, RAM_BYTES), 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        again = open(path, O_RDONLY | O_CLOEXEC);
        close(fd);
        return again;
}

static const char *in_dir(const char *name)
{
        static char path[96];

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        return path;
}

static int named(const char *name)
{
        int fd = open(in_dir(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_int_equal(ftruncate(fd, RAM_BYTES), 0);
        close(fd);
        return open(in_dir(name), O_RDONLY | O_CLOEXEC);
}

static pid_t child_with_pidfd(int *ret_pidfd)
{
        pid_t child = fork();

        if (child == 0) {
                pause();
                _exit(0);
        }
        *ret_pidfd = (int)syscall(SYS_pidfd_open, child, 0);
        assert_true(*ret_pidfd >= 0);
        return child;
}

/* From the helper: @fds, the second behind the first in the process; @pidfd -1: no process. */
static void fill(struct ram_shelf *s, const int *fds, size_t n, int pid, int pidfd)
{
        struct ram_hand hand = RAM_HAND_EMPTY;

        for (size_t i = 0; i < n; i++) {
                hand.fd[hand.n_fds++] = fds[i];
                hand.offer.file[i].begin = pidfd < 0 ? 0 : (i + 1) * UINT64_C(0x10000000);
                hand.offer.file[i].end = pidfd < 0 ? 0 : (i + 1) * UINT64_C(0x10000000) + RAM_BYTES;
        }
        hand.offer.n_files = (uint32_t)n;
        if (pidfd >= 0) {
                hand.offer.pid = pid;
                hand.fd[hand.n_fds++] = pidfd;
        }
        ram_shelf_fill(s, &hand);
        assert_int_equal(hand.n_fds, 0);
}

static void what_one_daemon_stores_the_next_takes_in_the_same_order(void **state)
{
        int fds[3] = { memfd(), memfd(), memfd() }, pidfd;
        pid_t child = child_with_pidfd(&pidfd);
        struct passed p = PASSED_NONE, reverse = PASSED_NONE;
        struct ram_shelf s, next;
        struct stat first, other;

        (void)state;
        assert_int_equal(fstat(fds[2], &first), 0);
        ram_shelf_init(&s, &by_process);
        fill(&s, fds, 3, child, pidfd);
        assert_int_equal(ram_shelf_find(&s, 0x20000000), 1);
        assert_int_equal(ram_shelf_find(&s, 0x20000000 + RAM_BYTES), -1);
        ram_shelf_keep(&s, (const size_t[]){ 2, 0 }, 2);
        ram_shelf_store(&s);
        ram_shelf_store(&s); /* once is enough */
        ram_shelf_deinit(&s);
        take_stored(&p);
        assert_int_equal(p.n_ram, 3);
        for (size_t i = 0; i < p.n_ram; i++)
                reverse.ram[i] = p.ram[p.n_ram - 1 - i];
        reverse.n_ram = p.n_ram;

        ram_shelf_init(&next, &by_process);
        ram_shelf_take(&next, &reverse);
        assert_int_equal(next.n, 2);
        assert_int_equal(next.pid, child);
        assert_int_equal(fstat(next.file[0].fd, &other), 0);
        assert_int_equal(first.st_ino, other.st_ino);
        assert_int_equal(ram_shelf_find(&next, 0x30000000), 0);
        assert_false(ram_shelf_sweep(&next, "auto"));
        must_hear("");
        ram_shelf_store(&next); /* it is there */
        must_hear("");

        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        assert_true(ram_shelf_sweep(&next, "auto"));
        assert_int_equal(next.n, 0);
        assert_int_equal(next.pidfd, -1);
        must_hear("FDSTOREREMOVE=1\nFDNAME=ram-0-30000000-");
        must_hear("FDSTOREREMOVE=1\nFDNAME=ram-1-10000000-");
        must_hear("FDSTOREREMOVE=1\nFDNAME=ram-process-");
        must_hear("");
}

static void a_memfd_whose_process_nobody_knows_is_not_stored(void **state)
{
        int fd = memfd();
        struct passed p = PASSED_NONE;
        struct ram_shelf s;
        char name[PASSED_NAME_MAX];

        (void)state;
        ram_shelf_init(&s, &by_path);
        fill(&s, &fd, 1, 0, -1);
        ram_shelf_store(&s);
        must_hear("");
        ram_shelf_clear(&s);
        must_hear("");

        /* Nor kept, where the store lost the process. */
        snprintf(name, sizeof(name), "ram-0-0-0-%llx", (unsigned long long)s.config);
        p.n_ram = 1;
        p.ram[0].fd = memfd();
        memcpy(p.ram[0].name, name, sizeof(name));
        ram_shelf_take(&s, &p);
        assert_int_equal(s.n, 1);
        assert_true(ram_shelf_sweep(&s, by_path.guest.ram));
        must_hear(name);
}

static void a_file_that_is_not_what_it_was_is_let_go_of(void **state)
{
        struct ram_shelf s;
        int fd;

        (void)state;
        ram_shelf_init(&s, &by_path);
        fd = named("a.ram");
        fill(&s, &fd, 1, 0, -1);
        assert_false(ram_shelf_sweep(&s, in_dir("a.ram")));
        assert_int_equal(truncate(in_dir("a.ram"), 4096), 0);
        assert_true(ram_shelf_sweep(&s, in_dir("a.ram")));

        fd = named("b.ram");
        fill(&s, &fd, 1, 0, -1);
        ram_shelf_store(&s);
        must_hear("FDNAME=ram-0-0-0-");
        assert_int_equal(unlink(in_dir("b.ram")), 0);
        assert_true(ram_shelf_sweep(&s, "/nonexistent/b.ram"));
        must_hear("FDSTOREREMOVE=1\nFDNAME=ram-0-0-0-");

        fd = named("c.ram");
        fill(&s, &fd, 1, 0, -1);
        close(named("d.ram"));
        assert_true(ram_shelf_sweep(&s, in_dir("d.ram")));
        must_hear("");
}

static void what_an_administrator_passes_goes_first_and_is_never_stored(void **state)
{
        struct passed p = PASSED_NONE;
        struct ram_shelf s;
        struct stat st, other;

        (void)state;
        ram_shelf_init(&s, &by_path);
        p.n_ram = 4;
        p.ram[0] = (struct passed_ram){ memfd(), "ram-1" };
        p.ram[1] = (struct passed_ram){ memfd(), "ram-0" };
        p.ram[2] = (struct passed_ram){ memfd(), "ram-5" }; /* the third is missing */
        snprintf(p.ram[3].name, sizeof(p.ram[3].name), "ram-0-0-0-%llx",
                (unsigned long long)s.config);
        p.ram[3].fd = memfd();
        assert_int_equal(fstat(p.ram[1].fd, &st), 0);
        ram_shelf_take(&s, &p);
        assert_true(s.by_admin);
        assert_int_equal(s.n, 2);
        assert_int_equal(fstat(s.file[0].fd, &other), 0);
        assert_int_equal(st.st_ino, other.st_ino);
        must_hear("FDSTOREREMOVE=1\nFDNAME=ram-0-0-0-");
        ram_shelf_store(&s);
        must_hear("");
        ram_shelf_deinit(&s);
}

/* What is logged meanwhile. */
static void take_listening(struct ram_shelf *s, struct passed *p, char *text, size_t cap)
{
        int kept = dup(STDERR_FILENO), log = memfd_create("log", MFD_CLOEXEC);
        ssize_t n;

        assert_true(kept >= 0 && dup2(log, STDERR_FILENO) >= 0);
        ram_shelf_take(s, p);
        assert_true(dup2(kept, STDERR_FILENO) >= 0);
        n = pread(log, text, cap - 1, 0);
        text[n < 0 ? 0 : n] = '\0';
        close(log);
        close(kept);
}

static void what_an_administrator_passes_in_vain_is_named(void **state)
{
        struct passed p = PASSED_NONE;
        struct ram_shelf s;
        char log[1024];

        (void)state;
        ram_shelf_init(&s, &by_path);
        p.n_ram = 3;
        p.ram[0] = (struct passed_ram){ memfd(), "ram-1" }; /* the first is missing */
        p.ram[1] = (struct passed_ram){ memfd(), "ram-disk" };
        p.ram[2] = (struct passed_ram){ memfd(), "ram-1" };
        take_listening(&s, &p, log, sizeof(log));
        assert_int_equal(s.n, 0);
        assert_non_null(
                strstr(log, "The passed descriptor 'ram-1' is not used: there is no 'ram-0'"));
        assert_non_null(strstr(log, "The passed descriptor 'ram-disk' is not used: "));
        assert_non_null(strstr(log, "The passed descriptor 'ram-1' is not used: another has"));
        must_hear("FDNAME=ram-1");
        must_hear("FDNAME=ram-disk");
        must_hear("");
}

static void what_cannot_be_used_leaves_the_store(void **state)
{
        struct passed p = PASSED_NONE;
        struct ram_shelf s;
        int ends[2];

        (void)state;
        ram_shelf_init(&s, &by_path);
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        p.n_ram = 4;
        p.ram[0] = (struct passed_ram){ ends[0], "ram" };
        p.ram[1] = (struct passed_ram){ memfd_create("w", MFD_CLOEXEC), "ram" };
        p.ram[2] = (struct passed_ram){ memfd(), "ram-0-0-0-1" }; /* of another configuration */
        p.ram[3] = (struct passed_ram){ ends[1], "ram-process-1" };
        ram_shelf_take(&s, &p);
        assert_int_equal(s.n, 0);
        assert_int_equal(s.pidfd, -1);
        assert_int_equal(fcntl(ends[0], F_GETFD), -1);
        assert_int_equal(fcntl(ends[1], F_GETFD), -1);
        must_hear("FDNAME=ram");
        must_hear("FDNAME=ram");
        must_hear("FDNAME=ram-0-0-0-1");
        must_hear("FDNAME=ram-process-1");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_one_daemon_stores_the_next_takes_in_the_same_order),
                cmocka_unit_test(a_memfd_whose_process_nobody_knows_is_not_stored),
                cmocka_unit_test(a_file_that_is_not_what_it_was_is_let_go_of),
                cmocka_unit_test(what_an_administrator_passes_goes_first_and_is_never_stored),
                cmocka_unit_test(what_an_administrator_passes_in_vain_is_named),
                cmocka_unit_test(what_cannot_be_used_leaves_the_store),
        };

        return cmocka_run_group_tests(tests, begin, finish);
}
