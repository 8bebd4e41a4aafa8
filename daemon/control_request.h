/*
 * control_request.h - one WRITE on its way to the writer, and what an answer is worth
 *
 * A writer's answers are believed only if they fit what it was sent, to the number that closes the seqlock. Pure.
 */
#ifndef VGPUD_CONTROL_REQUEST_H
#define VGPUD_CONTROL_REQUEST_H

#include <stdbool.h>

#include "vgpu_control.h"
#include "vgpu_perception.h"

struct control_request {
        uint64_t number; /* of the newest one sent, 0: none yet; never set back */
        uint64_t epoch;
        uint32_t found; /* ctrl_gen when it was sent */
        bool open;      /* its answer is awaited */
};

enum control_verdict {
        CONTROL_ANSWER, /* to what is awaited, and it makes sense */
        CONTROL_STALE,  /* to something of an earlier epoch */
        CONTROL_LATE,   /* to something that nobody waits for any more */
        CONTROL_FORGED, /* to nothing that was ever sent */
        CONTROL_N_VERDICTS,
};

enum control_verdict control_judge(
        const struct control_request *request, const struct vgpu_control_written *written);

/**
 * control_describe() - a WRITE to the region that a handle is bound to
 * @found:   ctrl_gen of the block, as read now
 * @ret:     all but header, instance and deadline
 *
 * Takes the next number and opens @request.
 */
void control_describe(struct control_request *request, vgpup_region *region, unsigned levels,
        uint64_t epoch, uint32_t found, const vgpup_control_intent *intent,
        struct vgpu_control_write *ret);

#endif /* VGPUD_CONTROL_REQUEST_H */
