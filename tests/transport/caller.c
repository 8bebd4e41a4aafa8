/*
 * caller.c - a client made of bare messages
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "caller.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int dial(const char *path)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        strcpy(addr.sun_path, path);
        if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
                close(fd);
                return -errno;
        }
        return fd;
}

static int greet(int fd, uint32_t wants)
{
        struct vgpu_msg_hello hello = {
                .header = message_header(VGPU_MSG_HELLO, sizeof(hello)),
                .wants = wants,
        };

        return message_send(fd, &hello, sizeof(hello), NULL, 0, NULL, 0);
}

int dial_and_greet(const char *path, uint32_t wants)
{
        int fd = dial(path);

        assert_true(fd >= 0);
        assert_int_equal(greet(fd, wants), 0);
        return fd;
}

uint32_t hear(int fd, void *buf, size_t cap, int *fds, size_t *n_fds)
{
        ssize_t n = message_recv(fd, buf, cap, fds, n_fds);

        if (n == -ECONNRESET)
                n = message_recv(fd, buf, cap, fds, n_fds);
        return n <= 0 ? 0 : ((struct vgpu_msg_header *)buf)->type;
}

static int take(const int *fds, size_t n_fds, size_t *at, bool there)
{
        if (!there)
                return -1;
        assert_true(*at < n_fds);
        return fds[(*at)++];
}

void caller_welcomed(struct caller *c, int fd)
{
        int fds[MESSAGE_MAX_FDS];
        size_t n_fds, at = 0;
        uint32_t granted;

        memset(c, 0, sizeof(*c));
        c->fd = fd;
        assert_int_equal(hear(fd, c->heard, sizeof(c->heard), fds, &n_fds), VGPU_MSG_WELCOME);
        memcpy(&c->welcome, c->heard, sizeof(c->welcome));
        granted = c->welcome.granted;
        c->ring_fd = take(fds, n_fds, &at, c->welcome.generation != 0);
        c->wake_fd = take(fds, n_fds, &at, granted & VGPU_WANT_WAKE);
        c->page_fd = take(fds, n_fds, &at, granted & (VGPU_WANT_WAKE | VGPU_WANT_LEASE));
        assert_int_equal(at, n_fds);
        if (c->page_fd >= 0) {
                c->page = mmap(
                        NULL, sizeof(*c->page), PROT_READ | PROT_WRITE, MAP_SHARED, c->page_fd, 0);
                assert_true(c->page != MAP_FAILED);
        }
}

void caller_say_page(struct caller *c)
{
        const struct vgpu_msg_header mapped = message_header(VGPU_MSG_PAGE, sizeof(mapped));

        caller_say(c, &mapped);
}

void caller_settle(struct caller *c)
{
        assert_int_equal(fcntl(c->page_fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
        caller_say_page(c);
}

void caller_start(struct caller *c, struct relay *r, uint32_t wants)
{
        int fd = dial_and_greet(r->path, wants);

        relay_turn(r);
        caller_welcomed(c, fd);
        if (c->page) {
                caller_settle(c);
                relay_turn(r);
        }
}

static void close_if(int fd)
{
        if (fd >= 0)
                close(fd);
}

void caller_stop(struct caller *c)
{
        if (c->page)
                munmap((void *)c->page, sizeof(*c->page));
        c->page = NULL;
        close_if(c->fd);
        close_if(c->ring_fd);
        close_if(c->wake_fd);
        close_if(c->page_fd);
        c->fd = c->ring_fd = c->wake_fd = c->page_fd = -1;
}

uint32_t caller_hear(struct caller *c)
{
        int fds[MESSAGE_MAX_FDS];
        size_t n_fds;
        uint32_t type = hear(c->fd, c->heard, sizeof(c->heard), fds, &n_fds);

        while (n_fds > 0)
                close(fds[--n_fds]);
        return type;
}

void caller_say(struct caller *c, const void *msg)
{
        const struct vgpu_msg_header *h = msg;

        assert_int_equal(message_send(c->fd, msg, h->length, NULL, 0, NULL, 0), 0);
}

void caller_arm(struct caller *c, uint32_t ticket, uint32_t interest)
{
        c->page->interest = interest;
        c->page->armed = ticket;
}

int caller_wakes(struct caller *c)
{
        char bytes[4096];
        ssize_t n = read(c->wake_fd, bytes, sizeof(bytes));

        return n < 0 ? 0 : (int)n;
}

/* ---- other users ------------------------------------------------------------------------------- */

/* In a process of its own: blocks, and gives up by exit status. */
static uint32_t wait_for(int fd, void *buf, size_t cap)
{
        struct pollfd pfd = { .fd = fd, .events = POLLIN };

        if (poll(&pfd, 1, 10000) != 1)
                _exit(3);
        return hear(fd, buf, cap, NULL, NULL);
}

static void visit(const char *path, struct stranger *seen)
{
        struct vgpu_msg_intent intent = {
                .header = message_header(VGPU_MSG_INTENT, sizeof(intent)),
                .fields = VGPU_INTENT_FPS,
                .fps = 30,
        };
        struct vgpu_msg_drop drop = {
                .header = message_header(VGPU_MSG_DROP, sizeof(drop)),
                .pid = 1,
        };
        static _Alignas(uint64_t) uint8_t buf[VGPU_MSG_MAX];
        int fd = dial(path);

        if (fd < 0)
                _exit(2);
        /* who is refused may find the socket shut already: the goodbye is there to be read */
        greet(fd, 0);
        seen->type = wait_for(fd, buf, sizeof(buf));
        if (seen->type == VGPU_MSG_GOODBYE)
                memcpy(&seen->goodbye, buf, sizeof(seen->goodbye));
        if (seen->type != VGPU_MSG_WELCOME)
                return;
        message_send(fd, &intent, sizeof(intent), NULL, 0, NULL, 0);
        if (wait_for(fd, buf, sizeof(buf)) == VGPU_MSG_INTENT_STATE)
                seen->intent_error = ((struct vgpu_msg_intent_state *)buf)->error;
        message_send(fd, &drop, sizeof(drop), NULL, 0, NULL, 0);
        if (wait_for(fd, buf, sizeof(buf)) == VGPU_MSG_REPLY)
                seen->drop_error = ((struct vgpu_msg_reply *)buf)->error;
}

struct stranger stranger_visits(
        struct relay *r, uid_t uid, gid_t gid, const gid_t *groups, size_t n_groups)
{
        struct stranger seen = { .intent_error = 1, .drop_error = 1 };
        struct pollfd pfd = { .events = POLLIN };
        int ends[2];
        pid_t pid;

        assert_int_equal(pipe(ends), 0);
        pid = fork();
        if (pid == 0) {
                if (setgroups(n_groups, groups) < 0 || setgid(gid) < 0 || setuid(uid) < 0)
                        _exit(4);
                visit(r->path, &seen);
                _exit(write(ends[1], &seen, sizeof(seen)) == sizeof(seen) ? 0 : 5);
        }
        close(ends[1]);
        pfd.fd = ends[0];
        while (poll(&pfd, 1, 1) == 0)
                relay_turn(r);
        assert_int_equal(read(ends[0], &seen, sizeof(seen)), sizeof(seen));
        close(ends[0]);
        assert_int_equal(process_wait(pid), 0);
        relay_turn(r);
        return seen;
}
