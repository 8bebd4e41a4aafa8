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

/* What a benchmark would write, read again as one more run. */
static void pass_on(struct figures_file *file, const struct bench_report *report)
{
        char path[] = "/tmp/vgpu-bar-test-XXXXXX";
        int fd = mkstemp(path);
        FILE *f = fdopen(fd, "w");

        assert_non_null(f);
        bench_report_csv(f, report);
        fclose(f);
        assert_int_equal(figures_file_read(file, path), 0);
        unlink(path);
}

static struct figures_file passed_on(const struct bench_report *report)
{
        struct figures_file file = { 0 };

        pass_on(&file, report);
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
        assert_string_equal(file.record[0].title, "T");
        assert_int_equal(figures_holds(&file.record[0]), BENCH_MISSED);
        assert_float_equal(file.record[0].middle.figures.median, 12.5, 0);
        assert_int_equal(file.record[1].middle.figures.n, 0);
        figures_file_deinit(&file);
        bench_report_deinit(&report);
}

static void the_worst_target_of_a_row_is_what_it_exceeds_by(void **state)
{
        struct bench_report report = { 0 };
        struct bench_table *t = bench_table_add(&report, "t", "us", "T");
        struct bench_row *row = row_with(t, "", "r", 12.5);
        struct figures_file file;
        struct figures_excess by;

        (void)state;
        bench_row_at_most(row, BENCH_OF_MAX, 100);
        bench_row_at_most(row, BENCH_OF_MEDIAN, 10);
        bench_row_at_least(row_with(t, "", "s", 2), BENCH_OF_MEDIAN, 4);
        row_with(t, "", "no target", 5);
        bench_row_at_most(row_with(t, "", "none at all", 3), BENCH_OF_MAX, 0);
        file = passed_on(&report);
        assert_true(figures_excess(&file.record[0], &by));
        assert_float_equal(by.excess, 0.25, 1e-9);
        assert_float_equal(by.value, 12.5, 0);
        assert_true(figures_excess(&file.record[1], &by));
        assert_float_equal(by.excess, 0.5, 1e-9);
        assert_false(figures_excess(&file.record[2], &by));
        assert_true(figures_excess(&file.record[3], &by));
        assert_float_equal(by.excess, 1, 0);
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

/* A row of one sample each, as run after run would find it. */
static struct figures_file run_with(const double *value, unsigned n_runs, double at_most)
{
        struct figures_file file = { 0 };

        for (unsigned i = 0; i < n_runs; i++) {
                struct bench_report report = { 0 };
                struct bench_table *t = bench_table_add(&report, "t", "us", "T");
                struct bench_row *row = bench_row_add(t, "", "r");

                bench_row_at_most(row, BENCH_OF_P99, at_most);
                if (value[i] > 0)
                        bench_row_sample(row, 0, value[i]);
                pass_on(&file, &report);
                bench_report_deinit(&report);
        }
        return file;
}

static void several_runs_are_judged_by_their_median(void **state)
{
        static const double value[] = { 30, 9, 10 };
        const struct bar_row about = { .program = "p", .table = "t", .group = "*", .row = "*" };
        struct figures_file file = run_with(value, 3, 10);
        struct bar_verdict v = bar_judge(&about, &file);
        char text[256];

        (void)state;
        assert_int_equal(file.n_records, 1);
        assert_int_equal(file.record[0].middle.figures.n, 3);
        assert_int_equal(v.holds, BENCH_HOLDS);
        assert_string_equal(bar_verdict_text(&about, &v, text, sizeof(text)), "yes: 10.00");
        assert_string_equal(bar_runs_text(&v.by, v.n_runs, text, sizeof(text)),
                "30.00, 9.000, 10.00, spread 21.00");
        figures_file_deinit(&file);

        file = run_with(value, 2, 10);
        v = bar_judge(&about, &file);
        assert_int_equal(v.holds, BENCH_MISSED);
        assert_string_equal(
                bar_verdict_text(&about, &v, text, sizeof(text)), "no: 19.50, 95 % beyond");
        figures_file_deinit(&file);

        file = run_with(value, 1, 10);
        v = bar_judge(&about, &file);
        assert_string_equal(bar_runs_text(&v.by, v.n_runs, text, sizeof(text)), "");
        figures_file_deinit(&file);
}

static void a_run_that_could_not_measure_a_row_does_not_count_in_it(void **state)
{
        static const double value[] = { 0, 8, 9 };
        const struct bar_row about = { .program = "p", .table = "t", .group = "*", .row = "*" };
        struct figures_file file = run_with(value, 3, 10);
        struct bar_verdict v = bar_judge(&about, &file);
        char text[256];

        (void)state;
        assert_int_equal(v.holds, BENCH_HOLDS);
        assert_string_equal(bar_verdict_text(&about, &v, text, sizeof(text)), "yes: 8.500");
        assert_string_equal(bar_runs_text(&v.by, v.n_runs, text, sizeof(text)),
                "-, 8.000, 9.000, spread 1.000");
        figures_file_deinit(&file);
}

static void rows_of_one_name_are_told_apart_by_their_order(void **state)
{
        struct figures_file file = { 0 };

        (void)state;
        for (unsigned run = 0; run < 3; run++) {
                struct bench_report report = { 0 };
                struct bench_table *t = bench_table_add(&report, "t", "us", "T");

                row_with(t, "", "r", 1 + run);
                row_with(t, "", "r", 11 + run);
                pass_on(&file, &report);
                bench_report_deinit(&report);
        }
        assert_int_equal(file.n_records, 2);
        assert_float_equal(file.record[0].middle.figures.median, 2, 0);
        assert_float_equal(file.record[1].middle.figures.median, 12, 0);
        figures_file_deinit(&file);
}

static void the_chart_shows_the_median_of_the_runs(void **state)
{
        static const double value[] = { 30, 9, 10 };
        struct figures_file file = run_with(value, 3, 10);
        struct bench_report report = { 0 };

        (void)state;
        figures_report(&file, &report);
        assert_int_equal(report.n_tables, 1);
        assert_string_equal(report.table[0]->title, "T");
        assert_float_equal(bench_row_figures(report.table[0]->row[0]).p99, 10, 0);
        assert_int_equal(bench_row_holds(report.table[0]->row[0]), BENCH_HOLDS);
        bench_report_deinit(&report);
        figures_file_deinit(&file);
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
                cmocka_unit_test(several_runs_are_judged_by_their_median),
                cmocka_unit_test(a_run_that_could_not_measure_a_row_does_not_count_in_it),
                cmocka_unit_test(rows_of_one_name_are_told_apart_by_their_order),
                cmocka_unit_test(the_chart_shows_the_median_of_the_runs),
                cmocka_unit_test(what_was_not_measured_says_how_or_why),
                cmocka_unit_test(a_file_of_another_form_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
