/*
 * plan.h - what is measured, in which order, and what came of it
 *
 * Absolute figures drift with the machine's mood, so everything that is to be compared is measured in turn, round after
 * round: ours, a peer, ours, a peer, and every other round backwards.
 */
#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

#include <stdbool.h>

#include "figures.h"
#include "scene.h"

#define MAX_ROUNDS  9u
#define MAX_ROWS    96u
#define MAX_COUNTS  8u
#define MAX_CLIENTS 512u

enum way_id {
        WAY_FLOOR, /* nobody's: the least there is to it */
        WAY_IDLE,  /* clients that do not wait: only what they cost */
        WAY_BUSY,  /* that waited once */
        WAY_WORD,
        WAY_EARLY, /* awake before the frame */
        WAY_FD,
        WAY_LEASE,
        WAY_COPY,
        WAY_PIPEWIRE,
        WAY_PIPEWIRE_LOOP,
        WAY_GST,
        WAY_GST_COPY,
        N_WAYS
};

extern const struct way ways[N_WAYS];

/* One scene in one way. */
struct row {
        struct scene scene;
        enum way_id way;
        bool cost_only;                     /* not in the table of hand-offs */
        struct figures handoff[MAX_ROUNDS]; /* publish to held, per round */
        struct figures cost[MAX_ROUNDS];    /* the producer's, per frame */
        double client_us[MAX_ROUNDS];       /* a client's CPU time per frame; 0: not known */
        uint64_t n_got, n_wanted, n_bad;
        enum scene_outcome outcome; /* of the last round that was not OK */
        char reason[256];
};

struct plan_options {
        unsigned n_rounds;
        unsigned n_frames;
        unsigned count[MAX_COUNTS]; /* numbers of clients; see default_counts */
        unsigned n_counts;
        bool default_counts; /* then also 4K, and one of four clients stopped */
        bool ring, peers;    /* whose hand-offs to measure */
        bool cost;           /* and what frames cost the daemon */
};

struct plan {
        struct plan_options options;
        struct row row[MAX_ROWS]; /* in the order of the tables */
        unsigned n_rows;
        unsigned order[MAX_ROWS]; /* in which they are measured */
};

void plan_init(struct plan *p, const struct plan_options *options);

/* Tells how far it is; for a terminal. */
typedef void (*plan_progress_fn)(
        const struct plan *p, unsigned round, unsigned done, const struct row *row);

/* Return: false if it was interrupted. */
bool plan_run(struct plan *p, const struct scene_options *scene, plan_progress_fn progress);

/* The row of a scene and way, or NULL. */
const struct row *plan_find(const struct plan *p, const struct scene *scene, enum way_id way);

bool scene_equal(const struct scene *a, const struct scene *b);

#endif /* BENCH_PLAN_H */
