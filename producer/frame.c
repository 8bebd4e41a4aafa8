/*
 * frame.c - slots: choose, open, publish
 *
 * Readers copy from `latest` without asking anybody, so the slot that is written next is the one that stopped being the
 * newest longest ago: whoever still reads it has had the most time to finish.
 */
#include "private.h"

static uint32_t oldest_slot(const struct vgpu_producer *p)
{
        uint32_t oldest = VGPU_SLOT_NONE;

        for (uint32_t i = 0; i < p->slot_count; i++) {
                if (i == p->latest)
                        continue;
                if (oldest == VGPU_SLOT_NONE || p->left_latest[i] < p->left_latest[oldest])
                        oldest = i;
        }
        return oldest; /* there are two slots at least, so one is not the newest */
}

void *vgpu_producer_begin_frame(struct vgpu_producer *p, uint64_t *ret_frame_id)
{
        p->open_slot = oldest_slot(p);
        seq_open(&p->block->slot[p->open_slot].seq);
        *ret_frame_id = ++p->frame_id;
        return p->ring + p->open_slot * p->slot_stride;
}

static bool frame_fits(const struct vgpu_producer *p, const struct vgpu_producer_frame *f)
{
        uint64_t row = (uint64_t)f->width * vgpu_format_bpp(f->format);

        return row != 0 && f->height != 0 && row <= f->stride &&
               (uint64_t)f->stride * f->height <= p->slot_stride;
}

static void write_damage(vgpu_producer_t *block, uint32_t slot, const struct vgpu_producer_frame *f)
{
        uint32_t n =
                f->damage_base != 0 && f->damage_count <= VGPU_MAX_DAMAGE ? f->damage_count : 0;

        for (uint32_t i = 0; i < n; i++) {
                vgpu_rect_t *to = &block->damage[slot][i];

                store(&to->x, f->damage[i].x);
                store(&to->y, f->damage[i].y);
                store(&to->w, f->damage[i].w);
                store(&to->h, f->damage[i].h);
        }
        store(&block->slot[slot].damage_count, n);
        store(&block->slot[slot].damage_base, n ? f->damage_base : 0);
}

static void write_desc(
        struct vgpu_producer *p, vgpu_slot_t *slot, const struct vgpu_producer_frame *f)
{
        store(&slot->width, f->width);
        store(&slot->height, f->height);
        store(&slot->stride, f->stride);
        store(&slot->format, f->format);
        store(&slot->frame_id, p->frame_id);
        store(&slot->timestamp_ns, f->timestamp_ns);
        store(&slot->flags, f->flags);
        store(&slot->run_epoch, p->run_epoch);
}

bool vgpu_producer_end_frame(struct vgpu_producer *p, const struct vgpu_producer_frame *frame)
{
        vgpu_producer_t *block = p->block;
        uint32_t n = p->open_slot;

        if (!frame_fits(p, frame)) {
                vgpu_producer_cancel_frame(p);
                return false;
        }

        write_desc(p, &block->slot[n], frame);
        write_damage(block, n, frame);
        seq_close(&block->slot[n].seq, load(&block->slot[n].seq));
        if (frame->content_changed)
                store(&block->content_change_ns, frame->timestamp_ns);

        p->serial++;
        if (p->latest != VGPU_SLOT_NONE)
                p->left_latest[p->latest] = p->serial;
        p->latest = n;
        p->open_slot = VGPU_SLOT_NONE;
        store_release(&block->latest, n);
        store_release(&block->latest_frame_id, p->frame_id);
        return true;
}

void vgpu_producer_cancel_frame(struct vgpu_producer *p)
{
        vgpu_slot_t *slot = &p->block->slot[p->open_slot];

        store(&slot->width, 0);
        store(&slot->height, 0);
        seq_close(&slot->seq, load(&slot->seq));
        p->open_slot = VGPU_SLOT_NONE;
}
