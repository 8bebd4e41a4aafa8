/*
 * outbox.c - see outbox.h
 *
 * The protocol is a datagram of assignments, and promised to stay so: sd_notify(3) has an implementation of its own for those who
 * do without libsystemd, and this is that with MSG_DONTWAIT.
 */
#include "systemd/outbox.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "systemd/journal.h"

struct owed {
        char text[OUTBOX_TEXT_MAX];
        int fd; /* ours, or -1 */
};

static struct owed box[OUTBOX_MAX];
static size_t n_owed;

/* Return: the address' length, 0 (no manager), or -EINVAL. */
static int find_manager(struct sockaddr_un *ret)
{
        const char *name = getenv("NOTIFY_SOCKET");
        size_t len = name ? strlen(name) : 0;

        if (len == 0)
                return 0;
        if (len >= sizeof(ret->sun_path) || (name[0] != '/' && name[0] != '@'))
                return -EINVAL;
        *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
        memcpy(ret->sun_path, name, len);
        if (name[0] == '@')
                ret->sun_path[0] = '\0'; /* an abstract name is as long as it is */
        else
                len++;
        return (int)(offsetof(struct sockaddr_un, sun_path) + len);
}

static int send_with(const char *text, int fd)
{
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        struct sockaddr_un address;
        struct iovec iov = { (void *)(uintptr_t)text, strlen(text) };
        struct msghdr msg = { .msg_name = &address, .msg_iov = &iov, .msg_iovlen = 1 };
        int to = find_manager(&address), from, r;

        if (to <= 0)
                return to;
        msg.msg_namelen = (socklen_t)to;
        if (fd >= 0) {
                msg.msg_control = &control;
                msg.msg_controllen = sizeof(control.space);
                *CMSG_FIRSTHDR(&msg) = (struct cmsghdr){
                        .cmsg_len = CMSG_LEN(sizeof(int)),
                        .cmsg_level = SOL_SOCKET,
                        .cmsg_type = SCM_RIGHTS,
                };
                memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &fd, sizeof(int));
        }
        from = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (from < 0)
                return -errno;
        r = sendmsg(from, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
        close(from);
        return r;
}

int outbox_send(const char *text)
{
        return send_with(text, -1);
}

static bool is_last(const char *text)
{
        return n_owed > 0 && box[n_owed - 1].fd < 0 && strcmp(box[n_owed - 1].text, text) == 0;
}

static void keep(const char *text, int fd)
{
        struct owed *o = &box[n_owed];

        assert(strlen(text) < sizeof(o->text));
        if (fd < 0 && is_last(text))
                return;
        if (n_owed < OUTBOX_MAX)
                o->fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
        if (n_owed == OUTBOX_MAX || (fd >= 0 && o->fd < 0)) {
                journal_log(LOG_WARNING,
                        "The service manager takes nothing in, and will not hear %.*s",
                        (int)strcspn(text, "\n"), text);
                return;
        }
        strcpy(o->text, text);
        n_owed++;
}

/* @n of them, from the one at @at on, are not owed any more. */
static void forget(size_t at, size_t n)
{
        for (size_t i = at; i < at + n; i++)
                if (box[i].fd >= 0)
                        close(box[i].fd);
        n_owed -= n;
        memmove(box + at, box + at + n, (n_owed - at) * sizeof(box[0]));
}

void outbox_owe(const char *text, int fd)
{
        int r;

        outbox_flush();
        r = n_owed > 0 ? -EAGAIN : send_with(text, fd);
        if (r == -EAGAIN || (r < 0 && fd < 0))
                keep(text, fd);
}

void outbox_withdraw(const char *text)
{
        for (size_t i = n_owed; i-- > 0;)
                if (strcmp(box[i].text, text) == 0)
                        forget(i, 1);
}

void outbox_flush(void)
{
        size_t n = 0;

        while (n < n_owed) {
                int r = send_with(box[n].text, box[n].fd);

                if (r == -EAGAIN || (r < 0 && box[n].fd < 0))
                        break;
                n++;
        }
        forget(0, n);
}
