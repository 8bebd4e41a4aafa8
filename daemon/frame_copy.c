/* frame_copy.c - see frame_copy.h */
#include "frame_copy.h"

_Static_assert(VGPU_RING_MAX_DAMAGE <= VGPU_MAX_DAMAGE, "a part for each rectangle");

/* What one last-level page table maps. */
#define CHUNK_BYTES (UINT64_C(2) << 20)

/* Pieces of a chunk: each page of it, and one more where it begins within a page. */
#define CHUNK_PIECES (CHUNK_BYTES / GVA_PAGE_BYTES + 1)

/* Pieces to be copied next, and the bytes of the frame from the first to the last. */
struct chunk {
        struct gva_extent piece[CHUNK_PIECES];
        size_t n;
        uint64_t bytes;
        uint64_t from, to;
};

/* @again: there is more to come; the commit looks at the last chunk. Return: 1, 0, or a read error. */
static int copy_chunk(struct frame_copy *c, struct chunk *k, bool again)
{
        int r;

        if (k->n == 0)
                return 1;
        c->touched = k->to;
        c->copied += k->bytes;
        r = vgpu_source_gather(c->source, k->piece, k->n, 0, c->dst);
        if (r == 0)
                r = again ? vgpup_sample_recheck(
                                    c->region, c->mem, &c->sample, k->from, k->to - k->from)
                          : 1;
        k->n = k->bytes = 0;
        return r;
}

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

/* Stretches ascend, so extents that end before one are done with. *first: where to begin to look. */
static int copy_stretch(
        struct frame_copy *c, struct chunk *k, size_t *first, const struct gva_part *stretch)
{
        const struct gva_extent *extents = c->sample.extents;
        uint64_t at = stretch->offset, end = stretch->offset + stretch->len;

        while (at < end) {
                struct gva_extent piece;
                uint64_t room = CHUNK_BYTES - k->bytes;

                if (room == 0 || k->n == CHUNK_PIECES) {
                        int r = copy_chunk(c, k, true);

                        if (r <= 0)
                                return r;
                        continue;
                }
                while (extents[*first].offset + extents[*first].len <= at)
                        (*first)++;
                piece = clip(extents[*first], at, end - at < room ? end : at + room);
                add_piece(k, piece);
                at += piece.len;
        }
        return 1;
}

int frame_copy_run(struct frame_copy *c, const struct patch *patch)
{
        struct gva_part parts[VGPU_RING_MAX_DAMAGE], stretch;
        struct patch_cursor cursor = { 0 };
        struct chunk k;
        size_t n = patch_parts(patch, parts), first = 0;
        int r;

        r = vgpup_sample_map(c->region, c->mem, &c->sample, parts, n);
        k.n = k.bytes = 0;
        while (r == 1 && patch_next(patch, &cursor, &stretch))
                r = copy_stretch(c, &k, &first, &stretch);
        return r == 1 ? copy_chunk(c, &k, false) : r;
}
