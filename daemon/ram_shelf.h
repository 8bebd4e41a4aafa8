/*
 * ram_shelf.h - guest RAM that somebody else opened for us
 *
 * Descriptors come from the helper, from an administrator's OpenFile=, or out of the service manager's store, where a daemon
 * before this one left them. Those of the helper go into that store, so that a restart needs no helper. A descriptor keeps what
 * it is of: the memory of a machine that is off stays taken while anybody has its memfd. So the shelf holds the process
 * too, by a pidfd, and what has ended goes, from here and from the store; a file without a name and without a process is
 * never stored.
 */
#ifndef VGPUD_RAM_SHELF_H
#define VGPUD_RAM_SHELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "helper/offer.h"
#include "systemd/passed.h"

struct ram_held {
        int fd;
        uint64_t size;
        bool linked;                  /* it had a name when it came */
        uint64_t begin, end;          /* where its process has it; 0: not known */
        char stored[PASSED_NAME_MAX]; /* in the manager's store; "": it is not there */
};

struct ram_shelf {
        struct ram_held file[VGPU_SOURCE_FILES_MAX];
        size_t n;
        int pidfd; /* of the process that has them, or -1 */
        int pid;   /* its number; 0: not known */
        char pid_stored[PASSED_NAME_MAX];
        bool by_helper; /* in this life of the daemon */
        bool by_admin;  /* passed in, and neither looked for nor stored by us */
        uint64_t
                config; /* what [guest] says, as a number: what was stored for another is not for this */
};

/* Empty, for this configuration. */
void ram_shelf_init(struct ram_shelf *s, const struct vgpu_config *config);

/**
 * ram_shelf_take() - what the service manager passed
 * @p: its RAM descriptors are taken out; what cannot be used is closed and removed from the store, and logged unless it was a
 *     daemon's that put it there
 */
void ram_shelf_take(struct ram_shelf *s, struct passed *p);

/* What the helper handed over, instead of what is there; @hand is empty then. */
void ram_shelf_fill(struct ram_shelf *s, struct ram_hand *hand);

/**
 * ram_shelf_sweep() - let go of what is over
 * @paths: [guest] ram, or "auto"
 *
 * That is everything as soon as the process has ended, or one file was removed, truncated, or replaced at its path as far as
 * that can be seen. Some system calls for each file.
 *
 * Return: was anything let go of?
 */
bool ram_shelf_sweep(struct ram_shelf *s, const char *paths);

/* The file with this address of its process in it. Return: its place, or -1. */
int ram_shelf_find(const struct ram_shelf *s, uint64_t hva);

/* Only these files, in this order, each once; the others are closed. @n: at most s->n */
void ram_shelf_keep(struct ram_shelf *s, const size_t *places, size_t n);

/* Into the manager's store, unless they are there, or may not be. */
void ram_shelf_store(struct ram_shelf *s);

/* Lets go of everything, in the store too. */
void ram_shelf_clear(struct ram_shelf *s);

/* Closes everything and leaves the store as it is: for the next daemon. */
void ram_shelf_deinit(struct ram_shelf *s);

#endif /* VGPUD_RAM_SHELF_H */
