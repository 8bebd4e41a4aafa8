/*
 * pacer_sim.h - the pacer against a list of arrivals, without a clock: what it saw when, and with how many looks
 *
 * Deterministic: a wake-up takes as long as a fixed sequence of numbers says, so the same arrivals give the same figures
 * on every machine.
 */
#ifndef VGPU_TEST_PACER_SIM_H
#define VGPU_TEST_PACER_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pacer.h"

#define SIM_FRAMES 8192u

/* When frames were published, rising; the run ends with the last. */
struct sim_trace {
        char name[48];
        size_t n;
        uint64_t at_ns[SIM_FRAMES];
};

struct sim_result {
        size_t n_frames, n_seen;
        size_t n_looks, n_wakes;         /* of the looks, those that were slept up to */
        uint64_t p50_ns, p99_ns, max_ns; /* from a frame's arrival to the look that saw it */
        uint64_t densest;                /* looks within any second */
        uint64_t copies;                 /* within any second */
        uint64_t waits_ns;               /* what the run spent spinning */
};

/* The same numbers after the same @state. Return: below @n. */
uint64_t sim_random(uint64_t *state, uint64_t n);

/* Around a clock of @fps: each off by up to @jitter_us either way, of a thousand @drops left out, the clock @ppm fast. */
void sim_clock(struct sim_trace *t, const char *name, double fps, uint64_t jitter_us,
        unsigned drops, double ppm);

/* On a clock of @fps, but of a thousand @late are kept back by up to @most_us, as by a busy host. */
void sim_late(struct sim_trace *t, const char *name, double fps, unsigned late, uint64_t most_us);

/* Each a while after the one before: between @least_us and @most_us, changing slowly and by chance. */
void sim_variable(struct sim_trace *t, const char *name, uint64_t least_us, uint64_t most_us);

/* Film on a display: 24 frames a second shown at the ticks of 60. */
void sim_pulldown(struct sim_trace *t, const char *name);

/* A quiet desktop: single changes up to a second apart, now and then half a second of animation at @fps. */
void sim_desktop(struct sim_trace *t, const char *name, double fps);

/* A producer that takes another rate, or none, whenever it likes. */
void sim_restless(struct sim_trace *t, const char *name);

/* A recorded one: microseconds between frames, one to a line. Return: false when it cannot be read. */
bool sim_load(struct sim_trace *t, const char *path, const char *name);

/* @config NULL: a look every millisecond, every 16 after a second without a frame. */
void sim_run(const struct sim_trace *t, const struct pacer_config *config, struct sim_result *ret);

#endif /* VGPU_TEST_PACER_SIM_H */
