/*
 * source.h - a source from the inside: files, pieces, and how they are read
 *
 * source.c opens and closes; source_mmap.c, source_uring.c and source_process.c are ways of reading, of which a source has
 * one; image.c finds the pieces of an image in its headers.
 */
#ifndef VGPU_SOURCE_SOURCE_H
#define VGPU_SOURCE_SOURCE_H

#include "vgpu_source.h"

struct source_file {
        int fd;
        char *path;    /* as it was opened; NULL: it was handed over */
        uint64_t size; /* bytes of it that pieces may use */
        uint64_t at;   /* of its first byte in the map */
        dev_t dev;
        ino_t ino;
        bool linked; /* it had a name when it was handed over */
};

struct copy_kind;
struct source_uring;

/* How a source is read. */
struct source_way {
        const struct vmie_mem_ops *scan;  /* without a trace: vgpu_source_mem_pread() */
        const struct vmie_mem_ops *frame; /* fast: vgpu_source_mem_map() */

        /* As vgpu_source_gather(); every extent was found to be RAM, or zeros. */
        int (*gather)(vgpu_source *s, const struct gva_extent *extents, size_t n_extents,
                uint64_t base_offset, uint8_t *dst);
};

struct vgpu_source {
        const struct source_way *way;
        struct source_file file[VGPU_SOURCE_FILES_MAX];
        size_t n_files;

        struct vgpu_layout_piece
                *piece;            /* ascending by gpa, not overlapping, each within its file */
        struct gpa_extent *extent; /* the same as a vmie_mem wants it */
        size_t n_pieces;
        uint64_t ram_size; /* of all pieces */

        struct source_uring *uring; /* when it is read so */
        int pid;   /* when the memory is a process'; pieces' offsets are addresses in it */
        int pidfd; /* of the process that RAM ends with, or -1 */

        const struct copy_kind *copy; /* through the map */
        const uint8_t *map;           /* all files, one behind the other; NULL until mapped */
        void *reserved;               /* what munmap() gets */
        uint64_t reserved_len;
        uint64_t map_len;
};

/* The empty source, for vgpu_source_close() to take. NULL when memory runs out. */
vgpu_source *source_new(void);

/**
 * source_add_file() - open and measure one more file
 *
 * Return: why not, or reason VGPU_SOURCE_OK; its file.size is the file's.
 */
struct vgpu_source_failure source_add_file(vgpu_source *s, const char *path);

/* The same with one that is open; @fd is borrowed. */
struct vgpu_source_failure source_take_file(vgpu_source *s, int fd);

/**
 * source_set_pieces() - where in its files RAM is
 * @pieces: copied; from whom they are is not trusted: they are checked against each other and the files' sizes
 */
struct vgpu_source_failure source_set_pieces(
        vgpu_source *s, const struct vgpu_layout_piece *pieces, size_t n_pieces);

/* The piece with @gpa in it, or NULL; *ret_left is what it has from there on. */
const struct vgpu_layout_piece *source_piece_at(
        const vgpu_source *s, uint64_t gpa, uint64_t *ret_left);

/* source_mmap.c: all files into one range of addresses, for one guard over all of it. */
struct vgpu_source_failure source_map(vgpu_source *s);
void source_unmap(vgpu_source *s);

/* source_uring.c: instead of a map. Return: 0 or negative errno. */
int source_uring_start(vgpu_source *s);
void source_uring_stop(vgpu_source *s);

extern const struct vmie_mem_ops source_pread_ops;

/*
 * The next stretch of a gather that lies in one piece: from @extents[*i] at byte *done of it on. Zeros are written to
 * @dst on the way. False: nothing is left.
 */
struct source_stretch {
        const struct vgpu_layout_piece *piece;
        uint64_t offset; /* in its file */
        uint64_t len;
        uint8_t *dst;
};

struct source_walk {
        const vgpu_source *s;
        const struct gva_extent *extents;
        size_t n_extents;
        uint64_t base_offset;
        uint8_t *dst;
        size_t i;
        uint64_t done;
        const struct vgpu_layout_piece
                *last; /* where the last stretch was, and probably the next is */
};

bool source_next_stretch(struct source_walk *w, struct source_stretch *ret);

/* pread() until all of it is there. Return: 0, -ESTALE (the file ended), -EIO. */
int source_pread(int fd, void *dst, size_t len, uint64_t offset);

#endif /* VGPU_SOURCE_SOURCE_H */
