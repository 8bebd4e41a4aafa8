/* damage.c - see damage.h */
#include "damage.h"

#include <string.h>

/* ---- lists of rectangles ----------------------------------------------------------------------------------------- */

static uint32_t min_u32(uint32_t a, uint32_t b)
{
        return a < b ? a : b;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
        return a > b ? a : b;
}

static uint64_t area(const struct vgpu_ring_rect *r)
{
        return (uint64_t)r->w * r->h;
}

static struct vgpu_ring_rect around(const struct vgpu_ring_rect *a, const struct vgpu_ring_rect *b)
{
        uint32_t x = min_u32(a->x, b->x), y = min_u32(a->y, b->y);

        return (struct vgpu_ring_rect){
                .x = x,
                .y = y,
                .w = max_u32(a->x + a->w, b->x + b->w) - x,
                .h = max_u32(a->y + a->h, b->y + b->h) - y,
        };
}

static uint64_t common_area(const struct vgpu_ring_rect *a, const struct vgpu_ring_rect *b)
{
        uint32_t left = max_u32(a->x, b->x), right = min_u32(a->x + a->w, b->x + b->w);
        uint32_t top = max_u32(a->y, b->y), bottom = min_u32(a->y + a->h, b->y + b->h);

        return left < right && top < bottom ? (uint64_t)(right - left) * (bottom - top) : 0;
}

/* Pixels that the rectangle around both has and neither of them. */
static uint64_t cost_of_joining(const struct vgpu_ring_rect *a, const struct vgpu_ring_rect *b)
{
        struct vgpu_ring_rect both = around(a, b);

        return area(&both) - area(a) - area(b) + common_area(a, b);
}

static bool holds(const struct vgpu_ring_rect *outer, const struct vgpu_ring_rect *inner)
{
        return common_area(outer, inner) == area(inner);
}

void damage_list_add(struct damage_list *list, const struct vgpu_ring_rect *rect)
{
        struct vgpu_ring_rect all[VGPU_RING_MAX_DAMAGE + 1];
        uint32_t n = list->n, first = 0, second = 1;
        uint64_t least = UINT64_MAX;

        for (uint32_t i = 0; i < n; i++)
                if (holds(&list->rect[i], rect))
                        return;
        if (n < VGPU_RING_MAX_DAMAGE) {
                list->rect[list->n++] = *rect;
                return;
        }
        memcpy(all, list->rect, sizeof(list->rect));
        all[n] = *rect;
        for (uint32_t i = 0; i <= n; i++) {
                for (uint32_t k = i + 1; k <= n; k++) {
                        uint64_t cost = cost_of_joining(&all[i], &all[k]);

                        if (cost < least) {
                                least = cost;
                                first = i;
                                second = k;
                        }
                }
        }
        all[first] = around(&all[first], &all[second]);
        all[second] = all[n];
        memcpy(list->rect, all, sizeof(list->rect));
}

/* ---- frames ------------------------------------------------------------------------------------------------------ */

void damage_reset(struct damage *d)
{
        *d = (struct damage){ 0 };
}

static const struct vgpup_change *find(const struct damage *d, uint64_t frame_id)
{
        for (uint32_t i = 0; i < DAMAGE_FRAMES; i++)
                if (d->known[i].desc.frame_id == frame_id)
                        return &d->known[i];
        return NULL;
}

void damage_note(struct damage *d, const struct vgpup_change *change)
{
        if (find(d, change->desc.frame_id))
                return;
        d->known[d->next] = *change;
        d->next = (d->next + 1) % DAMAGE_FRAMES;
        if (change->desc.frame_id > d->newest)
                d->newest = change->desc.frame_id;
}

bool damage_is_missing(const struct damage *d, uint64_t frame_id)
{
        return d->published.desc.frame_id != 0 && frame_id > d->newest + 1;
}

/* Rectangles mean nothing from one mode or run to another. */
static bool same_picture(const struct vgpup_change *a, const struct damage_frame *b)
{
        return a->desc.width == b->desc.width && a->desc.height == b->desc.height &&
               a->desc.stride == b->desc.stride && a->desc.format == b->desc.format &&
               a->run_epoch == b->run_epoch;
}

/* Ends, because a base is always older than its frame. */
bool damage_between(const struct damage *d, const struct vgpup_change *change,
        const struct damage_frame *other, struct damage_list *ret)
{
        uint64_t a = change->desc.frame_id, b = other->desc.frame_id;
        struct damage_list list = { 0 };

        if (b == 0 || !same_picture(change, other))
                return false;
        while (a != b) {
                uint64_t *younger = a > b ? &a : &b;
                const struct vgpup_change *step =
                        *younger == change->desc.frame_id ? change : find(d, *younger);

                if (!step || step->n_damage == 0 || step->damage_base >= *younger ||
                        !same_picture(step, other))
                        return false;
                for (uint32_t i = 0; i < step->n_damage; i++)
                        damage_list_add(&list,
                                &(struct vgpu_ring_rect){ step->damage[i].x, step->damage[i].y,
                                        step->damage[i].w, step->damage[i].h });
                *younger = step->damage_base;
        }
        *ret = list;
        return true;
}

void damage_publish(struct damage *d, const struct vgpup_change *change, struct damage_list *ret)
{
        ret->n = 0;
        damage_note(d, change);
        damage_between(d, change, &d->published, ret);
        d->published = damage_frame_of(change);
}
