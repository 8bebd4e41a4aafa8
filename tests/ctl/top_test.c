/* top_test.c - the screen of `vgpuctl top`, out of reports whose every number is known */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "publisher.h"
#include "tool.h"
#include "top.h"

#define SECOND UINT64_C(1000000000)

static struct top top;

static int begin(void **state)
{
        (void)state;
        top_init(&top);
        return 0;
}

static int end(void **state)
{
        (void)state;
        top_deinit(&top);
        return 0;
}

static json_object *parse(const char *text)
{
        return text ? json_tokener_parse(text) : NULL;
}

static void take(unsigned second, const char *status, const char *clients, const char *metrics)
{
        struct top_reports r = { .at_ns = second * SECOND,
                .status = parse(status),
                .clients = parse(clients),
                .metrics = parse(metrics) };

        top_take(&top, &r);
}

/* The caller frees it. */
static char *draw(int width, int height)
{
        struct canvas c;
        char *text = NULL;
        size_t len;
        FILE *f = open_memstream(&text, &len);

        assert_non_null(f);
        assert_int_equal(canvas_init(&c, width, height), 0);
        top_draw(&top, &c);
        canvas_print(f, &c);
        canvas_deinit(&c);
        fclose(f);
        return text;
}

static void assert_shows(int width, int height, const char *text)
{
        char *screen = draw(width, height);

        if (!strstr(screen, text))
                fail_msg("'%s' is not in:\n%s", text, screen);
        free(screen);
}

static void rates_are_of_what_came_between_two_looks(void **state)
{
        (void)state;
        take(10, "{\"state\":\"streaming\",\"pid\":1}",
                "{\"clients\":[{\"pid\":7,\"name\":\"a\",\"frames\":600,\"since_ms\":10000}]}",
                "{\"uptime_ms\":10000,\"counters\":{\"looks\":1000,\"copied_bytes\":1000000}}");
        assert_shows(80, 24, "800 kbit/s copied  100 looks/s");
        assert_shows(80, 24, "     7 a                      60.0 ");
        take(12, "{\"state\":\"streaming\",\"pid\":1}",
                "{\"clients\":[{\"pid\":7,\"name\":\"a\",\"frames\":660,\"since_ms\":12000}]}",
                "{\"uptime_ms\":12000,\"counters\":{\"looks\":1500,\"copied_bytes\":3000000}}");
        assert_shows(80, 24, "8.0 Mbit/s copied  250 looks/s");
        assert_shows(80, 24, "     7 a                      30.0 ");
}

static void another_daemon_counts_from_the_beginning(void **state)
{
        (void)state;
        take(10, "{\"state\":\"streaming\",\"pid\":1}", NULL,
                "{\"uptime_ms\":10000,\"counters\":{\"looks\":100000}}");
        take(11, "{\"state\":\"streaming\",\"pid\":2}", NULL,
                "{\"uptime_ms\":500,\"counters\":{\"looks\":50}}");
        assert_shows(80, 24, "  100 looks/s");
}

static void a_daemon_that_is_away_is_said_to_be_with_since_when_and_what_was_known_stays(
        void **state)
{
        (void)state;
        take(10, "{\"state\":\"streaming\",\"pid\":1}",
                "{\"clients\":[{\"pid\":7,\"name\":\"viewer\"}]}", NULL);
        take(11, NULL, NULL, NULL);
        take(15, NULL, NULL, NULL);
        assert_shows(80, 24, "the daemon is away since 4.0 s; trying to reach it again");
        assert_shows(80, 24, "viewer");
        assert_shows(80, 24, "#- now");
        take(16,
                "{\"state\":\"searching\",\"pid\":2,\"since_ms\":100,\"reason\":\"No process "
                "\\u001b[2J has one\"}",
                NULL, NULL);
        assert_shows(80, 24, "searching since 0.1 s");
        assert_shows(80, 24, "No process \\x1b[2J has one");
}

static void the_states_of_five_minutes_are_on_the_strip_and_a_short_outage_is_not_lost(void **state)
{
        (void)state;
        for (unsigned s = 1; s <= 400; s++)
                take(s, s == 250 ? "{\"state\":\"stalled\"}" : "{\"state\":\"streaming\"}", NULL,
                        NULL);
        assert_shows(40, 10, "states -5min ###########!########### now");
        /* Nobody asked for an hour. */
        take(4000, "{\"state\":\"absent\"}", NULL, NULL);
        assert_shows(40, 10, "states -5min ######################. now");
}

static void clients_are_sorted_by_what_hurts(void **state)
{
        static const char *const first[TOP_N_SORTS] = { "bbb", "ccc", "aaa", "aaa" };

        (void)state;
        take(10, "{\"state\":\"streaming\"}",
                "{\"clients\":[{\"pid\":1,\"name\":\"aaa\",\"frames\":100,\"since_ms\":1000,"
                "\"missed\":0,\"lag\":1},"
                "{\"pid\":2,\"name\":\"bbb\",\"frames\":50,\"since_ms\":1000,\"missed\":9,\"lag\":"
                "0},"
                "{\"pid\":3,\"name\":\"ccc\",\"frames\":10,\"since_ms\":1000,\"missed\":1,\"lag\":"
                "7}]}",
                NULL);
        for (int i = 0; i < TOP_N_SORTS; i++) {
                char *screen, *at;

                top.sort = (enum top_sort)i;
                screen = draw(80, 24);
                at = strstr(screen, first[i]);
                assert_non_null(at);
                for (int j = 0; j < 3; j++)
                        assert_true(
                                strstr(screen, ((const char *[]){ "aaa", "bbb", "ccc" })[j]) >= at);
                free(screen);
        }
}

static void no_size_is_too_small_and_no_report_too_strange(void **state)
{
        static const char *const strange[] = {
                "{}",
                "{\"state\":7,\"skips\":[],\"mode\":\"big\",\"reason\":{\"a\":1},\"process\":3,"
                "\"clients\":{},\"histograms\":[1]}",
                "{\"clients\":[1,null,\"x\",{\"pid\":-1,\"name\":null,\"frames\":\"many\"}]}",
                "{\"name\":\"\\u001b]0;x\\u0007\",\"histograms\":{\"sample\":{\"unit\":\"ns\","
                "\"count\":5,\"buckets\":"
                "[{\"le\":9,\"count\":7},{\"le\":1,\"count\":3},4]}},\"counters\":7}",
        };

        (void)state;
        for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
                take((unsigned)(10 + i), strange[i], strange[i], strange[i]);
                for (int width = 20; width < 220; width += 9)
                        for (int height = 5; height < 70; height += 7) {
                                char *screen = draw(width, height);

                                assert_null(strchr(screen, '\033'));
                                free(screen);
                        }
        }
}

static void turn(void *ctx, const char *out, int pid)
{
        (void)out;
        (void)pid;
        publisher_turn(ctx);
}

static void in_a_pipe_it_is_text_or_an_object_a_line(void **state)
{
        struct publisher publisher;
        const struct tool_company beside = { .turn = turn, .ctx = &publisher };
        struct tool_result r;
        json_object *o;

        (void)state;
        publisher_init(&publisher, 4096);
        publisher.status = "{\"schema\":1,\"state\":\"streaming\",\"since_ms\":4200}";
        publisher.clients = "{\"clients\":[]}";
        {
                const char *argv[] = { VGPUCTL, "--socket", publisher.path, "top", "-n", "1",
                        NULL };

                tool_run(argv, &beside, &r);
        }
        assert_int_equal(r.exit_code, 0);
        assert_non_null(strstr(r.out, "streaming since 4.2 s"));
        assert_null(strchr(r.out, '\033'));
        tool_result_deinit(&r);
        {
                const char *argv[] = { VGPUCTL, "--socket", publisher.path, "top", "--count=1",
                        "--json=short", NULL };

                tool_run(argv, &beside, &r);
        }
        o = json_tokener_parse(r.out);
        assert_true(json_object_get_boolean(json_object_object_get(o, "answers")));
        /* An older daemon has no metrics. */
        assert_null(json_object_object_get(o, "metrics"));
        json_object_put(o);
        tool_result_deinit(&r);
        publisher_deinit(&publisher);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(rates_are_of_what_came_between_two_looks),
                CASE(another_daemon_counts_from_the_beginning),
                CASE(a_daemon_that_is_away_is_said_to_be_with_since_when_and_what_was_known_stays),
                CASE(the_states_of_five_minutes_are_on_the_strip_and_a_short_outage_is_not_lost),
                CASE(clients_are_sorted_by_what_hurts),
                CASE(no_size_is_too_small_and_no_report_too_strange),
                cmocka_unit_test(in_a_pipe_it_is_text_or_an_object_a_line),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
