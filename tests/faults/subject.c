/* subject.c - see subject.h */
#include "subject.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "calls.h"

static __attribute__((noreturn)) void die(const char *what)
{
        perror(what);
        _exit(3);
}

/* ---- asked about system calls ----------------------------------------------------------------------------------------- */

#define STATEMENT(code, k)    ((struct sock_filter)BPF_STMT(code, k))
#define JUMP(code, k, jt, jf) ((struct sock_filter)BPF_JUMP(code, k, jt, jf))

/* All calls but those that cannot fail, or just @call. Return: the listener, or -1. */
static int install_filter(int call)
{
        struct sock_filter code[BOARD_CALLS + 4];
        struct sock_fprog program = { .filter = code };
        unsigned short n = 0;

        code[n++] = STATEMENT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
        for (int i = 0; i < BOARD_CALLS; i++) {
                if (call == SUBJECT_COUNT ? call_cannot_fail(i) : i == call) {
                        code[n++] = JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)i, 0, 1);
                        code[n++] = STATEMENT(BPF_RET | BPF_K,
                                call == SUBJECT_COUNT ? SECCOMP_RET_ALLOW : SECCOMP_RET_USER_NOTIF);
                }
        }
        code[n++] = STATEMENT(BPF_RET | BPF_K,
                call == SUBJECT_COUNT ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW);
        program.len = n;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -1;
        return (int)syscall(
                SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

/* A child cannot hand its listener over by a message: that could be the very call that is asked about. */
static bool may_take_descriptors(void)
{
        int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
        int fd = (int)syscall(SYS_pidfd_getfd, pidfd, STDOUT_FILENO, 0);

        if (fd < 0)
                printf("skipped: no descriptor can be taken from a child here, as in many "
                       "containers "
                       "(pidfd_getfd: %s)\n",
                        strerror(errno));
        else
                close(fd);
        if (pidfd >= 0)
                close(pidfd);
        return fd >= 0;
}

bool subject_supported(void)
{
        pid_t pid = fork();
        int status;

        if (pid == 0)
                _exit(install_filter(SYS_getppid) < 0 ? errno : 0);
        if (pid < 0 || waitpid(pid, &status, 0) < 0)
                die("fork");
        if (status == 0)
                return may_take_descriptors();
        printf("skipped: seccomp cannot ask about system calls here (%s)\n",
                strerror(WEXITSTATUS(status)));
        return false;
}

/*
 * Writing to a pipe or an eventfd of one's own, reading one's timer: no host fails that, and no program could go on if it
 * did; and of what fcntl() does, setting seals alone. Such calls do not count.
 */
static bool is_bell(const struct subject *s, const struct seccomp_notif *asked)
{
        char path[48], to[32];
        ssize_t len;

        if (asked->data.nr == SYS_fcntl)
                return asked->data.args[1] != F_ADD_SEALS;
        if ((asked->data.nr != SYS_read && asked->data.nr != SYS_write) ||
                asked->data.args[0] <= STDERR_FILENO)
                return false;
        snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)s->pid, (int)asked->data.args[0]);
        len = readlink(path, to, sizeof(to) - 1);
        to[len > 0 ? len : 0] = '\0';
        return strncmp(to, "anon_inode:", 11) == 0 || strncmp(to, "pipe:", 5) == 0;
}

static void answer(struct subject *s, const struct seccomp_notif *asked)
{
        struct seccomp_notif_resp say = { .id = asked->id,
                .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };
        unsigned phase = atomic_load(&s->board->phase), nth;
        struct board *b = s->board;

        if (atomic_load(&b->started) && asked->data.nr >= 0 && asked->data.nr < BOARD_CALLS &&
                !is_bell(s, asked)) {
                nth = atomic_fetch_add(&b->n_calls[phase][asked->data.nr], 1) + 1;
                if (b->call == asked->data.nr && phase == b->phase_wanted && nth == b->nth) {
                        say.flags = 0;
                        say.error = -b->error;
                        atomic_store(&b->fired, true);
                }
        }
        /* fails if it was killed meanwhile, which is well */
        ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SEND, &say);
}

static void *answer_all(void *arg)
{
        struct subject *s = arg;
        struct pollfd pfd = { .fd = s->listener, .events = POLLIN };

        for (;;) {
                struct seccomp_notif asked = { 0 };

                if (poll(&pfd, 1, -1) < 0 && errno != EINTR)
                        break;
                if (pfd.revents & POLLIN) {
                        if (ioctl(s->listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) == 0)
                                answer(s, &asked);
                } else if (pfd.revents) {
                        break; /* nobody is left who could ask */
                }
        }
        return NULL;
}

/* ---- life ------------------------------------------------------------------------------------------------------------ */

static struct board *new_board(const struct fault *fault, int *ret_fd)
{
        int fd = memfd_create("faults", 0);
        struct board *b;

        if (fd < 0 || ftruncate(fd, sizeof(*b)) < 0)
                die("memfd");
        b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (b == MAP_FAILED)
                die("mmap");
        b->phase_wanted = fault->phase;
        b->nth = fault->nth;
        b->call = fault->call;
        b->error = fault->error;
        b->listener = -1;
        sem_init(&b->listener_made, 1, 0);
        sem_init(&b->listener_taken, 1, 0);
        *ret_fd = fd;
        return b;
}

/* A sanitizer wants to be loaded before everything else, which only the shim's malloc() would be the worse for. */
static void add_option(const char *variable, const char *option)
{
        const char *others = getenv(variable);
        char all[1024];

        snprintf(all, sizeof(all), "%s:%s", others ? others : "", option);
        setenv(variable, all, 1);
}

static __attribute__((noreturn)) void run(struct board *b, const char *const argv[],
        const char *const environment[], const struct fault *fault, int board_fd, int said_fd)
{
        char number[16];

        snprintf(number, sizeof(number), "%d", board_fd);
        setenv(BOARD_FD_VARIABLE, number, 1);
        setenv("LD_PRELOAD", FAULTS_SHIM, 1);
        add_option("ASAN_OPTIONS", "verify_asan_link_order=0");
        for (; environment && *environment; environment++)
                putenv((char *)*environment);
        if (dup2(said_fd, STDOUT_FILENO) < 0 || dup2(said_fd, STDERR_FILENO) < 0 ||
                prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                die("child");
        close(said_fd);
        if (fault->call != -1) {
                b->listener = install_filter(fault->call);
                sem_post(&b->listener_made);
                /* exec() closes it */
                sem_wait(&b->listener_taken);
        }
        execv(argv[0], (char *const *)argv);
        _exit(127);
}

static void take_listener(struct subject *s)
{
        while (sem_wait(&s->board->listener_made) < 0)
                ;
        if (s->board->listener < 0)
                die("seccomp");
        s->listener = (int)syscall(SYS_pidfd_getfd, s->pidfd, s->board->listener, 0);
        if (s->listener < 0)
                die("pidfd_getfd");
        sem_post(&s->board->listener_taken);
        if (pthread_create(&s->answerer, NULL, answer_all, s) != 0)
                die("pthread_create");
}

struct subject *subject_start(
        const char *const argv[], const char *const environment[], const struct fault *fault)
{
        struct subject *s = calloc(1, sizeof(*s));
        int said[2], board_fd;

        if (!s || pipe2(said, O_CLOEXEC) < 0)
                die("subject");
        s->listener = -1;
        s->board = new_board(fault, &board_fd);
        s->said_fd = said[0];
        s->pid = fork();
        if (s->pid < 0)
                die("fork");
        if (s->pid == 0)
                run(s->board, argv, environment, fault, board_fd, said[1]);
        close(board_fd);
        close(said[1]);
        s->pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
        if (s->pidfd < 0)
                die("pidfd_open");
        if (fault->call != -1)
                take_listener(s);
        return s;
}

void subject_phase(struct subject *s, unsigned phase)
{
        atomic_store(&s->board->phase, phase);
}

static uint64_t now_ms(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void reap(struct subject *s)
{
        int status = 0;

        while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
                ;
        s->pid = 0;
        s->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* What it says beyond the limit is thrown away: that it said too much is seen from what is kept. */
static bool take_said(struct subject *s)
{
        char rest[4096];
        size_t room = sizeof(s->said) - 1 - s->len;
        ssize_t n = read(s->said_fd, room ? s->said + s->len : rest, room ? room : sizeof(rest));

        if (n > 0 && room)
                s->len += (size_t)n;
        s->said[s->len] = '\0';
        return n > 0;
}

int subject_await(struct subject *s, const char *words, int other_fd, int timeout_ms)
{
        uint64_t deadline = now_ms() + (uint64_t)timeout_ms;

        for (;;) {
                struct pollfd fds[3] = { { .fd = s->said_fd, .events = POLLIN },
                        { .fd = other_fd, .events = POLLIN },
                        { .fd = s->pid ? s->pidfd : -1, .events = POLLIN } };
                uint64_t now = now_ms();

                if (words && strstr(s->said, words))
                        return 1;
                if (!s->pid)
                        return 0;
                if (now >= deadline)
                        return -1;
                if (poll(fds, 3, (int)(deadline - now)) <= 0)
                        continue;
                if (fds[0].revents & POLLIN)
                        take_said(s);
                else if (fds[2].revents)
                        reap(s);
                if (fds[1].revents)
                        return 1;
        }
}

const char *subject_last_line(const struct subject *s)
{
        static char line[1024];
        size_t end = s->len, begin;

        while (end > 0 && s->said[end - 1] == '\n')
                end--;
        begin = end;
        while (begin > 0 && s->said[begin - 1] != '\n')
                begin--;
        snprintf(line, sizeof(line), "%.*s", (int)(end - begin), s->said + begin);
        return line;
}

struct subject *subject_free(struct subject *s)
{
        if (!s)
                return NULL;
        if (s->pid) {
                kill(s->pid, SIGKILL);
                reap(s);
        }
        if (s->listener >= 0) {
                pthread_join(s->answerer, NULL);
                close(s->listener);
        }
        close(s->said_fd);
        close(s->pidfd);
        munmap(s->board, sizeof(*s->board));
        free(s);
        return NULL;
}
