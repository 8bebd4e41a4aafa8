/*
 * damage.h - what changed since the frame that was published before
 *
 * A producer says of each frame what differs from an earlier one, its base, which need not be the frame that we published last:
 * we skip frames, throw some away, and miss others. Two frames are connected by what is known of those between: from the younger
 * of the two one goes back to its base, again and again, until both arrive at the same frame; everything that was named on
 * the way covers the difference. When the way is broken the whole frame is damage, which is never wrong.
 *
 * Pure: frames in, rectangles out.
 */
#ifndef VGPUD_DAMAGE_H
#define VGPUD_DAMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "vgpu_perception.h"
#include "vgpu_ring.h"

/*
 * Twice what the slots of a region can name: as many frames as may be known and not published yet, and those before them that
 * their bases lead to.
 */
#define DAMAGE_FRAMES (2 * VGPU_MAX_SLOTS)

/* A frame, as far as what rectangles mean depends on it. */
struct damage_frame {
        vgpup_frame_desc desc; /* frame_id 0: none */
        uint32_t run_epoch;
};

struct damage {
        struct vgpup_change known[DAMAGE_FRAMES]; /* frame_id 0: none */
        uint32_t next;                            /* to be overwritten */
        uint64_t newest;                          /* highest frame_id known */
        struct damage_frame published;
};

/* Rectangles that cover a difference. */
struct damage_list {
        uint32_t n; /* 0: the whole frame */
        struct vgpu_ring_rect rect[VGPU_RING_MAX_DAMAGE];
};

/* Nothing is known: frame ids begin again, or are another producer's. */
void damage_reset(struct damage *d);

/* Take in what a frame says of itself. One that is known already is not taken twice. */
void damage_note(struct damage *d, const struct vgpup_change *change);

/* Are there frames before @frame_id that nothing is known of, and is it worth to look for them? */
bool damage_is_missing(const struct damage *d, uint64_t frame_id);

/* The frame that a change leads to. */
static inline struct damage_frame damage_frame_of(const struct vgpup_change *change)
{
        return (struct damage_frame){ change->desc, change->run_epoch };
}

/**
 * damage_between() - what differs between a frame and another one of the same producer
 * @change: what the frame says of itself; need not be known, and is not taken in
 * @other:  older or younger; of the same binding
 * @ret:    written when true is returned
 *
 * Return: is every step of the way known? False too when they are not of one run and mode.
 */
bool damage_between(const struct damage *d, const struct vgpup_change *change,
        const struct damage_frame *other, struct damage_list *ret);

/**
 * damage_publish() - a frame is published now
 * @change: what it says of itself
 * @ret:    what differs from the frame published before
 *
 * Cost: 50 ns where the base is the frame published before; at most DAMAGE_FRAMES lists are merged, 60 us with full ones.
 */
void damage_publish(struct damage *d, const struct vgpup_change *change, struct damage_list *ret);

/*
 * Adds a rectangle. When there are too many, the two whose common rectangle covers the fewest new pixels become that one.
 * Not for a list that stands for the whole frame.
 */
void damage_list_add(struct damage_list *list, const struct vgpu_ring_rect *rect);

#endif /* VGPUD_DAMAGE_H */
