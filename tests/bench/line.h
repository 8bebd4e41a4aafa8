/*
 * line.h - a guest, a daemon on it and a client, as processes: what is measured end to end
 *
 * The client is in the measuring process and copies nothing; it is there to be woken and to see what there is. All of it ends
 * the program with a message when it does not work: without, there is nothing to measure.
 */
#ifndef BENCH_LINE_H
#define BENCH_LINE_H

#include <stdint.h>

#include "daemon_proc.h"
#include "guest_proc.h"
#include "vgpu_client.h"

struct line {
        struct guest_proc guest;
        struct daemon_proc daemon;
        struct vgpu_client *client;
};

/* When things happened after the daemon's process was made, in nanoseconds. */
struct line_start {
        uint64_t ready;       /* the service manager hears READY=1 */
        uint64_t connected;   /* a client is welcome; it tries once a millisecond */
        uint64_t first_frame; /* that client holds the first frame's descriptor */
};

#define LINE_NONE ((struct line){ .guest = GUEST_PROC_NULL })

/* @args: further words for the guest, NULL-terminated. */
void line_guest(struct line *l, const char *const args[]);

/**
 * line_daemon() - start a daemon and a client on a running guest, and wait for the first frame
 * @more:      configuration text, or NULL
 * @ret_start: may be NULL
 */
void line_daemon(struct line *l, const char *more, struct line_start *ret_start);

/* The client and the daemon end; the guest stays. */
void line_end_daemon(struct line *l);

/* Everything ends. Fine on LINE_NONE. */
void line_end(struct line *l);

/* Frames the guest has drawn since its producer started. */
uint64_t line_drawn(struct line *l);

/* CLOCK_MONOTONIC */
uint64_t line_now_ns(void);

#endif /* BENCH_LINE_H */
