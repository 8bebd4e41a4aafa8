/*
 * guest.h - a simulated guest at work: machine, producer, clock
 *
 * One thread: guest_run_due() does what is due and says when to be called again; the commands change things in between.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest_clock.h"
#include "guest_options.h"
#include "machine.h"
#include "ram.h"
#include "vgpu_producer.h"

enum guest_cursor { GUEST_CURSOR_MOVES, GUEST_CURSOR_STANDS, GUEST_CURSOR_HIDDEN };

/* The process that publishes; meaningful while machine.producer is there. */
struct guest_producer {
        struct vgpu_producer writer;
        struct ram_view view; /* the region in one piece */
        struct guest_mode mode;
        bool hung;       /* alive on the process list, does nothing */
        bool told_pause; /* by the host's intent */
        uint32_t fps;    /* in force */
        uint32_t full_frame_req, full_frame_ack;
        uint64_t n_frames;
        uint64_t next_frame_ns, next_heartbeat_ns; /* guest time */
};

struct guest {
        struct guest_options options;
        struct ram ram;
        struct machine machine;
        void *storage;
        struct guest_clock clock;
        uint64_t next_tick_ns; /* guest time */
        struct guest_producer producer;
        enum guest_cursor cursor;
        int32_t cursor_x, cursor_y;
        bool quit;
        char why[256]; /* reason of the last failure, for a person */
};

#define GUEST_NEVER UINT64_MAX

/**
 * guest_open() - make the RAM, boot the machine and start the producer the options ask for
 * @g: zero-filled, large: make it static
 * @options: copied
 *
 * Return: true; false with g->why set. guest_close() is right in both cases.
 */
bool guest_open(struct guest *g, const struct guest_options *options);
void guest_close(struct guest *g);

/**
 * guest_run_due() - clock ticks, heartbeats and frames whose time has come
 *
 * Return: the host's CLOCK_MONOTONIC, in ns, of the next one; GUEST_NEVER while the machine is paused.
 */
uint64_t guest_run_due(struct guest *g);

/* What can be done to it. False: it failed and g->why says why. */
bool guest_restart_producer(struct guest *g);
bool guest_kill_producer(struct guest *g);
bool guest_reboot(struct guest *g, bool elsewhere);
bool guest_break_run(struct guest *g);
bool guest_set_mode(struct guest *g, const struct guest_mode *mode);
bool guest_set_hung(struct guest *g, bool hung);
void guest_pause(struct guest *g);
void guest_resume(struct guest *g); /* ends a pause and a hang */

/* One line of facts, key=value, without an end of line. */
void guest_facts(const struct guest *g, char *line, size_t size);

/**
 * guest_command() - carry out one line
 * @line: without its end of line
 * @answer: one line, `ok ...` or `error reason`, without its end of line
 */
void guest_command(struct guest *g, const char *line, char *answer, size_t size);

#endif /* GUEST_H */
