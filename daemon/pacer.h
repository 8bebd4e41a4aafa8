/*
 * pacer.h - when to look for the next frame
 *
 * Nothing rings a bell when the guest publishes, so the daemon looks, and each look costs a wake-up. The pacer is a pure
 * function of what the looks saw and when: it learns how far apart frames come and when the next one is due, and has the
 * daemon look closely around then, now and then in between, and ever more rarely the longer nothing comes.
 *
 * What a look knows of a frame is that it came between the look before and this one. So a frame that was expected within
 * that stretch moves nothing; one that was not pulls the phase by half of what it was off, and the period by a little (a
 * phase-locked loop: half is as good for frames that jitter around a clock as for those that each count from the one
 * before). How far off frames were makes the window that is looked at closely. A frame far outside it says nothing about
 * the next: a few of them in a row do. What the last intervals have in common says when it is another period.
 *
 * The guest's own timestamps and frame numbers are left out: they are of the capture, not of the publishing, and a guest
 * writes there what it likes. Whatever it does, looks keep to a rate, and copies to max_fps but for one that may come early;
 * copies that were thrown away count as copied.
 */
#ifndef VGPUD_PACER_H
#define VGPUD_PACER_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"

#define PACER_GAPS 5u /* intervals that are remembered */

struct pacer_config {
        enum config_latency latency;
        uint64_t min_frame_ns; /* 1e9 / max_fps */
};

enum pacer_saw {
        PACER_SAW_NOTHING,
        PACER_SAW_FRAME, /* bytes were copied, whether they were published or not */
};

struct pacer_plan {
        uint64_t at_ns; /* when to look next */
        bool spin;      /* so soon that sleeping until then is not worth it */
};

struct pacer {
        struct pacer_config config;
        uint64_t look_ns; /* the last look */
        uint64_t
                arrival_ns; /* of the newest frame, as far as it is known; before that: the begin */
        uint64_t copy_ns;   /* sooner there must be no other copy */
        uint64_t copy_due_ns,
                look_due_ns; /* when, by their rates, the next copy and look would be in step */

        uint64_t period_ns; /* between frames; 0: not known */
        uint64_t phase_ns;  /* where the last frame was due, so is one a period later */
        uint64_t error_ns;  /* by how much frames miss that */
        unsigned n_strange; /* in a row, too far off to say anything */
        uint64_t gap_ns[PACER_GAPS];
        unsigned n_gaps; /* ever */
};

/* The most looks a second of each latency, averaged over some milliseconds. */
uint64_t pacer_most_looks(enum config_latency latency);

/* The longest that a look is put off, whatever happened: what the first frame after a quiet time can be late by. */
uint64_t pacer_idle_ns(enum config_latency latency);

void pacer_init(struct pacer *p, const struct pacer_config *config, uint64_t now_ns);

/**
 * pacer_next() - take in what a look saw
 * @look_ns: when it began; not before the one before
 * @now_ns:  when it ended: later when it copied
 *
 * Every input has an answer, in bounded time: a dozen divisions at most.
 *
 * Return: when to look next, later than @now_ns.
 */
struct pacer_plan pacer_next(
        struct pacer *p, enum pacer_saw saw, uint64_t look_ns, uint64_t now_ns);

#endif /* VGPUD_PACER_H */
