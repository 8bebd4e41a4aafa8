/*
 * hostile_calls.h - every call of the core as a row, for tests that put each of them through the same
 *
 * A call starts from the standard guest with a bound handle and says what came out as plain bytes, so that two runs can
 * be compared.
 */
#ifndef HOSTILE_CALLS_H
#define HOSTILE_CALLS_H

#include "region_fixture.h"

#define CALL_MAX_PROCESSES  16
#define CALL_MAX_CANDIDATES 4

struct outcome {
        union {
                struct win32_info open;
                struct win32_clock clock;
                process list[CALL_MAX_PROCESSES];
                struct vgpup_candidate candidates[CALL_MAX_CANDIDATES];
                uint64_t frame_id;
                vgpup_frame_info info;
                struct vgpup_change changes[VGPU_MAX_SLOTS];
                vgpup_cursor cursor;
                vgpup_geometry geometry;
                vgpup_status status;
                vgpu_control_t control;
        };
        uint64_t n; /* of processes, of candidates, of changes */
        uint8_t bytes[TEST_STRIDE_BYTES];
};

struct call {
        const char *name;
        int (*run)(struct fixture *f, struct outcome *out);
        int done;         /* what it returns when all is well */
        size_t max_reads; /* over a guest as small as this, whatever it does */
        bool same;        /* done means: the honest outcome, not only a sound one */
};

extern const struct call hostile_calls[];
extern const size_t n_hostile_calls;

/* The standard guest with a window full of values, and a handle that has sampled nothing yet. */
void hostile_fixture_open(struct fixture *f);

/* A handle as it was before the last call. */
void hostile_fixture_rebind(struct fixture *f);

#endif /* HOSTILE_CALLS_H */
