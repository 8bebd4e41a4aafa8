/* control_request.c - see control_request.h */
#include "control_request.h"

#include <string.h>

_Static_assert(VGPU_CONTROL_LINE == VGPUP_IDENTITY_BYTES, "the line, whole");
_Static_assert(VGPU_CONTROL_BLOCK == sizeof(vgpu_control_t), "the block, whole");

static bool makes_sense(
        const struct control_request *request, const struct vgpu_control_written *written)
{
        switch (written->result) {
        case VGPU_CONTROL_DONE:
                return written->ctrl_gen == vgpu_control_next(request->found);
        case VGPU_CONTROL_STALE:
        case VGPU_CONTROL_LATE:
        case VGPU_CONTROL_FAILED:
                return true;
        default:
                return false;
        }
}

enum control_verdict control_judge(
        const struct control_request *request, const struct vgpu_control_written *written)
{
        if (written->request == 0 || written->request > request->number ||
                written->epoch > request->epoch)
                return CONTROL_FORGED;
        if (written->request == request->number && written->epoch != request->epoch)
                return CONTROL_FORGED;
        if (written->request < request->number || !request->open)
                return written->epoch < request->epoch ? CONTROL_STALE : CONTROL_LATE;
        return makes_sense(request, written) ? CONTROL_ANSWER : CONTROL_FORGED;
}

void control_describe(struct control_request *request, vgpup_region *region, unsigned levels,
        uint64_t epoch, uint32_t found, const vgpup_control_intent *intent,
        struct vgpu_control_write *ret)
{
        const struct vgpup_candidate *producer = vgpup_region_candidate(region);
        struct vgpup_witness witness;
        vgpu_control_t image;

        vgpup_region_witness(region, &witness);
        *request = (struct control_request){ request->number + 1, epoch, found, true };
        *ret = (struct vgpu_control_write){
                .request = request->number,
                .epoch = epoch,
                .kcr3 = witness.kcr3,
                .eprocess = producer->proc.eprocess,
                .create_time = producer->proc.create_time,
                .pid = producer->proc.pid,
                .proc_cr3 = producer->proc.cr3,
                .create_time_offset = witness.create_time_offset,
                .pid_offset = witness.pid_offset,
                .cr3_offset = witness.cr3_offset,
                .levels = levels ? levels : 4,
                .region_gva = producer->region_gva,
                .ctrl_gen = found,
        };
        vgpup_build_control_write(region, intent, &image, &ret->control_gva, &ret->off, &ret->len);
        memcpy(ret->identity, witness.identity, sizeof(ret->identity));
        memcpy(ret->bytes, &image, sizeof(ret->bytes));
}
