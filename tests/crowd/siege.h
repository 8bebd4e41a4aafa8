/*
 * siege.h - a daemon with healthy clients, under attack
 *
 * A simulated guest, a real vgpud on it, and four healthy clients, one of each kind, that judge every byte of every frame they
 * take. Before the first attack what the daemon holds is noted: descriptors, files mapped, memory of its own. When all
 * attackers are gone it has to hold the same.
 */
#ifndef VGPU_TEST_SIEGE_H
#define VGPU_TEST_SIEGE_H

#include <stdbool.h>

#include "crowd.h"
#include "hostile.h"
#include "rig.h"

#define SIEGE_ATTACKERS 16

/* A sanitizer is slow at judging bytes. */
#ifdef __SANITIZE_ADDRESS__
#define SIEGE_MODE "640x480@60"
#else
#define SIEGE_MODE "1280x720@60"
#endif

struct siege_holds {
        struct daemon_proc_holds files;
        uint64_t anon_bytes; /* resident; rings, pages and guest memory are files */
};

struct siege {
        struct rig rig;
        struct crowd crowd;
        struct hostile_proc attacker[SIEGE_ATTACKERS];
        unsigned n_attackers;
        struct siege_holds before;
};

/* In SIEGE_MODE. @config: further lines of [ring]; NULL: none. */
void siege_begin(struct siege *s, const char *config);

/* Ends everything, in any state. Checks nothing: for tests that failed. */
void siege_abandon(struct siege *s);

/* Kill all attackers; then the daemon holds what it held before, no healthy client ever got a byte that was wrong or lost
 * its daemon, and the daemon ends well. */
void siege_end(struct siege *s);

const char *siege_socket(const struct siege *s);

struct hostile_proc *siege_attack(struct siege *s, hostile_attack attack, uint64_t arg);

/* Wait until an attacker got as far as @step, or did @rounds; fails with what it found. */
void siege_until_step(struct siege *s, const struct hostile_proc *p, uint64_t step);
void siege_until_rounds(struct siege *s, const struct hostile_proc *p, uint64_t rounds);

/* Attackers go, one or all. */
void siege_kill(struct siege *s, struct hostile_proc *p);

/**
 * siege_goes_on() - every healthy client takes @frames more
 *
 * Meanwhile the daemon has to publish a quarter at least of what the guest draws, and to hold no more descriptors than clients
 * may have cost it. A machine with time to spare publishes all; one that is busy with something else does not, but a daemon that
 * waited for a hold, a queue or a reader would publish a few frames a second.
 */
void siege_goes_on(struct siege *s, uint64_t frames);

/* Change the guest's mode, wait until every healthy client has a frame of it. */
void siege_mode(struct siege *s, const char *mode);

/* Wait until the daemon's log holds @words. */
void siege_until_said(struct siege *s, const char *words);

/* A number of the daemon's status, by the first place its key stands at. */
uint64_t siege_status(struct siege *s, const char *key);

/* Wait until it is @value at least. */
void siege_until_status(struct siege *s, const char *key, uint64_t value);

#endif /* VGPU_TEST_SIEGE_H */
