/*
 * fuzz_guest.c - an input as a guest (see fuzz_guest.h)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_guest.h"

void fuzz_require(bool holds, const char *what)
{
        if (holds)
                return;
        fprintf(stderr, "finding: %s\n", what);
        abort();
}

static size_t n_pages(const struct fuzz_guest *g)
{
        return g->w.image.ram_bytes / GVA_PAGE_BYTES;
}

struct fuzz_guest *fuzz_guest(void)
{
        static struct fuzz_guest *g;

        if (g)
                return g;
        g = calloc(1, sizeof(*g));
        fuzz_require(g, "out of memory");
        standard_guest(&g->w, &g->r);
        g->whole = g->w.image.extents[0];
        g->v = vmie_win32_open(&g->w.image.mem, 0, NULL);
        fuzz_require(g->v, "the standard guest does not open");
        g->standard = malloc(g->w.image.ram_bytes);
        g->touched = calloc(1, n_pages(g));
        fuzz_require(g->standard && g->touched, "out of memory");
        memcpy(g->standard, g->w.image.ram, g->w.image.ram_bytes);
        return g;
}

static bool next_piece(const struct fuzz_guest *g, struct fuzz_piece *ret)
{
        if (g->n_pieces_bytes - g->at < sizeof(*ret))
                return false;
        memcpy(ret, g->pieces + g->at, sizeof(*ret));
        return true;
}

static void apply_piece(struct fuzz_guest *g, const struct fuzz_piece *p)
{
        const uint8_t *bytes = g->pieces + g->at + sizeof(*p);
        size_t left = g->n_pieces_bytes - g->at - sizeof(*p);
        size_t page = p->page % n_pages(g), offset = p->offset % GVA_PAGE_BYTES;
        size_t len = p->len < left ? p->len : left;

        if (len > GVA_PAGE_BYTES - offset)
                len = GVA_PAGE_BYTES - offset;
        memcpy(g->w.image.ram + page * GVA_PAGE_BYTES + offset, bytes, len);
        g->touched[page] = 1;
        g->at += sizeof(*p) + (p->len < left ? p->len : left);
}

/* All pieces that are due, in the order of the input; the next one that is not yet says when. */
static void apply_due(void *ctx)
{
        struct fuzz_guest *g = ctx;
        struct fuzz_piece p;

        while (next_piece(g, &p)) {
                if (p.when > g->w.image.n_reads) {
                        g->w.image.change_at = p.when;
                        return;
                }
                apply_piece(g, &p);
        }
}

static void set_extents(struct fuzz_guest *g)
{
        struct guest_image *image = &g->w.image;

        image->extents[0] = g->whole;
        image->n_extents = 1;
        if (g->head.flags & FUZZ_TWO_PIECES) {
                image->extents[0].len = FUZZ_HOLE_BEGIN;
                image->extents[1] = (struct gpa_extent){
                        .gpa = FUZZ_HOLE_BEGIN + FUZZ_HOLE_BYTES,
                        .len = g->whole.len - FUZZ_HOLE_BEGIN,
                };
                image->n_extents = 2;
        }
        image->mem.n_extents = image->n_extents;
}

static void bind_standard(struct fuzz_guest *g)
{
        struct vgpup_candidate c[2];
        size_t n = 0;

        fuzz_require(vgpup_discover_all(g->v, c, 2, &n) == 0 && n == 1,
                "the standard guest has no region");
        fuzz_require(vgpup_bind(g->v, &g->w.image.mem, &c[0], &g->bound) == 0,
                "the standard guest's region cannot be bound");
}

bool fuzz_guest_load(struct fuzz_guest *g, const uint8_t *data, size_t size)
{
        if (size < sizeof(g->head))
                return false;
        memcpy(&g->head, data, sizeof(g->head));
        g->pieces = data + sizeof(g->head);
        g->n_pieces_bytes = size - sizeof(g->head);
        g->at = 0;
        bind_standard(g);
        if (g->head.flags & FUZZ_ON_EMPTY)
                memset(g->w.image.ram, 0, g->w.image.ram_bytes);
        set_extents(g);
        g->w.image.mem.levels = g->head.flags & FUZZ_LEVELS_5 ? 5 : 4;
        image_calm(&g->w.image);
        g->w.image.change = apply_due;
        g->w.image.change_ctx = g;
        apply_due(g);
        return true;
}

void fuzz_guest_reset(struct fuzz_guest *g)
{
        bool all = g->head.flags & FUZZ_ON_EMPTY;

        vgpup_close(g->bound);
        g->bound = NULL;
        image_calm(&g->w.image);
        for (size_t i = 0; i < n_pages(g); i++) {
                if (all || g->touched[i])
                        memcpy(g->w.image.ram + i * GVA_PAGE_BYTES,
                                g->standard + i * GVA_PAGE_BYTES, GVA_PAGE_BYTES);
                g->touched[i] = 0;
        }
        g->head = (struct fuzz_head){ 0 };
        set_extents(g);
        g->w.image.mem.levels = 4;
        g->w.image.mem.kcr3 = g->w.kcr3;
}

void fuzz_guest_call(struct fuzz_guest *g)
{
        g->w.image.n_reads = 0;
        apply_due(g);
}

void fuzz_guest_called(struct fuzz_guest *g, size_t bound)
{
        fuzz_require(g->w.image.n_reads <= bound, "a guest kept us reading past the call's bound");
}
