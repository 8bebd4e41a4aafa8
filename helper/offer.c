/* offer.c - see offer.h */
#include "helper/offer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

union control {
        struct cmsghdr align;
        char buf[CMSG_SPACE(RAM_OFFER_FDS * sizeof(int))];
};

void ram_hand_close(struct ram_hand *hand)
{
        for (size_t i = 0; i < hand->n_fds; i++)
                close(hand->fd[i]);
        *hand = RAM_HAND_EMPTY;
}

int ram_hand_send(int socket, const struct ram_hand *hand)
{
        union control control = { 0 };
        struct iovec iov = { (void *)(uintptr_t)&hand->offer, sizeof(hand->offer) };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
        size_t len = hand->n_fds * sizeof(int);

        if (len > 0) {
                msg.msg_control = control.buf;
                msg.msg_controllen = CMSG_SPACE(len);
                control.align = (struct cmsghdr){
                        .cmsg_len = CMSG_LEN(len), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS
                };
                memcpy(CMSG_DATA(&control.align), hand->fd, len);
        }
        return sendmsg(socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void collect_fds(struct msghdr *msg, struct ram_hand *hand)
{
        for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
                size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                /* The buffer has room for so many and no more, whoever sent them. */
                memcpy(hand->fd + hand->n_fds, CMSG_DATA(c), n * sizeof(int));
                hand->n_fds += n;
        }
}

static int check_file(const struct ram_offer_file *f, int fd)
{
        int flags = fcntl(fd, F_GETFL);
        struct stat st;

        if (flags < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_dev != f->dev ||
                st.st_ino != f->ino || (uint64_t)st.st_size != f->size || f->begin > f->end)
                return -EPROTO;
        return (flags & (O_ACCMODE | O_PATH)) == O_RDONLY ? 0 : -EPERM;
}

static int check(const struct ram_hand *hand, size_t len, int flags)
{
        const struct ram_offer *o = &hand->offer;
        int r = 0;

        if (len != sizeof(*o) || (flags & (MSG_TRUNC | MSG_CTRUNC)) ||
                o->magic != RAM_OFFER_MAGIC || o->version != RAM_OFFER_VERSION || o->pid < 0 ||
                o->n_files > VGPU_SOURCE_FILES_MAX || (o->n_files == 0 && o->pid != 0) ||
                hand->n_fds != o->n_files + (o->pid != 0 ? 1u : 0u))
                return -EPROTO;
        for (size_t i = 0; i < o->n_files && r == 0; i++)
                r = check_file(&o->file[i], hand->fd[i]);
        return r;
}

/* It goes into a log and onto terminals. */
static void tidy(char *text, size_t cap)
{
        text[cap - 1] = '\0';
        for (char *c = text; *c != '\0'; c++)
                if ((unsigned char)*c < 0x20 || *c == 0x7f)
                        *c = '?';
}

int ram_hand_receive(int socket, struct ram_hand *ret)
{
        struct ram_hand hand = RAM_HAND_EMPTY;
        union control control;
        struct iovec iov = { &hand.offer, sizeof(hand.offer) };
        struct msghdr msg = { .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control.buf,
                /* Without what CMSG_SPACE() aligns by, in which one more would fit. */
                .msg_controllen = CMSG_LEN(RAM_OFFER_FDS * sizeof(int)) };
        ssize_t n = recvmsg(socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        int r;

        if (n < 0)
                return -errno;
        collect_fds(&msg, &hand);
        r = n == 0 ? -ECONNRESET : check(&hand, (size_t)n, msg.msg_flags);
        if (r < 0) {
                ram_hand_close(&hand);
                return r;
        }
        tidy(hand.offer.reason, sizeof(hand.offer.reason));
        *ret = hand;
        return 0;
}
