/* bar_test.c - figures survive the way through their file, and the bar says by how much it is missed */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bar.h"

/* What a benchmark would write, read again. */
static struct figures_file passed_on(const struct bench_report *report)
{
        char path[] = "/tmp/vgpu-bar-test-XXXXXX";
        struct figures_file file = { 0 };
        int fd = mkstemp(path);
        FILE *f = fdopen(fd, "w");

        assert_non_null(f);
        bench_report_csv(f, report);
        fclose(f);
        assert_int_equal(figures_file_read(&file, path), 0);
        unlink(path);
        return file;
}

static struct bench_row *row_with(
        struct bench_table *t, const char *group, const char *name, double value)
{
        struct bench_row *row = bench_row_add(t, group, "%s", name);

        bench_row_sample(row, 0, value);
        return row;
}

static void figures_survive_the_way_through_their_file(void **state)
{
        struct bench_report report = { 0 };
        struct bench_table *t = bench_table_add(&report, "t", "us", "T");
        struct bench_row *row = row_with(t, "a, \"b\"", "c, d", 12.5);
        struct figures_file file;

        (void)state;
        bench_row_note(row, "so, \"it\" is");
        bench_row_at_most(row, BENCH_OF_MEDIAN, 10);
        bench_row_at_most(row, BENCH_OF_MAX, 100);
        bench_row_add(t, "", "nothing");
        file = passed_on(&report);
        assert_int_equal(file.n_records, 2);
        assert_string_equal(file.record[0].group, "a, \"b\"");
        assert_string_equal(file.record[0].row, "c, d");
        assert_string_equal(file.record[0].note, "so, \"it\" is");
        assert_string_equal(file.record[0].target, "median <= 10, max <= 100");
        assert_string_equal(file.record[0].holds, "no");
        assert_float_equal(file.record[0].figures.median, 12.5, 0);
        assert_int_equal(file.record[1].figures.n, 0);
        figures_file_deinit(&file);
        bench_report_deinit(&report);
}

static void the_worst_target_of_a_row_is_what_it_exceeds_by(void **state)
{
        struct bench_report report = { 0 };
        struct bench_table *t = bench_table_add(&report, "t", "us", "T");
        struct bench_row *row = row_with(t, "", "r", 12.5);
        struct figures_file file;
        double excess, value;

        (void)state;
        bench_row_at_most(row, BENCH_OF_MAX, 100);
        bench_row_at_most(row, BENCH_OF_MEDIAN, 10);
        bench_row_at_least(row_with(t, "", "s", 2), BENCH_OF_MEDIAN, 4);
        row_with(t, "", "no target", 5);
        bench_row_at_most(row_with(t, "", "none at all", 3), BENCH_OF_MAX, 0);
        file = passed_on(&report);
        assert_true(figures_excess(&file.record[0], &excess, &value));
        assert_float_equal(excess, 0.25, 1e-9);
        assert_float_equal(value, 12.5, 0);
        assert_true(figures_excess(&file.record[1], &excess, &value));
        assert_float_equal(excess, 0.5, 1e-9);
        assert_false(figures_excess(&file.record[2], &excess, &value));
        assert_true(figures_excess(&file.record[3], &excess, &value));
        assert_float_equal(excess, 1, 0);
        figures_file_deinit(&file);
        bench_report_deinit(&report);
}

static void a_row_of_the_bar_holds_when_all_it_is_about_does(void **state)
{
        const struct bar_row about = {
                .program = "p", .table = "t", .group = "1080p*", .row = "take?(, *)"
        };
        struct bench_report report = { 0 };
        struct bench_table *t = bench_table_add(&report, "t", "us", "T");
        struct figures_file file;
        struct bar_verdict v;
        char text[256];

        (void)state;
        bench_row_at_most(row_with(t, "1080p", "take", 9), BENCH_OF_MEDIAN, 10);
        bench_row_at_most(row_with(t, "1080p, more", "take, by two", 8), BENCH_OF_MEDIAN, 10);
        bench_row_at_most(row_with(t, "1080p", "takes", 99), BENCH_OF_MEDIAN, 10);
        bench_row_at_most(row_with(t, "4K", "take", 99), BENCH_OF_MEDIAN, 10);
        file = passed_on(&report);
        v = bar_judge(&about, &file);
        assert_int_equal(v.holds, BENCH_HOLDS);
        assert_int_equal(v.n, 2);
        assert_string_equal(bar_verdict_text(&about, &v, text, sizeof(text)),
                "yes: 9.000 at worst (1080p: take)");
        figures_file_deinit(&file);

        bench_row_at_most(row_with(t, "1080p", "take", 12), BENCH_OF_MEDIAN, 10);
        file = passed_on(&report);
        v = bar_judge(&about, &file);
        assert_int_equal(v.holds, BENCH_MISSED);
        assert_string_equal(bar_verdict_text(&about, &v, text, sizeof(text)),
                "no: 12.00, 20 % beyond (1080p: take); 2 of 3 hold");
        figures_file_deinit(&file);
        bench_report_deinit(&report);
}

static void what_was_not_measured_says_how_or_why(void **state)
{
        const struct bar_row about = { .program = "p", .table = "t", .group = "*", .row = "*" };
        struct bench_report report = { 0 };
        struct bench_table *t = bench_table_add(&report, "t", "us", "T");
        struct figures_file file = { 0 };
        struct bench_row *row;
        struct bar_verdict v;
        char text[256];

        (void)state;
        v = bar_judge(&about, &file);
        assert_int_equal(v.holds, BENCH_NOT_MEASURED);
        assert_string_equal(
                bar_verdict_text(&about, &v, text, sizeof(text)), "not measured: script/bench p");
        row = bench_row_add(t, "", "r");
        bench_row_at_most(row, BENCH_OF_MEDIAN, 10);
        bench_row_note(row, "skipped: no such thing");
        file = passed_on(&report);
        v = bar_judge(&about, &file);
        assert_string_equal(bar_verdict_text(&about, &v, text, sizeof(text)),
                "not measured: skipped: no such thing");
        figures_file_deinit(&file);
        bench_report_deinit(&report);
}

static void a_file_of_another_form_is_refused(void **state)
{
        static const char *const bad[] = { "a,b\n", "table,group\n", "\"\n" };
        char path[] = "/tmp/vgpu-bar-test-XXXXXX";
        int fd = mkstemp(path);

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct figures_file file = { 0 };

                assert_int_equal(ftruncate(fd, 0), 0);
                assert_int_equal(pwrite(fd, bad[i], strlen(bad[i]), 0), strlen(bad[i]));
                assert_int_equal(figures_file_read(&file, path), -EBADMSG);
                figures_file_deinit(&file);
        }
        unlink(path);
        close(fd);
        assert_int_equal(figures_file_read(&(struct figures_file){ 0 }, path), -ENOENT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(figures_survive_the_way_through_their_file),
                cmocka_unit_test(the_worst_target_of_a_row_is_what_it_exceeds_by),
                cmocka_unit_test(a_row_of_the_bar_holds_when_all_it_is_about_does),
                cmocka_unit_test(what_was_not_measured_says_how_or_why),
                cmocka_unit_test(a_file_of_another_form_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
