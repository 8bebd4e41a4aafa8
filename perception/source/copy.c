/* copy.c - which kind of copy, and pages in the order that suits it (see copy.h); the loops themselves are in copy_x86.c */
#include "copy.h"

#include <errno.h>
#include <string.h>

#define LINE 64u

/* Fewer bytes than that are not worth a store past the caches: a line that is not written whole costs a read. */
#define SMALL 512u

static const char *const names[VGPU_N_COPIES] = {
        [VGPU_COPY_AUTO] = "auto",
        [VGPU_COPY_PLAIN] = "plain",
        [VGPU_COPY_STREAM] = "stream",
        [VGPU_COPY_MOVSB] = "movsb",
};

const char *vgpu_copy_name(enum vgpu_copy way)
{
        return names[way];
}

int vgpu_copy_from_name(const char *name, enum vgpu_copy *ret)
{
        for (unsigned i = 0; i < VGPU_N_COPIES; i++) {
                if (strcmp(name, names[i]) == 0) {
                        *ret = i;
                        return 0;
                }
        }
        return -EINVAL;
}

static void plain_run(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *next)
{
        __builtin_prefetch(next, 0, 0);
        memcpy(dst, src, len);
}

static const struct copy_kind copy_plain = {
        .name = "plain",
        .way = VGPU_COPY_PLAIN,
        .run = plain_run,
};

static const struct copy_kind *const kinds[] = {
#ifdef __x86_64__
        &copy_avx2,
        &copy_sse2,
        &copy_movsb,
#endif
        &copy_plain,
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

const struct copy_kind *const *copy_kinds(size_t *ret_n)
{
        *ret_n = N_KINDS;
        return kinds;
}

bool copy_kind_usable(const struct copy_kind *kind)
{
        return !kind->usable || kind->usable();
}

const struct copy_kind *copy_kind_for(enum vgpu_copy way)
{
        for (size_t i = 0; i < N_KINDS; i++)
                if ((way == VGPU_COPY_AUTO || kinds[i]->way == way) && copy_kind_usable(kinds[i]))
                        return kinds[i];
        return &copy_plain;
}

static void copy_one(const struct copy_kind *k, const struct copy_piece *p, const uint8_t *next)
{
        size_t head = -(uintptr_t)p->dst % LINE, body;

        if (p->len < SMALL) {
                __builtin_prefetch(next, 0, 0);
                memcpy(p->dst, p->src, p->len);
                return;
        }
        body = (p->len - head) / LINE * LINE;
        memcpy(p->dst, p->src, head);
        k->run(p->dst + head, p->src + head, body, next);
        memcpy(p->dst + head + body, p->src + head + body, p->len - head - body);
}

/* Are the next pieces whole pages, and do they lie apart? Pages in a row are read faster one after the other. */
static bool lie_apart(const struct copy_piece *p)
{
        bool apart = false;

        for (unsigned i = 0; i < COPY_LANES; i++) {
                if (p[i].len != GVA_PAGE_BYTES || (uintptr_t)p[i].dst % LINE != 0)
                        return false;
                apart |= i > 0 && p[i].src != p[i - 1].src + GVA_PAGE_BYTES;
        }
        return apart;
}

/* Of the piece @i, or where there is none of the last one: something has to be asked for. */
static const uint8_t *source_of(const struct copy_batch *b, size_t i)
{
        return b->piece[i < b->n ? i : b->n - 1].src;
}

static void copy_four(const struct copy_batch *b, size_t i)
{
        const struct copy_piece *p = &b->piece[i];
        const uint8_t *src[COPY_LANES], *next[COPY_LANES];
        uint8_t *dst[COPY_LANES];

        for (unsigned lane = 0; lane < COPY_LANES; lane++) {
                src[lane] = p[lane].src;
                dst[lane] = p[lane].dst;
                next[lane] = source_of(b, i + COPY_LANES + lane);
        }
        b->kind->pages(dst, src, next);
}

/* Copies pieces until at most @n_left are left, which move to the front. */
static void copy_until(struct copy_batch *b, size_t n_left)
{
        size_t i = 0;

        while (b->n - i > n_left) {
                if (b->kind->pages && b->n - i >= COPY_LANES && lie_apart(&b->piece[i])) {
                        copy_four(b, i);
                        i += COPY_LANES;
                } else {
                        copy_one(b->kind, &b->piece[i], source_of(b, i + 1));
                        i++;
                }
        }
        b->n -= i;
        memmove(b->piece, b->piece + i, b->n * sizeof(b->piece[0]));
}

void copy_add(struct copy_batch *b, uint8_t *dst, const uint8_t *src, size_t len)
{
        while (len > 0) {
                size_t piece = GVA_PAGE_BYTES - (uintptr_t)dst % GVA_PAGE_BYTES;

                if (piece > len)
                        piece = len;
                if (b->n == COPY_BATCH + COPY_AHEAD)
                        copy_until(b, COPY_AHEAD);
                b->piece[b->n++] = (struct copy_piece){ src, dst, piece };
                src += piece;
                dst += piece;
                len -= piece;
        }
}

void copy_finish(struct copy_batch *b)
{
        copy_until(b, 0);
}
