/* calls.c - see calls.h */
#include "calls.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#define CALL(name, ...)                                                                            \
        {                                                                                          \
                SYS_##name, #name,                                                                 \
                {                                                                                  \
                        __VA_ARGS__                                                                \
                }                                                                                  \
        }

/*
 * What a host runs out of (memory, descriptors, watches, disk), what it forbids by policy, and signals that come between. Not
 * what a call says of a wrong argument.
 */
static const struct call calls[] = {
        CALL(openat, EMFILE, ENFILE, ENOMEM, EACCES, EINTR),
        CALL(read, EINTR, EIO),
        CALL(pread64, EIO, EINTR),
        CALL(write, ENOSPC, EIO, EPIPE, EAGAIN),
        CALL(writev, ENOSPC, EIO, EPIPE, EAGAIN),
        CALL(newfstatat, EACCES, ENOMEM, EIO),
        CALL(fstat, ENOMEM, EIO),
        CALL(statx, EACCES, ENOMEM),
        CALL(getdents64, EIO),
        CALL(readlink, EACCES, ENOMEM),
        CALL(unlink, EACCES, EROFS),
        CALL(rename, ENOSPC, EACCES),
        CALL(fsync, EIO, ENOSPC),
        CALL(chmod, EPERM, EROFS),
        CALL(fchmod, EPERM, EIO),
        CALL(chown, EPERM, EROFS),
        CALL(flock, ENOLCK, EINTR, EAGAIN),
        CALL(ftruncate, ENOMEM, EINTR),
        CALL(fcntl, EBUSY),
        CALL(dup, EMFILE),
#ifndef FAULTS_SANITIZED /* whose maps are its own, and which does not live without */
        CALL(mmap, ENOMEM, EAGAIN),
#endif
        CALL(mlock, ENOMEM, EPERM, EAGAIN),
        CALL(madvise, ENOMEM, EAGAIN),
        CALL(socket, EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES),
        CALL(socketpair, EMFILE, ENFILE, ENOMEM),
        CALL(bind, EADDRINUSE, EACCES, ENOSPC, ENOMEM),
        CALL(listen, EADDRINUSE),
        CALL(accept4, EMFILE, ENFILE, ENOMEM, ECONNABORTED, EINTR),
        CALL(connect, ENOMEM, EAGAIN, ECONNREFUSED, EACCES),
        CALL(getsockopt, ENOMEM, ENOBUFS),
        CALL(setsockopt, ENOMEM, ENOBUFS),
        CALL(getsockname, ENOBUFS),
        CALL(sendto, EAGAIN, ENOBUFS, ENOMEM, EPIPE, EINTR),
        CALL(sendmsg, EAGAIN, ENOBUFS, ENOMEM, EPIPE, ETOOMANYREFS),
        CALL(recvfrom, ENOMEM, EINTR, ECONNRESET),
        CALL(recvmsg, ENOMEM, EINTR, ECONNRESET),
        CALL(epoll_create1, EMFILE, ENFILE, ENOMEM),
        CALL(epoll_ctl, ENOMEM, ENOSPC),
        CALL(epoll_wait, EINTR),
        CALL(epoll_pwait, EINTR),
        CALL(poll, EINTR, ENOMEM),
        CALL(ppoll, EINTR, ENOMEM),
        CALL(timerfd_create, EMFILE, ENFILE, ENOMEM),
        CALL(eventfd2, EMFILE, ENFILE, ENOMEM),
        CALL(pipe2, EMFILE, ENFILE),
        CALL(memfd_create, EMFILE, ENFILE, ENOMEM),
        CALL(inotify_init1, EMFILE, ENFILE, ENOMEM),
        CALL(inotify_add_watch, ENOSPC, ENOMEM, EACCES),
        CALL(pidfd_open, EMFILE, ENOMEM),
        CALL(io_uring_setup, EPERM, ENOSYS, ENOMEM, EMFILE),
        CALL(io_uring_enter, EAGAIN, EBUSY, EINTR, ENOMEM),
        CALL(io_uring_register, ENOMEM, EPERM),
        CALL(clone3, EAGAIN, EPERM),
        CALL(getrandom, EINTR, ENOSYS),
        CALL(prlimit64, EPERM),
};

static const int without[] = {
        /* closes, whatever it returns */
        SYS_close,
/* of one's own maps, at most for want of further ones; the heap's growth has its own sweep */
#ifdef FAULTS_SANITIZED
        SYS_mmap,
#endif
        SYS_munmap,
        SYS_mprotect,
        SYS_brk,
        /* glibc must not live on */
        SYS_exit,
        SYS_exit_group,
        SYS_rt_sigreturn,
        SYS_futex,
        SYS_restart_syscall,
        /* fail for wrong arguments only */
        SYS_getpid,
        SYS_gettid,
        SYS_getuid,
        SYS_geteuid,
        SYS_getgid,
        SYS_getegid,
        SYS_getppid,
        SYS_uname,
        SYS_sysinfo,
        SYS_statfs,
        SYS_fstatfs,
        SYS_clock_gettime,
        SYS_clock_getres,
        SYS_clock_nanosleep,
        SYS_getcpu,
        SYS_sched_yield,
        SYS_sched_getaffinity,
        SYS_sched_setaffinity,
        SYS_rt_sigaction,
        SYS_rt_sigprocmask,
        SYS_sigaltstack,
        SYS_timerfd_settime,
        SYS_inotify_rm_watch,
        SYS_lseek,
        SYS_shutdown,
        SYS_set_robust_list,
        SYS_rseq,
        SYS_prctl,
        SYS_tgkill,
        SYS_kill,
        SYS_ioctl,
        SYS_umask,
        SYS_arch_prctl,
};

const struct call *call_by_number(int number)
{
        for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
                if (calls[i].number == number)
                        return &calls[i];
        return NULL;
}

const struct call *call_by_name(const char *name)
{
        for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
                if (strcmp(calls[i].name, name) == 0)
                        return &calls[i];
        return NULL;
}

size_t call_n_errors(const struct call *call)
{
        size_t n = 0;

        while (n < CALLS_ERRORS && call->errors[n])
                n++;
        return n;
}

bool call_cannot_fail(int number)
{
        for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++)
                if (without[i] == number)
                        return true;
        return false;
}
