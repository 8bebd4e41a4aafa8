/* control_merge.c - see control_merge.h */
#include "control_merge.h"

/* How much of the producer a state wants; what is not here wants nothing. */
static unsigned rank_of(uint32_t state)
{
        switch (state) {
        case VGPU_CMD_RUN:
                return 3;
        case VGPU_CMD_PAUSE:
                return 2;
        case VGPU_CMD_STOP:
                return 1;
        default:
                return 0;
        }
}

void control_merge_add(struct control_merge *m, const struct vgpu_msg_intent *intent)
{
        const uint32_t known =
                VGPU_INTENT_STATE | VGPU_INTENT_FPS | VGPU_INTENT_CURSOR | VGPU_INTENT_FRAME;

        if (!(intent->fields & known))
                return;
        m->n_asking++;
        if ((intent->fields & VGPU_INTENT_STATE) && rank_of(intent->state) > rank_of(m->state))
                m->state = intent->state;
        if ((intent->fields & VGPU_INTENT_FPS) && intent->fps > m->fps)
                m->fps = intent->fps;
        if (intent->fields & VGPU_INTENT_CURSOR) {
                bool wanted = intent->draw_cursor != 0;

                m->draw_cursor = wanted && (m->draw_cursor || !m->cursor_said);
                m->cursor_said = true;
        }
}

vgpup_control_intent control_merge_result(const struct control_merge *m, uint32_t full_frame_req)
{
        return (vgpup_control_intent){
                .desired_state = m->state,
                .target_fps = m->fps,
                .draw_cursor = m->draw_cursor,
                .full_frame_req = full_frame_req,
        };
}

bool control_merge_differs(const struct control_merge *m, const vgpup_control_intent *block)
{
        return m->state != block->desired_state || m->fps != block->target_fps ||
               m->draw_cursor != block->draw_cursor;
}
