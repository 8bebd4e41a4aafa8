/*
 * source.c - a RAM file as guest-physical memory, by pread and through a map
 *
 * Two readings because each is wrong for the other's job: reading a hole of a sparse file through a map makes the host
 * allocate the page, so a scan over a guest's RAM would make it resident; and a system call per page costs three times
 * the copy of a frame. Both read the same descriptor, opened O_RDONLY: no code path here, and no bug in one, can write to a
 * guest.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guard.h"
#include "vgpu_source.h"

struct vgpu_source {
        int fd;
        const uint8_t *map; /* the whole RAM, in file order; NULL until mapped */
        uint64_t ram_size;
        dev_t dev;
        ino_t ino;
        struct vgpu_layout layout;
        struct gpa_extent extents[VGPU_LAYOUT_MAX]; /* the layout as a vmie_mem wants it */
};

const char *vgpu_source_reason_text(enum vgpu_source_reason reason)
{
        switch (reason) {
        case VGPU_SOURCE_OK:
                return "no failure";
        case VGPU_SOURCE_MISSING:
                return "no such RAM file";
        case VGPU_SOURCE_FORBIDDEN:
                return "not allowed to read the RAM file";
        case VGPU_SOURCE_NOT_A_FILE:
                return "the RAM path is not a regular file";
        case VGPU_SOURCE_EMPTY:
                return "the RAM file is empty";
        case VGPU_SOURCE_TOO_SHORT:
                return "the RAM file is shorter than the RAM size";
        case VGPU_SOURCE_BAD_SIZE:
                return "the RAM size is not a whole number of pages, or more than a guest can have";
        case VGPU_SOURCE_MAP_FAILED:
                return "the RAM file cannot be mapped";
        case VGPU_SOURCE_OPEN_FAILED:
                return "the RAM file cannot be opened";
        }
        return "unknown reason";
}

static enum vgpu_source_reason reason_of_open(int error)
{
        switch (error) {
        case ENOENT:
        case ENOTDIR:
        case ESRCH: /* /proc/PID/fd/N of a process that just went */
                return VGPU_SOURCE_MISSING;
        case EACCES:
        case EPERM:
                return VGPU_SOURCE_FORBIDDEN;
        case ENXIO: /* a socket */
                return VGPU_SOURCE_NOT_A_FILE;
        default:
                return VGPU_SOURCE_OPEN_FAILED;
        }
}

/* Opens and measures: all that can be wrong with the file itself. */
static struct vgpu_source_failure open_file(vgpu_source *s, const char *path, uint64_t ram_size)
{
        struct stat st;

        /* O_NONBLOCK: a pipe at the path must not hang us; regular files do not care. */
        s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (s->fd < 0 || fstat(s->fd, &st) < 0)
                return (struct vgpu_source_failure){ .reason = reason_of_open(errno),
                        .error = errno };
        if (!S_ISREG(st.st_mode))
                return (struct vgpu_source_failure){ .reason = VGPU_SOURCE_NOT_A_FILE };
        if (st.st_size == 0)
                return (struct vgpu_source_failure){ .reason = VGPU_SOURCE_EMPTY,
                        .want = ram_size };
        if (ram_size == 0)
                ram_size = (uint64_t)st.st_size;
        if (ram_size % GVA_PAGE_BYTES != 0)
                return (struct vgpu_source_failure){ .reason = VGPU_SOURCE_BAD_SIZE,
                        .want = ram_size,
                        .have = (uint64_t)st.st_size };
        if (ram_size > (uint64_t)st.st_size)
                return (struct vgpu_source_failure){ .reason = VGPU_SOURCE_TOO_SHORT,
                        .want = ram_size,
                        .have = (uint64_t)st.st_size };

        s->ram_size = ram_size;
        s->dev = st.st_dev;
        s->ino = st.st_ino;
        return (struct vgpu_source_failure){ 0 };
}

static struct vgpu_source_failure map_file(vgpu_source *s, enum vgpu_machine machine)
{
        int error = guard_install();
        void *map;

        if (vgpu_layout_for(machine, s->ram_size, &s->layout) < 0)
                return (struct vgpu_source_failure){
                        .reason = VGPU_SOURCE_BAD_SIZE, .want = s->ram_size, .have = s->ram_size
                };
        for (size_t i = 0; i < s->layout.n_pieces; i++)
                s->extents[i] = (struct gpa_extent){ .gpa = s->layout.piece[i].gpa,
                        .len = s->layout.piece[i].len };

        if (error < 0)
                return (struct vgpu_source_failure){ .reason = VGPU_SOURCE_MAP_FAILED,
                        .error = -error };
        map = mmap(NULL, s->ram_size, PROT_READ, MAP_SHARED | MAP_NORESERVE, s->fd, 0);
        if (map == MAP_FAILED)
                return (struct vgpu_source_failure){ .reason = VGPU_SOURCE_MAP_FAILED,
                        .error = errno };
        /* A crash of ours must not write the guest's memory into a core file. */
        madvise(map, s->ram_size, MADV_DONTDUMP);
        s->map = map;
        return (struct vgpu_source_failure){ 0 };
}

vgpu_source *vgpu_source_open(const char *path, enum vgpu_machine machine, uint64_t ram_size,
        struct vgpu_source_failure *reterr_why)
{
        struct vgpu_source_failure why = { .reason = VGPU_SOURCE_OPEN_FAILED, .error = ENOMEM };
        vgpu_source *s = malloc(sizeof(*s));

        if (s != NULL) {
                *s = (vgpu_source){ .fd = -1 };
                why = open_file(s, path, ram_size);
                if (why.reason == VGPU_SOURCE_OK)
                        why = map_file(s, machine);
                if (why.reason == VGPU_SOURCE_OK)
                        return s;
        }
        if (reterr_why != NULL)
                *reterr_why = why;
        return vgpu_source_close(s);
}

vgpu_source *vgpu_source_close(vgpu_source *s)
{
        if (s == NULL)
                return NULL;
        if (s->map != NULL)
                munmap((void *)s->map, s->ram_size);
        if (s->fd >= 0)
                close(s->fd);
        free(s);
        return NULL;
}

uint64_t vgpu_source_ram_size(const vgpu_source *s)
{
        return s->ram_size;
}

const struct vgpu_layout *vgpu_source_layout(const vgpu_source *s)
{
        return &s->layout;
}

/* The piece with @gpa in it, or NULL; *ret_left is what it has from there on. */
static const struct vgpu_layout_piece *piece_at(
        const vgpu_source *s, uint64_t gpa, uint64_t *ret_left)
{
        for (size_t i = 0; i < s->layout.n_pieces; i++) {
                const struct vgpu_layout_piece *p = &s->layout.piece[i];

                if (gpa - p->gpa < p->len) {
                        *ret_left = p->len - (gpa - p->gpa);
                        return p;
                }
        }
        return NULL;
}

/* ---- by pread ---------------------------------------------------------------------------------------------------- */

static int pread_all(int fd, uint8_t *dst, size_t len, uint64_t offset)
{
        while (len > 0) {
                ssize_t n = pread(fd, dst, len, (off_t)offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -EIO;
                if (n == 0)
                        return -ESTALE; /* it was longer when it was opened */
                dst += n;
                len -= (size_t)n;
                offset += (uint64_t)n;
        }
        return 0;
}

static int read_by_pread(void *ctx, uint64_t gpa, void *dst, size_t len)
{
        const vgpu_source *s = ctx;
        uint64_t left = 0;
        const struct vgpu_layout_piece *p = piece_at(s, gpa, &left);

        if (p == NULL || len > left)
                return -EFAULT;
        return pread_all(s->fd, dst, len, p->offset + (gpa - p->gpa));
}

/* ---- through the map --------------------------------------------------------------------------------------------- */

static const uint8_t *ram_at(const vgpu_source *s, uint64_t gpa, uint64_t *ret_left)
{
        const struct vgpu_layout_piece *p = piece_at(s, gpa, ret_left);

        return p != NULL ? s->map + p->offset + (gpa - p->gpa) : NULL;
}

/* A fault under the map with the file still long enough is the host's own: no memory for a hole, a bad DIMM. */
static int reason_of_fault(const vgpu_source *s)
{
        struct stat st;

        if (fstat(s->fd, &st) < 0)
                return -EIO;
        return (uint64_t)st.st_size < s->ram_size ? -ESTALE : -EIO;
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
        return guard_run(s->map, s->ram_size, copy_body, &c) == 0 ? 0 : reason_of_fault(s);
}

struct gather {
        const vgpu_source *s;
        const struct gva_extent *extents;
        size_t n_extents;
        uint64_t base_offset;
        uint8_t *dst;
        int error;
};

static bool ram_has(const vgpu_source *s, uint64_t gpa, uint64_t len)
{
        uint64_t left = 0;

        while (piece_at(s, gpa, &left) != NULL) {
                if (len <= left)
                        return true;
                len -= left;
                gpa += left;
        }
        return false;
}

/* An extent lies in one piece, unless two pieces meet in guest-physical space only. */
static int copy_extent(const vgpu_source *s, const struct gva_extent *e, uint8_t *dst)
{
        uint64_t gpa = e->gpa, todo = e->len;

        /* As a whole and first: a length that runs out of RAM must not run out of @dst. */
        if (!ram_has(s, gpa, todo))
                return -EFAULT;
        while (todo > 0) {
                uint64_t left = 0;
                const uint8_t *src = ram_at(s, gpa, &left);
                uint64_t n = todo < left ? todo : left;

                memcpy(dst, src, n);
                dst += n;
                gpa += n;
                todo -= n;
        }
        return 0;
}

/*
 * Pages of a frame are scattered and the hardware's prefetchers stop at a page's end, so nobody else asks for the head
 * of the next extent (and its TLB entry) while this one is copied.
 */
static void prefetch_extent(const vgpu_source *s, const struct gva_extent *e)
{
        uint64_t left = 0;
        const uint8_t *src = ram_at(s, e->gpa, &left);

        if (src != NULL)
                __builtin_prefetch(src, 0, 0);
}

static void gather_body(void *arg)
{
        struct gather *g = arg;

        for (size_t i = 0; i < g->n_extents && g->error == 0; i++) {
                const struct gva_extent *e = &g->extents[i];

                if (i + 1 < g->n_extents)
                        prefetch_extent(g->s, e + 1);
                g->error = copy_extent(g->s, e, g->dst + (e->offset - g->base_offset));
        }
}

int vgpu_source_gather(vgpu_source *s, const struct gva_extent *extents, size_t n_extents,
        uint64_t base_offset, uint8_t *dst)
{
        struct gather g = {
                .s = s,
                .extents = extents,
                .n_extents = n_extents,
                .base_offset = base_offset,
                .dst = dst,
        };

        if (guard_run(s->map, s->ram_size, gather_body, &g) < 0)
                return reason_of_fault(s);
        return g.error;
}

/* ---- as memory values -------------------------------------------------------------------------------------------- */

static const struct vmie_mem_ops pread_ops = { .read = read_by_pread };
static const struct vmie_mem_ops map_ops = { .read = read_by_map };

static vmie_mem mem_over(vgpu_source *s, const struct vmie_mem_ops *ops)
{
        return (vmie_mem){
                .ops = ops,
                .ctx = s,
                .extents = s->extents,
                .n_extents = s->layout.n_pieces,
                .levels = 4,
        };
}

void vgpu_source_mem_pread(vgpu_source *s, vmie_mem *ret_mem)
{
        *ret_mem = mem_over(s, &pread_ops);
}

void vgpu_source_mem_map(vgpu_source *s, vmie_mem *ret_mem)
{
        *ret_mem = mem_over(s, &map_ops);
}

int vgpu_source_check(const vgpu_source *s, const char *path)
{
        struct stat st;

        if (fstat(s->fd, &st) < 0)
                return -errno;
        if ((uint64_t)st.st_size < s->ram_size)
                return -ESTALE;
        if (stat(path, &st) < 0)
                return reason_of_open(errno) == VGPU_SOURCE_MISSING ? -ENOENT : -errno;
        return st.st_dev == s->dev && st.st_ino == s->ino ? 0 : -ESTALE;
}
