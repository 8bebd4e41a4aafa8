/*
 * journal_socket.c - see journal_socket.h
 *
 * The form is systemd's "Native Journal Protocol", which is promised to stay: a line NAME=value for each field, or, for a value with
 * newlines in it, a line NAME, the value's length as 64 bits in little endian, the value, and a newline.
 */
#include "systemd/journal_socket.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PARTS_EACH 5 /* of a field with newlines: name, newline, length, value, newline */

static atomic_int socket_fd = -1;

/* Made once, and kept: of two threads that come first one makes it in vain. */
static int open_once(void)
{
        int fd = atomic_load(&socket_fd), none = -1;

        if (fd >= 0)
                return fd;
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (atomic_compare_exchange_strong(&socket_fd, &none, fd))
                return fd;
        close(fd);
        return none;
}

struct entry {
        struct iovec part[JOURNAL_SOCKET_FIELDS * PARTS_EACH];
        uint64_t len[JOURNAL_SOCKET_FIELDS];
        size_t n;
};

static void add(struct entry *e, const void *base, size_t len)
{
        e->part[e->n++] = (struct iovec){ (void *)(uintptr_t)base, len };
}

static void add_field(struct entry *e, const struct iovec *field, uint64_t *len)
{
        const char *text = field->iov_base, *value = memchr(text, '=', field->iov_len);

        assert(value);
        if (memchr(text, '\n', field->iov_len)) {
                size_t name = (size_t)(value - text);

                *len = htole64(field->iov_len - name - 1);
                add(e, text, name);
                add(e, "\n", 1);
                add(e, len, sizeof(*len));
                add(e, value + 1, field->iov_len - name - 1);
        } else {
                add(e, text, field->iov_len);
        }
        add(e, "\n", 1);
}

int journal_socket_send(const struct iovec *field, int n)
{
        static const struct sockaddr_un journald = { .sun_family = AF_UNIX,
                .sun_path = JOURNAL_SOCKET };
        struct entry e = { .n = 0 };
        struct msghdr msg = { .msg_name = (void *)(uintptr_t)&journald,
                .msg_namelen = sizeof(journald),
                .msg_iov = e.part };
        int fd = open_once();

        assert(n <= JOURNAL_SOCKET_FIELDS);
        if (fd < 0)
                return fd;
        for (int i = 0; i < n; i++)
                add_field(&e, &field[i], &e.len[i]);
        msg.msg_iovlen = e.n;
        return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}
