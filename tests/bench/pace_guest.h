/*
 * pace_guest.h - a simulated guest in a process of its own that publishes at given times, and says when in the frame
 *
 * Frames are not drawn, since a frame that is published again costs its reader the same: so the guest takes no processor
 * from the daemon. Their timestamp is CLOCK_MONOTONIC just before the frame is there to be seen.
 */
#ifndef BENCH_PACE_GUEST_H
#define BENCH_PACE_GUEST_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

struct pace_guest {
        pid_t pid;
        struct pace_orders *orders; /* shared with it */
        char ram[PATH_MAX];         /* for [guest] ram; the machine is a q35 */
};

/* Ends the program with a message when it cannot. */
void pace_guest_start(struct pace_guest *g, uint32_t width, uint32_t height);
void pace_guest_stop(struct pace_guest *g);

/* Publish so often from now on; 0: nothing, but live. */
void pace_guest_set_fps(struct pace_guest *g, uint32_t fps);

#endif /* BENCH_PACE_GUEST_H */
