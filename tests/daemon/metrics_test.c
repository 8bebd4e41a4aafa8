/*
 * metrics_test.c - the daemon's counters as JSON: as documented, and always within the room an answer has
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <float.h>
#include <json-c/json.h>
#include <string.h>

#include "metrics.h"
#include "schema.h"

static struct histogram histogram;
static struct metrics metrics;
static char buf[VGPU_REPLY_MAX + 1];

static int begin(void **state)
{
        (void)state;
        memset(&histogram, 0, sizeof(histogram));
        memset(&metrics, 0, sizeof(metrics));
        metrics.name = "win11";
        for (int i = 0; i < METRICS_N_HISTOGRAMS; i++)
                metrics.histograms[i] = &histogram;
        return 0;
}

static json_object *report(void)
{
        int len = metrics_json(&metrics, buf, VGPU_REPLY_MAX);
        json_object *o;

        assert_in_range(len, 1, VGPU_REPLY_MAX);
        buf[len] = '\0';
        o = json_tokener_parse(buf);
        assert_non_null(o);
        return o;
}

static json_object *at(json_object *o, const char *key)
{
        json_object *member;

        assert_true(json_object_object_get_ex(o, key, &member));
        return member;
}

static uint64_t number(json_object *o, const char *key)
{
        return json_object_get_uint64(at(o, key));
}

static void assert_as_documented(json_object *o)
{
        json_object *schema = json_object_from_file(METRICS_SCHEMA);
        char why[256] = "";

        assert_non_null(schema);
        if (!schema_matches(schema, o, why, sizeof(why)))
                fail_msg("%s", why);
        json_object_put(schema);
}

static void what_never_happened_is_documented_as_well(void **state)
{
        json_object *o = report();

        (void)state;
        assert_as_documented(o);
        json_object_put(o);
}

static void everything_at_its_most_fits_an_answer(void **state)
{
        char name[256];
        json_object *o;

        (void)state;
        /* padding of no type: every count, whatever is added to these, is at its most */
        memset(&metrics.counters, 0xff, sizeof(metrics.counters));
        memset(&metrics.skips, 0xff, sizeof(metrics.skips));
        memset(&metrics.gauges, 0xff, sizeof(metrics.gauges));
        memset(metrics.refused, 0xff, sizeof(metrics.refused));
        memset(metrics.dropped, 0xff, sizeof(metrics.dropped));
        memset(metrics.states_ms, 0xff, sizeof(metrics.states_ms));
        metrics.pid = metrics.uptime_ms = metrics.since_ms = UINT64_MAX;
        metrics.fps = -DBL_MAX;
        metrics.state = GUEST_CONFIRMING;
        /* one sort of control character is six letters in JSON */
        memset(name, '\x01', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        metrics.name = name;
        histogram.bucket[0] = UINT64_MAX;
        histogram.sum = histogram.max = UINT64_MAX;
        o = report();
        assert_as_documented(o);
        assert_true(number(at(o, "counters"), "looks") == UINT64_MAX);
        assert_true(number(at(o, "gauges"), "rss_bytes") == UINT64_MAX);
        /* half of the room is left for what will be counted one day */
        assert_in_range(strlen(buf), 1, VGPU_REPLY_MAX / 2);
        json_object_put(o);
}

static void an_answer_that_does_not_fit_is_none(void **state)
{
        (void)state;
        memset(buf, 'x', sizeof(buf));
        assert_int_equal(metrics_json(&metrics, buf, 100), -EMSGSIZE);
        assert_int_equal(buf[0], 'x');
        assert_int_equal(buf[100], 'x');
}

static void buckets_are_cumulative_and_always_the_same(void **state)
{
        json_object *o, *h, *buckets;
        uint64_t before = 0;

        (void)state;
        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
                histogram.bucket[i] = 1;
        histogram.max = UINT64_C(9000000000);
        o = report();
        h = at(at(o, "histograms"), "poll_gap");
        assert_int_equal(number(h, "count"), HISTOGRAM_BUCKETS);
        buckets = at(h, "buckets");
        assert_int_equal(json_object_array_length(buckets), 47);
        for (size_t i = 0; i < 47; i++) {
                json_object *b = json_object_array_get_idx(buckets, i);

                assert_true(number(b, "le") == histogram_bound((unsigned)i * 2));
                assert_int_equal(number(b, "count"), 2 * i + 1);
                assert_true(number(b, "le") > before);
                before = number(b, "le");
        }
        assert_true(before == HISTOGRAM_LAST_LE);
        json_object_put(o);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(what_never_happened_is_documented_as_well, begin),
                cmocka_unit_test_setup(everything_at_its_most_fits_an_answer, begin),
                cmocka_unit_test_setup(an_answer_that_does_not_fit_is_none, begin),
                cmocka_unit_test_setup(buckets_are_cumulative_and_always_the_same, begin),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
