/*
 * region.h - a bound region: private state of a handle
 */
#ifndef VGPU_REGION_H
#define VGPU_REGION_H

#include "vgpu_perception.h"
#include "window.h"

/* How often a lossy read looks again at a busy writer before it skips. */
#define REGION_RETRIES 4

struct vgpup_region {
        struct vgpup_candidate candidate;
        struct window window;
        struct gva_gather frame; /* of the last sample begun */
        struct {
                uint32_t slot, seq;
                uint64_t frame_id;
                uint64_t frame_id_before; /* last_frame_id before it was committed */
                bool open;
                bool torn; /* refused for its seq alone, in the window that is still the last one */
        } sample;
        bool glanced; /* the window was opened by a glance, and nobody has read anything else in it */
        uint64_t last_frame_id;
        uint64_t n_torn;
        uint32_t cursor_seq; /* of the last report read; odd: none yet */
        uint32_t run_epoch;
        enum vgpup_skip skip;
};

/* Return: 0, for a lossy read to return. */
static inline int region_skip(vgpup_region *r, enum vgpup_skip why)
{
        r->skip = why;
        return 0;
}

/* window_open() of the one window there is. A sample begun in it before can be held to it no longer, and is over. */
static inline int region_open_window(vgpup_region *r, vmie_mem *m)
{
        r->sample.open = false;
        r->sample.torn = false;
        r->glanced = false;
        return window_open(&r->window, m);
}

/* The window that a glance has just opened for this, or a new one. Return: as window_open(). */
static inline int region_enter_window(vgpup_region *r, vmie_mem *m)
{
        if (!r->glanced)
                return region_open_window(r, m);
        r->glanced = false;
        return 1;
}

#endif /* VGPU_REGION_H */
