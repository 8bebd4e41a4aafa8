/*
 * scene.h - one thing to measure: a producer, its clients, a while
 *
 * Starts the processes, waits until all are ready, says when to measure, collects the samples and ends everything
 * again. Scenes share nothing, so that any number of them can follow one another in any order.
 */
#ifndef BENCH_SCENE_H
#define BENCH_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A way from a producer to its clients. Programs are names beside our own. */
struct way {
        const char *name;
        const char *what; /* for people */
        const char *producer, *producer_role;
        const char *client, *client_role;
        const char *daemon, *daemon_role; /* started first; NULL: none */
        const char *skip;                 /* why this build has not got it; NULL: it has */
        bool peer;                        /* not ours */
        bool floor;                       /* no transport at all */
        bool copies;                      /* the client ends with the frame in memory of its own */
};

struct scene {
        uint32_t width, height;
        unsigned n_clients;
        bool one_stopped; /* the last client is stopped while the others are measured */
};

enum scene_outcome {
        SCENE_OK,
        SCENE_SKIPPED,
        SCENE_FAILED,
        SCENE_INTERRUPTED,
};

struct scene_result {
        enum scene_outcome outcome;
        char reason[256]; /* a sentence, unless OK */
        uint64_t *ns;     /* what the clients that were not stopped waited, sorted */
        size_t n;
        uint64_t n_bad;    /* frames overwritten while they were held */
        uint64_t n_wanted; /* that would have been got if none was lost */
        double client_us;  /* CPU time of a client per frame it got; 0: none got two */
        uint64_t *cost_ns; /* the producer's own samples, sorted */
        size_t n_cost;
};

#define SCENE_RESULT_NONE ((struct scene_result){ 0 })

struct scene_options {
        const char *programs; /* folder */
        int log_fd;           /* what the programs say */
        unsigned n_frames;    /* to measure, at most BENCH_MAX_SAMPLES */
        const volatile int *interrupted;
};

/* Always fills @ret; scene_result_deinit() frees it. Takes as long as its frames and about a second. */
void scene_run(const struct scene *scene, const struct way *way,
        const struct scene_options *options, struct scene_result *ret);

void scene_result_deinit(struct scene_result *r);

#endif /* BENCH_SCENE_H */
