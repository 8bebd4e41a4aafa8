/* vm_process_test.c - QEMU as a process: found by its pid file, held by a pidfd, its RAM told from its other files */
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "vm_process.h"

#define RAM_BYTES (2u << 20)

static char pidfile[] = "/tmp/vgpud-pid-XXXXXX";
static uv_loop_t loop;
static unsigned n_ended;

static void on_ended(struct vm_process *p)
{
        assert_int_equal(p->pid, 0);
        n_ended++;
}

static void write_pidfile(const char *text)
{
        int fd = open(pidfile, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        close(fd);
}

static void write_pid(pid_t pid)
{
        char text[32];

        snprintf(text, sizeof(text), "%d\n", (int)pid);
        write_pidfile(text);
}

static pid_t sleeper(void)
{
        pid_t pid = fork();

        if (pid == 0) {
                pause();
                _exit(0);
        }
        assert_true(pid > 0);
        return pid;
}

static void a_pid_file_that_names_no_process_says_why(void **state)
{
        static const char *const garbage[] = { "", "\n", "0\n", "-1\n", "x\n", "12 13\n",
                "99999999999999999999\n" };
        struct vm_process p;
        pid_t pid = sleeper();

        (void)state;
        vm_process_init(&p, &loop, "/nonexistent/pid", on_ended, NULL);
        assert_int_equal(vm_process_watch(&p), -ENOENT);
        p.pidfile = pidfile;
        for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
                write_pidfile(garbage[i]);
                assert_int_equal(vm_process_watch(&p), -EINVAL);
        }
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        write_pid(pid);
        assert_int_equal(vm_process_watch(&p), -ESRCH);
        assert_int_equal(p.pid, 0);
        assert_int_equal(p.fd, -1);
}

static void the_end_of_the_process_is_an_event_and_the_next_is_found(void **state)
{
        struct vm_process p;

        (void)state;
        vm_process_init(&p, &loop, pidfile, on_ended, NULL);
        n_ended = 0;
        for (unsigned i = 1; i <= 2; i++) {
                pid_t pid = sleeper();

                write_pid(pid);
                assert_int_equal(vm_process_watch(&p), 0);
                assert_int_equal(vm_process_watch(&p), 0);
                assert_int_equal(p.pid, pid);
                kill(pid, SIGKILL);
                while (n_ended < i)
                        uv_run(&loop, UV_RUN_ONCE);
                waitpid(pid, NULL, 0);
        }
        vm_process_stop(&p);
        uv_run(&loop, UV_RUN_DEFAULT);
}

static bool same_file(const char *path, int fd)
{
        struct stat a, b;

        return stat(path, &a) == 0 && fstat(fd, &b) == 0 && a.st_ino == b.st_ino;
}

static int backend(void)
{
        int fd = memfd_create("memory-backend-memfd", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, RAM_BYTES), 0);
        return fd;
}

static void backends_of_one_name_are_told_apart_by_their_addresses(void **state)
{
        int first = backend(), second = backend();
        char *map = mmap(NULL, RAM_BYTES, PROT_READ, MAP_SHARED, second, 0);
        char *private = mmap(NULL, RAM_BYTES, PROT_READ, MAP_PRIVATE, first, 0);
        char path[64];
        struct stat st;

        (void)state;
        assert_true(map != MAP_FAILED && private != MAP_FAILED);
        assert_int_equal(
                vm_process_ram_fd(getpid(), (uintptr_t)map + RAM_BYTES - 1, path, sizeof(path)), 0);
        assert_true(same_file(path, second));
        /* What QEMU writes to a private map is in no file. */
        assert_int_equal(
                vm_process_ram_fd(getpid(), (uintptr_t) private, path, sizeof(path)), -ENOENT);
        assert_int_equal(vm_process_ram_fd(getpid(), 8, path, sizeof(path)), -ENOENT);

        assert_int_equal(fstat(second, &st), 0);
        assert_int_equal(vm_process_maps(getpid(), 0, st.st_dev, st.st_ino), 0);
        assert_int_equal(vm_process_maps(getpid(), (uintptr_t)map, st.st_dev, st.st_ino), 0);
        assert_int_equal(
                vm_process_maps(getpid(), (uintptr_t) private, st.st_dev, st.st_ino), -ENOENT);
        assert_int_equal(vm_process_maps(getpid(), 0, st.st_dev + 1, st.st_ino), -ENOENT);
        assert_int_equal(vm_process_maps(0, 0, st.st_dev, st.st_ino), -ESRCH);
        assert_int_equal(fstat(first, &st), 0);
        assert_int_equal(vm_process_maps(getpid(), 0, st.st_dev, st.st_ino), -ENOENT);

        assert_int_equal(vm_process_only_ram_fd(getpid(), path, sizeof(path)), -EEXIST);
        close(second);
        assert_int_equal(vm_process_only_ram_fd(getpid(), path, sizeof(path)), 0);
        assert_true(same_file(path, first));
        close(first);
        assert_int_equal(vm_process_only_ram_fd(getpid(), path, sizeof(path)), -ENOENT);
        /* Mapped, and closed by its process: there is nothing to open. */
        assert_int_equal(vm_process_ram_fd(getpid(), (uintptr_t)map, path, sizeof(path)), -ENOENT);
        munmap(map, RAM_BYTES);
        munmap(private, RAM_BYTES);
}

static int set_up(void **state)
{
        int fd = mkstemp(pidfile);

        (void)state;
        if (fd < 0)
                return -1;
        close(fd);
        return uv_loop_init(&loop);
}

static int tear_down(void **state)
{
        (void)state;
        unlink(pidfile);
        return uv_loop_close(&loop);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_pid_file_that_names_no_process_says_why),
                cmocka_unit_test(the_end_of_the_process_is_an_event_and_the_next_is_found),
                cmocka_unit_test(backends_of_one_name_are_told_apart_by_their_addresses),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
