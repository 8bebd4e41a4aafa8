/* trend_test.c - what grows has a slope, what wavers has none */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "trend.h"

static void a_straight_line_has_its_slope(void **state)
{
        struct trend t = { 0 };

        (void)state;
        for (int i = 0; i < 100; i++)
                trend_add(&t, i, 7 + 3 * i);
        assert_float_equal(trend_slope(&t), 3, 1e-9);
}

static void what_wavers_does_not_grow(void **state)
{
        struct trend t = { 0 };

        (void)state;
        for (int i = 0; i < 1000; i++)
                trend_add(&t, i, 4000 + (i % 2 ? 50 : -50));
        assert_float_equal(trend_slope(&t), 0, 1e-3);
}

static void nothing_and_one_sample_have_no_slope(void **state)
{
        struct trend t = { 0 };

        (void)state;
        assert_float_equal(trend_slope(&t), 0, 0);
        trend_add(&t, 5, 5);
        assert_float_equal(trend_slope(&t), 0, 0);
}

static void what_doubles_has_a_ratio_of_two(void **state)
{
        double x[10], y[10];

        (void)state;
        for (int i = 0; i < 10; i++) {
                x[i] = 60 * i;
                y[i] = 90 + 10 * i;
        }
        assert_float_equal(trend_ratio(x, y, 10), 2, 1e-9);
        for (int i = 0; i < 10; i++)
                y[i] = 90;
        assert_float_equal(trend_ratio(x, y, 10), 1, 1e-9);
}

static void a_disturbed_minute_is_no_trend(void **state)
{
        double x[8], y[8];

        (void)state;
        for (int i = 0; i < 8; i++) {
                x[i] = i;
                y[i] = 100;
        }
        y[7] = 5000;
        y[5] = 900;
        assert_float_equal(trend_ratio(x, y, 8), 1, 1e-9);
}

static void too_little_has_no_ratio(void **state)
{
        const double x[] = { 0, 1 }, y[] = { 0, 5 };

        (void)state;
        assert_float_equal(trend_ratio(x, y, 1), 0, 0);
        assert_float_equal(trend_ratio(x, y, 2), 0, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_straight_line_has_its_slope),
                cmocka_unit_test(what_wavers_does_not_grow),
                cmocka_unit_test(nothing_and_one_sample_have_no_slope),
                cmocka_unit_test(what_doubles_has_a_ratio_of_two),
                cmocka_unit_test(a_disturbed_minute_is_no_trend),
                cmocka_unit_test(too_little_has_no_ratio),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
