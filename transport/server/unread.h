/*
 * unread.h - sockets whose client was dropped and has not read all that it was sent (private to server/)
 */
#ifndef VGPUD_UNREAD_H
#define VGPUD_UNREAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct unread_socket {
        int fd;
        uid_t uid;
};

/* An all-zero one is what unread_deinit() takes, too. */
struct unread {
        struct unread_socket *socket;
        uint32_t n, max;
};

/* Return: 0, -ENOMEM. */
int unread_init(struct unread *l, uint32_t max);

/* Closes all. */
void unread_deinit(struct unread *l);

/* Close a socket, now or once what was sent over it has been read. At most max at a time. Consumes @fd. */
void unread_close(struct unread *l, int fd, uid_t uid);

/* Close those that have been read, or whose other end is closed. One system call for each that is kept. */
void unread_look(struct unread *l);

/* How many of one user are kept. */
uint32_t unread_n_of(const struct unread *l, uid_t uid);

/* Is there anything that the other end has not read? One system call. */
bool unread_any(int fd);

#endif /* VGPUD_UNREAD_H */
