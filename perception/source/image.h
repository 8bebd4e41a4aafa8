/* image.h - between image.c, which tells kinds apart, and the parsers that find the pieces of each */
#ifndef VGPU_SOURCE_IMAGE_H
#define VGPU_SOURCE_IMAGE_H

#include "source.h"
#include "vgpu_image.h"

/* More stretches of memory than any real dump has: what a damaged one may cost. */
#define IMAGE_MAX_PIECES (1u << 18)

struct image {
        int fd;
        uint64_t size;
        struct vgpu_layout_piece *piece;
        size_t n_pieces, cap;
        struct vgpu_image_info info;
};

/* Read a header's bytes. Return: 0, -EBADMSG (beyond the end of the file), -EIO. */
int image_read(const struct image *image, void *dst, size_t len, uint64_t offset);

/* One more stretch, in any order; what is empty is left out. Return: 0, -EBADMSG (not in the file, too many), -ENOMEM. */
int image_add(struct image *image, uint64_t gpa, uint64_t offset, uint64_t len);

/*
 * Parsers fill in pieces and info. Return: 0, -EBADMSG (the headers contradict themselves or the file), -ENOTSUP (a kind
 * that does not hold all memory of an x86-64 machine), -EIO, -ENOMEM.
 */
int image_parse_elf(struct image *image);
int image_parse_crash(struct image *image);

#endif /* VGPU_SOURCE_IMAGE_H */
