/*
 * image.h - a picture on its way from a frame's pixels to a file
 *
 * Rows run from the top, pixels from the left, channels are R, G, B and perhaps A: what PNG wants. Formats of 8
 * bits a channel stay 8 bits; 10 bits become 16 so that nothing is lost. Half floats are linear scRGB, where
 * 1.0 is SDR white: they are clamped to 0..1 and encoded as sRGB in 8 bits.
 */
#ifndef CTL_IMAGE_H
#define CTL_IMAGE_H

#include <stddef.h>
#include <stdint.h>

struct image {
        uint32_t width, height;
        unsigned channels; /* 3 or 4 */
        unsigned depth;    /* bits per channel: 8, or 16 with the high byte first */
        size_t row_bytes;
        uint8_t *pixels; /* height * row_bytes; owned */
};

/**
 * image_from_frame() - convert a frame
 * @pixels: the frame; @len bytes of them may be read
 * @stride: bytes from one row to the next
 * @fourcc: AR24, XR24, AB24, XB24, AR30, AB30 or AB4H
 *
 * Return: 0 and *ret_image (release with image_deinit()), -ENOTSUP (another format), -EINVAL (no pixels, or the
 * rows do not fit in @len), -ENOMEM.
 */
int image_from_frame(const void *pixels, size_t len, uint32_t width, uint32_t height,
        uint32_t stride, uint32_t fourcc, struct image *ret_image);

/* Frees the pixels; an empty image is fine. */
void image_deinit(struct image *image);

/* Sets one opaque pixel, R, G, B of 8 bits; outside the picture nothing happens. */
void image_put(struct image *image, int64_t x, int64_t y, uint8_t r, uint8_t g, uint8_t b);

#endif /* CTL_IMAGE_H */
