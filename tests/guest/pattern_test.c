/*
 * pattern_test.c - the proof must hold: no byte of a frame can be wrong unseen
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "pattern.h"
#include "vgpu_stream.h"

#define SEED 4242u

static const struct shape {
        uint32_t width, height, stride_extra, format;
} shapes[] = {
        { 64, 40, 0, VGPU_FMT_BGRA8888 },
        { 61, 37, 12, VGPU_FMT_BGRX8888 },
        { 100, 33, 4, VGPU_FMT_RGBA8888 },
        { 1, 1, 0, VGPU_FMT_RGBX8888 },
        { 1100, 5, 0, VGPU_FMT_BGRA1010102 },
        { 33, 70, 60, VGPU_FMT_RGBA1010102 },
        { 90, 31, 8, VGPU_FMT_RGBA16F },
};

#define N_SHAPES (sizeof(shapes) / sizeof(shapes[0]))
#define MARKER   0xA5

struct frame {
        struct shape s;
        uint32_t stride;
        size_t bytes;
        uint64_t n_blocks;
        uint8_t *pixels; /* followed by a marker byte */
};

static struct frame frame_new(struct shape s, uint64_t id, uint32_t seed)
{
        struct frame f = { .s = s, .stride = s.width * vgpu_format_bpp(s.format) + s.stride_extra };

        f.bytes = (size_t)f.stride * s.height;
        f.n_blocks = (uint64_t)((f.stride + 63) / 64) * s.height;
        f.pixels = malloc(f.bytes + 1);
        memset(f.pixels, 0x77, f.bytes);
        f.pixels[f.bytes] = MARKER;
        pattern_fill(f.pixels, s.width, s.height, f.stride, s.format, id, seed);
        assert_int_equal(f.pixels[f.bytes], MARKER);
        return f;
}

static struct pattern_count check(const struct frame *f, uint64_t id, uint32_t seed)
{
        struct pattern_count count;

        pattern_check(f->pixels, f->s.width, f->s.height, f->stride, f->s.format, id, seed, &count);
        assert_int_equal(count.good + count.torn + count.foreign, f->n_blocks);
        return count;
}

static void a_frame_just_drawn_is_good_in_every_block(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_SHAPES; i++) {
                struct frame f = frame_new(shapes[i], 7, SEED);
                struct pattern_count c = check(&f, 7, SEED);

                assert_int_equal(c.good, f.n_blocks);
                assert_true(c.first_bad == UINT64_MAX);
                free(f.pixels);
        }
}

static void one_flipped_bit_anywhere_is_one_bad_block_there(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_SHAPES; i++) {
                struct frame f = frame_new(shapes[i], 7, SEED);

                for (size_t at = 0; at < f.bytes; at++) {
                        struct pattern_count c;

                        f.pixels[at] ^= (uint8_t)(1u << at % 8);
                        c = check(&f, 7, SEED);
                        f.pixels[at] ^= (uint8_t)(1u << at % 8);
                        assert_int_equal(c.good, f.n_blocks - 1);
                        assert_int_equal(c.torn + c.foreign, 1);
                        if (f.stride % 64 == 0) /* a short block may look like a frame nearby */
                                assert_int_equal(c.foreign, 1);
                        assert_int_equal(
                                c.first_bad, at / f.stride * f.stride + at % f.stride / 64 * 64);
                        if (f.bytes > 4096)
                                at += 97; /* every place and bit in turn would take a minute */
                }
                free(f.pixels);
        }
}

static void rows_alone_are_judged_as_in_the_whole_frame(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_SHAPES; i++) {
                const struct shape *s = &shapes[i];
                struct frame f = frame_new(*s, 7, SEED);
                uint32_t bad = s->height / 2;

                f.pixels[(size_t)bad * f.stride] ^= 1;
                for (uint32_t first = 0; first < s->height; first++) {
                        for (uint32_t n = 0; n <= s->height - first; n++) {
                                bool has_bad = first <= bad && bad < first + n;
                                struct pattern_count c;

                                pattern_check_rows(f.pixels + (size_t)first * f.stride, first, n,
                                        s->width, s->height, f.stride, s->format, 7, SEED, &c);
                                assert_int_equal(c.good, f.n_blocks / s->height * n - has_bad);
                                assert_int_equal(c.torn + c.foreign, has_bad);
                                if (has_bad)
                                        assert_int_equal(c.first_bad, (uint64_t)bad * f.stride);
                        }
                }
                free(f.pixels);
        }
}

static void a_frame_of_another_id_is_torn_in_every_block_and_says_which(void **state)
{
        static const uint64_t ids[] = { 8, 6, 0xFFFFFFFF, 0x12345678 };

        (void)state;
        for (size_t i = 0; i < N_SHAPES; i++) {
                if (shapes[i].width * 4 % 64 != 0)
                        continue; /* whole blocks only: those know every id */
                for (size_t k = 0; k < sizeof(ids) / sizeof(ids[0]); k++) {
                        struct frame f = frame_new(shapes[i], ids[k], SEED);
                        struct pattern_count c = check(&f, 7, SEED);

                        assert_int_equal(c.torn, f.n_blocks);
                        assert_int_equal(c.first_torn_id, ids[k]);
                        free(f.pixels);
                }
        }
}

static void a_frame_torn_in_the_middle_is_counted_on_either_side(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_SHAPES; i++) {
                struct frame old = frame_new(shapes[i], 9, SEED),
                             new = frame_new(shapes[i], 10, SEED);
                size_t rows = shapes[i].height / 2;
                struct pattern_count c;

                memcpy(new.pixels, old.pixels, rows * new.stride);
                c = check(&new, 10, SEED);
                assert_int_equal(c.torn, new.n_blocks / shapes[i].height *rows);
                assert_int_equal(c.foreign, 0);
                if (rows > 0)
                        assert_int_equal(c.first_torn_id, 9);
                free(old.pixels);
                free(new.pixels);
        }
}

static void another_producers_frame_is_foreign(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_SHAPES; i++) {
                struct frame f = frame_new(shapes[i], 7, SEED + 4);
                struct pattern_count c = check(&f, 7, SEED);

                /* A block of one or two words has few bits to tell by. */
                assert_true(c.foreign > 0 || f.n_blocks < 4);
                assert_true(c.foreign + c.torn + c.good == f.n_blocks);
                if (f.stride % 64 == 0)
                        assert_int_equal(c.foreign, f.n_blocks);
                free(f.pixels);
        }
}

static void blocks_that_changed_places_are_foreign(void **state)
{
        struct frame f = frame_new(shapes[0], 7, SEED);
        uint8_t block[64];
        struct pattern_count c;

        (void)state;
        memcpy(block, f.pixels, 64);
        memcpy(f.pixels, f.pixels + f.stride, 64);
        memcpy(f.pixels + f.stride, block, 64);
        c = check(&f, 7, SEED);
        assert_int_equal(c.foreign, 2);
        free(f.pixels);
}

static void zeros_and_noise_are_foreign(void **state)
{
        struct frame f = frame_new(shapes[0], 7, SEED);
        uint32_t x = 1;

        (void)state;
        memset(f.pixels, 0, f.bytes);
        assert_int_equal(check(&f, 7, SEED).foreign, f.n_blocks);
        for (size_t i = 0; i < f.bytes; i++)
                f.pixels[i] = (uint8_t)((x = x * 1103515245 + 12345) >> 16);
        assert_int_equal(check(&f, 7, SEED).foreign, f.n_blocks);
        free(f.pixels);
}

static void a_person_sees_the_right_colours_the_right_way_up(void **state)
{
        const uint32_t w = 640, h = 360;
        struct frame f = frame_new((struct shape){ w, h, 0, VGPU_FMT_BGRX8888 }, 3, SEED);
        const uint32_t *pixels = (const uint32_t *)f.pixels;

        (void)state;
        for (uint32_t y = 0; y < h; y += 3)
                for (uint32_t x = 0; x < w; x++)
                        assert_int_equal(
                                pixels[y * w + x] & 0xFCFCFC, pattern_color(w, h, x, y, 3));
        assert_int_equal(pattern_color(w, h, 0, 0, 3), 0xFC8000);
        assert_int_equal(pattern_color(w, h, w - 1, h - 1, 3), 0xFCFCFC);
        assert_int_equal(pattern_color(w, h, 5 * w / 8 + 1, 0, 3), 0xC01010); /* red */
        assert_int_equal(pattern_color(w, h, 6 * w / 8 + 1, 0, 3), 0x1010C0); /* blue */
        free(f.pixels);
}

static void the_picture_moves_with_the_frame(void **state)
{
        uint32_t changed = 0;

        (void)state;
        for (uint32_t x = 0; x < 640; x++)
                changed +=
                        pattern_color(640, 360, x, 180, 1) != pattern_color(640, 360, x, 180, 40);
        assert_true(changed > 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_frame_just_drawn_is_good_in_every_block),
                cmocka_unit_test(one_flipped_bit_anywhere_is_one_bad_block_there),
                cmocka_unit_test(rows_alone_are_judged_as_in_the_whole_frame),
                cmocka_unit_test(a_frame_of_another_id_is_torn_in_every_block_and_says_which),
                cmocka_unit_test(a_frame_torn_in_the_middle_is_counted_on_either_side),
                cmocka_unit_test(another_producers_frame_is_foreign),
                cmocka_unit_test(blocks_that_changed_places_are_foreign),
                cmocka_unit_test(zeros_and_noise_are_foreign),
                cmocka_unit_test(a_person_sees_the_right_colours_the_right_way_up),
                cmocka_unit_test(the_picture_moves_with_the_frame),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
