/* cursor_test.c - the pointer lands where the guest has it, and nowhere else */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cursor.h"
#include "vgpu_stream.h"

#define SIZE   64
#define GROUND 0x40

/* A grey picture, so that black and white are both seen on it. */
static struct image ground(unsigned channels, unsigned depth)
{
        struct image image = {
                .width = SIZE, .height = SIZE, .channels = channels, .depth = depth
        };

        image.row_bytes = (size_t)SIZE * channels * (depth / 8);
        image.pixels = malloc(SIZE * image.row_bytes);
        assert_non_null(image.pixels);
        memset(image.pixels, GROUND, SIZE * image.row_bytes);
        return image;
}

static const uint8_t *pixel(const struct image *image, int x, int y)
{
        return image->pixels + (size_t)y * image->row_bytes +
               (size_t)x * image->channels * (image->depth / 8);
}

struct box {
        int left, top, right, bottom; /* inclusive; left > right: nothing was drawn */
};

static struct box drawn(const struct image *image)
{
        struct box b = { SIZE, SIZE, -1, -1 };

        for (int y = 0; y < SIZE; y++) {
                for (int x = 0; x < SIZE; x++) {
                        if (*pixel(image, x, y) == GROUND)
                                continue;
                        b.left = x < b.left ? x : b.left;
                        b.right = x > b.right ? x : b.right;
                        b.top = y < b.top ? y : b.top;
                        b.bottom = y > b.bottom ? y : b.bottom;
                }
        }
        return b;
}

static void assert_box(struct box b, int left, int top, int right, int bottom)
{
        assert_int_equal(b.left, left);
        assert_int_equal(b.top, top);
        assert_int_equal(b.right, right);
        assert_int_equal(b.bottom, bottom);
}

static const struct cursor_look arrow = {
        .x = 20,
        .y = 30,
        .glyph_w = 32,
        .glyph_h = 32,
        .id = VGPU_CURSOR_ID_ARROW,
};

static void the_arrows_tip_is_at_the_position_less_the_hot_spot(void **state)
{
        struct image image = ground(3, 8);
        struct cursor_look look = arrow;

        (void)state;
        cursor_draw(&image, &look);
        assert_box(drawn(&image), 20, 30, 31, 48);
        assert_int_equal(*pixel(&image, 20, 30), 0);   /* the outline's tip */
        assert_int_equal(*pixel(&image, 21, 32), 255); /* the fill inside */
        image_deinit(&image);

        image = ground(3, 8);
        look.hot_x = 3;
        look.hot_y = 5;
        cursor_draw(&image, &look);
        assert_box(drawn(&image), 17, 25, 28, 43);
        image_deinit(&image);
}

static void every_depth_and_channel_count_is_drawn_alike(void **state)
{
        static const unsigned kinds[][2] = { { 3, 8 }, { 4, 8 }, { 3, 16 }, { 4, 16 } };

        (void)state;
        for (size_t i = 0; i < 4; i++) {
                struct image image = ground(kinds[i][0], kinds[i][1]);

                cursor_draw(&image, &arrow);
                assert_box(drawn(&image), 20, 30, 31, 48);
                if (image.channels == 4)
                        assert_int_equal(pixel(&image, 20, 30)[3 * (image.depth / 8)], 255);
                image_deinit(&image);
        }
}

static void it_is_clipped_at_every_edge(void **state)
{
        static const int64_t places[][2] = {
                { -5, 10 },
                { 10, -5 },
                { SIZE - 3, 10 },
                { 10, SIZE - 3 },
                { -100, -100 },
                { SIZE, SIZE },
                { INT32_MAX, INT32_MIN },
                { -(INT64_C(1) << 33), INT64_C(1) << 33 },
        };
        static const uint32_t ids[] = { VGPU_CURSOR_ID_ARROW, VGPU_CURSOR_ID_CUSTOM };

        (void)state;
        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
                for (size_t k = 0; k < 2; k++) {
                        struct image image = ground(3, 8); /* the sanitizer holds its edges */
                        struct cursor_look look = arrow;

                        look.x = places[i][0];
                        look.y = places[i][1];
                        look.id = ids[k];
                        cursor_draw(&image, &look);
                        image_deinit(&image);
                }
        }
}

static void a_kind_without_a_bitmap_is_an_outline_with_its_hot_spot_marked(void **state)
{
        struct image image = ground(3, 8);
        struct cursor_look look = {
                .x = 30,
                .y = 30,
                .hot_x = 8,
                .hot_y = 10,
                .glyph_w = 16,
                .glyph_h = 20,
                .id = VGPU_CURSOR_ID_IBEAM,
        };

        (void)state;
        cursor_draw(&image, &look);
        assert_box(drawn(&image), 22, 20, 37, 39);
        assert_int_not_equal(*pixel(&image, 30, 30), GROUND);
        assert_int_equal(*pixel(&image, 24, 22), GROUND); /* it is hollow */
        image_deinit(&image);
}

static void a_larger_glyph_makes_a_larger_arrow(void **state)
{
        struct image image = ground(3, 8);
        struct cursor_look look = arrow;

        (void)state;
        look.x = look.y = 0;
        look.glyph_h = 64;
        cursor_draw(&image, &look);
        assert_box(drawn(&image), 0, 0, 23, 37);
        image_deinit(&image);
}

static void absurd_sizes_cost_nothing(void **state)
{
        struct image image = ground(3, 8);
        struct cursor_look look = arrow;

        (void)state;
        look.glyph_w = look.glyph_h = look.hot_x = look.hot_y = 65535;
        cursor_draw(&image, &look);
        look.id = VGPU_CURSOR_ID_CUSTOM;
        cursor_draw(&image, &look);
        look.glyph_w = look.glyph_h = 0;
        cursor_draw(&image, &look);
        image_deinit(&image);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_arrows_tip_is_at_the_position_less_the_hot_spot),
                cmocka_unit_test(every_depth_and_channel_count_is_drawn_alike),
                cmocka_unit_test(it_is_clipped_at_every_edge),
                cmocka_unit_test(a_kind_without_a_bitmap_is_an_outline_with_its_hot_spot_marked),
                cmocka_unit_test(a_larger_glyph_makes_a_larger_arrow),
                cmocka_unit_test(absurd_sizes_cost_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
