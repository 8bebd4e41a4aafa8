/*
 * crowd.h - many reading clients in processes of their own, and what they saw
 *
 * Each member connects as any program would, takes every frame it can in its own way, and checks what it got against the
 * pattern: some all of a frame, most a few random rows of it, since no machine has the memory bandwidth for every byte times
 * hundreds. Tallies lie in memory shared with the test, so nothing has to be asked of a member that was killed.
 */
#ifndef VGPU_TEST_CROWD_H
#define VGPU_TEST_CROWD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CROWD_MAX         1024
#define CROWD_GENERATIONS 64

enum crowd_kind {
        CROWD_COPY,  /* copies, waits in the library on its wake descriptor */
        CROWD_LEASE, /* reads in place under a hold */
        CROWD_WORD,  /* copies, waits on the ring's futex */
        CROWD_FD,    /* copies, waits in a poll loop of its own */
        CROWD_N_KINDS
};

const char *crowd_kind_name(enum crowd_kind kind);

/* One member's; written by it alone, read at any time. */
struct crowd_tally {
        uint64_t online; /* connected to a daemon now */
        uint64_t frames; /* taken and judged */
        uint64_t whole;  /* of them, all bytes judged */
        uint64_t missed; /* published, not taken */
        uint64_t torn;   /* blocks of another frame */
        uint64_t
                foreign; /* blocks of nothing that producer drew, sizes that contradict one another */
        uint64_t lost;   /* holds ended by the daemon; what was read then is not judged */
        uint64_t serial;      /* of the last frame */
        uint64_t frame_id;    /* the producer's, of the last frame */
        uint64_t mode;        /* of the last frame: width << 32 | height */
        uint64_t generation;  /* of the last frame */
        uint64_t instances;   /* daemons met after the first */
        uint64_t disconnects; /* from any of them */
        uint64_t generations; /* bit N: had a frame of generation N of the present daemon, N < 64 */
        uint64_t failed; /* -errno of what ended it before it was told to end; 0: nothing did */
};

struct crowd_member {
        pid_t pid; /* 0: none */
        enum crowd_kind kind;
        bool all_bytes;
        struct crowd_tally *tally;
};

struct crowd {
        struct crowd_member member[CROWD_MAX];
        unsigned n;
        void *shared;
};

/* Make room for tallies; crowd_stop() in the end. Return: 0 or -errno. */
int crowd_init(struct crowd *crowd);

/**
 * crowd_add() - start a member
 * @socket:    the daemon's; it need not be there yet
 * @all_bytes: judge every byte of every frame it takes
 *
 * Return: 0 or -errno.
 */
int crowd_add(struct crowd *crowd, const char *socket, enum crowd_kind kind, bool all_bytes);

/* A copy of a member's tally. */
struct crowd_tally crowd_tally(const struct crowd *crowd, unsigned i);

/* Sums over all members, of what adds up. */
struct crowd_tally crowd_sum(const struct crowd *crowd);

typedef bool (*crowd_condition)(const struct crowd_tally *tally, uint64_t arg);

/**
 * crowd_until() - wait until @condition holds for every member
 *
 * Return: -1, or the first member for which it does not hold after @patience_ms, or that ended.
 */
int crowd_until(struct crowd *crowd, crowd_condition condition, uint64_t arg, int patience_ms);

/* End all members and wait for them; nothing is left. Return: members that did not end well. */
unsigned crowd_stop(struct crowd *crowd);

#endif /* VGPU_TEST_CROWD_H */
