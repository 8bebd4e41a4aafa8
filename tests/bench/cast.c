/* cast.c - see cast.h */
#include "cast.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker.h"

#define ABOVE_STANDARD                                                                             \
        16 /* descriptors from here on cannot be mistaken for what a worker expects */
#define GRACE_MS 3000

/* Out of the way of 0 to 3, which children get something else as. */
static int lift(int fd)
{
        int lifted = fcntl(fd, F_DUPFD_CLOEXEC, ABOVE_STANDARD);

        close(fd);
        return lifted;
}

static int make_pipe(int ends[2])
{
        int low[2];

        if (pipe2(low, O_CLOEXEC) < 0)
                return -errno;
        ends[0] = lift(low[0]);
        ends[1] = lift(low[1]);
        return ends[0] < 0 || ends[1] < 0 ? -EMFILE : 0;
}

int cast_init(struct cast *c, unsigned n)
{
        int err;

        *c = (struct cast){ .board_fd = -1, .said = { -1, -1 }, .input = { -1, -1 } };
        c->member = calloc(n, sizeof(c->member[0]));
        if (!c->member)
                return -ENOMEM;
        c->n = n;
        for (unsigned i = 0; i < n; i++)
                c->member[i].pidfd = -1;
        strcpy(c->dir, "/tmp/vgpu-bench.XXXXXX");
        if (!mkdtemp(c->dir)) {
                c->dir[0] = '\0';
                return -errno;
        }
        c->board_bytes = sizeof(struct bench_board) + n * sizeof(struct bench_sheet);
        c->board_fd = memfd_create("vgpu-bench-board", MFD_CLOEXEC);
        if (c->board_fd < 0 || ftruncate(c->board_fd, (off_t)c->board_bytes) < 0)
                return -errno;
        c->board_fd = lift(c->board_fd);
        c->board = mmap(NULL, c->board_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, c->board_fd, 0);
        if (c->board == MAP_FAILED) {
                c->board = NULL;
                return -errno;
        }
        err = make_pipe(c->said);
        if (err == 0)
                err = make_pipe(c->input);
        if (err == 0 && fcntl(c->said[0], F_SETFL, O_NONBLOCK) < 0)
                err = -errno;
        return err;
}

/* ---- starting -------------------------------------------------------------------------------- */

static void become(struct cast *c, unsigned index, const char *path, const char *role,
        uint32_t width, uint32_t height, int log_fd, pid_t parent)
{
        char number[3][16];
        int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
                _exit(127);
        snprintf(number[0], sizeof(number[0]), "%u", index);
        snprintf(number[1], sizeof(number[1]), "%u", width);
        snprintf(number[2], sizeof(number[2]), "%u", height);
        dup2(index == 0 ? c->input[0] : nothing, STDIN_FILENO);
        dup2(c->said[1], STDOUT_FILENO);
        dup2(log_fd, STDERR_FILENO);
        dup2(c->board_fd, BENCH_BOARD_FD);
        execl(path, path, role, number[0], c->dir, number[1], number[2], (char *)NULL);
        dprintf(STDOUT_FILENO, "%u failed %s cannot be run: %s\n", index, path, strerror(errno));
        _exit(127);
}

int cast_start(struct cast *c, unsigned index, const char *programs, const char *program,
        const char *role, uint32_t width, uint32_t height, int log_fd)
{
        struct cast_member *m = &c->member[index];
        const pid_t parent = getpid();
        char path[512];
        pid_t pid;

        snprintf(path, sizeof(path), "%s/%s", programs, program);
        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                become(c, index, path, role, width, height, log_fd, parent);
        m->pid = pid;
        m->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        return m->pidfd < 0 ? -errno : 0;
}

/* ---- listening ------------------------------------------------------------------------------- */

static void take_line(struct cast *c, char *line)
{
        unsigned index;
        char what[16];
        int at = 0;

        if (sscanf(line, "%u %15s %n", &index, what, &at) < 2 || index >= c->n)
                return;
        if (strcmp(what, "ready") == 0) {
                c->member[index].ready = true;
        } else if (c->reason[0] == '\0') {
                snprintf(c->reason, sizeof(c->reason), "%s", line + at);
                c->skipped = strcmp(what, "skipped") == 0;
        }
}

static void hear(struct cast *c)
{
        for (;;) {
                ssize_t n =
                        read(c->said[0], c->line + c->line_len, sizeof(c->line) - c->line_len - 1);
                char *end;

                if (n <= 0)
                        return;
                c->line_len += (size_t)n;
                c->line[c->line_len] = '\0';
                while ((end = strchr(c->line, '\n'))) {
                        *end = '\0';
                        take_line(c, c->line);
                        c->line_len -= (size_t)(end + 1 - c->line);
                        memmove(c->line, end + 1, c->line_len + 1);
                }
                if (c->line_len == sizeof(c->line) - 1)
                        c->line_len = 0;
        }
}

static bool all_ready(const struct cast *c, unsigned first, unsigned n)
{
        for (unsigned i = first; i < first + n; i++)
                if (!c->member[i].ready)
                        return false;
        return n > 0;
}

/* What a member that ended without a word leaves to be said. */
static void explain_end(struct cast *c, unsigned index)
{
        siginfo_t info = { 0 };

        if (c->reason[0] != '\0' || waitid(P_PIDFD, (id_t)c->member[index].pidfd, &info,
                                            WEXITED | WNOHANG | WNOWAIT) < 0)
                return;
        snprintf(c->reason, sizeof(c->reason), "%s %u ended with %s %d",
                index == 0 ? "the producer, process" : "process", index,
                info.si_code == CLD_EXITED ? "status" : "signal", info.si_status);
}

int cast_listen(struct cast *c, unsigned first, unsigned n, uint64_t deadline_ns)
{
        struct pollfd *fds = calloc(c->n + 1, sizeof(fds[0]));
        int err = fds ? -EINPROGRESS : -ENOMEM;

        while (err == -EINPROGRESS) {
                uint64_t now_ns = bench_now();
                int got, nap_ms;

                fds[0] = (struct pollfd){ .fd = c->said[0], .events = POLLIN };
                for (unsigned i = 0; i < c->n; i++)
                        fds[i + 1] = (struct pollfd){ .fd = c->member[i].pidfd, .events = POLLIN };
                nap_ms = now_ns < deadline_ns ? (int)((deadline_ns - now_ns) / 1000000 + 1) : 0;
                got = poll(fds, c->n + 1, nap_ms);
                if (got < 0) {
                        err = -errno;
                        break;
                }
                hear(c);
                for (unsigned i = 0; i < c->n; i++)
                        if (fds[i + 1].revents)
                                explain_end(c, i);
                if (c->reason[0] != '\0')
                        err = -EPIPE;
                else if (all_ready(c, first, n))
                        err = 0;
                else if (got == 0 && bench_now() >= deadline_ns)
                        err = -ETIMEDOUT;
        }
        free(fds);
        return err;
}

/* ---- ending ---------------------------------------------------------------------------------- */

/* GStreamer's shmsink leaves its file behind if it was killed before it could remove it. */
static void remove_shared_memory(pid_t pid)
{
        char pattern[64];
        glob_t found;

        snprintf(pattern, sizeof(pattern), "/dev/shm/shmpipe.%5d.*", (int)pid);
        if (glob(pattern, 0, NULL, &found) != 0)
                return;
        for (size_t i = 0; i < found.gl_pathc; i++)
                unlink(found.gl_pathv[i]);
        globfree(&found);
}

static void reap(struct cast_member *m, int grace_ms)
{
        struct pollfd pfd = { .fd = m->pidfd, .events = POLLIN };

        if (m->pid == 0)
                return;
        if (grace_ms == 0 || m->pidfd < 0 || poll(&pfd, 1, grace_ms) != 1)
                kill(m->pid, SIGKILL);
        while (waitpid(m->pid, NULL, 0) < 0 && errno == EINTR)
                ;
        remove_shared_memory(m->pid);
        if (m->pidfd >= 0)
                close(m->pidfd);
        *m = (struct cast_member){ .pidfd = -1 };
}

static void end_all(struct cast *c)
{
        /* clients first: what a stopped one held lets a producer go on that waits for it */
        for (unsigned i = 1; i < c->n; i++)
                if (c->member[i].pid != 0)
                        kill(c->member[i].pid, SIGKILL);
        if (c->input[1] >= 0)
                close(c->input[1]);
        c->input[1] = -1;
        for (unsigned i = 0; i < c->n; i++)
                reap(&c->member[i], i == 0 ? GRACE_MS : 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
        (void)st;
        (void)type;
        (void)where;
        return remove(path);
}

void cast_deinit(struct cast *c)
{
        end_all(c);
        for (int i = 0; i < 2; i++) {
                if (c->said[i] >= 0)
                        close(c->said[i]);
                if (c->input[i] >= 0)
                        close(c->input[i]);
        }
        if (c->board)
                munmap(c->board, c->board_bytes);
        if (c->board_fd >= 0)
                close(c->board_fd);
        if (c->dir[0] != '\0')
                nftw(c->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
        free(c->member);
        c->member = NULL;
}
