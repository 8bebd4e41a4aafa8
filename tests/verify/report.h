/*
 * report.h - what a verifying client says while it runs and at the end
 */
#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "verify.h"

/* All that an event line tells; a line is printed when any of it changes. */
struct report_view {
        uint32_t state; /* enum vgpu_ring_state */
        bool connected;
        bool tick_overdue;
        uint64_t epoch;
        uint32_t run_epoch;
        uint32_t producer_pid;
        uint64_t generation;
        uint64_t reconnects;
        uint32_t width, height, fourcc; /* of the newest frame, and what it belongs to: */
        uint64_t frame_epoch;
        uint32_t frame_run_epoch;
        uint32_t frame_pid;
};

/**
 * report_event() - one line when something changed
 * @last: what was said last; updated
 *
 * `event state=streaming epoch=1 run_epoch=1 pid=4321 generation=2 frames=17 connected=1 ...`, flushed at once
 * so that a test can wait for it.
 */
void report_event(FILE *f, struct verify *v, struct report_view *last);

/* The live line; rewritten in place when @in_place. */
void report_live(FILE *f, struct verify *v, bool in_place);

/* Where the first wrong block of the frame just taken is. */
void report_bad_frame(FILE *f, const struct verify *v);

/* The end, for a person and as one JSON object on one line. @elapsed_ns: since connecting. */
void report_summary(FILE *f, const struct verify *v, uint64_t elapsed_ns);
void report_json(FILE *f, const struct verify *v, uint64_t elapsed_ns);

#endif /* REPORT_H */
