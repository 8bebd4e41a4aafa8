/*
 * desktop.h - what runs in the machine: the producer process and the frames it publishes
 *
 * The virtual CPU is in the producer's address space (cr3) for as long as there is a producer, and writes its region
 * through the producer's own virtual addresses, as a program in Windows would.
 */
#ifndef VGPU_VM_DESKTOP_H
#define VGPU_VM_DESKTOP_H

#include <stdbool.h>
#include <stdint.h>

#include "machine.h"
#include "options.h"
#include "vgpu_producer.h"

struct desktop {
        struct machine *machine;
        struct mode mode;
        uint32_t n_slots;
        struct vgpu_producer producer;
        volatile bool alive;     /* a region is published and the CPU is in its process */
        volatile bool hung;      /* alive, but neither beats nor draws */
        bool paused;             /* by the control block */
        uint32_t target_fps;     /* by the control block; 0: the mode's */
        bool draw_cursor;        /* by the control block */
        uint32_t full_frame_req; /* by the control block */
        uint32_t full_frame_ack;
        bool cursor_fixed; /* at cursor_x, cursor_y: it no longer moves by itself */
        bool cursor_hidden;
        int32_t cursor_x, cursor_y;
        volatile uint64_t next_beat_ns;
        uint64_t next_frame_ns;
        uint64_t n_frames;        /* since the producer started */
        uint64_t second_began_ns; /* of the rate below */
        uint64_t second_frames;
        uint32_t measured_millifps; /* frames per 1000 s over the last whole second or more */
};

/** desktop_start() - start a producer process and publish its region; false when the machine has no room */
bool desktop_start(struct desktop *d);

/** desktop_kill() - end the producer without a word to its readers and let others use its pages; fine without one */
void desktop_kill(struct desktop *d);

/**
 * desktop_set_mode() - draw in another mode from the next frame on
 *
 * A mode that does not fit the slots retires the region and publishes a larger one in the same process. Either is a
 * session break: frames belong to the next run_epoch.
 *
 * Return: false when the machine has no room; the producer is then gone.
 */
bool desktop_set_mode(struct desktop *d, const struct mode *mode);

/** desktop_break_run() - a session break; return: the new run_epoch. There must be a producer. */
uint32_t desktop_break_run(struct desktop *d);

/**
 * desktop_trim() - let go of the pages of the newest frame, as machine_trim() does
 *
 * They come back by page faults, when the producer writes there again. Return: NULL, or why not.
 */
const char *desktop_trim(struct desktop *d, enum machine_state state);

/** desktop_fault() - a page fault at @va: true when it was one of those, and the page is there now */
bool desktop_fault(struct desktop *d, uint64_t va);

/** desktop_tick() - heartbeats, which never wait for a frame to be drawn: called from the timer interrupt */
void desktop_tick(struct desktop *d, uint64_t now_ns);

/**
 * desktop_run() - do what is due: the control block, a frame
 *
 * Return: when to be called again, in nanoseconds since boot.
 */
uint64_t desktop_run(struct desktop *d);

#endif /* VGPU_VM_DESKTOP_H */
