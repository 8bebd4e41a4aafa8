/*
 * control_merge.h - the intents of several clients as one
 *
 * Total, pure, and the same in whatever order the clients come. docs/protocol.md states the rule under "Intents":
 *
 *      state        who wants most wins: run, then pause, then stop. Not to ask, or to ask for "none", says nothing
 *      fps          the largest number asked for; 0, the producer's default, only when nobody names a number
 *      draw_cursor  drawn only if everybody who says something about it wants it: a viewer can draw a cursor that is
 *                   missing, none can take one away
 *      whole frame  not part of what stands: a count that goes on, see control_frame_next()
 */
#ifndef VGPUD_CONTROL_MERGE_H
#define VGPUD_CONTROL_MERGE_H

#include <stdbool.h>
#include <stdint.h>

#include "vgpu_perception.h"
#include "vgpu_protocol.h"

struct control_merge {
        uint32_t n_asking;    /* intents with a field */
        uint32_t state;       /* VGPU_CMD_* */
        uint32_t fps;         /* 0: the producer's default */
        uint32_t draw_cursor; /* 0 or 1 */
        bool cursor_said;     /* somebody says something about the cursor */
};

/* Nobody asks for anything: the producer's defaults. */
#define CONTROL_MERGE_NONE ((struct control_merge){ 0 })

/* Take one more client's intent in. Unknown states and fields say nothing. */
void control_merge_add(struct control_merge *m, const struct vgpu_msg_intent *intent);

/* What is to stand in the control block; @full_frame_req is passed through. */
vgpup_control_intent control_merge_result(const struct control_merge *m, uint32_t full_frame_req);

/* Does the block say something else than @m wants, the whole-frame count aside? */
bool control_merge_differs(const struct control_merge *m, const vgpup_control_intent *block);

/**
 * control_frame_next() - full_frame_req of the next write
 * @req:   of the last write into this region; the producer's full_frame_ack when there was none
 * @fresh: somebody asked for a whole frame since
 *
 * The requests of all clients between two writes are one; the count wraps around.
 */
static inline uint32_t control_frame_next(uint32_t req, bool fresh)
{
        return req + fresh;
}

#endif /* VGPUD_CONTROL_MERGE_H */
