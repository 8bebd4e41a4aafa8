/* frame_copy.c - see frame_copy.h */
#include "frame_copy.h"

_Static_assert(VGPU_RING_MAX_DAMAGE <= VGPU_MAX_DAMAGE, "a part for each rectangle");

/* What one last-level page table maps. */
#define CHUNK_BYTES (UINT64_C(2) << 20)

/* Pieces of a chunk: each page of it, and one more where it begins within a page. */
#define CHUNK_PIECES (CHUNK_BYTES / GVA_PAGE_BYTES + 1)

/* Pieces to be copied, and the bytes of the frame from the first to the last. */
struct chunk {
        struct gva_extent piece[CHUNK_PIECES];
        size_t n;
        uint64_t bytes;
        uint64_t from, to;
};

/* How far a patch has been cut into chunks. */
struct walk {
        const struct patch *patch;
        struct patch_cursor cursor;
        uint64_t at, end; /* of the stretch that is left */
        size_t extent;    /* where to begin to look: stretches ascend */
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

static void add_piece(struct chunk *k, struct gva_extent piece)
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
static bool fill(struct frame_copy *c, struct walk *w, struct chunk *k)
{
        const struct gva_extent *e = c->sample.extents;

        k->n = k->bytes = 0;
        while (k->bytes < CHUNK_BYTES && k->n < CHUNK_PIECES && next_stretch(w)) {
                uint64_t room = CHUNK_BYTES - k->bytes;

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
        return true;
}

/* A chunk was gathered with @result. Return: 1, 0, or a read error. */
static int check(struct frame_copy *c, const struct chunk *k, int result)
{
        if (result < 0)
                return result;
        return vgpup_sample_recheck(c->region, c->mem, &c->sample, k->from, k->to - k->from);
}

static int copy(struct frame_copy *c, const struct chunk *k)
{
        return check(c, k, vgpu_source_gather(c->source, k->piece, k->n, 0, c->dst));
}

/* Chunks that two threads work on: ours, and the one that the helper was given. */
struct work {
        struct chunk chunk[2];
        struct chunk *ours, *theirs; /* theirs: NULL: none */
};

/* A small one is copied before a helper wakes up. */
static bool give_away(struct frame_copy *c, struct work *work)
{
        struct chunk *k = work->ours;

        if (!c->helper || work->theirs || k->bytes < CHUNK_BYTES)
                return false;
        copy_helper_ask(c->helper, c->source, k->piece, k->n, c->dst);
        work->theirs = k;
        work->ours = k == &work->chunk[0] ? &work->chunk[1] : &work->chunk[0];
        return true;
}

/* Looks whether the helper is done. Return: 1 (no, or well), 0, or a read error. */
static int look_after_helper(struct frame_copy *c, struct work *work)
{
        const struct chunk *k = work->theirs;
        int result;

        if (!k || !copy_helper_is_done(c->helper, &result))
                return 1;
        work->theirs = NULL;
        return check(c, k, result);
}

/* Whatever came of the rest, nobody writes any more when this returns. @r: what did. */
static int finish_helper(struct frame_copy *c, struct work *work, int r)
{
        const struct chunk *k = work->theirs;
        int result;

        if (!k)
                return r;
        if (copy_helper_take_back(c->helper))
                return r == 1 ? copy(c, k) : r;
        result = copy_helper_wait(c->helper);
        return r == 1 ? check(c, k, result) : r;
}

int frame_copy_run(struct frame_copy *c, const struct patch *patch)
{
        struct gva_part parts[VGPU_RING_MAX_DAMAGE];
        struct walk w = { .patch = patch };
        size_t n = patch_parts(patch, parts);
        struct work work;
        int r;

        work.ours = &work.chunk[0];
        work.theirs = NULL;
        r = vgpup_sample_map(c->region, c->mem, &c->sample, parts, n);
        while (r == 1 && fill(c, &w, work.ours)) {
                if (give_away(c, &work))
                        continue;
                r = copy(c, work.ours);
                if (r == 1)
                        r = look_after_helper(c, &work);
        }
        return finish_helper(c, &work, r);
}
