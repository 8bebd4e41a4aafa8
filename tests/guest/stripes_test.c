/* stripes_test.c - frames that change a stripe at a time prove themselves as whole ones do */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "stripes.h"
#include "vgpu_stream.h"

#define WIDTH  70u /* the last block of a row is a short one */
#define HEIGHT 50u
#define STRIDE (WIDTH * 4)
#define BYTES  (STRIDE * HEIGHT)

static const uint32_t counts[] = { 1, 2, 7, 32, HEIGHT, MAX_STRIPES };

static struct stripes stripes_of(uint32_t n)
{
        return (struct stripes){ n, WIDTH, HEIGHT, STRIDE, VGPU_FMT_BGRA8888, 4711 };
}

static struct pattern_count check(const struct stripes *s, const void *pixels, uint64_t frame_id)
{
        struct pattern_count count;

        stripes_check(s, pixels, frame_id, &count);
        return count;
}

static bool whole(const struct stripes *s, const void *pixels, uint64_t frame_id)
{
        struct pattern_count count = check(s, pixels, frame_id);

        return count.good > 0 && count.torn == 0 && count.foreign == 0 &&
               count.first_bad == UINT64_MAX;
}

static void a_frame_brought_up_to_date_is_the_frame_drawn_whole(void **state)
{
        static uint32_t kept[BYTES / 4], fresh[BYTES / 4];

        (void)state;
        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
                struct stripes s = stripes_of(counts[i]);
                uint64_t held = 0;

                for (uint64_t id = 1; id < 600; id += 1 + id % 5) {
                        stripes_draw(&s, kept, held, id);
                        held = id;
                        stripes_draw(&s, fresh, 0, id);
                        assert_memory_equal(kept, fresh, BYTES);
                        assert_true(whole(&s, kept, id));
                }
        }
}

static void one_stripe_is_the_plain_pattern(void **state)
{
        static uint32_t striped[BYTES / 4], plain[BYTES / 4];
        struct stripes s = stripes_of(1);

        (void)state;
        stripes_draw(&s, striped, 8, 9);
        pattern_fill(plain, WIDTH, HEIGHT, STRIDE, s.format, 9, s.seed);
        assert_memory_equal(striped, plain, BYTES);
}

static void a_frame_differs_from_the_one_before_in_its_own_stripe_only(void **state)
{
        static uint8_t before[BYTES], now[BYTES];
        struct stripes s = stripes_of(7);

        (void)state;
        for (uint64_t id = 2; id < 40; id++) {
                uint32_t turn = stripes_turn(&s, id);
                uint32_t from = stripes_row(&s, turn) * STRIDE;
                uint32_t to = stripes_row(&s, turn + 1) * STRIDE;

                stripes_draw(&s, before, 0, id - 1);
                stripes_draw(&s, now, 0, id);
                assert_memory_equal(before, now, from);
                assert_memory_not_equal(before + from, now + from, to - from);
                assert_memory_equal(before + to, now + to, BYTES - to);
        }
}

static void a_stripe_left_behind_is_torn(void **state)
{
        static uint8_t pixels[BYTES];
        struct stripes s = stripes_of(7);
        uint32_t turn = stripes_turn(&s, 100),
                 rows = stripes_row(&s, turn + 1) - stripes_row(&s, turn);
        struct pattern_count count;

        (void)state;
        stripes_draw(&s, pixels, 0, 99);
        count = check(&s, pixels, 100);
        assert_int_equal(count.torn, rows * ((STRIDE + 63) / 64));
        assert_int_equal(count.foreign, 0);
        assert_int_equal(count.first_bad, stripes_row(&s, turn) * STRIDE);
        assert_int_equal(count.first_torn_id, 93);
}

static void anothers_bytes_are_foreign(void **state)
{
        static uint8_t pixels[BYTES];
        struct stripes s = stripes_of(7), other = s;

        (void)state;
        other.seed++;
        stripes_draw(&other, pixels, 0, 100);
        assert_int_equal(check(&s, pixels, 100).good, 0);
        assert_int_equal(check(&s, pixels, 100).torn, 0);
        stripes_draw(&s, pixels, 0, 100);
        pixels[BYTES / 2] ^= 1;
        assert_int_equal(check(&s, pixels, 100).foreign, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_frame_brought_up_to_date_is_the_frame_drawn_whole),
                cmocka_unit_test(one_stripe_is_the_plain_pattern),
                cmocka_unit_test(a_frame_differs_from_the_one_before_in_its_own_stripe_only),
                cmocka_unit_test(a_stripe_left_behind_is_torn),
                cmocka_unit_test(anothers_bytes_are_foreign),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
