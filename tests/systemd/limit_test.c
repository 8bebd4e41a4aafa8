/*
 * limit_test.c - the token bucket, with time as data
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "limit.h"

#define SECOND UINT64_C(1000000000)

static void a_burst_passes_and_the_rest_is_counted(void **state)
{
        struct limit l = { 0 };

        (void)state;
        for (int i = 0; i < 10; i++)
                assert_true(limit_take(&l, 10, 60, 5 * SECOND));
        for (int i = 0; i < 7; i++)
                assert_false(limit_take(&l, 10, 60, 5 * SECOND));
        assert_int_equal(l.n_swallowed, 7);
}

static void tokens_come_back_one_by_one(void **state)
{
        struct limit l = { 0 };

        (void)state;
        for (int i = 0; i < 10; i++)
                limit_take(&l, 10, 60, 0);
        assert_false(limit_take(&l, 10, 60, 6 * SECOND - 1));
        assert_true(limit_take(&l, 10, 60, 6 * SECOND));
        assert_false(limit_take(&l, 10, 60, 6 * SECOND));
        assert_true(limit_take(&l, 10, 60, 12 * SECOND));
}

static void a_long_silence_fills_the_bucket_once(void **state)
{
        struct limit l = { 0 };
        int n = 0;

        (void)state;
        for (int i = 0; i < 10; i++)
                limit_take(&l, 10, 60, 0);
        while (n < 100 && limit_take(&l, 10, 60, 100000 * SECOND))
                n++;
        assert_int_equal(n, 10);
}

static void looking_takes_nothing(void **state)
{
        struct limit l = { 0 };

        (void)state;
        for (int i = 0; i < 100; i++)
                assert_true(limit_peek(&l, 1, 60, 0));
        assert_true(limit_take(&l, 1, 60, 0));
        assert_false(limit_peek(&l, 1, 60, 0));
        assert_int_equal(l.n_swallowed, 0);
}

static void a_burst_of_zero_is_no_limit(void **state)
{
        struct limit l = { 0 };

        (void)state;
        for (int i = 0; i < 1000; i++)
                assert_true(limit_take(&l, 0, 0, 0));
}

static void a_clock_that_steps_back_opens_nothing(void **state)
{
        struct limit l = { 0 };

        (void)state;
        assert_true(limit_take(&l, 1, 60, 100 * SECOND));
        assert_false(limit_take(&l, 1, 60, 0));
        assert_true(limit_take(&l, 1, 60, 160 * SECOND));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_burst_passes_and_the_rest_is_counted),
                cmocka_unit_test(tokens_come_back_one_by_one),
                cmocka_unit_test(a_long_silence_fills_the_bucket_once),
                cmocka_unit_test(looking_takes_nothing),
                cmocka_unit_test(a_burst_of_zero_is_no_limit),
                cmocka_unit_test(a_clock_that_steps_back_opens_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
