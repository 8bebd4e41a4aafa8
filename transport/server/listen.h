/*
 * listen.h - the listening socket and its file
 */
#ifndef VGPUD_LISTEN_H
#define VGPUD_LISTEN_H

#include <sys/socket.h>

#include "server.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16 */
#endif

/* An empty one is { .fd = -1, .lock_fd = -1 }; listener_deinit() takes it in any state. */
struct listener {
        int fd;
        int lock_fd; /* held while the socket file is ours; -1 with a descriptor from outside */
        char *path;  /* NULL with a descriptor from outside */
        char *lock_path;
        bool bound; /* the file at path is the one below */
        dev_t dev;
        ino_t ino;
};

/* As server_new() says. On failure @l is empty again and config->listen_fd still the caller's. */
int listener_init(
        struct listener *l, const struct server_config *config, struct server_failure *why);

void listener_deinit(struct listener *l);

/*
 * What is attached to a message is closed in the receiver's own time, be it taken or thrown away, and closing can take
 * long: a TCP socket that lingers over what its other end does not read lingers as long as its sender chose. So nothing may
 * be attached. Connections inherit that from the socket they were made to; those that came before it was ours have to
 * be told. A kernel before 6.16 does not know of it; nothing is done for it here.
 */
void listener_refuse_descriptors(int fd);

#endif /* VGPUD_LISTEN_H */
