/* hostile.c - see hostile.h */
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- bare messages --------------------------------------------------------------------------- */

int hostile_dial(const char *path)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        int err;

        if (fd < 0)
                return -errno;
        snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
        if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
                fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
                err = -errno;
                close(fd);
                return err;
        }
        return fd;
}

int hostile_say(int fd, const void *msg)
{
        const struct vgpu_msg_header *h = msg;

        return message_send(fd, msg, h->length, NULL, 0, NULL, 0);
}

int hostile_greet(int fd, uint32_t wants)
{
        const struct vgpu_msg_hello hello = {
                .header = message_header(VGPU_MSG_HELLO, sizeof(hello)),
                .wants = wants,
                .name = "hostile",
        };

        return hostile_say(fd, &hello);
}

int hostile_has_news(int fd)
{
        struct pollfd pfd = { .fd = fd, .events = POLLIN };
        int r;

        do {
                r = poll(&pfd, 1, HOSTILE_PATIENCE_MS);
        } while (r < 0 && errno == EINTR);
        return r == 1;
}

static void close_all(int *fds, size_t n)
{
        while (n > 0)
                close(fds[--n]);
}

uint32_t hostile_hear(int fd, void *buf, size_t cap, int *fds, size_t *ret_n_fds)
{
        int own[MESSAGE_MAX_FDS];
        size_t n_fds = 0;
        ssize_t n;

        if (ret_n_fds)
                *ret_n_fds = 0;
        do {
                if (!hostile_has_news(fd))
                        return 0;
                n = message_recv(fd, buf, cap, fds ? fds : own, &n_fds);
                /* what was said before the end is still there */
        } while (n == -EAGAIN || n == -ECONNRESET);
        if (fds)
                *ret_n_fds = n_fds;
        else
                close_all(own, n_fds);
        return n < (ssize_t)sizeof(struct vgpu_msg_header)
                       ? 0
                       : ((const struct vgpu_msg_header *)buf)->type;
}

static int map(struct hostile *h)
{
        void *p;

        if (h->ring_fd >= 0) {
                struct stat st;

                if (fstat(h->ring_fd, &st) < 0)
                        return -errno;
                p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, h->ring_fd, 0);
                if (p == MAP_FAILED)
                        return -errno;
                h->ring = p;
        }
        if (h->page_fd >= 0) {
                p = mmap(NULL, VGPU_RING_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, h->page_fd, 0);
                if (p == MAP_FAILED)
                        return -errno;
                h->page = p;
        }
        return 0;
}

static int take_welcome(struct hostile *h)
{
        _Alignas(uint64_t) uint8_t buf[4096];
        int fds[MESSAGE_MAX_FDS];
        size_t n_fds, at = 0;
        uint32_t type = hostile_hear(h->fd, buf, sizeof(buf), fds, &n_fds);
        size_t expected;

        if (type != VGPU_MSG_WELCOME) {
                close_all(fds, n_fds);
                return type == VGPU_MSG_GOODBYE ? -ECONNREFUSED : -EPROTO;
        }
        memcpy(&h->welcome, buf, sizeof(h->welcome));
        expected = (h->welcome.generation != 0) + ((h->welcome.granted & VGPU_WANT_WAKE) != 0) +
                   ((h->welcome.granted & (VGPU_WANT_WAKE | VGPU_WANT_LEASE)) != 0);
        if (n_fds != expected) {
                close_all(fds, n_fds);
                return -EPROTO;
        }
        if (h->welcome.generation != 0)
                h->ring_fd = fds[at++];
        if (h->welcome.granted & VGPU_WANT_WAKE)
                h->wake_fd = fds[at++];
        if (h->welcome.granted & (VGPU_WANT_WAKE | VGPU_WANT_LEASE))
                h->page_fd = fds[at++];
        return map(h);
}

int hostile_enter(struct hostile *h, const char *path, uint32_t wants)
{
        int r;

        *h = HOSTILE_NONE;
        h->fd = hostile_dial(path);
        if (h->fd < 0)
                return h->fd;
        /* who is refused may find the socket shut already: the goodbye is there to be read */
        r = hostile_greet(h->fd, wants);
        if (r == 0 || r == -EPIPE)
                r = take_welcome(h);
        if (r < 0)
                hostile_leave(h);
        return r;
}

/* Messages are taken in their order: with the answer to a question, what was said before it is done. */
int hostile_settle(const struct hostile *h)
{
        const struct vgpu_msg_header page = message_header(VGPU_MSG_PAGE, sizeof(page));
        const struct vgpu_msg_query query = {
                .header = message_header(VGPU_MSG_QUERY, sizeof(query)),
                .what = VGPU_QUERY_STATUS,
        };
        _Alignas(uint64_t) uint8_t buf[VGPU_MSG_MAX];
        uint32_t type;
        int r;

        if (fcntl(h->page_fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
                return -errno;
        r = hostile_say(h->fd, &page);
        if (r == 0)
                r = hostile_say(h->fd, &query);
        if (r < 0)
                return r;
        do
                type = hostile_hear(h->fd, buf, sizeof(buf), NULL, NULL);
        while (type == VGPU_MSG_RING);
        return type == VGPU_MSG_REPLY ? 0 : -EPROTO;
}

static void close_if(int fd)
{
        if (fd >= 0)
                close(fd);
}

void hostile_leave(struct hostile *h)
{
        if (h->ring)
                munmap((void *)h->ring, h->ring->identity.total_bytes);
        if (h->page)
                munmap((void *)h->page, VGPU_RING_PAGE);
        close_if(h->fd);
        close_if(h->ring_fd);
        close_if(h->wake_fd);
        close_if(h->page_fd);
        *h = HOSTILE_NONE;
}

const struct vgpu_ring_desc *hostile_desc(const struct hostile *h, uint32_t slot)
{
        const struct vgpu_ring_identity *id = &h->ring->identity;

        return (const void *)((const uint8_t *)h->ring + id->desc_offset +
                              (size_t)slot * id->desc_bytes);
}

/* ---- attackers ------------------------------------------------------------------------------- */

int hostile_start(struct hostile_proc *p, hostile_attack attack, const char *path, uint64_t arg)
{
        void *shared = mmap(
                NULL, sizeof(*p->board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        *p = (struct hostile_proc){ 0 };
        if (shared == MAP_FAILED)
                return -errno;
        p->board = shared;
        p->pid = fork();
        if (p->pid < 0) {
                p->pid = 0;
                return -errno;
        }
        if (p->pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                signal(SIGPIPE, SIG_IGN);
                attack(path, arg, shared);
                _exit(0);
        }
        return 0;
}

void hostile_freeze(const struct hostile_proc *p)
{
        siginfo_t info;

        kill(p->pid, SIGSTOP);
        while (waitid(P_PID, (id_t)p->pid, &info, WSTOPPED | WEXITED | WNOWAIT) < 0 &&
                errno == EINTR)
                continue;
}

void hostile_kill(struct hostile_proc *p)
{
        if (p->pid == 0)
                return;
        kill(p->pid, SIGKILL);
        while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
                continue;
        p->pid = 0;
}

void hostile_end(struct hostile_proc *p)
{
        hostile_kill(p);
        if (p->board)
                munmap(p->board, sizeof(*p->board));
        *p = (struct hostile_proc){ 0 };
}

void hostile_found(struct hostile_board *board, const char *what, int error)
{
        if (board->found[0])
                return;
        if (error < 0)
                snprintf(board->found, sizeof(board->found), "%s: %s", what, strerror(-error));
        else
                snprintf(board->found, sizeof(board->found), "%s", what);
}

void hostile_step(struct hostile_board *board, uint64_t step)
{
        __atomic_store_n(&board->step, step, __ATOMIC_RELEASE);
}

void hostile_round(struct hostile_board *board)
{
        __atomic_store_n(&board->rounds, board->rounds + 1, __ATOMIC_RELEASE);
}

struct hostile_bog hostile_bog(void)
{
        struct hostile_bog bog = { .fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK) };
        struct uffdio_api api = { .api = UFFD_API };
        struct uffdio_register range = {
                .range.len = VGPU_RING_PAGE,
                .mode = UFFDIO_REGISTER_MODE_MISSING,
        };

        bog.page = mmap(
                NULL, VGPU_RING_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        range.range.start = (uintptr_t)bog.page;
        if (bog.fd >= 0 && (bog.page == MAP_FAILED || ioctl(bog.fd, UFFDIO_API, &api) < 0 ||
                                   ioctl(bog.fd, UFFDIO_REGISTER, &range) < 0)) {
                close(bog.fd);
                bog.fd = -1;
        }
        return bog;
}

int hostile_bog_has_somebody(const struct hostile_bog *bog)
{
        return hostile_has_news(bog->fd);
}

uint64_t hostile_random(uint64_t *state)
{
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        return *state;
}
