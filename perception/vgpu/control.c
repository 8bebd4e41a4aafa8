/*
 * control.c - what an external writer needs: the image of a write, the block it goes to, what it must find there
 *
 * Nothing here writes. The block lies in a page of its own, so reading it gathers that page inside the same window that
 * every other read of the region is made in.
 */
#include <errno.h>
#include <string.h>

#include "region.h"

_Static_assert(sizeof(struct vgpu_identity) == VGPUP_IDENTITY_BYTES, "the line, whole");

int vgpup_build_control_write(vgpup_region *r, const vgpup_control_intent *in,
        vgpu_control_t *out_frame, uint64_t *out_ctrl_gva, uint32_t *out_off, uint32_t *out_len)
{
        const uint32_t first = offsetof(vgpu_control_t, desired_state);
        const uint32_t end = offsetof(vgpu_control_t, full_frame_req) + sizeof(uint32_t);

        if (!r)
                return -EINVAL;
        memset(out_frame, 0, sizeof(*out_frame));
        out_frame->desired_state = in->desired_state;
        out_frame->target_fps = in->target_fps;
        out_frame->draw_cursor = in->draw_cursor;
        out_frame->full_frame_req = in->full_frame_req;
        *out_ctrl_gva = r->candidate.region_gva + VGPU_CONTROL_OFFSET;
        *out_off = first;
        *out_len = end - first;
        return 0;
}

void vgpup_region_witness(const vgpup_region *r, struct vgpup_witness *ret)
{
        const struct win32_anchors *a = &r->window.anchors;

        *ret = (struct vgpup_witness){
                .kcr3 = a->kcr3,
                .pid_offset = a->offsets.pid,
                .create_time_offset = a->offsets.create_time,
                .cr3_offset = EPROCESS_DIRECTORY_TABLE_BASE,
        };
        memcpy(ret->identity, &r->window.identity, sizeof(ret->identity));
}

int vgpup_read_control(vgpup_region *r, vmie_mem *m, vgpu_control_t *out)
{
        uint64_t gva = r->candidate.region_gva + VGPU_CONTROL_OFFSET;
        vgpu_control_t control;
        int rc;

        r->skip = VGPUP_SKIP_NONE;
        rc = region_open_window(r, m);
        if (rc == 1)
                rc = window_gather(
                        &r->window, m, &r->frame, gva, &(struct gva_part){ 0, sizeof(control) }, 1);
        if (rc <= 0)
                return rc < 0 ? rc : region_skip(r, VGPUP_SKIP_TRANSITION);
        read_fence();
        rc = gpa_read(m, r->frame.extents[0].gpa, &control, sizeof(control));
        if (rc < 0)
                return rc;
        rc = window_close(&r->window, m, &r->frame);
        if (rc <= 0)
                return rc < 0 ? rc : region_skip(r, VGPUP_SKIP_REMAPPED);
        *out = control;
        return 1;
}
