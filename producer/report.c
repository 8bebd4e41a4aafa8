/*
 * report.c - everything a producer says besides frames, and what it hears
 *
 * Cursor and geometry are seqlocks of their own, so that a moving cursor never disturbs a frame. The words of the status
 * line stand alone. The control block is the one thing the host writes: it is copied between two looks at its generation.
 */
#include "private.h"

void vgpu_producer_heartbeat(struct vgpu_producer *p)
{
        store_release(&p->block->heartbeat, load(&p->block->heartbeat) + 1);
}

static uint32_t pack16(uint16_t low, uint16_t high)
{
        return low | (uint32_t)high << 16;
}

void vgpu_producer_report_cursor(struct vgpu_producer *p, const struct vgpu_producer_cursor *cursor)
{
        vgpu_producer_t *block = p->block;
        uint32_t seq = seq_open(&block->cursor_seq);

        store(&block->cursor_visible, cursor->visible);
        store(&block->cursor_pos, (uint32_t)cursor->x | (uint64_t)(uint32_t)cursor->y << 32);
        store(&block->cursor_hotspot, pack16(cursor->hot_x, cursor->hot_y));
        store(&block->cursor_glyph, pack16(cursor->glyph_w, cursor->glyph_h));
        store(&block->cursor_id, cursor->id);
        seq_close(&block->cursor_seq, seq);
}

void vgpu_producer_report_geometry(
        struct vgpu_producer *p, const struct vgpu_producer_geometry *geometry)
{
        vgpu_producer_t *block = p->block;
        uint32_t seq = seq_open(&block->geom_seq);

        store(&block->virt_x, geometry->virt_x);
        store(&block->virt_y, geometry->virt_y);
        store(&block->virt_w, geometry->virt_w);
        store(&block->virt_h, geometry->virt_h);
        store(&block->cap_x, geometry->cap_x);
        store(&block->cap_y, geometry->cap_y);
        store(&block->dpi, geometry->dpi);
        store(&block->refresh_mhz, geometry->refresh_mhz);
        seq_close(&block->geom_seq, seq);
}

void vgpu_producer_set_status(struct vgpu_producer *p, uint32_t status, uint32_t error_code)
{
        store(&p->block->error_code, error_code);
        store_release(&p->block->status, status);
}

void vgpu_producer_set_backend(struct vgpu_producer *p, uint32_t backend)
{
        store(&p->block->backend, backend);
}

void vgpu_producer_set_applied_fps(struct vgpu_producer *p, uint32_t fps)
{
        store(&p->block->applied_fps, fps);
}

uint32_t vgpu_producer_break_run(struct vgpu_producer *p)
{
        store_release(&p->block->run_epoch, ++p->run_epoch);
        return p->run_epoch;
}

bool vgpu_producer_poll_control(struct vgpu_producer *p, struct vgpu_producer_intent *ret_intent)
{
        const vgpu_control_t *control = p->control;
        uint32_t gen = load_acquire(&control->ctrl_gen);
        struct vgpu_producer_intent intent = { .ctrl_gen = gen };

        if (gen % 2 != 0 || gen == p->ctrl_seen)
                return false;

        intent.desired_state = load(&control->desired_state);
        intent.target_fps = load(&control->target_fps);
        intent.draw_cursor = load(&control->draw_cursor);
        intent.full_frame_req = load(&control->full_frame_req);
        __atomic_thread_fence(__ATOMIC_ACQUIRE); /* the second look comes after the copies */
        if (load(&control->ctrl_gen) != gen)
                return false;

        p->ctrl_seen = gen;
        *ret_intent = intent;
        return true;
}

void vgpu_producer_ack_control(struct vgpu_producer *p, uint32_t ctrl_gen)
{
        store_release(&p->block->ctrl_ack, ctrl_gen);
}

void vgpu_producer_ack_full_frame(struct vgpu_producer *p, uint32_t req)
{
        store_release(&p->block->full_frame_ack, req);
}
