/* latency_test.c - quantiles from buckets against quantiles from a sorted list */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "latency.h"

static struct latency histogram;

static int compare(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

static void without_samples_everything_is_zero(void **state)
{
        (void)state;
        latency_reset(&histogram);
        assert_int_equal(latency_quantile(&histogram, 0.5), 0);
}

static void one_sample_is_every_quantile(void **state)
{
        (void)state;
        latency_reset(&histogram);
        latency_add(&histogram, 123456);
        assert_int_equal(latency_quantile(&histogram, 0.0), 123456);
        assert_int_equal(latency_quantile(&histogram, 0.5), 123456);
        assert_int_equal(latency_quantile(&histogram, 0.99), 123456);
}

static void a_quantile_is_at_most_a_sixtieth_above_the_truth(void **state)
{
        static uint64_t samples[10000];
        static const double quantiles[] = { 0.5, 0.9, 0.99, 1.0 };
        uint64_t x = 88172645463325252u;

        (void)state;
        latency_reset(&histogram);
        for (size_t i = 0; i < 10000; i++) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                samples[i] = x >> (x % 60);
                latency_add(&histogram, samples[i]);
        }
        qsort(samples, 10000, sizeof samples[0], compare);
        for (size_t i = 0; i < 4; i++) {
                uint64_t truth = samples[(size_t)(quantiles[i] * 10000) - 1];
                uint64_t found = latency_quantile(&histogram, quantiles[i]);

                assert_true(found >= truth);
                assert_true(found - truth <= truth / 60);
        }
}

static void the_extremes_have_a_bucket(void **state)
{
        (void)state;
        latency_reset(&histogram);
        latency_add(&histogram, 0);
        assert_int_equal(latency_quantile(&histogram, 1), 0);
        latency_add(&histogram, 63);
        latency_add(&histogram, 64);
        assert_int_equal(latency_quantile(&histogram, 1), 64);
        latency_add(&histogram, UINT64_MAX);
        assert_true(latency_quantile(&histogram, 1) == UINT64_MAX);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(without_samples_everything_is_zero),
                cmocka_unit_test(one_sample_is_every_quantile),
                cmocka_unit_test(a_quantile_is_at_most_a_sixtieth_above_the_truth),
                cmocka_unit_test(the_extremes_have_a_bucket),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
