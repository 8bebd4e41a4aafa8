/*
 * stream.h - one look at the guest: a newer frame straight into a ring slot, the cursor beside it
 *
 * Pixels move once, from guest RAM to the slot, chunk by chunk (frame_copy.h), and only those that the slot lacks, where
 * the producer says what changed (patch.h). `[ring] staging = yes` copies through private memory instead. A slot whose frame is
 * refused is zeroed at once, as far as it was written.
 */
#ifndef VGPUD_STREAM_H
#define VGPUD_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "damage.h"
#include "frame_copy.h"
#include "histogram.h"
#include "outlet.h"
#include "pacer.h"
#include "patch.h"
#include "vgpu_perception.h"
#include "vgpu_source.h"

/* A pass that took longer is thrown away: too much of the guest may have happened meanwhile. */
#define STREAM_LATE_NS UINT64_C(50000000)

struct stream_counters {
        uint64_t frames;       /* published */
        uint64_t patched;      /* of them, brought up to date out of an older one */
        uint64_t spared_bytes; /* of those, what was not copied again */
        uint64_t busy, remapped, too_big, malformed, late, overtaken; /* skipped */
        uint64_t torn_retries;
        uint64_t
                copied_bytes; /* out of the guest, those of frames that were thrown away included */
};

struct stream {
        struct outlet *outlet;
        uint8_t *staging; /* NULL: straight into the slot */
        uint64_t staging_bytes;
        bool use_staging;
        uint64_t late_ns; /* a pass that took longer is thrown away; STREAM_LATE_NS to begin with */
        struct copy_helper *helper; /* NULL: none */
        bool large; /* the helper copied of the last frame, and probably will of the next */
        struct stream_counters counters;
        struct histogram sample_time; /* of frames copied and checked, from the look's begin */
        uint64_t look_ns;             /* when the last look began, CLOCK_MONOTONIC */
        uint64_t refused_bytes; /* size of the frames that no ring could be made for, 0: none */

        struct damage damage;
        struct patch_history slots; /* what the ring's have */
        struct damage_frame staged; /* what the private memory has */
        /* the newest published frame */
        vgpup_frame_desc mode; /* width 0: none yet */
        uint64_t fps_since_ns;
        uint64_t fps_frames;
        double fps; /* over the last full second */
};

/* What one look reads from; all borrowed. */
struct stream_view {
        vgpup_region *region;
        vmie_mem *mem;
        vgpu_source *source;
        uint64_t epoch;
        uint32_t producer_pid;

        /* Asked when there is something new: false leaves it to another look. NULL: it is always taken. */
        bool (*may_take)(void *ctx);
        /* Asked when a frame is copied and checked: false throws it away, because something came in that may end it all. */
        bool (*may_publish)(void *ctx);
        void *ctx; /* of both */
};

void stream_init(struct stream *s, struct outlet *outlet, bool staging);

/* Large frames are copied by two threads from now on. Return: 0, or a negative errno: it stays at one. */
int stream_use_helper(struct stream *s);

/*
 * A frame is due, and is waited for without sleeping: the helper waits in the same way, if it is of use for frames such as the
 * last. Until a look takes one, or this is taken back.
 */
void stream_expect(struct stream *s);
void stream_expect_no_more(struct stream *s);

void stream_deinit(struct stream *s);

/* Another region is looked at from now on: what its damage is relative to is no frame of ours. */
void stream_rebind(struct stream *s);

/**
 * stream_look() - take what is new
 * @ret_saw: for the pacer; written on 0
 *
 * Return: 0, or a hard read error from the guest.
 */
int stream_look(struct stream *s, const struct stream_view *view, enum pacer_saw *ret_saw);

/* Frames per second over the last full second; call now and then, so that it falls to 0 when nothing comes. */
double stream_fps(struct stream *s, uint64_t now_ns);

#endif /* VGPUD_STREAM_H */
