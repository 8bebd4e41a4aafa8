/*
 * announce.h - saying that a frame comes, while it is being written (private to ring/)
 *
 * `soon` and `due_ns` of the header. A hint: docs/ring.md says what it is for and that nothing depends on it.
 */
#ifndef VGPUD_ANNOUNCE_H
#define VGPUD_ANNOUNCE_H

#include <stdbool.h>
#include <stdint.h>

#include "vgpu_ring.h"

/* All zero: nobody asked for it, nothing is known. */
struct announcer {
        bool on;
        uint64_t begun_ns; /* when the frame that is being written was announced; 0: it was not */
        uint64_t write_ns; /* what writing one takes, on the short side; 0: not known */
};

/* A frame begins to be written. Without @a->on it costs nothing; else one FUTEX_WAKE and a look at the clock. */
void announcer_begin(struct announcer *a, struct vgpu_ring_header *h);

/* It was published. @end_ns: CLOCK_MONOTONIC. */
void announcer_end(struct announcer *a, uint64_t end_ns);

#endif /* VGPUD_ANNOUNCE_H */
