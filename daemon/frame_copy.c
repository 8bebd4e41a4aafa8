/* frame_copy.c - see frame_copy.h */
#include "frame_copy.h"

_Static_assert(VGPU_RING_MAX_DAMAGE <= VGPU_MAX_DAMAGE, "a part for each rectangle");

/* What one last-level page table maps; of one thread. */
#define CHUNK_BYTES (UINT64_C(2) << 20)

/* Pieces of a chunk: each page of it, and one more where it begins within a page. */
#define CHUNK_PIECES (CHUNK_BYTES / GVA_PAGE_BYTES + 1)

_Static_assert(COPY_HELPER_CHUNKS *COPY_HELPER_CHUNK_BYTES <= CHUNK_BYTES,
        "two threads have no more unchecked than one");

/*
 * Of two threads: a part of what is left, so that whoever is done last is so soon after the other. The least is what a copy gets
 * through while the other thread notices.
 */
#define SHARE_PARTS 4u
#define SHARE_LEAST (UINT64_C(64) << 10)

/* How far a patch has been cut into chunks. */
struct walk {
        const struct patch *patch;
        struct patch_cursor cursor;
        uint64_t at, end; /* of the stretch that is left */
        size_t extent;    /* where to begin to look: stretches ascend */
        uint64_t left;    /* bytes, about */
};

/* The part of extent @e that lies in [from, to). */
static struct gva_extent clip(struct gva_extent e, uint64_t from, uint64_t to)
{
        uint64_t skip = e.offset < from ? from - e.offset : 0;

        e.gpa += skip;
        e.offset += skip;
        e.len -= skip;
        if (e.offset + e.len > to)
                e.len = to - e.offset;
        return e;
}

static void add_piece(struct copy_chunk *k, struct gva_extent piece)
{
        if (k->n == 0)
                k->from = piece.offset;
        k->to = piece.offset + piece.len;
        k->bytes += piece.len;
        k->piece[k->n++] = piece;
}

static bool next_stretch(struct walk *w)
{
        struct gva_part stretch;

        if (w->at < w->end)
                return true;
        if (!patch_next(w->patch, &w->cursor, &stretch))
                return false;
        w->at = stretch.offset;
        w->end = stretch.offset + stretch.len;
        return true;
}

/* Return: false: nothing is left. */
static bool fill(struct frame_copy *c, struct walk *w, struct copy_chunk *k, uint64_t most)
{
        const struct gva_extent *e = c->sample.extents;

        k->source = c->source;
        k->dst = c->dst;
        k->n = k->bytes = 0;
        while (k->bytes < most && k->n < k->max && next_stretch(w)) {
                uint64_t room = most - k->bytes;

                while (e[w->extent].offset + e[w->extent].len <= w->at)
                        w->extent++;
                add_piece(k,
                        clip(e[w->extent], w->at, w->end - w->at < room ? w->end : w->at + room));
                w->at = k->to;
        }
        if (k->n == 0)
                return false;
        if (c->touched == 0)
                c->touched_from = k->from;
        c->touched = k->to;
        c->copied += k->bytes;
        w->left -= w->left < k->bytes ? w->left : k->bytes;
        return true;
}

/* A chunk was gathered. Return: 1, 0, or a read error. */
static int check(struct frame_copy *c, const struct copy_chunk *k)
{
        if (k->result < 0)
                return k->result;
        return vgpup_sample_recheck(c->region, c->mem, &c->sample, k->from, k->to - k->from);
}

static int copy_alone(struct frame_copy *c, struct walk *w)
{
        struct gva_extent piece[CHUNK_PIECES];
        struct copy_chunk k = { .piece = piece, .max = CHUNK_PIECES };
        int r = 1;

        while (r == 1 && fill(c, w, &k, CHUNK_BYTES)) {
                k.result = vgpu_source_gather(c->source, k.piece, k.n, 0, c->dst);
                r = check(c, &k);
        }
        return r;
}

/* ---- with a helper ----------------------------------------------------------------------------------------------- */

/* Whole pages, by fours, as far as that goes. */
static uint64_t share(const struct walk *w)
{
        uint64_t part = w->left / SHARE_PARTS / SHARE_LEAST * SHARE_LEAST;

        if (part > COPY_HELPER_CHUNK_BYTES)
                return COPY_HELPER_CHUNK_BYTES;
        return part > SHARE_LEAST ? part : SHARE_LEAST;
}

/* As many as there is room for. Return: false: nothing is left. */
static bool offer(struct frame_copy *c, struct walk *w)
{
        struct copy_chunk *k;
        bool more = true;

        while (more && (k = copy_helper_room(c->helper))) {
                more = fill(c, w, k, share(w));
                if (more)
                        copy_helper_offer(c->helper, k);
        }
        /* Once more: it may have gone to sleep while the frame was translated, or while this thread did not run. */
        copy_helper_call(c->helper);
        return more;
}

/* Return: 1, 0, or a read error. */
static int check_done(struct frame_copy *c)
{
        const struct copy_chunk *k;
        int r = 1;

        while (r == 1 && (k = copy_helper_done(c->helper)))
                r = check(c, k);
        return r;
}

/*
 * Where nothing is to be copied or waited for, all that is out is done, and checked next; then there is room for what is left.
 * Whatever comes of it, nobody writes any more when this returns.
 */
static int copy_by_two(struct frame_copy *c, struct walk *w)
{
        bool more = true, busy;
        int r;

        do {
                more = more && offer(c, w);
                busy = copy_helper_work(c->helper) || copy_helper_wait(c->helper);
                r = check_done(c);
        } while (r == 1 && (busy || more));
        copy_helper_stop(c->helper);
        return r;
}

/* Bytes that it asks for, or somewhat more. */
static uint64_t size_of(const struct gva_part *parts, size_t n)
{
        uint64_t bytes = 0;

        for (size_t i = 0; i < n; i++)
                bytes += parts[i].len;
        return bytes;
}

int frame_copy_run(struct frame_copy *c, const struct patch *patch)
{
        struct gva_part parts[VGPU_RING_MAX_DAMAGE];
        struct walk w = { .patch = patch };
        size_t n = patch_parts(patch, parts);
        bool by_two;
        int r;

        w.left = size_of(parts, n);
        by_two = c->helper && w.left >= FRAME_COPY_LARGE;
        if (by_two)
                copy_helper_call(c->helper);
        r = vgpup_sample_map(c->region, c->mem, &c->sample, parts, n);
        if (r == 1)
                r = by_two ? copy_by_two(c, &w) : copy_alone(c, &w);
        return r;
}
