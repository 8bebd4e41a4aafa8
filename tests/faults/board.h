/*
 * board.h - memory that the harness, the program under test and the shim in it share: which call is to fail, and what became
 * of it
 *
 * Calls are counted by phase of the program's life, since how often a stream reads its timer is nobody's to foresee, while
 * the third allocation of its end is always the same. The harness moves the phase on when it has seen what ends one; a
 * program that knows better calls vgpu_fault_phase() of the shim.
 */
#ifndef FAULTS_BOARD_H
#define FAULTS_BOARD_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define BOARD_FD_VARIABLE "VGPU_FAULT_BOARD" /* in the environment: the descriptor to map */
#define BOARD_PHASES      8
#define BOARD_CALLS       512 /* numbers of system calls */
#define BOARD_SITES       64
#define BOARD_FDS         32
#define BOARD_TEXT        128

/* Allocations of one place in the code that were never freed. */
struct board_site {
        char where[BOARD_TEXT]; /* object+offset of the caller */
        uint32_t n;
};

struct board {
        /* what to fail: the @nth (from 1) allocation or system call of a phase; 0: none */
        uint32_t phase_wanted, nth;
        int call;  /* system call, or -1: an allocation */
        int error; /* of a system call: positive errno */

        atomic_uint phase;
        atomic_bool
                started; /* by the shim, just before main(): what the loader does is not the program's */
        atomic_bool fired;
        atomic_uint n_allocations[BOARD_PHASES];
        atomic_uint n_calls[BOARD_PHASES][BOARD_CALLS];

        /* by the shim: the allocation that failed, its callers from the innermost on */
        char what[BOARD_TEXT];
        char callers[16][BOARD_TEXT];
        uint32_t n_callers;

        /* by the shim, when the program ended by returning or exit() */
        bool ended;
        struct board_site live[BOARD_SITES];
        uint32_t n_live;
        char fds[BOARD_FDS][BOARD_TEXT]; /* open beyond the standard three */
        uint32_t n_fds;

        /* the listener for system calls, on its way from child to parent */
        sem_t listener_made, listener_taken;
        int listener;
};

#endif /* FAULTS_BOARD_H */
