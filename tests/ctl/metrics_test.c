/* metrics_test.c - the daemon's counters as text that any scraper takes */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "metrics.h"
#include "openmetrics.h"
#include "publisher.h"
#include "tool.h"

/* ---- an answer with everything in it that the schema has ------------------------------------------------------------- */

static json_object *resolve(json_object *root, json_object *schema)
{
        const char *ref = json_object_get_string(json_object_object_get(schema, "$ref"));

        return ref ? json_object_object_get(
                             json_object_object_get(root, "$defs"), strrchr(ref, '/') + 1)
                   : schema;
}

static json_object *example_of(json_object *root, json_object *schema, const char *key);

static json_object *example_buckets(void)
{
        json_object *list = json_object_new_array();

        for (int i = 0; i < 3; i++) {
                json_object *b = json_object_new_object();

                json_object_object_add(b, "le", json_object_new_int64(UINT64_C(1000000000) << i));
                json_object_object_add(b, "count", json_object_new_int(1 + i));
                json_object_array_add(list, b);
        }
        return list;
}

static json_object *example_object(json_object *root, json_object *schema)
{
        json_object *o = json_object_new_object();

        json_object_object_foreach(json_object_object_get(schema, "properties"), key, member)
        {
                json_object_object_add(o, key, example_of(root, resolve(root, member), key));
        }
        return o;
}

static json_object *example_of(json_object *root, json_object *schema, const char *key)
{
        const char *type = json_object_get_string(json_object_object_get(schema, "type"));
        json_object *constant = json_object_object_get(schema, "const");
        json_object *choice = json_object_object_get(schema, "enum");

        if (constant)
                return json_object_get(constant);
        if (choice)
                return json_object_get(json_object_array_get_idx(choice, 4));
        if (strcmp(type, "object") == 0)
                return example_object(root, schema);
        if (strcmp(type, "array") == 0)
                return example_buckets();
        if (strcmp(type, "number") == 0)
                return json_object_new_double(59.94);
        if (strcmp(type, "string") == 0)
                return json_object_new_string("win11");
        return json_object_new_int(strcmp(key, "count") == 0 ? 7 : 5);
}

static json_object *example(void)
{
        json_object *schema = json_object_from_file(METRICS_SCHEMA), *o;

        assert_non_null(schema);
        o = example_object(schema, schema);
        json_object_put(schema);
        return o;
}

/* The caller frees it. */
static char *render(json_object *metrics)
{
        char *text = NULL;
        size_t len;
        FILE *f = open_memstream(&text, &len);

        assert_non_null(f);
        metrics_print(f, "socket", metrics);
        fclose(f);
        return text;
}

static void assert_is_openmetrics(const char *text)
{
        struct openmetrics m;

        if (!openmetrics_check(text, &m))
                fail_msg("%s\n%s", m.why, text);
}

/* ---- the text -------------------------------------------------------------------------------------------------------- */

static void everything_that_the_daemon_answers_is_there_to_the_letter_of_the_format(void **state)
{
        static const char *const groups[] = { "counters", "gauges", "histograms" };
        json_object *metrics = example();
        char *text = render(metrics);
        struct openmetrics m;
        size_t n_keys = 0;

        (void)state;
        assert_is_openmetrics(text);
        openmetrics_check(text, &m);
        for (size_t i = 0; i < 3; i++)
                n_keys += (size_t)json_object_object_length(
                        json_object_object_get(metrics, groups[i]));
        /* up, state, state_seconds, state_age and uptime come on top: a key of the daemon's that has no name here is missed. */
        assert_int_equal(m.n_families, n_keys + 5);
        free(text);
        json_object_put(metrics);
}

static void times_are_seconds_and_every_series_has_the_machines_name(void **state)
{
        static const char *const lines[] = {
                "# TYPE vgpud_frames counter\n# HELP vgpud_frames Frames published.\n"
                "vgpud_frames_total{vm=\"win11\"} 5\n",
                "vgpud_up{vm=\"win11\"} 1\n",
                "vgpud_frame_rate{vm=\"win11\"} 59.94\n",
                "vgpud_skips_total{vm=\"win11\",reason=\"too_big\"} 5\n",
                "vgpud_state{vm=\"win11\",state=\"streaming\"} 1\n",
                "vgpud_state{vm=\"win11\",state=\"stalled\"} 0\n",
                "# UNIT vgpud_uptime_seconds seconds\n",
                "vgpud_uptime_seconds{vm=\"win11\"} 0.005\n",
                "vgpud_look_seconds_bucket{vm=\"win11\",le=\"1.0\"} 1\n",
                "vgpud_look_seconds_bucket{vm=\"win11\",le=\"+Inf\"} 7\n"
                "vgpud_look_seconds_count{vm=\"win11\"} 7\n"
                "vgpud_look_seconds_sum{vm=\"win11\"} 0.000000005\n",
        };
        json_object *metrics = example();
        char *text = render(metrics);

        (void)state;
        for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
                if (!strstr(text, lines[i]))
                        fail_msg("missing: %s in\n%s", lines[i], text);
        free(text);
        json_object_put(metrics);
}

static void a_name_cannot_leave_its_label(void **state)
{
        json_object *metrics = example();
        char *text;

        (void)state;
        json_object_object_add(metrics, "name", json_object_new_string("a\"b\\c\n\x1b}"));
        text = render(metrics);
        assert_is_openmetrics(text);
        assert_non_null(strstr(text, "vgpud_up{vm=\"a\\\"b\\\\c\\\\x0a\\\\x1b}\"} 1\n"));
        free(text);
        json_object_put(metrics);
}

static void an_answer_of_another_version_or_of_another_shape_is_still_sound(void **state)
{
        static const char *const answers[] = {
                "{}",
                "{\"counters\":{\"frames\":18446744073709551615,\"brand_new\":1,\"skips\":3},"
                "\"gauges\":[],"
                "\"histograms\":{\"look\":{\"unit\":\"furlongs\",\"buckets\":[]},\"wake\":7},"
                "\"states_ms\":{}}",
                "{\"state\":\"dreaming\",\"states_ms\":{\"a\\\"b\":1}}",
        };

        (void)state;
        for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
                json_object *metrics = json_tokener_parse(answers[i]);
                char *text = render(metrics);

                assert_is_openmetrics(text);
                assert_null(strstr(text, "brand_new"));
                if (i == 1)
                        assert_non_null(strstr(
                                text, "vgpud_frames_total{vm=\"socket\"} 18446744073709551615\n"));
                free(text);
                json_object_put(metrics);
        }
}

static void what_is_no_openmetrics_is_noticed(void **state)
{
        static const char *const texts[] = {
                "",
                "# EOF",
                "# EOF\n\n",
                "\n# EOF\n",
                "a 1\n# EOF\n",
                "# TYPE a gauge\na 1\n# EOF\n",
                "# TYPE a gauge\n# HELP a b\n# EOF\n",
                "# TYPE a stateset\n# HELP a b\na{a=\"x\"} 1\n# EOF\n",
                "# TYPE a counter\n# HELP a b\na 1\n# EOF\n",
                "# TYPE a counter\n# HELP a b\na_total -1\n# EOF\n",
                "# TYPE a gauge\n# HELP a b\na 1\na 2\n# EOF\n",
                "# TYPE a gauge\n# HELP a b\na  1\n# EOF\n",
                "# TYPE a gauge\n# UNIT a seconds\n# HELP a b\na 1\n# EOF\n",
                "# TYPE a histogram\n# HELP a b\na_bucket{le=\"1.0\"} 1\n# EOF\n",
                "# TYPE a histogram\n# HELP a b\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 1\n# "
                "EOF\n",
                "# TYPE a histogram\n# HELP a b\na_bucket{le=\"1.0\"} 2\na_bucket{le=\"+Inf\"} "
                "1\n# EOF\n",
                "# TYPE a histogram\n# HELP a b\na_bucket{le=\"+Inf\"} 1\na_count 2\n# EOF\n",
        };
        struct openmetrics m;

        (void)state;
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
                if (openmetrics_check(texts[i], &m))
                        fail_msg("taken for OpenMetrics: %s", texts[i]);
        assert_true(openmetrics_check("# TYPE a gauge\n# HELP a b\na{x=\"\\\\\"} 1\n# EOF\n", &m));
}

/* ---- the command ----------------------------------------------------------------------------------------------------- */

static struct publisher publisher;

static void turn(void *ctx, const char *out, int pid)
{
        (void)out;
        (void)pid;
        publisher_turn(ctx);
}

static int begin(void **state)
{
        (void)state;
        publisher_init(&publisher, 4096);
        return 0;
}

static int end(void **state)
{
        (void)state;
        publisher_deinit(&publisher);
        return 0;
}

static struct tool_result run(const char *socket, const char *a, const char *b)
{
        const struct tool_company beside = { .turn = turn, .ctx = &publisher };
        const char *argv[] = { VGPUCTL, "--socket", socket, "metrics", a, b, NULL };
        struct tool_result r;

        tool_run(argv, &beside, &r);
        return r;
}

/* The caller frees it. */
static char *read_file(const char *path)
{
        FILE *f = fopen(path, "r");
        char *text = NULL;
        size_t cap = 0;

        assert_non_null(f);
        assert_true(getdelim(&text, &cap, '\0', f) > 0);
        fclose(f);
        return text;
}

static void the_file_is_readable_for_all_and_nothing_is_left_beside_it(void **state)
{
        char path[128], command[256], *text;
        struct tool_result r;
        struct stat st;

        (void)state;
        publisher.metrics = "{\"schema\":1,\"name\":\"demo\",\"counters\":{\"frames\":7}}";
        snprintf(path, sizeof path, "%s/vgpud.prom", publisher.dir);
        r = run(publisher.path, "--output", path);
        assert_int_equal(r.exit_code, 0);
        assert_int_equal(r.out_len + r.err_len, 0);
        tool_result_deinit(&r);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0644);
        text = read_file(path);
        assert_is_openmetrics(text);
        assert_non_null(strstr(text, "vgpud_frames_total{vm=\"demo\"} 7\n"));
        free(text);
        snprintf(command, sizeof command, "test -z \"$(find '%s' -name '.*')\"", publisher.dir);
        assert_int_equal(system(command), 0);
}

static void a_daemon_that_is_away_is_a_metric_in_a_file_and_a_failure_elsewhere(void **state)
{
        char path[128], away[128], *text;
        struct tool_result r;

        (void)state;
        snprintf(path, sizeof path, "%s/vgpud.prom", publisher.dir);
        snprintf(away, sizeof away, "%s/win11.sock", publisher.dir);
        r = run(away, "--output", path);
        assert_int_equal(r.exit_code, 0);
        tool_result_deinit(&r);
        text = read_file(path);
        assert_is_openmetrics(text);
        assert_non_null(strstr(text, "vgpud_up{vm=\"win11\"} 0\n"));
        free(text);
        r = run(away, NULL, NULL);
        assert_int_equal(r.exit_code, 1);
        assert_int_equal(r.out_len, 0);
        assert_non_null(strstr(r.err, "systemctl start vgpud@"));
        tool_result_deinit(&r);
}

static void an_old_daemon_and_a_folder_that_is_not_there_are_sentences(void **state)
{
        struct tool_result r;

        (void)state;
        publisher.metrics = NULL;
        r = run(publisher.path, NULL, NULL);
        assert_int_equal(r.exit_code, 1);
        assert_non_null(strstr(r.err, "of a version that keeps no metrics"));
        tool_result_deinit(&r);
        publisher.metrics = "{}";
        r = run(publisher.path, "--output", "/nonexistent/a.prom");
        assert_int_equal(r.exit_code, 1);
        assert_non_null(strstr(r.err, "'/nonexistent/a.prom': No such file or directory"));
        tool_result_deinit(&r);
        publisher.metrics = "nonsense";
        r = run(publisher.path, NULL, NULL);
        assert_int_equal(r.exit_code, 1);
        assert_non_null(strstr(r.err, "no metrics"));
        tool_result_deinit(&r);
}

static void as_json_it_is_the_daemons_own_answer(void **state)
{
        struct tool_result r;

        (void)state;
        publisher.metrics = "{\"schema\":1,\"brand_new\":3}";
        r = run(publisher.path, "-j", NULL);
        assert_int_equal(r.exit_code, 0);
        assert_string_equal(r.out, "{\"schema\":1,\"brand_new\":3}\n");
        tool_result_deinit(&r);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(
                        everything_that_the_daemon_answers_is_there_to_the_letter_of_the_format),
                cmocka_unit_test(times_are_seconds_and_every_series_has_the_machines_name),
                cmocka_unit_test(a_name_cannot_leave_its_label),
                cmocka_unit_test(an_answer_of_another_version_or_of_another_shape_is_still_sound),
                cmocka_unit_test(what_is_no_openmetrics_is_noticed),
                CASE(the_file_is_readable_for_all_and_nothing_is_left_beside_it),
                CASE(a_daemon_that_is_away_is_a_metric_in_a_file_and_a_failure_elsewhere),
                CASE(an_old_daemon_and_a_folder_that_is_not_there_are_sentences),
                CASE(as_json_it_is_the_daemons_own_answer),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
