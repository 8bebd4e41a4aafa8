/* image_test.c - a frame's pixels as a picture, format by format */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "image.h"

#define W      4
#define H      3
#define STRIDE 48 /* wider than any row */

/* Pixels as the fourcc's definition has them: little-endian words. */
struct format_case {
        const char *fourcc;
        unsigned bytes;
        unsigned channels, depth;
        uint64_t black, red, green, blue, white;
};

static const struct format_case formats[] = {
        { "AR24", 4, 4, 8, 0xff000000, 0xffff0000, 0xff00ff00, 0xff0000ff, 0xffffffff },
        { "XR24", 4, 3, 8, 0x00000000, 0x00ff0000, 0x0000ff00, 0x000000ff, 0x00ffffff },
        { "AB24", 4, 4, 8, 0xff000000, 0xff0000ff, 0xff00ff00, 0xffff0000, 0xffffffff },
        { "XB24", 4, 3, 8, 0x00000000, 0x000000ff, 0x0000ff00, 0x00ff0000, 0x00ffffff },
        { "AR30", 4, 4, 16, 0xc0000000, 0xfff00000, 0xc00ffc00, 0xc00003ff, 0xffffffff },
        { "AB30", 4, 4, 16, 0xc0000000, 0xc00003ff, 0xc00ffc00, 0xfff00000, 0xffffffff },
        { "AB4H", 8, 4, 8, 0x3c00000000000000, 0x3c00000000003c00, 0x3c0000003c000000,
                0x3c003c0000000000, 0x3c003c003c003c00 },
};

#define N_FORMATS (sizeof formats / sizeof formats[0])

static uint32_t fourcc_of(const char *text)
{
        uint32_t fourcc;

        memcpy(&fourcc, text, 4);
        return fourcc;
}

static void put(uint8_t *frame, const struct format_case *f, unsigned x, unsigned y, uint64_t pixel)
{
        memcpy(frame + y * STRIDE + x * f->bytes, &pixel, f->bytes);
}

/* A channel of the picture as 16 bits. */
static unsigned channel(const struct image *image, unsigned x, unsigned y, unsigned c)
{
        const uint8_t *p = image->pixels + y * image->row_bytes +
                           (size_t)(x * image->channels + c) * (image->depth / 8);

        return image->depth == 8 ? p[0] * 0x101u : p[0] * 0x100u + p[1];
}

static void assert_color(
        const struct image *image, unsigned x, unsigned y, unsigned r, unsigned g, unsigned b)
{
        assert_int_equal(channel(image, x, y, 0), r);
        assert_int_equal(channel(image, x, y, 1), g);
        assert_int_equal(channel(image, x, y, 2), b);
        if (image->channels == 4)
                assert_int_equal(channel(image, x, y, 3), 0xffff);
}

static void red_is_red_and_top_left_is_top_left_in_every_format(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_FORMATS; i++) {
                const struct format_case *f = &formats[i];
                uint8_t frame[H * STRIDE];
                struct image image;

                memset(frame, 0x5a, sizeof frame); /* padding that must not be seen */
                for (unsigned y = 0; y < H; y++)
                        for (unsigned x = 0; x < W; x++)
                                put(frame, f, x, y, f->black);
                put(frame, f, 0, 0, f->red);
                put(frame, f, W - 1, 0, f->green);
                put(frame, f, 0, H - 1, f->blue);
                put(frame, f, W - 1, H - 1, f->white);

                assert_int_equal(image_from_frame(frame, sizeof frame, W, H, STRIDE,
                                         fourcc_of(f->fourcc), &image),
                        0);
                assert_int_equal(image.channels, f->channels);
                assert_int_equal(image.depth, f->depth);
                assert_color(&image, 0, 0, 0xffff, 0, 0);
                assert_color(&image, W - 1, 0, 0, 0xffff, 0);
                assert_color(&image, 0, H - 1, 0, 0, 0xffff);
                assert_color(&image, W - 1, H - 1, 0xffff, 0xffff, 0xffff);
                assert_color(&image, 1, 1, 0, 0, 0);
                image_deinit(&image);
        }
}

static struct image one_pixel(const char *fourcc, uint64_t pixel, unsigned bytes)
{
        struct image image;

        assert_int_equal(
                image_from_frame(&pixel, bytes, 1, 1, bytes, fourcc_of(fourcc), &image), 0);
        return image;
}

static void alpha_is_kept_where_the_format_has_it(void **state)
{
        struct image image = one_pixel("AR24", 0x80102030, 4);

        (void)state;
        assert_int_equal(channel(&image, 0, 0, 3), 0x8080);
        image_deinit(&image);
        image = one_pixel("AR30", 0x40000000, 4);
        assert_int_equal(channel(&image, 0, 0, 3), 0x5555);
        image_deinit(&image);
}

static void ten_bits_stay_ten_bits(void **state)
{
        struct image image = one_pixel("AR30", 0xc0000000 | 0x201u << 20 | 0x001 << 10 | 0x3fe, 4);

        (void)state;
        assert_int_equal(channel(&image, 0, 0, 0) >> 6, 0x201);
        assert_int_equal(channel(&image, 0, 0, 1) >> 6, 0x001);
        assert_int_equal(channel(&image, 0, 0, 2) >> 6, 0x3fe);
        image_deinit(&image);
}

/* A grey half float as the picture's 8 bits. */
static unsigned grey(uint16_t half)
{
        struct image image = one_pixel("AB4H",
                UINT64_C(0x3c00) << 48 | (uint64_t)half << 32 | (uint64_t)half << 16 | half, 8);
        unsigned value = image.pixels[1];

        image_deinit(&image);
        return value;
}

static void half_floats_are_clamped_and_encoded_as_srgb(void **state)
{
        (void)state;
        assert_int_equal(grey(0x0000), 0);
        assert_int_equal(grey(0x3c00), 255);
        assert_int_equal(grey(0x3800), 188); /* 0.5 linear */
        assert_int_equal(grey(0x3266), 124); /* 0.2 linear */
        assert_int_equal(grey(0x0001), 0);   /* subnormal */
        assert_int_equal(grey(0x4900), 255); /* 10: brighter than SDR white */
        assert_int_equal(grey(0xbc00), 0);   /* -1: outside the gamut */
        assert_int_equal(grey(0x7c00), 255); /* infinity */
        assert_int_equal(grey(0xfc00), 0);
        assert_int_equal(grey(0x7e00), 0); /* NaN */
}

static void what_does_not_fit_is_refused(void **state)
{
        static uint8_t frame[64];
        struct image image;
        uint32_t xr24 = fourcc_of("XR24");

        (void)state;
        assert_int_equal(
                image_from_frame(frame, 64, 4, 4, 16, fourcc_of("NV12"), &image), -ENOTSUP);
        assert_int_equal(image_from_frame(frame, 64, 0, 4, 16, xr24, &image), -EINVAL);
        assert_int_equal(image_from_frame(frame, 64, 4, 0, 16, xr24, &image), -EINVAL);
        assert_int_equal(image_from_frame(frame, 64, 5, 3, 16, xr24, &image), -EINVAL);
        assert_int_equal(image_from_frame(frame, 64, 4, 5, 16, xr24, &image), -EINVAL);
        assert_int_equal(image_from_frame(frame, 63, 4, 4, 16, xr24, &image), -EINVAL);
        assert_int_equal(image_from_frame(frame, 64, 0x40000001, 1, 4, xr24, &image), -EINVAL);
        assert_int_equal(
                image_from_frame(frame, 64, 1, UINT32_MAX, UINT32_MAX, xr24, &image), -EINVAL);
}

static void the_last_row_needs_no_padding(void **state)
{
        static const uint8_t frame[16 + 4];
        struct image image;

        (void)state;
        assert_int_equal(
                image_from_frame(frame, sizeof frame, 1, 2, 16, fourcc_of("XR24"), &image), 0);
        image_deinit(&image);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(red_is_red_and_top_left_is_top_left_in_every_format),
                cmocka_unit_test(alpha_is_kept_where_the_format_has_it),
                cmocka_unit_test(ten_bits_stay_ten_bits),
                cmocka_unit_test(half_floats_are_clamped_and_encoded_as_srgb),
                cmocka_unit_test(what_does_not_fit_is_refused),
                cmocka_unit_test(the_last_row_needs_no_padding),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
