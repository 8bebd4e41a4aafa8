/* vm_process_test.c - QEMU as a process: found by its pid file, held by a pidfd */
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
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "vm_process.h"

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
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
