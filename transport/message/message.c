/*
 * message.c - one protocol message in, one out
 */
#include "message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum message_flaw message_check(const void *packet, size_t len)
{
        struct vgpu_msg_header h;

        if (len < sizeof(h))
                return MESSAGE_SHORT;
        memcpy(&h, packet, sizeof(h));
        if (h.magic != VGPU_PROTOCOL_MAGIC)
                return MESSAGE_NOT_OURS;
        if (VGPU_PROTOCOL_MAJOR(h.version) != VGPU_PROTOCOL_MAJOR(VGPU_PROTOCOL_VERSION))
                return MESSAGE_MAJOR;
        if (h.length != len)
                return MESSAGE_LENGTH;
        return MESSAGE_OK;
}

struct vgpu_msg_header message_header(enum vgpu_msg_type type, size_t len)
{
        return (struct vgpu_msg_header){
                .magic = VGPU_PROTOCOL_MAGIC,
                .type = type,
                .length = (uint32_t)len,
                .version = VGPU_PROTOCOL_VERSION,
        };
}

union control {
        struct cmsghdr align;
        char space[CMSG_SPACE(MESSAGE_MAX_FDS * sizeof(int))];
};

int message_send(int fd, const void *head, size_t head_len, const void *tail, size_t tail_len,
        const int *fds, size_t n_fds)
{
        struct iovec iov[2] = {
                { .iov_base = (void *)head, .iov_len = head_len },
                { .iov_base = (void *)tail, .iov_len = tail_len },
        };
        struct msghdr msg = { .msg_iov = iov, .msg_iovlen = tail_len > 0 ? 2 : 1 };
        union control control = { 0 };
        ssize_t n;

        if (n_fds > 0) {
                struct cmsghdr *c;

                msg.msg_control = &control;
                msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                c = CMSG_FIRSTHDR(&msg);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
        }
        do {
                n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
        } while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : 0;
}

/* All that arrived, whatever the message around it is worth: a descriptor that is not taken here would leak. */
static size_t take_fds(struct msghdr *msg, int *fds)
{
        size_t n = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
                size_t len;

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                len = c->cmsg_len - CMSG_LEN(0);
                memcpy(fds + n, CMSG_DATA(c), len);
                n += len / sizeof(int);
        }
        return n;
}

ssize_t message_recv(int fd, void *buf, size_t cap, int *fds, size_t *ret_n_fds)
{
        struct iovec iov = { .iov_base = buf, .iov_len = cap };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
        union control control;
        size_t n_fds = 0;
        ssize_t n;

        if (fds) {
                msg.msg_control = &control;
                msg.msg_controllen = sizeof(control);
                *ret_n_fds = 0;
        }
        do {
                n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        } while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;

        if (fds)
                n_fds = take_fds(&msg, fds);
        if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
                while (n_fds > 0)
                        close(fds[--n_fds]);
                return msg.msg_flags & MSG_TRUNC ? -EMSGSIZE : -EBADMSG;
        }
        if (fds)
                *ret_n_fds = n_fds;
        return n;
}
