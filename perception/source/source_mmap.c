/*
 * source_mmap.c - reading through a map, for frames: no system call, and a file that shrinks under it is an error
 *
 * Several files lie in one reserved range of addresses, so that one guard covers all of them, and an extent finds its
 * bytes by one addition.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "copy.h"
#include "guard.h"
#include "source.h"

#define LINE 64u

#define MAP_MAX (UINT64_C(1) << 47) /* addresses that a process has */

static const struct source_way by_map;

/* Maps of huge pages begin at a multiple of their size; st_blksize is that size on hugetlbfs. */
static uint64_t alignment_of(const struct source_file *f)
{
        struct stat st;

        if (fstat(f->fd, &st) < 0 || st.st_blksize < GVA_PAGE_BYTES)
                return GVA_PAGE_BYTES;
        return (uint64_t)st.st_blksize;
}

static uint64_t round_up(uint64_t value, uint64_t multiple)
{
        return (value + multiple - 1) / multiple * multiple;
}

/*
 * Gives each file its place in the map, and says what it needs in all, with room to align the first. Sizes of sparse files
 * are anybody's: a sum of them that wrapped would be a reservation too small for what is then mapped over it.
 *
 * Return: 0, or -ENOMEM (more than there are addresses).
 */
static int place_files(vgpu_source *s, uint64_t *ret_alignment, uint64_t *ret_len)
{
        uint64_t most = GVA_PAGE_BYTES, at = 0;

        for (size_t i = 0; i < s->n_files; i++) {
                uint64_t alignment = alignment_of(&s->file[i]);

                s->file[i].at = round_up(at, alignment);
                if (s->file[i].size > MAP_MAX || alignment > MAP_MAX)
                        return -ENOMEM;
                at = round_up(s->file[i].at + s->file[i].size, alignment);
                if (at > MAP_MAX)
                        return -ENOMEM;
                if (alignment > most)
                        most = alignment;
        }
        *ret_alignment = most;
        *ret_len = at + most;
        s->map_len = at;
        return 0;
}

static int map_one(uint8_t *base, const struct source_file *f)
{
        uint64_t len = round_up(f->size, alignment_of(f));
        void *map = mmap(
                base + f->at, len, PROT_READ, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, f->fd, 0);

        if (map == MAP_FAILED)
                return -errno;
        /* A crash of ours must not write the guest's memory into a core file. */
        madvise(map, len, MADV_DONTDUMP);
        return 0;
}

struct vgpu_source_failure source_map(vgpu_source *s)
{
        struct vgpu_source_failure why = { .reason = VGPU_SOURCE_MAP_FAILED };
        uint64_t alignment = GVA_PAGE_BYTES, len = 0;
        uint8_t *base;
        int r = guard_install();

        if (r == 0)
                r = place_files(s, &alignment, &len);
        if (r < 0) {
                why.error = -r;
                return why;
        }
        s->reserved =
                mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (s->reserved == MAP_FAILED) {
                s->reserved = NULL;
                why.error = errno;
                return why;
        }
        s->reserved_len = len;
        base = (uint8_t *)round_up((uintptr_t)s->reserved, alignment);
        for (size_t i = 0; i < s->n_files; i++) {
                r = map_one(base, &s->file[i]);
                if (r < 0) {
                        why.error = -r;
                        why.file = (unsigned)i;
                        return why;
                }
        }
        s->map = base;
        s->way = &by_map;
        return (struct vgpu_source_failure){ 0 };
}

void source_unmap(vgpu_source *s)
{
        if (s->reserved != NULL)
                munmap(s->reserved, s->reserved_len);
        s->reserved = NULL;
        s->map = NULL;
}

static const uint8_t *ram_at(const vgpu_source *s, uint64_t gpa, uint64_t *ret_left)
{
        const struct vgpu_layout_piece *p = source_piece_at(s, gpa, ret_left);

        return p != NULL ? s->map + s->file[p->file].at + p->offset + (gpa - p->gpa) : NULL;
}

/* A fault under the map with the files still long enough is the host's own: no memory for a hole, a bad DIMM. */
static int reason_of_fault(const vgpu_source *s)
{
        for (size_t i = 0; i < s->n_files; i++) {
                struct stat st;

                if (fstat(s->file[i].fd, &st) < 0)
                        return -EIO;
                if ((uint64_t)st.st_size < s->file[i].size)
                        return -ESTALE;
        }
        return -EIO;
}

struct copy {
        const uint8_t *src;
        void *dst;
        size_t len;
};

/* An aligned word is what a page-table entry or a seq is: it must not be put together from two moments. */
static void copy_body(void *arg)
{
        const struct copy *c = arg;

        if (c->len == sizeof(uint64_t) && (uintptr_t)c->src % sizeof(uint64_t) == 0) {
                uint64_t word =
                        __atomic_load_n((const uint64_t *)(const void *)c->src, __ATOMIC_RELAXED);

                memcpy(c->dst, &word, sizeof(word));
        } else if (c->len == sizeof(uint32_t) && (uintptr_t)c->src % sizeof(uint32_t) == 0) {
                uint32_t word =
                        __atomic_load_n((const uint32_t *)(const void *)c->src, __ATOMIC_RELAXED);

                memcpy(c->dst, &word, sizeof(word));
        } else {
                memcpy(c->dst, c->src, c->len);
        }
}

static int read_by_map(void *ctx, uint64_t gpa, void *dst, size_t len)
{
        const vgpu_source *s = ctx;
        uint64_t left = 0;
        struct copy c = { .src = ram_at(s, gpa, &left), .dst = dst, .len = len };

        if (c.src == NULL || len > left)
                return -EFAULT;
        return guard_run(s->map, s->map_len, copy_body, &c) == 0 ? 0 : reason_of_fault(s);
}

static void hint_lines(const uint8_t *from, const uint8_t *end)
{
        for (from -= (uintptr_t)from % LINE; from < end; from += LINE)
                __builtin_prefetch(from);
}

/*
 * What costs is to find out where a page is, in the tables of this machine, and a processor does that for several at a time if
 * it comes to them soon enough: so there is little between one and the next.
 */
static void hint_by_map(void *ctx, const struct gpa_extent *ranges, size_t n)
{
        const vgpu_source *s = ctx;
        const struct vgpu_layout_piece *p = NULL;
        const uint8_t *ram = NULL; /* where p begins */

        for (size_t i = 0; i < n; i++) {
                uint64_t at, left, len = ranges[i].len;

                if (p == NULL || ranges[i].gpa - p->gpa >= p->len) {
                        p = source_piece_at(s, ranges[i].gpa, &left);
                        if (p == NULL)
                                continue;
                        ram = s->map + s->file[p->file].at + p->offset;
                }
                at = ranges[i].gpa - p->gpa;
                left = p->len - at;
                hint_lines(ram + at, ram + at + (len < left ? len : left));
        }
}

struct gather {
        struct source_walk walk;
        struct copy_batch batch;
};

static void gather_body(void *arg)
{
        struct gather *g = arg;
        const vgpu_source *s = g->walk.s;
        struct source_stretch t;

        while (source_next_stretch(&g->walk, &t))
                copy_add(&g->batch, t.dst, s->map + s->file[t.piece->file].at + t.offset, t.len);
        copy_finish(&g->batch);
}

static int gather_by_map(vgpu_source *s, const struct gva_extent *extents, size_t n_extents,
        uint64_t base_offset, uint8_t *dst)
{
        struct gather g;
        int r;

        g.walk = (struct source_walk){ .s = s,
                .extents = extents,
                .n_extents = n_extents,
                .base_offset = base_offset,
                .dst = dst };
        g.batch.kind = s->copy;
        g.batch.n = 0;
        r = guard_run(s->map, s->map_len, gather_body, &g);
        /* Whatever became of it: what was stored is to be seen before anything that the caller stores from here on. */
        copy_settle(s->copy);
        return r == 0 ? 0 : reason_of_fault(s);
}

static const struct vmie_mem_ops map_ops = { .read = read_by_map, .hint = hint_by_map };

static const struct source_way by_map = {
        .scan = &source_pread_ops,
        .frame = &map_ops,
        .gather = gather_by_map,
};
