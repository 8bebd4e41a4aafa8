/*
 * frame.c - the newest frame, whole or not at all
 *
 * The daemon never waits for a reader, so a slot may be taken again while it is being copied. Then seq has moved
 * and the copy is thrown away for the then newest frame. Sizes come from a private copy of the descriptor that was
 * itself confirmed first, so a reader can be made to copy the wrong bytes for nothing, but never past the slot.
 */
#include "client.h"

#include <errno.h>
#include <string.h>

#define COPY_TRIES 8

/* The slot's newest confirmed descriptor. */
struct candidate {
        uint32_t slot;
        uint32_t seq;
        struct vgpu_ring_desc desc;
};

static bool desc_is_sound(const struct vgpu_client *c, const struct vgpu_ring_desc *d)
{
        return d->width > 0 && d->height > 0 && d->stride >= d->width &&
               (uint64_t)d->height * d->stride <= c->map.identity.slot_bytes;
}

/* Of an earlier frame too: what a mode change left behind does not fit the one that is delivered. */
static bool rects_fit(const struct vgpu_client_frame *f, const struct vgpu_ring_desc *d)
{
        for (uint32_t i = 0; i < d->n_damage; i++) {
                const struct vgpu_ring_rect *r = &d->damage[i];

                if ((uint64_t)r->x + r->w > f->width || (uint64_t)r->y + r->h > f->height)
                        return false;
        }
        return true;
}

/* Append one frame's damage to @f. Return: whether the sum is known and fits. */
static bool add_damage(struct vgpu_client_frame *f, const struct vgpu_ring_desc *d)
{
        if (d->n_damage == 0 || d->n_damage > VGPU_RING_MAX_DAMAGE - f->n_damage ||
                !rects_fit(f, d))
                return false;
        memcpy(f->damage + f->n_damage, d->damage, d->n_damage * sizeof(d->damage[0]));
        f->n_damage += d->n_damage;
        return true;
}

static bool find_frame(const struct vgpu_client *c, uint64_t serial, struct vgpu_ring_desc *ret)
{
        uint32_t seq;

        for (uint32_t slot = 0; slot < c->map.identity.slot_count; slot++) {
                if (mapping_read_desc(&c->map, slot, ret, &seq) && ret->serial == serial)
                        return true;
        }
        return false;
}

/*
 * What changed since the frame this client copied last: the damage of every frame after it. Those it missed are
 * looked up in their slots, which hold the last few; one that is gone, or that changed everything, makes it the
 * whole frame.
 */
static void collect_damage(const struct vgpu_client *c, struct vgpu_client_frame *f,
        const struct vgpu_ring_desc *newest)
{
        struct vgpu_ring_desc missed;
        bool known = c->copied != 0 && newest->serial > c->copied &&
                     newest->serial - c->copied <= c->map.identity.slot_count;

        f->n_damage = 0;
        for (uint64_t serial = c->copied + 1; known && serial < newest->serial; serial++)
                known = find_frame(c, serial, &missed) && add_damage(f, &missed);
        if (!known || !add_damage(f, newest))
                f->n_damage = 0;
}

static void describe(
        const struct vgpu_client *c, const struct vgpu_ring_desc *d, struct vgpu_client_frame *f)
{
        *f = (struct vgpu_client_frame){
                .width = d->width,
                .height = d->height,
                .stride = d->stride,
                .fourcc = d->fourcc,
                .modifier = d->modifier,
                .bytes = (size_t)d->height * d->stride,
                .serial = d->serial,
                .frame_id = d->frame_id,
                .epoch = d->epoch,
                .run_epoch = d->run_epoch,
                .producer_pid = d->producer_pid,
                .flags = d->flags,
                .timestamp_ns = d->timestamp_ns,
                .publish_ns = d->publish_ns,
                .generation = c->map.identity.generation,
                .stale = ring_is_stale(c, monotonic_ns()),
        };
        if (c->copied != 0 && d->serial > c->copied)
                f->missed = d->serial - c->copied - 1;
}

/* Return: 1 (found and confirmed), 0 (none newer than @after), -EAGAIN (overtaken), -EPROTO. */
static int find_newest(const struct vgpu_client *c, uint64_t after, struct candidate *ret)
{
        uint64_t word = __atomic_load_n(&c->map.header->publish, __ATOMIC_ACQUIRE);

        ret->slot = VGPU_RING_WORD_SLOT(word);
        if (word == 0 || VGPU_RING_WORD_SERIAL(word) <= after)
                return 0;
        if (ret->slot >= c->map.identity.slot_count)
                return -EPROTO;
        if (!mapping_read_desc(&c->map, ret->slot, &ret->desc, &ret->seq) ||
                ret->desc.serial != VGPU_RING_WORD_SERIAL(word))
                return -EAGAIN;
        return desc_is_sound(c, &ret->desc) ? 1 : -EPROTO;
}

static void account(struct vgpu_client *c, const struct vgpu_client_frame *f)
{
        if (f->serial != c->copied) {
                c->stats.frames++;
                c->stats.missed += f->missed;
        }
        c->copied = f->serial;
        if (c->seen.frame < f->serial)
                c->seen.frame = f->serial;
}

static int copy_newer(struct vgpu_client *c, uint64_t after, void *buf, size_t cap,
        struct vgpu_client_frame *ret_frame)
{
        if (!c->map.header)
                return -ENODATA;
        for (int i = 0; i < COPY_TRIES; i++) {
                struct vgpu_client_frame frame;
                struct candidate found;
                int err = find_newest(c, after, &found);

                if (err == -EAGAIN) {
                        c->stats.torn_retries++;
                        continue;
                }
                if (err <= 0)
                        return err;

                describe(c, &found.desc, &frame);
                collect_damage(c, &frame, &found.desc);
                if (frame.bytes > cap) {
                        *ret_frame = frame;
                        return -ENOSPC;
                }
                memcpy(buf, mapping_pixels(&c->map, found.slot), frame.bytes);
                if (!mapping_seq_held(&mapping_desc(&c->map, found.slot)->seq, found.seq)) {
                        c->stats.torn_retries++;
                        continue;
                }
                account(c, &frame);
                *ret_frame = frame;
                return 1;
        }
        return 0;
}

int vgpu_client_copy_latest(
        struct vgpu_client *c, void *buf, size_t cap, struct vgpu_client_frame *ret_frame)
{
        return copy_newer(c, c->copied, buf, cap, ret_frame);
}

int vgpu_client_copy_again(
        struct vgpu_client *c, void *buf, size_t cap, struct vgpu_client_frame *ret_frame)
{
        int got = copy_newer(c, 0, buf, cap, ret_frame);

        if (got == 1)
                ret_frame->n_damage = 0;
        return got;
}
