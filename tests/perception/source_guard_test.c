/*
 * source_guard_test.c - a SIGBUS that is not the guard's goes where it went before
 *
 * The handler is installed over what was there, so every case is a child of its own that begins with nothing of ours.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "guard.h"

#define PAGE 4096

/* A page beyond the end of its file: touching it is a SIGBUS. */
static volatile char *page_without_file(void)
{
        int fd = memfd_create("short", MFD_CLOEXEC);
        void *map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);

        close(fd);
        return map != MAP_FAILED ? map : NULL;
}

/* Return: the wait status of a child that ran @body; it exits 100 when the body comes back. */
static int in_child(void (*body)(void))
{
        int status = 0;
        pid_t child = fork();

        if (child == 0) {
                const struct rlimit no_core = { 0 };

                setrlimit(RLIMIT_CORE, &no_core);
                body();
                _exit(100);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        return status;
}

static void touch(void *arg)
{
        (void)*(volatile char *)arg;
}

static void on_sigbus_exit_42(int sig)
{
        (void)sig;
        _exit(42);
}

static void on_sigbus_exit_43(int sig, siginfo_t *info, void *context)
{
        (void)sig;
        (void)context;
        _exit(info->si_addr != NULL ? 43 : 1);
}

static void fault_with_default(void)
{
        signal(SIGBUS, SIG_DFL);
        guard_install();
        (void)*page_without_file();
}

static void fault_with_ignore(void)
{
        signal(SIGBUS, SIG_IGN);
        guard_install();
        (void)*page_without_file();
}

static void fault_with_handler(void)
{
        signal(SIGBUS, on_sigbus_exit_42);
        guard_install();
        (void)*page_without_file();
}

static void fault_with_siginfo_handler(void)
{
        const struct sigaction action = { .sa_sigaction = on_sigbus_exit_43,
                .sa_flags = SA_SIGINFO };

        sigaction(SIGBUS, &action, NULL);
        guard_install();
        (void)*page_without_file();
}

static void fault_elsewhere_while_guarded(void)
{
        char *guarded = (char *)page_without_file();

        signal(SIGBUS, SIG_DFL);
        guard_install();
        guard_run(guarded, PAGE, touch, (void *)page_without_file());
}

static void fault_after_a_guarded_one(void)
{
        char *page = (char *)page_without_file();

        signal(SIGBUS, on_sigbus_exit_42);
        guard_install();
        if (guard_run(page, PAGE, touch, page) != -EFAULT)
                _exit(1);
        touch(page);
}

static void sent_with_default(void)
{
        signal(SIGBUS, SIG_DFL);
        guard_install();
        raise(SIGBUS);
}

static void sent_with_ignore(void)
{
        signal(SIGBUS, SIG_IGN);
        guard_install();
        raise(SIGBUS);
}

static void guarded_again_and_again(void)
{
        char *page = (char *)page_without_file();
        sigset_t before, after;

        signal(SIGBUS, SIG_DFL);
        guard_install();
        guard_install();
        sigprocmask(SIG_SETMASK, NULL, &before);
        for (int i = 0; i < 1000; i++)
                if (guard_run(page, PAGE, touch, page) != -EFAULT)
                        _exit(1);
        sigprocmask(SIG_SETMASK, NULL, &after);
        if (sigismember(&before, SIGBUS) != sigismember(&after, SIGBUS))
                _exit(2);
}

static struct sigaction guards_own;

static void on_sigbus_chain_back(int sig, siginfo_t *info, void *context)
{
        guards_own.sa_sigaction(sig, info, context);
}

/* Somebody saves our handler and chains to it; we are installed over them again: a circle. */
static void fault_in_a_circle_of_handlers(void)
{
        const struct sigaction action = { .sa_sigaction = on_sigbus_chain_back,
                .sa_flags = SA_SIGINFO };

        signal(SIGBUS, SIG_DFL);
        guard_install();
        sigaction(SIGBUS, &action, &guards_own);
        guard_install();
        (void)*page_without_file();
}

static void handler_taken_away_and_back(void)
{
        char *page = (char *)page_without_file();

        guard_install();
        signal(SIGBUS, on_sigbus_exit_42);
        guard_install();
        if (guard_run(page, PAGE, touch, page) != -EFAULT)
                _exit(1);
}

enum ending { EXITS, IS_KILLED };

static const struct {
        void (*body)(void);
        enum ending ending;
        int value;
} cases[] = {
        { fault_with_default, IS_KILLED, SIGBUS },
        { fault_with_ignore, IS_KILLED, SIGBUS },
        { fault_with_handler, EXITS, 42 },
        { fault_with_siginfo_handler, EXITS, 43 },
        { fault_elsewhere_while_guarded, IS_KILLED, SIGBUS },
        { fault_after_a_guarded_one, EXITS, 42 },
        { sent_with_default, IS_KILLED, SIGBUS },
        { sent_with_ignore, EXITS, 100 },
        { fault_in_a_circle_of_handlers, IS_KILLED, SIGBUS },
        { handler_taken_away_and_back, EXITS, 100 },
        { guarded_again_and_again, EXITS, 100 },
};

static void a_sigbus_that_is_not_ours_ends_as_it_would_have_without_us(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                int status = in_child(cases[i].body);

                print_message("case %zu: status 0x%x\n", i, (unsigned)status);
                if (cases[i].ending == EXITS) {
                        assert_true(WIFEXITED(status));
                        assert_int_equal(WEXITSTATUS(status), cases[i].value);
                } else {
                        assert_true(WIFSIGNALED(status));
                        assert_int_equal(WTERMSIG(status), cases[i].value);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_sigbus_that_is_not_ours_ends_as_it_would_have_without_us),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
