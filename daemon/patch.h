/*
 * patch.h - which bytes of a frame a slot lacks
 *
 * A slot of the ring still has the frame that was in it before. When the producer's word says, frame by frame, what changed
 * since, only that is copied. What a slot has is remembered here, and the rectangles become stretches of bytes.
 *
 * Why a slot that was brought up to date holds nothing but the new frame, and never a foreign byte:
 *
 *   - What is copied is proven as ever: read between two looks at the entries of just these pages, inside a window over the
 *     producer's process, its kernel and the frame's seq, in which the damage was read as well (docs/perception.md).
 *   - What is not copied was proven when it was: by the commit of the older frame, and of those that patched it since. The
 *     history is of one binding of one region, so it is the same process, in one life of it; nothing that another process wrote
 *     can be in the slot. Where the bytes were in the guest then does not matter now: they are here.
 *   - That these bytes are also the new frame's is the producer's word alone: its chain of damage, of one run and one mode,
 *     without a gap. One that lies shows a mixture of its own frames, which it may as well draw.
 *   - From the first byte that is written into a slot until the frame counts, the slot has no history; it gets none if the frame
 *     is refused. So a mixture of two frames is never taken for either.
 *
 * Bytes between a row's last pixel and the next row belong to the last pixel.
 *
 * Pure: no ring, no guest, no memory of frames in here.
 */
#ifndef VGPUD_PATCH_H
#define VGPUD_PATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "damage.h"

/* What each slot of a ring has. All-zero: nothing. */
struct patch_history {
        uint64_t generation; /* of the ring */
        struct damage_frame slot[VGPU_RING_MAX_SLOTS];
};

/* Nothing is in any slot: another region is looked at. */
void patch_reset(struct patch_history *h);

/* What is in a slot; NULL: not known. Valid until the next call that changes @h. */
const struct damage_frame *patch_find(
        const struct patch_history *h, uint64_t generation, uint32_t slot);

/* The slot is about to be written. */
void patch_forget(struct patch_history *h, uint64_t generation, uint32_t slot);

/* The slot has all of a frame, and it counts. */
void patch_remember(struct patch_history *h, uint64_t generation, uint32_t slot,
        const struct damage_frame *frame);

/* Rectangles of one frame that are to be copied. */
struct patch {
        uint32_t width, height, stride;
        uint32_t pixel_bytes;
        bool whole; /* then @list is not used */
        struct damage_list list;
};

/**
 * patch_plan() - what has to be copied
 * @d:      what is known of frames
 * @change: what the frame says of itself; its rectangles lie in it
 * @has:    the frame that is where it goes, or NULL
 *
 * The whole frame where the chain of damage has a gap, and where it is cheaper: a stretch of a few pixels costs what a page
 * costs.
 */
void patch_plan(const struct damage *d, const struct vgpup_change *change,
        const struct damage_frame *has, struct patch *ret);

/**
 * patch_parts() - what has to be translated
 * @ret: whole rows, ascending, no page in two of them
 *
 * Return: how many, at least 1.
 */
size_t patch_parts(const struct patch *p, struct gva_part ret[VGPU_RING_MAX_DAMAGE]);

/* Where a walk over a patch stands; all-zero: at its begin. */
struct patch_cursor {
        uint32_t x, y;
};

/**
 * patch_next() - the next stretch of bytes to copy
 * @ret: in the frame; behind the last one
 *
 * Covers every rectangle, and at the edges up to a line of 64 bytes more, for that is what reading a byte costs. Cost: 16 steps
 * for each, rarely more.
 *
 * Return: false when there is none.
 */
bool patch_next(const struct patch *p, struct patch_cursor *c, struct gva_part *ret);

#endif /* VGPUD_PATCH_H */
