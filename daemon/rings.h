/*
 * rings.h - the ring in use, and the ones it replaced for as long as anybody has them
 *
 * Makes rings as generation.h decides. Of a replaced ring only a number is kept, by which the kernel tells when the last client
 * has let go of it: what clients say about that themselves is not relied on. Knows no clients: who is told what is the outlet's.
 */
#ifndef VGPUD_RINGS_H
#define VGPUD_RINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "generation.h"
#include "ring.h"

struct rings {
        struct ring *current;
        uint64_t n_generations;
        uint8_t instance[16];
        uint32_t tick_period_ms;
        uint64_t lease_ns;
        struct generation_config config;
        struct generation policy;
        uint64_t need; /* bytes of a frame of the mode in use, 0: no frame yet */
        uint64_t lost; /* holds that were ended in rings of the past */

        /* of ring_watch_new(), before there is a need, for there are few; negative: tried again with each replaced ring */
        int watch;
        struct {
                int number; /* of ring_retire(), also one of its errors: such a ring counts for good */
                uint64_t bytes;
        } old[GENERATION_MAX_OLD];
        uint32_t n_old;
        uint64_t old_bytes;
};

/**
 * rings_init() - make the first ring
 * @now_ns: CLOCK_MONOTONIC
 *
 * Its slots hold what most guests show first, or what [ring] max_bytes leaves room for.
 *
 * Return: 0, or as ring_new(), -EIO without random numbers. On failure nothing is held.
 */
int rings_init(struct rings *r, const struct vgpu_config *config, uint32_t tick_period_ms,
        uint64_t now_ns);

/* Go by another [ring] max_bytes from the next ring on; rings that exist stay as they are. */
void rings_set_max_bytes(struct rings *r, const struct vgpu_config *config);

/* An all-zero value is fine. */
void rings_deinit(struct rings *r);

/**
 * rings_next() - is another ring due?
 * @need: bytes of the next frame; 0: as the last one
 *
 * Return: as generation_next().
 */
enum generation_move rings_next(
        struct rings *r, uint64_t need, uint64_t now_ns, uint64_t *ret_slot_bytes);

/* Is there room for another ring of the same capacity? */
bool rings_fits_again(const struct rings *r);

/**
 * rings_replace() - make another ring the current one
 * @carry:   begin it with the newest frame, if that fits
 * @ret_old: the one before; the caller tells clients, then gives it to rings_retire()
 *
 * Serials, tick and records continue. Cost with @carry: one copy of a frame.
 *
 * Return: 0, or as ring_new(): all is as before then.
 */
int rings_replace(
        struct rings *r, uint64_t slot_bytes, bool carry, uint64_t now_ns, struct ring **ret_old);

/* Keep account of a ring until nobody has it. Consumes @old. */
void rings_retire(struct rings *r, struct ring *old);

/* Forget old rings that nobody has any more. A system call, and two for each that went. Return: how many did. */
uint32_t rings_forget(struct rings *r);

/* Holds that were ended by lease time or limit, in all rings. */
uint64_t rings_n_lost(const struct rings *r);

#endif /* VGPUD_RINGS_H */
