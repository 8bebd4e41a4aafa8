/* image.c - see vgpu_image.h */
#include "image.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *vgpu_image_kind_text(enum vgpu_image_kind kind)
{
        switch (kind) {
        case VGPU_IMAGE_RAW:
                return "raw memory";
        case VGPU_IMAGE_ELF_CORE:
                return "ELF core";
        case VGPU_IMAGE_CRASH_FULL:
                return "Windows crash dump";
        case VGPU_IMAGE_CRASH_BITMAP:
                return "Windows crash dump with a bitmap";
        }
        return "unknown";
}

int image_read(const struct image *image, void *dst, size_t len, uint64_t offset)
{
        if (offset > image->size || len > image->size - offset)
                return -EBADMSG;
        return source_pread(image->fd, dst, len, offset) < 0 ? -EIO : 0;
}

int image_add(struct image *image, uint64_t gpa, uint64_t offset, uint64_t len)
{
        size_t cap = image->cap ? image->cap * 2 : 64;
        struct vgpu_layout_piece *piece;

        if (len == 0)
                return 0;
        if (offset > image->size || len > image->size - offset || gpa + len < gpa ||
                image->n_pieces == IMAGE_MAX_PIECES)
                return -EBADMSG;
        if (image->n_pieces == image->cap) {
                piece = reallocarray(image->piece, cap, sizeof(*piece));
                if (piece == NULL)
                        return -ENOMEM;
                image->piece = piece;
                image->cap = cap;
        }
        image->piece[image->n_pieces++] =
                (struct vgpu_layout_piece){ .gpa = gpa, .offset = offset, .len = len };
        return 0;
}

static int by_address(const void *a, const void *b)
{
        const struct vgpu_layout_piece *p = a, *q = b;

        return p->gpa < q->gpa ? -1 : p->gpa > q->gpa;
}

/* A core may hold the same memory several times, once for each of its mappings: the first stands for all. */
static void drop_repeats(struct image *image)
{
        uint64_t end = 0;
        size_t n = 0;

        qsort(image->piece, image->n_pieces, sizeof(image->piece[0]), by_address);
        for (size_t i = 0; i < image->n_pieces; i++) {
                struct vgpu_layout_piece p = image->piece[i];
                uint64_t skip = p.gpa < end ? end - p.gpa : 0;

                if (skip >= p.len)
                        continue;
                p.gpa += skip;
                p.offset += skip;
                p.len -= skip;
                end = p.gpa + p.len;
                image->piece[n++] = p;
        }
        image->n_pieces = n;
}

static int parse(struct image *image)
{
        char magic[8] = "";
        int r;

        image_read(image, magic, sizeof(magic), 0);
        if (memcmp(magic, ELFMAG, SELFMAG) == 0)
                r = image_parse_elf(image);
        else if (memcmp(magic, "PAGEDU64", 8) == 0)
                r = image_parse_crash(image);
        else if (memcmp(magic, "PAGEDUMP", 8) == 0 || memcmp(magic, "KDUMP   ", 8) == 0)
                r = -ENOTSUP; /* a 32-bit crash dump; a compressed core */
        else
                return 0;
        if (r == 0 && image->n_pieces == 0)
                r = -EBADMSG;
        if (r == 0)
                drop_repeats(image);
        return r;
}

static struct vgpu_source_failure failure_of(int error)
{
        switch (error) {
        case -EBADMSG:
                return (struct vgpu_source_failure){ .reason = VGPU_SOURCE_IMAGE_BROKEN };
        case -ENOTSUP:
                return (struct vgpu_source_failure){ .reason = VGPU_SOURCE_IMAGE_KIND };
        default:
                return (struct vgpu_source_failure){ .reason = VGPU_SOURCE_OPEN_FAILED,
                        .error = -error };
        }
}

/* Fills @s from the headers. @image->info.kind stays VGPU_IMAGE_RAW when there are none. */
static struct vgpu_source_failure open_image(vgpu_source *s, const char *path, struct image *image)
{
        struct vgpu_source_failure why = source_add_file(s, path);
        int r;

        if (why.reason != VGPU_SOURCE_OK)
                return why;
        image->fd = s->file[0].fd;
        image->size = s->file[0].size;
        r = parse(image);
        if (r < 0)
                return failure_of(r);
        if (image->info.kind == VGPU_IMAGE_RAW)
                return why;
        why = source_set_pieces(s, image->piece, image->n_pieces);
        if (why.reason == VGPU_SOURCE_OK)
                why = source_map(s);
        /* As for RAM files: where there is no map, there is another way. */
        if (why.reason == VGPU_SOURCE_MAP_FAILED && vgpu_source_use_uring(s) == 0)
                why.reason = VGPU_SOURCE_OK;
        return why;
}

vgpu_source *vgpu_image_open(const char *path, enum vgpu_machine machine, uint64_t ram_size,
        struct vgpu_image_info *ret_info, struct vgpu_source_failure *reterr_why)
{
        struct vgpu_source_failure why = { .reason = VGPU_SOURCE_OPEN_FAILED, .error = ENOMEM };
        struct image image = { .info = { .kind = VGPU_IMAGE_RAW } };
        vgpu_source *s = source_new();

        if (s != NULL)
                why = open_image(s, path, &image);
        free(image.piece);
        if (why.reason != VGPU_SOURCE_OK || image.info.kind == VGPU_IMAGE_RAW)
                s = vgpu_source_close(s);
        if (why.reason == VGPU_SOURCE_OK && image.info.kind == VGPU_IMAGE_RAW)
                s = vgpu_source_open(path, machine, ram_size, &why);
        if (s == NULL && reterr_why != NULL)
                *reterr_why = why;
        else if (s != NULL && ret_info != NULL)
                *ret_info = image.info;
        return s;
}
