/* patch.c - see patch.h */
#include "patch.h"

#include <string.h>

#define LINE_BYTES 64u

/* Two stretches with less between them are one. */
#define GAP_PIXELS 32u

/* What a stretch costs beside its bytes, in bytes: a page to be found, and lines that nobody asked for early. */
#define STRETCH_BYTES 4096u

/* Rows of two rectangles with less between them are translated as one part: a walk costs as much. */
#define GAP_BYTES (16u * GVA_PAGE_BYTES)

/* ---- what slots have --------------------------------------------------------------------------------------------- */

void patch_reset(struct patch_history *h)
{
        *h = (struct patch_history){ 0 };
}

const struct damage_frame *patch_find(
        const struct patch_history *h, uint64_t generation, uint32_t slot)
{
        if (generation != h->generation || h->slot[slot].desc.frame_id == 0)
                return NULL;
        return &h->slot[slot];
}

void patch_forget(struct patch_history *h, uint64_t generation, uint32_t slot)
{
        if (generation != h->generation)
                *h = (struct patch_history){ .generation = generation };
        h->slot[slot] = (struct damage_frame){ 0 };
}

void patch_remember(struct patch_history *h, uint64_t generation, uint32_t slot,
        const struct damage_frame *frame)
{
        patch_forget(h, generation, slot);
        h->slot[slot] = *frame;
}

/* ---- what is cheaper --------------------------------------------------------------------------------------------- */

static bool spans_rows(const struct patch *p, const struct vgpu_ring_rect *r)
{
        return r->x == 0 && r->w == p->width;
}

static uint64_t cost(const struct patch *p)
{
        uint64_t bytes = 0;

        for (uint32_t i = 0; i < p->list.n; i++) {
                const struct vgpu_ring_rect *r = &p->list.rect[i];

                bytes += (uint64_t)r->w * r->h * p->pixel_bytes;
                bytes += (spans_rows(p, r) ? 1 : r->h) * (uint64_t)STRETCH_BYTES;
        }
        return bytes;
}

void patch_plan(const struct damage *d, const struct vgpup_change *change,
        const struct damage_frame *has, struct patch *ret)
{
        *ret = (struct patch){
                .width = change->desc.width,
                .height = change->desc.height,
                .stride = change->desc.stride,
                .pixel_bytes = vgpu_format_bpp(change->desc.format),
        };
        ret->whole = !has || !damage_between(d, change, has, &ret->list) || ret->list.n == 0 ||
                     cost(ret) >= (uint64_t)ret->height * ret->stride;
}

/* ---- parts ------------------------------------------------------------------------------------------------------- */

static struct gva_part rows_of(const struct patch *p, const struct vgpu_ring_rect *r)
{
        return (struct gva_part){ (uint64_t)r->y * p->stride, (uint64_t)r->h * p->stride };
}

/* Puts a part where it belongs, by offset. */
static void insert(struct gva_part *parts, size_t n, struct gva_part part)
{
        size_t i = n;

        for (; i > 0 && parts[i - 1].offset > part.offset; i--)
                parts[i] = parts[i - 1];
        parts[i] = part;
}

size_t patch_parts(const struct patch *p, struct gva_part ret[VGPU_RING_MAX_DAMAGE])
{
        size_t n = 0;

        if (p->whole) {
                ret[0] = (struct gva_part){ 0, (uint64_t)p->height * p->stride };
                return 1;
        }
        for (uint32_t i = 0; i < p->list.n; i++)
                insert(ret, i, rows_of(p, &p->list.rect[i]));
        for (uint32_t i = 1; i < p->list.n; i++) {
                uint64_t end = ret[n].offset + ret[n].len, next_end = ret[i].offset + ret[i].len;

                if (ret[i].offset >= end + GAP_BYTES)
                        ret[++n] = ret[i];
                else if (next_end > end)
                        ret[n].len = next_end - ret[n].offset;
        }
        return n + 1;
}

/* ---- stretches --------------------------------------------------------------------------------------------------- */

static bool has_row(const struct vgpu_ring_rect *r, uint32_t y)
{
        return y >= r->y && y - r->y < r->h;
}

/* The first pixel of a rectangle from (x, y) on in the row, or the width. */
static uint32_t first_in_row(const struct patch *p, uint32_t x, uint32_t y)
{
        uint32_t first = p->width;

        for (uint32_t i = 0; i < p->list.n; i++) {
                const struct vgpu_ring_rect *r = &p->list.rect[i];
                uint32_t left = r->x > x ? r->x : x;

                if (has_row(r, y) && r->x + r->w > x && left < first)
                        first = left;
        }
        return first;
}

/* Where what begins at @left ends, with all that is near enough. */
static uint32_t end_in_row(const struct patch *p, uint32_t left, uint32_t y)
{
        uint32_t end = left;
        bool grew;

        do {
                grew = false;
                for (uint32_t i = 0; i < p->list.n; i++) {
                        const struct vgpu_ring_rect *r = &p->list.rect[i];

                        if (has_row(r, y) && r->x + r->w > end &&
                                (r->x <= end || r->x - end < GAP_PIXELS)) {
                                end = r->x + r->w;
                                grew = true;
                        }
                }
        } while (grew);
        return end;
}

/* The next row with a rectangle in it, or the height. */
static uint32_t next_row(const struct patch *p, uint32_t y)
{
        uint32_t next = p->height;

        for (uint32_t i = 0; i < p->list.n; i++) {
                const struct vgpu_ring_rect *r = &p->list.rect[i];
                uint32_t row = r->y > y ? r->y : y;

                if (has_row(r, row) && row < next)
                        next = row;
        }
        return next;
}

/* Rows from @y on that one rectangle has from end to end. */
static uint32_t whole_rows(const struct patch *p, uint32_t y)
{
        uint32_t n = 0;

        for (uint32_t i = 0; i < p->list.n; i++) {
                const struct vgpu_ring_rect *r = &p->list.rect[i];

                if (spans_rows(p, r) && has_row(r, y) && r->y + r->h - y > n)
                        n = r->y + r->h - y;
        }
        return n;
}

static struct gva_part bytes_of(const struct patch *p, uint32_t left, uint32_t end, uint32_t y)
{
        uint64_t row = (uint64_t)y * p->stride;
        uint64_t from = row + (uint64_t)left * p->pixel_bytes / LINE_BYTES * LINE_BYTES;
        uint64_t to = (uint64_t)end * p->pixel_bytes + LINE_BYTES - 1;

        to = row + to / LINE_BYTES * LINE_BYTES;
        if (end == p->width || to > row + p->stride)
                to = row + p->stride;
        return (struct gva_part){ from, to - from };
}

bool patch_next(const struct patch *p, struct patch_cursor *c, struct gva_part *ret)
{
        uint32_t left, end, rows;

        if (p->whole) {
                *ret = (struct gva_part){ 0, (uint64_t)p->height * p->stride };
                return c->y++ == 0;
        }
        for (;; c->y++, c->x = 0) {
                if (c->x == 0)
                        c->y = next_row(p, c->y);
                if (c->y >= p->height)
                        return false;
                left = first_in_row(p, c->x, c->y);
                if (left < p->width)
                        break;
        }
        rows = left == 0 ? whole_rows(p, c->y) : 0;
        if (rows > 0) {
                *ret = (struct gva_part){ (uint64_t)c->y * p->stride, (uint64_t)rows * p->stride };
                *c = (struct patch_cursor){ .y = c->y + rows };
                return true;
        }
        end = end_in_row(p, left, c->y);
        *ret = bytes_of(p, left, end, c->y);
        c->x = end;
        return true;
}
