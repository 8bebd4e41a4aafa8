/*
 * histogram_test.c - what is counted where, at every border, and what quantiles say
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "histogram.h"

/* The definition in words: the first bucket whose bound is not exceeded. */
static unsigned plain_index(uint64_t ns)
{
        for (unsigned i = 0; i < HISTOGRAM_BOUNDED; i++) {
                if (ns <= histogram_bound(i))
                        return i;
        }
        return HISTOGRAM_BOUNDED;
}

static void bounds_rise_by_a_quarter_at_most_from_the_first_to_the_last(void **state)
{
        (void)state;
        assert_int_equal(histogram_bound(0), HISTOGRAM_FIRST_LE);
        assert_int_equal(histogram_bound(HISTOGRAM_BOUNDED - 1), HISTOGRAM_LAST_LE);
        for (unsigned i = 1; i < HISTOGRAM_BOUNDED; i++) {
                uint64_t before = histogram_bound(i - 1);

                assert_true(histogram_bound(i) > before);
                assert_true(histogram_bound(i) - before <= before / 4);
        }
}

static void a_bound_is_counted_in_its_bucket_and_one_more_in_the_next(void **state)
{
        (void)state;
        for (unsigned i = 0; i < HISTOGRAM_BOUNDED; i++) {
                assert_int_equal(histogram_index(histogram_bound(i) - 1), i);
                assert_int_equal(histogram_index(histogram_bound(i)), i);
                assert_int_equal(histogram_index(histogram_bound(i) + 1), i + 1);
        }
}

static void every_length_has_a_bucket(void **state)
{
        static const uint64_t ends[] = { 0, 1, 1023, 1024, 1025, UINT32_MAX, INT64_MAX,
                UINT64_MAX - 1, UINT64_MAX };
        uint64_t x = 88172645463325252u;

        (void)state;
        for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
                assert_int_equal(histogram_index(ends[i]), plain_index(ends[i]));
        for (int i = 0; i < 200000; i++) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                assert_int_equal(histogram_index(x >> i % 64), plain_index(x >> i % 64));
        }
}

static void what_is_added_is_counted_summed_and_the_longest_kept(void **state)
{
        struct histogram h = { 0 };

        (void)state;
        histogram_add(&h, 1500);
        histogram_add(&h, 7);
        histogram_add(&h, UINT64_C(20000000000));
        assert_int_equal(histogram_count(&h), 3);
        assert_int_equal(h.sum, UINT64_C(20000001507));
        assert_int_equal(h.max, UINT64_C(20000000000));
        assert_int_equal(h.bucket[0], 1);
        assert_int_equal(h.bucket[2], 1);
        assert_int_equal(h.bucket[HISTOGRAM_BOUNDED], 1);
}

static void a_quantile_is_a_bound_and_never_more_than_the_longest(void **state)
{
        struct histogram h = { 0 };

        (void)state;
        assert_int_equal(histogram_quantile(&h, 500), 0);
        histogram_add(&h, 1100);
        assert_int_equal(histogram_quantile(&h, 500), 1100);
        for (int i = 0; i < 98; i++)
                histogram_add(&h, 2000);
        histogram_add(&h, 900000000);
        assert_int_equal(histogram_quantile(&h, 10), 1280);
        assert_int_equal(histogram_quantile(&h, 500), 2048);
        assert_int_equal(histogram_quantile(&h, 990), 2048);
        assert_int_equal(histogram_quantile(&h, 991), 900000000);
        assert_int_equal(histogram_quantile(&h, 1000), 900000000);
}

static void a_quantile_beyond_the_last_bound_is_the_longest(void **state)
{
        struct histogram h = { 0 };

        (void)state;
        histogram_add(&h, UINT64_MAX);
        assert_int_equal(histogram_quantile(&h, 1), UINT64_MAX);
        memset(&h, 0, sizeof(h));
        h.bucket[4] = UINT64_MAX;
        h.max = 5000;
        assert_int_equal(histogram_quantile(&h, 999), histogram_bound(4));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(bounds_rise_by_a_quarter_at_most_from_the_first_to_the_last),
                cmocka_unit_test(a_bound_is_counted_in_its_bucket_and_one_more_in_the_next),
                cmocka_unit_test(every_length_has_a_bucket),
                cmocka_unit_test(what_is_added_is_counted_summed_and_the_longest_kept),
                cmocka_unit_test(a_quantile_is_a_bound_and_never_more_than_the_longest),
                cmocka_unit_test(a_quantile_beyond_the_last_bound_is_the_longest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
