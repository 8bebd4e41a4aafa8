/*
 * source.c - RAM files as guest-physical memory: opened, measured, laid out
 *
 * Two readings because each is wrong for the other's job: reading a hole of a sparse file through a map makes the host
 * allocate the page, so a scan over a guest's RAM would make it resident; and a system call per page costs three times
 * the copy of a frame. Both read the same descriptors, opened O_RDONLY: no code path here, and no bug in one, can write to a
 * guest.
 */
#include "copy.h"
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
        case VGPU_SOURCE_BAD_LAYOUT:
                return "the layout of RAM has pieces that overlap, or lie outside its files";
        case VGPU_SOURCE_IMAGE_BROKEN:
                return "the image is damaged: its headers contradict themselves or the file's size";
        case VGPU_SOURCE_IMAGE_KIND:
                return "an image of a kind that does not hold all of an x86-64 machine's memory";
        case VGPU_SOURCE_WRITABLE:
                return "the descriptor that was passed in is not open for reading only";
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
        default:
                return VGPU_SOURCE_OPEN_FAILED;
        }
}

/* ---- files -------------------------------------------------------------------------------------------------------- */

/*
 * For reading if it is a regular file; else *ret_fd is -1. Opening a device can do things (it starts a watchdog, it rewinds
 * a tape), and a path may be a machine's own word: what is there is looked at first. Return: 0 and *ret_st, or -errno.
 */
static int open_regular(const char *path, struct stat *ret_st, int *ret_fd)
{
        char again[32];
        int at, r = 0;

        *ret_fd = -1;
        at = open(path, O_PATH | O_CLOEXEC);
        if (at < 0)
                return -errno;
        snprintf(again, sizeof(again), "/proc/self/fd/%d", at);
        if (fstat(at, ret_st) < 0)
                r = -errno;
        else if (S_ISREG(ret_st->st_mode) && (*ret_fd = open(again, O_RDONLY | O_CLOEXEC)) < 0)
                r = -errno;
        close(at);
        return r;
}

static enum vgpu_source_reason take_measure(struct source_file *f, const struct stat *st)
{
        f->size = (uint64_t)st->st_size;
        f->dev = st->st_dev;
        f->ino = st->st_ino;
        if (!S_ISREG(st->st_mode))
                return VGPU_SOURCE_NOT_A_FILE;
        return st->st_size == 0 ? VGPU_SOURCE_EMPTY : VGPU_SOURCE_OK;
}

struct vgpu_source_failure source_add_file(vgpu_source *s, const char *path)
{
        struct vgpu_source_failure why = { .file = (unsigned)s->n_files };
        struct source_file *f = &s->file[s->n_files];
        struct stat st;
        int r;

        *f = (struct source_file){ .path = strdup(path) };
        r = open_regular(path, &st, &f->fd);
        s->n_files++;
        why.error = f->path == NULL ? ENOMEM : -r;
        if (why.error != 0) {
                why.reason = reason_of_open(why.error);
                return why;
        }
        why.reason = take_measure(f, &st);
        return why;
}

struct vgpu_source_failure source_take_file(vgpu_source *s, int fd)
{
        struct vgpu_source_failure why = { .file = (unsigned)s->n_files };
        struct source_file *f = &s->file[s->n_files];
        int flags = fcntl(fd, F_GETFL);
        struct stat st;

        *f = (struct source_file){ .fd = fcntl(fd, F_DUPFD_CLOEXEC, 3) };
        s->n_files++;
        if (flags < 0 || f->fd < 0 || fstat(f->fd, &st) < 0) {
                why.error = errno;
                why.reason = reason_of_open(why.error);
        } else if ((flags & (O_ACCMODE | O_PATH)) != O_RDONLY) {
                why.reason = VGPU_SOURCE_WRITABLE;
        } else {
                why.reason = take_measure(f, &st);
                f->linked = st.st_nlink > 0;
        }
        return why;
}

/*
 * How much of each file is RAM: all of it, or what a given size leaves for the last one. A size is what the admin typed or
 * what the file has.
 */
static struct vgpu_source_failure measure_files(vgpu_source *s, uint64_t ram_size)
{
        struct vgpu_source_failure why = { .want = ram_size };
        uint64_t left = ram_size;

        for (size_t i = 0; i < s->n_files; i++) {
                struct source_file *f = &s->file[i];
                bool last = i + 1 == s->n_files;

                why.have += f->size;
                why.file = (unsigned)i;
                if (ram_size != 0 && f->size >= left && !last)
                        why.reason = VGPU_SOURCE_BAD_SIZE;
                else if (ram_size != 0 && last && f->size < left)
                        why.reason = VGPU_SOURCE_TOO_SHORT;
                else if (ram_size != 0 && last)
                        f->size = left;
                if (why.reason == VGPU_SOURCE_OK && f->size % GVA_PAGE_BYTES != 0)
                        why.reason = VGPU_SOURCE_BAD_SIZE;
                if (why.reason != VGPU_SOURCE_OK) {
                        why.want = ram_size != 0 ? ram_size : f->size;
                        return why;
                }
                left -= f->size;
        }
        return (struct vgpu_source_failure){ 0 };
}

/* ---- pieces ------------------------------------------------------------------------------------------------------- */

static bool pieces_are_sound(
        const vgpu_source *s, const struct vgpu_layout_piece *pieces, size_t n_pieces)
{
        uint64_t end = 0;

        for (size_t i = 0; i < n_pieces; i++) {
                const struct vgpu_layout_piece *p = &pieces[i];

                if (p->len == 0 || p->file >= s->n_files || p->gpa < end ||
                        __builtin_add_overflow(p->gpa, p->len, &end))
                        return false;
        }
        return n_pieces > 0;
}

struct vgpu_source_failure source_set_pieces(
        vgpu_source *s, const struct vgpu_layout_piece *pieces, size_t n_pieces)
{
        if (!pieces_are_sound(s, pieces, n_pieces))
                return (struct vgpu_source_failure){ .reason = VGPU_SOURCE_BAD_LAYOUT };
        for (size_t i = 0; i < n_pieces; i++) {
                const struct vgpu_layout_piece *p = &pieces[i];
                uint64_t size = s->file[p->file].size;

                if (p->len > size || p->offset > size - p->len)
                        return (struct vgpu_source_failure){ .reason = VGPU_SOURCE_TOO_SHORT,
                                .want = p->offset + p->len,
                                .have = size,
                                .file = p->file };
        }
        s->piece = calloc(n_pieces, sizeof(*s->piece));
        s->extent = calloc(n_pieces, sizeof(*s->extent));
        if (s->piece == NULL || s->extent == NULL)
                return (struct vgpu_source_failure){ .reason = VGPU_SOURCE_OPEN_FAILED,
                        .error = ENOMEM };
        for (size_t i = 0; i < n_pieces; i++) {
                s->piece[i] = pieces[i];
                s->extent[i] = (struct gpa_extent){ .gpa = pieces[i].gpa, .len = pieces[i].len };
                s->ram_size += pieces[i].len;
        }
        s->n_pieces = n_pieces;
        return (struct vgpu_source_failure){ 0 };
}

const struct vgpu_layout_piece *source_piece_at(
        const vgpu_source *s, uint64_t gpa, uint64_t *ret_left)
{
        size_t low = 0, high = s->n_pieces;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                const struct vgpu_layout_piece *p = &s->piece[middle];

                if (gpa < p->gpa) {
                        high = middle;
                } else if (gpa - p->gpa >= p->len) {
                        low = middle + 1;
                } else {
                        *ret_left = p->len - (gpa - p->gpa);
                        return p;
                }
        }
        return NULL;
}

const struct vgpu_layout_piece *vgpu_source_pieces(const vgpu_source *s, size_t *ret_n)
{
        *ret_n = s->n_pieces;
        return s->piece;
}

uint64_t vgpu_source_ram_size(const vgpu_source *s)
{
        return s->ram_size;
}

void vgpu_source_file(const vgpu_source *s, size_t i, dev_t *ret_dev, ino_t *ret_ino)
{
        *ret_dev = s->file[i].dev;
        *ret_ino = s->file[i].ino;
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

vgpu_source *source_new(void)
{
        vgpu_source *s = calloc(1, sizeof(*s));

        if (s != NULL) {
                s->pidfd = -1;
                s->copy = copy_kind_for(VGPU_COPY_AUTO);
        }
        return s;
}

int vgpu_source_use_uring(vgpu_source *s)
{
        int r = source_uring_start(s);

        if (r == 0)
                source_unmap(s);
        return r;
}

static struct vgpu_source_failure add_files(
        vgpu_source *s, const char *const *paths, size_t n_paths)
{
        struct vgpu_source_failure why = { .reason = VGPU_SOURCE_BAD_LAYOUT };

        if (n_paths == 0 || n_paths > VGPU_SOURCE_FILES_MAX)
                return why;
        why.reason = VGPU_SOURCE_OK;
        for (size_t i = 0; i < n_paths && why.reason == VGPU_SOURCE_OK; i++)
                why = source_add_file(s, paths[i]);
        return why;
}

/* QEMU's own layout for this machine, over the files' sizes. */
static struct vgpu_source_failure lay_out(vgpu_source *s, enum vgpu_machine machine)
{
        uint64_t sizes[VGPU_SOURCE_FILES_MAX], total = 0;
        struct vgpu_layout layout;

        for (size_t i = 0; i < s->n_files; i++)
                total += sizes[i] = s->file[i].size;
        if (vgpu_layout_split(machine, sizes, s->n_files, &layout) < 0)
                return (struct vgpu_source_failure){
                        .reason = VGPU_SOURCE_BAD_SIZE, .want = total, .have = total
                };
        return source_set_pieces(s, layout.piece, layout.n_pieces);
}

/* Hands @s over when all went well, closes it otherwise. */
static vgpu_source *finish(
        vgpu_source *s, struct vgpu_source_failure why, struct vgpu_source_failure *reterr_why)
{
        if (s == NULL)
                why = (struct vgpu_source_failure){ .reason = VGPU_SOURCE_OPEN_FAILED,
                        .error = ENOMEM };
        else if (why.reason == VGPU_SOURCE_OK)
                why = source_map(s);
        /* A filesystem without maps, or no room for one this large: there is another way. */
        if (why.reason == VGPU_SOURCE_MAP_FAILED && vgpu_source_use_uring(s) == 0)
                why.reason = VGPU_SOURCE_OK;
        if (why.reason == VGPU_SOURCE_OK)
                return s;
        if (reterr_why != NULL)
                *reterr_why = why;
        return vgpu_source_close(s);
}

/* From what adding the files said on. */
static struct vgpu_source_failure lay_out_by_size(vgpu_source *s, struct vgpu_source_failure why,
        enum vgpu_machine machine, uint64_t ram_size)
{
        if (why.reason == VGPU_SOURCE_EMPTY)
                why.want = ram_size;
        if (why.reason == VGPU_SOURCE_OK)
                why = measure_files(s, ram_size);
        if (why.reason == VGPU_SOURCE_OK)
                why = lay_out(s, machine);
        return why;
}

vgpu_source *vgpu_source_open_files(const char *const *paths, size_t n_paths,
        enum vgpu_machine machine, uint64_t ram_size, struct vgpu_source_failure *reterr_why)
{
        struct vgpu_source_failure why = { 0 };
        vgpu_source *s = source_new();

        if (s != NULL)
                why = lay_out_by_size(s, add_files(s, paths, n_paths), machine, ram_size);
        return finish(s, why, reterr_why);
}

vgpu_source *vgpu_source_open(const char *path, enum vgpu_machine machine, uint64_t ram_size,
        struct vgpu_source_failure *reterr_why)
{
        return vgpu_source_open_files(&path, 1, machine, ram_size, reterr_why);
}

vgpu_source *vgpu_source_open_layout(const char *const *paths, size_t n_paths,
        const struct vgpu_layout *layout, struct vgpu_source_failure *reterr_why)
{
        struct vgpu_source_failure why = { 0 };
        vgpu_source *s = source_new();

        if (s != NULL) {
                why = add_files(s, paths, n_paths);
                if (why.reason == VGPU_SOURCE_OK)
                        why = source_set_pieces(s, layout->piece, layout->n_pieces);
        }
        return finish(s, why, reterr_why);
}

static struct vgpu_source_failure take_files(
        vgpu_source *s, const int *fds, size_t n_fds, int pidfd)
{
        struct vgpu_source_failure why = { .reason = VGPU_SOURCE_BAD_LAYOUT };

        if (n_fds == 0 || n_fds > VGPU_SOURCE_FILES_MAX)
                return why;
        why.reason = VGPU_SOURCE_OK;
        for (size_t i = 0; i < n_fds && why.reason == VGPU_SOURCE_OK; i++)
                why = source_take_file(s, fds[i]);
        if (why.reason != VGPU_SOURCE_OK || pidfd < 0)
                return why;
        s->pidfd = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);
        if (s->pidfd < 0) {
                why.error = errno;
                why.reason = VGPU_SOURCE_OPEN_FAILED;
        }
        return why;
}

vgpu_source *vgpu_source_open_handed(const int *fds, size_t n_fds, int pidfd,
        const struct vgpu_layout *layout, enum vgpu_machine machine, uint64_t ram_size,
        struct vgpu_source_failure *reterr_why)
{
        struct vgpu_source_failure why = { 0 };
        vgpu_source *s = source_new();

        if (s != NULL) {
                why = take_files(s, fds, n_fds, pidfd);
                if (layout == NULL)
                        why = lay_out_by_size(s, why, machine, ram_size);
                else if (why.reason == VGPU_SOURCE_OK)
                        why = source_set_pieces(s, layout->piece, layout->n_pieces);
        }
        return finish(s, why, reterr_why);
}

vgpu_source *vgpu_source_close(vgpu_source *s)
{
        if (s == NULL)
                return NULL;
        source_unmap(s);
        source_uring_stop(s);
        if (s->pidfd >= 0)
                close(s->pidfd);
        for (size_t i = 0; i < s->n_files; i++) {
                if (s->file[i].fd >= 0)
                        close(s->file[i].fd);
                free(s->file[i].path);
        }
        free(s->piece);
        free(s->extent);
        free(s);
        return NULL;
}

/* ---- as memory values -------------------------------------------------------------------------------------------- */

static vmie_mem mem_over(vgpu_source *s, const struct vmie_mem_ops *ops)
{
        return (vmie_mem){
                .ops = ops,
                .ctx = s,
                .extents = s->extent,
                .n_extents = s->n_pieces,
        };
}

void vgpu_source_mem_pread(vgpu_source *s, vmie_mem *ret_mem)
{
        *ret_mem = mem_over(s, s->way->scan);
}

void vgpu_source_mem_map(vgpu_source *s, vmie_mem *ret_mem)
{
        *ret_mem = mem_over(s, s->way->frame);
}

/* ---- gathering --------------------------------------------------------------------------------------------------- */

const char *vgpu_source_set_copy(vgpu_source *s, enum vgpu_copy way)
{
        s->copy = copy_kind_for(way);
        return s->copy->name;
}

/* source_piece_at(), which thousands of pages of a frame ask for in turn that lie in one piece or two. */
static const struct vgpu_layout_piece *piece_near(const vgpu_source *s,
        const struct vgpu_layout_piece **last, uint64_t gpa, uint64_t *ret_left)
{
        const struct vgpu_layout_piece *p = *last;

        if (p != NULL && gpa - p->gpa < p->len)
                *ret_left = p->len - (gpa - p->gpa);
        else
                *last = p = source_piece_at(s, gpa, ret_left);
        return p;
}

static bool ram_has(
        const vgpu_source *s, const struct vgpu_layout_piece **last, uint64_t gpa, uint64_t len)
{
        uint64_t left = 0;

        while (piece_near(s, last, gpa, &left) != NULL) {
                if (len <= left)
                        return true;
                len -= left;
                gpa += left;
        }
        return false;
}

bool source_next_stretch(struct source_walk *w, struct source_stretch *ret)
{
        for (; w->i < w->n_extents; w->i++, w->done = 0) {
                const struct gva_extent *e = &w->extents[w->i];
                uint8_t *dst = w->dst + (e->offset - w->base_offset) + w->done;
                uint64_t gpa = e->gpa + w->done, len = e->len - w->done, left = 0;
                const struct vgpu_layout_piece *p;

                if (len > 0 && gpa_is_zeros(gpa)) {
                        memset(dst, 0, len);
                        continue;
                }
                p = len > 0 ? piece_near(w->s, &w->last, gpa, &left) : NULL;
                if (p == NULL)
                        continue;
                if (len > left)
                        len = left;
                w->done += len;
                *ret = (struct source_stretch){ p, p->offset + (gpa - p->gpa), len, dst };
                return true;
        }
        return false;
}

int vgpu_source_gather(vgpu_source *s, const struct gva_extent *extents, size_t n_extents,
        uint64_t base_offset, uint8_t *dst)
{
        const struct vgpu_layout_piece *last = NULL;

        /* As a whole and first: a length that runs out of RAM must not run out of @dst. */
        for (size_t i = 0; i < n_extents; i++)
                if (!gpa_is_zeros(extents[i].gpa) &&
                        !ram_has(s, &last, extents[i].gpa, extents[i].len))
                        return -EFAULT;
        return s->way->gather(s, extents, n_extents, base_offset, dst);
}

bool vgpu_source_is_shareable(const vgpu_source *s)
{
        return s->map != NULL;
}

/* ---- later -------------------------------------------------------------------------------------------------------- */

static int check_file(const struct source_file *f)
{
        struct stat st;

        if (f->fd < 0) /* the address space of a process */
                return 0;
        if (fstat(f->fd, &st) < 0)
                return -errno;
        if ((uint64_t)st.st_size < f->size)
                return -ESTALE;
        if (f->path == NULL)
                return f->linked && st.st_nlink == 0 ? -ENOENT : 0;
        if (stat(f->path, &st) < 0)
                return reason_of_open(errno) == VGPU_SOURCE_MISSING ? -ENOENT : -errno;
        return st.st_dev == f->dev && st.st_ino == f->ino ? 0 : -ESTALE;
}

int vgpu_source_check(const vgpu_source *s)
{
        struct pollfd ended = { .fd = s->pidfd, .events = POLLIN };
        int r = 0;

        if (s->pidfd >= 0 && poll(&ended, 1, 0) != 0)
                return -ENOENT;
        for (size_t i = 0; i < s->n_files && r == 0; i++)
                r = check_file(&s->file[i]);
        return r;
}
