/*
 * daemon_proc.h - a real vgpud for a test: its folder, its configuration, its process
 *
 * Each daemon gets a folder of its own under the temporary directory, with daemon.conf, the socket and what it said on
 * stderr. The folder goes with daemon_proc_stop().
 */
#ifndef VGPU_TEST_DAEMON_PROC_H
#define VGPU_TEST_DAEMON_PROC_H

#include <stdint.h>
#include <sys/types.h>

struct daemon_proc {
        pid_t pid; /* 0: not running */
        char dir[64];
        char config[96];
        char socket[96];
        char log[96];
};

#define DAEMON_PROC_NONE ((struct daemon_proc){ 0 })

/**
 * daemon_proc_start() - write a configuration and run vgpud on it
 * @ram:      [guest] ram
 * @machine:  [guest] machine
 * @ram_size: [guest] ram_size in bytes, 0: leave it out
 * @more:     further configuration text, sections included, the first of which goes on with [ring];
 *            without a [log] of its own it logs everything; NULL: none
 *
 * The program is the one of this build, or what VGPU_DAEMON in the environment names. Does not wait: clients of the library
 * wait for a daemon themselves. Return: 0 or -errno.
 */
int daemon_proc_start(struct daemon_proc *ret, const char *ram, const char *machine,
        uint64_t ram_size, const char *more);

/* Run it again on the same configuration, after daemon_proc_kill(). Return: 0 or -errno. */
int daemon_proc_restart(struct daemon_proc *d);

/* SIGKILL and reap. */
void daemon_proc_kill(struct daemon_proc *d);

/**
 * daemon_proc_stop() - SIGTERM, wait, remove the folder; fine on DAEMON_PROC_NONE
 *
 * Return: exit status, 128 + the signal it died of, or 0 if it was not running. When not 0, what it said goes to stderr.
 */
int daemon_proc_stop(struct daemon_proc *d);

/* Wait for it to end by itself. Return: as daemon_proc_stop(); the folder stays. */
int daemon_proc_wait(struct daemon_proc *d);

/* What it said so far: heap-owned, NUL-terminated; never NULL. */
char *daemon_proc_said(const struct daemon_proc *d);

/* What it holds: open descriptors, and mappings that are not anonymous. */
struct daemon_proc_holds {
        unsigned n_fds;
        unsigned n_maps;
};

struct daemon_proc_holds daemon_proc_holds(const struct daemon_proc *d);

#endif /* VGPU_TEST_DAEMON_PROC_H */
