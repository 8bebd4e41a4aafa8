/*
 * frame.c - the newest frame, whole or not at all
 *
 * The daemon never waits for a reader, so a slot may be taken again while it is being copied. Then seq has moved
 * and the copy is thrown away for the then newest frame. Sizes come from a private copy of the descriptor that was
 * itself confirmed first, so a reader can be made to copy the wrong bytes for nothing, but never past the slot.
 */
#include "client.h"

#include <errno.h>

#include "seqlock.h"

#define COPY_TRIES 8

static bool desc_is_sound(const struct vgpu_client *c, const struct vgpu_ring_desc *d)
{
        return d->width > 0 && d->height > 0 && d->stride >= d->width &&
               (uint64_t)d->height * d->stride <= c->map->identity.slot_bytes;
}

int frame_newest(const struct vgpu_client *c, uint64_t after, uint64_t *ret_word)
{
        uint64_t word = __atomic_load_n(&c->map->header->publish, __ATOMIC_ACQUIRE);

        if (word == 0 || VGPU_RING_WORD_SERIAL(word) <= after)
                return 0;
        if (VGPU_RING_WORD_SLOT(word) >= c->map->identity.slot_count)
                return -EPROTO;
        *ret_word = word;
        return 1;
}

int frame_read(const struct vgpu_client *c, uint64_t word, struct frame_source *ret)
{
        ret->slot = VGPU_RING_WORD_SLOT(word);
        if (!mapping_read_desc(c->map, ret->slot, &ret->desc, &ret->seq) ||
                ret->desc.serial != VGPU_RING_WORD_SERIAL(word))
                return -EAGAIN;
        return desc_is_sound(c, &ret->desc) ? 1 : -EPROTO;
}

void frame_describe(
        const struct vgpu_client *c, const struct vgpu_ring_desc *d, struct vgpu_client_frame *ret)
{
        *ret = (struct vgpu_client_frame){
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
                .generation = c->map->identity.generation,
                .stale = ring_is_stale(c, monotonic_ns()),
        };
        if (c->copied != 0 && d->serial > c->copied)
                ret->missed = d->serial - c->copied - 1;
        damage_since(c->map, c->copied, d, ret);
}

void frame_account(struct vgpu_client *c, const struct vgpu_client_frame *f)
{
        if (f->serial != c->copied) {
                c->stats.frames++;
                c->stats.missed += f->missed;
        }
        c->copied = f->serial;
        if (c->seen.frame < f->serial)
                c->seen.frame = f->serial;
}

/* Find the newest frame and describe it, as often as it takes. Return: as frame_newest(); 0 also when overtaken. */
static int find_newer(struct vgpu_client *c, uint64_t after, struct frame_source *ret_source,
        struct vgpu_client_frame *ret_frame)
{
        for (int i = 0; i < COPY_TRIES; i++) {
                uint64_t word;
                int got = frame_newest(c, after, &word);

                if (got == 1)
                        got = frame_read(c, word, ret_source);
                if (got == -EAGAIN) {
                        c->stats.torn_retries++;
                        continue;
                }
                if (got == 1)
                        frame_describe(c, &ret_source->desc, ret_frame);
                return got;
        }
        return 0;
}

/* Rows of a frame; whichever it turns out to be, ALL_ROWS are all of it. */
struct rows {
        uint32_t first, n;
};

#define ALL_ROWS ((struct rows){ 0, UINT32_MAX })

static bool is_all(struct rows rows)
{
        return rows.n == UINT32_MAX;
}

static int copy_newer(struct vgpu_client *c, uint64_t after, struct rows rows, void *buf,
        size_t cap, struct vgpu_client_frame *ret_frame)
{
        if (!c->map)
                return -ENODATA;
        for (int i = 0; i < COPY_TRIES; i++) {
                struct vgpu_client_frame frame;
                struct frame_source found;
                size_t at, len;
                int got = find_newer(c, after, &found, &frame);

                if (got <= 0)
                        return got;
                at = is_all(rows) ? 0 : (size_t)rows.first * frame.stride;
                len = is_all(rows) ? frame.bytes : (size_t)rows.n * frame.stride;
                if (!is_all(rows) && (uint64_t)rows.first + rows.n > frame.height)
                        got = -ERANGE;
                else if (len > cap)
                        got = -ENOSPC;
                if (got < 0) {
                        *ret_frame = frame;
                        return got;
                }
                pixels_copy(buf, mapping_pixels(c->map, found.slot) + at, len);
                if (!seq_held(&mapping_desc(c->map, found.slot)->seq, found.seq)) {
                        c->stats.torn_retries++;
                        continue;
                }
                frame_account(c, &frame);
                *ret_frame = frame;
                return 1;
        }
        return 0;
}

int vgpu_client_peek(struct vgpu_client *c, struct vgpu_client_frame *ret_frame)
{
        struct vgpu_client_frame frame;
        struct frame_source found;
        int got;

        if (!c->map)
                return -ENODATA;
        got = find_newer(c, c->copied, &found, &frame);
        if (got == 1)
                *ret_frame = frame;
        return got;
}

int vgpu_client_copy_latest(
        struct vgpu_client *c, void *buf, size_t cap, struct vgpu_client_frame *ret_frame)
{
        return copy_newer(c, c->copied, ALL_ROWS, buf, cap, ret_frame);
}

int vgpu_client_copy_rows(struct vgpu_client *c, uint32_t first_row, uint32_t n_rows, void *buf,
        size_t cap, struct vgpu_client_frame *ret_frame)
{
        return copy_newer(c, c->copied, (struct rows){ first_row, n_rows }, buf, cap, ret_frame);
}

int vgpu_client_copy_again(
        struct vgpu_client *c, void *buf, size_t cap, struct vgpu_client_frame *ret_frame)
{
        int got = copy_newer(c, 0, ALL_ROWS, buf, cap, ret_frame);

        if (got == 1)
                ret_frame->n_damage = 0;
        return got;
}
