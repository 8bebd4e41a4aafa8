/* image.c - see image.h. One row function per family of formats; the table says which bits are which. */
#include "image.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FOURCC(a, b, c, d)                                                                         \
        ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

/*
 * Half floats have 65536 values: a table of all of them costs less than the curve for a single row of a 4K
 * frame.
 */
struct half_table {
        uint8_t color[65536];
        uint8_t alpha[65536];
};

struct format {
        uint32_t fourcc;
        unsigned bytes; /* per pixel */
        unsigned channels, depth;
        unsigned red, blue; /* bit each begins at in a pixel's little-endian word */
        void (*row)(const struct format *f, const struct half_table *half, const uint8_t *src,
                uint8_t *dst, uint32_t width);
};

static void row_8888(const struct format *f, const struct half_table *half, const uint8_t *src,
        uint8_t *dst, uint32_t width)
{
        (void)half;
        for (uint32_t x = 0; x < width; x++, src += 4, dst += f->channels) {
                dst[0] = src[f->red / 8];
                dst[1] = src[1];
                dst[2] = src[f->blue / 8];
                if (f->channels == 4)
                        dst[3] = src[3];
        }
}

static uint8_t *store_be16(uint8_t *dst, uint32_t value)
{
        *dst++ = (uint8_t)(value >> 8);
        *dst++ = (uint8_t)value;
        return dst;
}

/* Repeats the high bits below, so that all ones stay all ones. */
static uint32_t widen_10(uint32_t word, unsigned shift)
{
        uint32_t v = word >> shift & 0x3ff;

        return v << 6 | v >> 4;
}

static void row_2101010(const struct format *f, const struct half_table *half, const uint8_t *src,
        uint8_t *dst, uint32_t width)
{
        (void)half;
        for (uint32_t x = 0; x < width; x++, src += 4) {
                uint32_t word;

                memcpy(&word, src, sizeof word);
                dst = store_be16(dst, widen_10(word, f->red));
                dst = store_be16(dst, widen_10(word, 10));
                dst = store_be16(dst, widen_10(word, f->blue));
                dst = store_be16(dst, (word >> 30) * 0x5555);
        }
}

static void row_half(const struct format *f, const struct half_table *half, const uint8_t *src,
        uint8_t *dst, uint32_t width)
{
        (void)f;
        for (uint32_t x = 0; x < width; x++, src += 8, dst += 4) {
                uint16_t v[4];

                memcpy(v, src, sizeof v);
                dst[0] = half->color[v[0]];
                dst[1] = half->color[v[1]];
                dst[2] = half->color[v[2]];
                dst[3] = half->alpha[v[3]];
        }
}

static const struct format formats[] = {
        { FOURCC('A', 'R', '2', '4'), 4, 4, 8, 16, 0, row_8888 },
        { FOURCC('X', 'R', '2', '4'), 4, 3, 8, 16, 0, row_8888 },
        { FOURCC('A', 'B', '2', '4'), 4, 4, 8, 0, 16, row_8888 },
        { FOURCC('X', 'B', '2', '4'), 4, 3, 8, 0, 16, row_8888 },
        { FOURCC('A', 'R', '3', '0'), 4, 4, 16, 20, 0, row_2101010 },
        { FOURCC('A', 'B', '3', '0'), 4, 4, 16, 0, 20, row_2101010 },
        { FOURCC('A', 'B', '4', 'H'), 8, 4, 8, 0, 32, row_half },
};

static const struct format *format_of(uint32_t fourcc)
{
        for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
                if (formats[i].fourcc == fourcc)
                        return &formats[i];
        return NULL;
}

/* IEEE 754 binary16, cut to 0..1; a NaN is black rather than whatever the cast would make of it. */
static float half_to_unit(uint16_t half)
{
        unsigned exponent = half >> 10 & 31, mantissa = half & 0x3ff;

        if (half & 0x8000)
                return 0;
        if (exponent == 31)
                return mantissa ? 0 : 1;
        if (exponent >= 15)
                return 1;
        return exponent ? ldexpf((float)(mantissa | 0x400), (int)exponent - 25)
                        : ldexpf((float)mantissa, -24);
}

static float srgb_encode(float linear)
{
        return linear <= 0.0031308f ? 12.92f * linear : 1.055f * powf(linear, 1 / 2.4f) - 0.055f;
}

static struct half_table *half_table_new(void)
{
        struct half_table *t = malloc(sizeof *t);

        if (!t)
                return NULL;
        for (unsigned i = 0; i < 65536; i++) {
                float unit = half_to_unit((uint16_t)i);

                t->color[i] = (uint8_t)(srgb_encode(unit) * 255 + 0.5f);
                t->alpha[i] = (uint8_t)(unit * 255 + 0.5f);
        }
        return t;
}

/* Every row lies inside @len, and neither product overflows. */
static bool frame_fits(
        const struct format *f, size_t len, uint32_t width, uint32_t height, uint32_t stride)
{
        return width && height && stride >= (uint64_t)width * f->bytes &&
               (uint64_t)(height - 1) * stride + (uint64_t)width * f->bytes <= len;
}

int image_from_frame(const void *pixels, size_t len, uint32_t width, uint32_t height,
        uint32_t stride, uint32_t fourcc, struct image *ret_image)
{
        const struct format *f = format_of(fourcc);
        struct half_table *half = NULL;
        struct image image = { .width = width, .height = height };

        if (!f)
                return -ENOTSUP;
        if (!frame_fits(f, len, width, height, stride))
                return -EINVAL;
        image.channels = f->channels;
        image.depth = f->depth;
        image.row_bytes = (size_t)width * f->channels * (f->depth / 8);
        image.pixels = reallocarray(NULL, height, image.row_bytes);
        if (f->row == row_half)
                half = half_table_new();
        if (!image.pixels || (f->row == row_half && !half)) {
                image_deinit(&image);
                free(half);
                return -ENOMEM;
        }
        for (uint32_t y = 0; y < height; y++)
                f->row(f, half, (const uint8_t *)pixels + (size_t)y * stride,
                        image.pixels + y * image.row_bytes, width);
        free(half);
        *ret_image = image;
        return 0;
}

void image_deinit(struct image *image)
{
        free(image->pixels);
        *image = (struct image){ 0 };
}

void image_put(struct image *image, int64_t x, int64_t y, uint8_t r, uint8_t g, uint8_t b)
{
        const uint8_t color[4] = { r, g, b, 0xff };
        unsigned bytes = image->depth / 8;
        uint8_t *p;

        if (x < 0 || y < 0 || x >= image->width || y >= image->height)
                return;
        p = image->pixels + (size_t)y * image->row_bytes + (size_t)x * image->channels * bytes;
        for (unsigned c = 0; c < image->channels; c++)
                for (unsigned i = 0; i < bytes; i++)
                        *p++ = color[c];
}
