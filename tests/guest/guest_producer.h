/*
 * guest_producer.h - a process of the guest that publishes: its writer, its mode, what it does when
 *
 * The simulated guest has one that everything is about, and may have a second one beside it. The functions serve both;
 * neither knows of the other.
 */
#ifndef GUEST_PRODUCER_H
#define GUEST_PRODUCER_H

#include <stdbool.h>
#include <stdint.h>

#include "guest_options.h"
#include "machine.h"
#include "ram.h"
#include "vgpu_producer.h"

struct guest;

enum guest_cursor { GUEST_CURSOR_MOVES, GUEST_CURSOR_STANDS, GUEST_CURSOR_HIDDEN };

struct guest_producer {
        struct vgpu_producer writer;
        struct ram_view view; /* the region in one piece */
        struct guest_mode mode;
        uint32_t pid;
        bool hung;           /* alive on the process list, does nothing */
        bool told_pause;     /* by the host's intent */
        bool trims;          /* its frames' pages go through the states that the options ask for */
        uint32_t target_fps; /* likewise; 0: the mode's */
        bool draw_cursor;    /* likewise */
        uint32_t fps;        /* in force */
        uint32_t full_frame_req, full_frame_ack;
        uint64_t n_frames;
        uint64_t drawn[VGPU_MAX_SLOTS]; /* the frame that each slot shows; 0: none of this mode */
        uint64_t last_drawn;            /* likewise, of all */
        uint64_t next_frame_ns, next_heartbeat_ns; /* guest time */
};

/* Where the writer's mapping is published from: its size, and what goes on from an earlier mapping of the same process. */
struct guest_publication {
        uint64_t slot_stride, region_bytes;
        uint32_t run_epoch;
        uint64_t last_frame_id;
};

/* The guest's view of the mapping: under which root, where, and whose. */
struct guest_mapping {
        uint64_t cr3, gva, bytes;
        uint32_t pid;
};

/* What a mode needs. Return: false, with the guest's reason set, when it fits no slot. */
bool guest_producer_plan(
        struct guest *g, const struct guest_mode *mode, struct guest_publication *ret_publication);

/* The region is mapped: write its identity and start publishing. @p's view is empty. Return: false with the reason set. */
bool guest_producer_publish(struct guest *g, struct guest_producer *p,
        const struct guest_mapping *mapping, const struct guest_mode *mode,
        const struct guest_publication *publication);

/* Another mode inside the same mapping. */
void guest_producer_change_mode(
        struct guest *g, struct guest_producer *p, const struct guest_mode *mode);

/* Heartbeats and frames that are due at @now. Return: guest time of the next. */
uint64_t guest_producer_run(struct guest *g, struct guest_producer *p, uint64_t now);

/* The next multiple of @period after @now, counted from @due: what was missed is not made up for. */
static inline uint64_t guest_next_after(uint64_t due, uint64_t now, uint64_t period)
{
        return due + ((now - due) / period + 1) * period;
}

#endif /* GUEST_PRODUCER_H */
