/*
 * passed.h - descriptors that the service manager passed, and those it keeps for the next daemon
 *
 * A descriptor comes with a name: the socket unit's, the one that OpenFile= gives it, or the one under which a daemon
 * before this one had it stored. Sockets are what is a socket; guest RAM is what is called "ram" or begins with "ram-".
 */
#ifndef VGPU_PASSED_H
#define VGPU_PASSED_H

#include <stddef.h>

#define PASSED_NAME_MAX 96
#define PASSED_RAM_MAX  32

struct passed_ram {
        int fd;
        char name[PASSED_NAME_MAX];
};

struct passed {
        int socket; /* listening AF_UNIX SOCK_SEQPACKET, or -1 */
        struct passed_ram ram[PASSED_RAM_MAX];
        size_t n_ram;
        size_t n_strange; /* neither of these, or too many; closed */
};

#define PASSED_NONE ((struct passed){ .socket = -1 })

/**
 * passed_take() - everything that was passed to this process
 *
 * Asks once: the environment that names the descriptors is cleared, and they are made close-on-exec. They are the
 * caller's from now on.
 *
 * Return: 0; -EINVAL (a socket is not a listening AF_UNIX SOCK_SEQPACKET one, or there is more than one: the socket unit is
 * wrong; all descriptors are closed), -ENOMEM, or what sd_listen_fds_with_names() said.
 */
int passed_take(struct passed *ret);

/* Closes all that is in it. */
void passed_close(struct passed *p);

/**
 * passed_store() - have a descriptor kept until a daemon after this one takes it
 * @name: at most PASSED_NAME_MAX - 1 printable characters without a colon
 * @fd:   borrowed
 *
 * The manager keeps a duplicate, for as long as the unit is not stopped and FileDescriptorStoreMax= has room. If it takes nothing
 * in now it is told later, by notify_status(). Nothing happens without a manager.
 */
void passed_store(const char *name, int fd);

/* The manager closes what it keeps under this name; as passed_store(), which it never overtakes. */
void passed_unstore(const char *name);

#endif /* VGPU_PASSED_H */
