/*
 * scan.h - the searches that take too long for the loop
 *
 * A scan runs on libuv's worker pool: it opens a kernel, or looks for regions in one, and comes back on the loop with what
 * it found. It can be cancelled at any time; it then ends at its next bounded step and its result is empty. At most one is
 * under way per guest, because an epoch's memory serves one thread at a time; beside it one of a few processes, which reads
 * by memory of its own.
 */
#ifndef VGPUD_SCAN_H
#define VGPUD_SCAN_H

#include <uv.h>

#include "epoch.h"
#include "newcomers.h"
#include "vgpu_perception.h"

#define SCAN_MAX_CANDIDATES 1024
#define SCAN_MAX_NEWCOMERS  (NEWCOMERS_MAX + 1)

enum scan_kind {
        SCAN_ATTACH,      /* RAM -> kernel */
        SCAN_DISCOVER,    /* kernel -> regions */
        SCAN_LOOK_AROUND, /* another kernel than ours? else our kernel -> regions */
        SCAN_NEWCOMERS,   /* a few processes -> regions */
};

struct scan;
typedef void (*scan_done)(struct scan *scan, void *ctx);

struct scan {
        enum scan_kind kind;
        atomic_bool cancel;
        atomic_uint n_reads; /* of guest memory so far; goes on while the scan does */
        uint64_t took_ns; /* processor time; what else the machine did meanwhile does not count */

        /* found; meaningful when not cancelled */
        struct epoch *
                opened; /* ATTACH, LOOK_AROUND: a kernel, NULL: none (or only ours); the callee may take it */
        struct win32_failure why; /* ATTACH: why there is none */
        int error;                /* regions could not be looked for: negative errno */
        size_t n_candidates;
        size_t n_seen; /* larger than n_candidates: there were more */
        struct vgpup_candidate candidate[SCAN_MAX_CANDIDATES];

        /* private */
        process only[SCAN_MAX_NEWCOMERS]; /* NEWCOMERS */
        size_t n_only;
        uint64_t helper_ns; /* of took_ns, what another thread spent */
        uv_work_t work;
        struct ram *ram;
        struct epoch *epoch;
        uint64_t kcr3;
        scan_done done;
        void *ctx;
};

/**
 * scan_start() - send one out
 * @ram:   referenced until it is back
 * @epoch: likewise; NULL for SCAN_ATTACH
 * @kcr3:  configured root, 0: find it
 * @done:  called once on the loop, cancelled or not; the scan is freed when it returns
 *
 * Return: 0 and *ret_scan (borrowed; valid until @done returns), or negative errno.
 */
int scan_start(uv_loop_t *loop, enum scan_kind kind, struct ram *ram, struct epoch *epoch,
        uint64_t kcr3, scan_done done, void *ctx, struct scan **ret_scan);

/* SCAN_NEWCOMERS for @n processes, at most SCAN_MAX_NEWCOMERS; else the same. */
int scan_start_newcomers(uv_loop_t *loop, struct ram *ram, struct epoch *epoch, const process *only,
        size_t n, scan_done done, void *ctx, struct scan **ret_scan);

/* Its result will be empty; @done still comes. */
void scan_cancel(struct scan *scan);

#endif /* VGPUD_SCAN_H */
