/*
 * pacer.h - when to look for the next frame
 *
 * Nothing rings a bell when the guest publishes, so the daemon looks. The pacer is a pure function of what the looks saw:
 * looks come every poll_ns while frames arrive, every idle_ns once none has come for PACER_IDLE_AFTER_NS, and never
 * sooner after a copied frame than max_fps allows. Copies that were thrown away count as copied: a guest that flips its
 * seq to make us copy for nothing is held to the same rate.
 */
#ifndef VGPUD_PACER_H
#define VGPUD_PACER_H

#include <stdbool.h>
#include <stdint.h>

#define PACER_IDLE_AFTER_NS UINT64_C(1000000000)

struct pacer_config {
        uint64_t poll_ns;      /* between looks while frames come */
        uint64_t idle_ns;      /* between looks when the desktop is idle; >= poll_ns */
        uint64_t min_frame_ns; /* 1e9 / max_fps */
};

enum pacer_saw {
        PACER_SAW_NOTHING,
        PACER_SAW_FRAME, /* bytes were copied, whether they were published or not */
};

struct pacer {
        struct pacer_config config;
        uint64_t last_frame_ns; /* of the last copy, 0: none */
};

void pacer_init(struct pacer *p, const struct pacer_config *config, uint64_t now_ns);

/* Take in what the look at @now_ns saw; returns when to look next, > @now_ns. */
uint64_t pacer_next(struct pacer *p, enum pacer_saw saw, uint64_t now_ns);

#endif /* VGPUD_PACER_H */
