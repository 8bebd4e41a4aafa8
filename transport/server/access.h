/*
 * access.h - who may do something (private to server/)
 */
#ifndef VGPUD_ACCESS_H
#define VGPUD_ACCESS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "server.h"

enum access_right {
        ACCESS_CONNECT,
        ACCESS_INTENT,
        ACCESS_ADMIN,
        ACCESS_N_RIGHTS,
};

/* An all-zero one lets nobody in but root and our own uid. */
struct access {
        bool everybody;
        uid_t *users;
        size_t n_users;
        gid_t *groups;
        size_t n_groups;
};

/* Return: 0, -ENOMEM. Either way access_deinit(). */
int access_init(struct access *a, const struct server_access *from, bool everybody_if_empty);
void access_deinit(struct access *a);

/* Does @a let in everybody whom @b lets in, as far as the lists themselves tell? */
bool access_covers(const struct access *a, const struct access *b);

/**
 * access_has() - may the process at the other end?
 * @fd:   its socket, asked for its groups only if they could matter
 * @cred: SO_PEERCRED
 */
bool access_has(const struct access *a, int fd, const struct ucred *cred);

#endif /* VGPUD_ACCESS_H */
