/*
 * unread.c - sockets whose client was dropped and has not read all that it was sent
 *
 * Descriptors on their way through a socket count against our user until they are received or both ends are closed: past
 * the limit on open files (RLIMIT_NOFILE) the kernel lets us pass no more of them, to anybody (ETOOMANYREFS). What a
 * client has been sent and has not read we cannot take back by closing our end. So a client that has itself dropped,
 * keeps its socket and comes again, over and over, would shut everybody else out for as long as it likes. Its socket
 * therefore stays open here, shut down, and takes its place among the clients until all was read or it is closed over
 * there: then what is under way is bounded by the number of clients, which the limit on open files is made for.
 */
#include "unread.h"

#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int unread_init(struct unread *l, uint32_t max)
{
        *l = (struct unread){ .max = max };
        l->socket = calloc(max, sizeof(*l->socket));
        return l->socket ? 0 : -ENOMEM;
}

void unread_deinit(struct unread *l)
{
        while (l->n > 0)
                close(l->socket[--l->n].fd);
        free(l->socket);
        *l = (struct unread){ 0 };
}

/* A socket's output queue counts packets until the receiver takes them or is closed. */
bool unread_any(int fd)
{
        int bytes = 0;

        return ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes > 0;
}

void unread_close(struct unread *l, int fd, uid_t uid)
{
        if (!unread_any(fd)) {
                close(fd);
                return;
        }
        assert(l->n < l->max);
        shutdown(fd, SHUT_RDWR);
        l->socket[l->n++] = (struct unread_socket){ fd, uid };
}

void unread_look(struct unread *l)
{
        for (uint32_t i = l->n; i-- > 0;) {
                if (unread_any(l->socket[i].fd))
                        continue;
                close(l->socket[i].fd);
                l->socket[i] = l->socket[--l->n];
        }
}

uint32_t unread_n_of(const struct unread *l, uid_t uid)
{
        uint32_t n = 0;

        for (uint32_t i = 0; i < l->n; i++)
                n += l->socket[i].uid == uid;
        return n;
}
