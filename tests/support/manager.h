/*
 * manager.h - what the service manager does for vgpud, for a test: keeps descriptors, and starts the RAM helper
 *
 * The store is systemd's: FDSTORE=1 adds, FDSTOREREMOVE=1 takes away, and a daemon that is started gets all that is in it as
 * LISTEN_FDS with LISTEN_FDNAMES. Notifications are taken in by a thread, so that there is room for all that a daemon owes.
 */
#ifndef VGPU_TEST_MANAGER_H
#define VGPU_TEST_MANAGER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "daemon_proc.h"

#define MANAGER_STORE_MAX 32

struct manager {
        char dir[64];        /* root's, everybody may read; .../run is the daemon's user's */
        char config[96];     /* of the daemon */
        char helper[96];     /* socket of the RAM helper */
        uid_t uid;           /* that daemons run as */
        int notify, stop[2]; /* sockets; the second ends the thread */
        pthread_t thread;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        struct {
                int fd;
                char name[96];
        } store[MANAGER_STORE_MAX];
        size_t n_stored;
        unsigned n_adds; /* since the beginning */
        pid_t activator;
};

/* A folder, a store and a thread. Fails the test when they cannot be had. */
void manager_start(struct manager *m, uid_t uid);
void manager_stop(struct manager *m);

/* The daemon's configuration: [guest], and where clients connect. @guest: lines of that section */
void manager_configure(struct manager *m, const char *guest);

/* Listen for a helper that is started when somebody connects, as systemd does; @user is who it answers. */
void manager_offer_helper(struct manager *m, const char *user);
/* No more, and the socket is gone. */
void manager_withdraw_helper(struct manager *m);

/* What a unit's OpenFile= does; @fd is the manager's from now on. */
void manager_open_file(struct manager *m, const char *name, int fd);

/* Start vgpud as the user, with what is in the store; ret->dir is the manager's, and daemon_proc_stop() leaves it alone. */
void manager_run(struct manager *m, struct daemon_proc *ret);

/* SIGTERM, and what it said is thrown away for the next one. Return: as daemon_proc_wait(). */
int manager_end(struct manager *m, struct daemon_proc *d);

/* Wait until there are @n in the store. */
void manager_until_stored(struct manager *m, size_t n);

/* Is a descriptor of this file there? */
bool manager_keeps(struct manager *m, dev_t dev, ino_t ino);

#endif /* VGPU_TEST_MANAGER_H */
