/*
 * guard.c - see guard.h
 *
 * Which range a thread guards is its own business, so it lives in thread-local storage; a SIGBUS from a fault is
 * delivered to the thread that faulted. The TLS model is fixed because the default one may allocate at first touch, and the
 * first touch may be the signal handler's.
 *
 * The handler is left by siglongjmp(), and puts the interrupted thread's signal mask back itself: so sigsetjmp() need not
 * save it, which would be a system call in every read. A handler that longjmp()s out of passing a signal on leaves
 * passing_on set: its thread then gets the default action, which is what a second failure deserves.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include "guard.h"

static __thread __attribute__((tls_model("initial-exec"))) struct {
        volatile sig_atomic_t armed;
        uintptr_t begin;
        uintptr_t len;
        sigjmp_buf env;
        volatile sig_atomic_t passing_on;
} self;

static pthread_mutex_t install_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction previous; /* written only while our handler is not installed */

/* A SIGBUS that has nothing to do with us ends as it would have ended without us, core dump included. */
static void pass_on(int sig, siginfo_t *info, void *context)
{
        struct sigaction fallback = { .sa_handler = SIG_DFL };
        bool is_handler = previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN;

        /* A handler that was put over ours once may chain back to it: then nobody wants the signal. */
        if (is_handler && !self.passing_on) {
                self.passing_on = 1;
                if (previous.sa_flags & SA_SIGINFO)
                        previous.sa_sigaction(sig, info, context);
                else
                        previous.sa_handler(sig);
                self.passing_on = 0;
                return;
        }
        /* Sent by somebody (si_code <= 0), it may be ignored; a fault cannot be. */
        if (previous.sa_handler == SIG_IGN && info->si_code <= 0)
                return;
        sigaction(SIGBUS, &fallback, NULL);
        /* A fault comes again by itself when we return, from the instruction that did it; what was sent does not. */
        if (info->si_code <= 0)
                raise(sig);
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
        int saved_errno = errno;

        if (self.armed && (info->si_code == BUS_ADRERR || info->si_code == BUS_MCEERR_AR) &&
                (uintptr_t)info->si_addr - self.begin < self.len) {
                self.armed = 0;
                pthread_sigmask(SIG_SETMASK, &((const ucontext_t *)context)->uc_sigmask, NULL);
                siglongjmp(self.env, 1);
        }
        pass_on(sig, info, context);
        errno = saved_errno;
}

int guard_install(void)
{
        struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
        struct sigaction current;
        int r = 0;

        sigemptyset(&action.sa_mask);
        pthread_mutex_lock(&install_lock);
        if (sigaction(SIGBUS, NULL, &current) < 0) {
                r = -errno;
        } else if (!(current.sa_flags & SA_SIGINFO) || current.sa_sigaction != on_sigbus) {
                /* First, for the handler may run as soon as it is installed. */
                previous = current;
                r = sigaction(SIGBUS, &action, NULL) < 0 ? -errno : 0;
        }
        pthread_mutex_unlock(&install_lock);
        return r;
}

/* noinline: nothing of the caller's may be kept in registers across the second return of sigsetjmp(). */
__attribute__((noinline)) int guard_run(
        const void *base, size_t len, void (*body)(void *arg), void *arg)
{
        assert(!self.armed);

        self.begin = (uintptr_t)base;
        self.len = len;
        if (sigsetjmp(self.env, 0) != 0)
                return -EFAULT;

        /* The fences keep the body's reads between the two stores, for the handler in this thread. */
        self.armed = 1;
        atomic_signal_fence(memory_order_seq_cst);
        body(arg);
        atomic_signal_fence(memory_order_seq_cst);
        self.armed = 0;
        return 0;
}
