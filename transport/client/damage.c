/*
 * damage.c - what changed since the frame this client has
 *
 * The ring keeps what each of the last frames changed, longer than it keeps the frames. The sum over all that the client
 * did not get is what it has to repaint. It may say too much, never too little: what does not fit the list any more is
 * covered by rectangles that are larger, and what is not known is the whole frame.
 */
#include <string.h>

#include "client.h"

/* One more than a list may have at the end, for the moment in which two are joined. */
struct region {
        uint32_t n;
        struct vgpu_ring_rect rect[VGPU_RING_MAX_DAMAGE + 1];
};

static uint64_t area(const struct vgpu_ring_rect *r)
{
        return (uint64_t)r->w * r->h;
}

static bool contains(const struct vgpu_ring_rect *a, const struct vgpu_ring_rect *b)
{
        return a->x <= b->x && a->y <= b->y && a->x + a->w >= b->x + b->w &&
               a->y + a->h >= b->y + b->h;
}

static struct vgpu_ring_rect cover(const struct vgpu_ring_rect *a, const struct vgpu_ring_rect *b)
{
        uint32_t x = a->x < b->x ? a->x : b->x, y = a->y < b->y ? a->y : b->y;
        uint32_t x2 = a->x + a->w > b->x + b->w ? a->x + a->w : b->x + b->w;
        uint32_t y2 = a->y + a->h > b->y + b->h ? a->y + a->h : b->y + b->h;

        return (struct vgpu_ring_rect){ x, y, x2 - x, y2 - y };
}

static void region_remove(struct region *g, uint32_t i)
{
        g->rect[i] = g->rect[--g->n];
}

static void region_add(struct region *g, const struct vgpu_ring_rect *r)
{
        if (area(r) == 0)
                return;
        for (uint32_t i = 0; i < g->n; i++) {
                if (contains(&g->rect[i], r))
                        return;
        }
        for (uint32_t i = g->n; i > 0; i--) {
                if (contains(r, &g->rect[i - 1]))
                        region_remove(g, i - 1);
        }
        g->rect[g->n++] = *r;
}

/* Join the two whose common cover adds the fewest pixels; what else it covers goes with them. */
static void region_join(struct region *g)
{
        struct vgpu_ring_rect joined = { 0 };
        int64_t least = INT64_MAX;
        uint32_t from = 0, into = 0;

        for (uint32_t i = 0; i < g->n; i++) {
                for (uint32_t j = 0; j < i; j++) {
                        struct vgpu_ring_rect r = cover(&g->rect[i], &g->rect[j]);
                        int64_t cost = (int64_t)area(&r) - (int64_t)area(&g->rect[i]) -
                                       (int64_t)area(&g->rect[j]);

                        if (cost < least) {
                                least = cost;
                                joined = r;
                                from = i;
                                into = j;
                        }
                }
        }
        region_remove(g, from);
        region_remove(g, into);
        region_add(g, &joined);
}

/* Of an earlier frame too: what a mode change left behind does not fit the one that is delivered. */
static bool fits(const struct vgpu_ring_rect *r, const struct vgpu_client_frame *f)
{
        return (uint64_t)r->x + r->w <= f->width && (uint64_t)r->y + r->h <= f->height;
}

/* Return: whether it is known and fits. */
static bool add_all(struct region *g, const struct vgpu_client_frame *f,
        const struct vgpu_ring_rect *rects, uint32_t n)
{
        if (n == 0 || n > VGPU_RING_MAX_DAMAGE)
                return false;
        for (uint32_t i = 0; i < n; i++) {
                if (!fits(&rects[i], f))
                        return false;
                region_add(g, &rects[i]);
                if (g->n > VGPU_RING_MAX_DAMAGE)
                        region_join(g);
        }
        return true;
}

void damage_since(const struct mapping *m, uint64_t base, const struct vgpu_ring_desc *newest,
        struct vgpu_client_frame *f)
{
        struct region g = { 0 };
        struct vgpu_ring_change change;
        /* more than are kept need not be looked for one by one */
        bool known = base != 0 && newest->serial > base &&
                     newest->serial - base <= (uint64_t)m->identity.history_count + 1;

        f->n_damage = 0;
        for (uint64_t serial = base + 1; known && serial < newest->serial; serial++)
                known = mapping_read_change(m, serial, &change) &&
                        add_all(&g, f, change.damage, change.n_damage);
        /* the newest one's is in its descriptor, which is confirmed already */
        if (!known || !add_all(&g, f, newest->damage, newest->n_damage))
                return;
        f->n_damage = g.n;
        memcpy(f->damage, g.rect, g.n * sizeof(g.rect[0]));
}
