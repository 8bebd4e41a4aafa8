/*
 * table_test.c - the tables of the benchmarks: nobody checks by hand whether a median is one
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "table.h"

/* All in one table, which is there until the program ends. */
static struct bench_row *new_row(void)
{
        static struct bench_report report;

        if (report.n_tables == 0)
                bench_table_add(&report, "t", "us", "a table");
        return bench_row_add(report.table[0], "group", "row %d", 1);
}

static void a_row_without_samples_has_no_figures_and_was_not_measured(void **state)
{
        struct bench_row *row = new_row();

        (void)state;
        assert_int_equal(bench_row_figures(row).n, 0);
        assert_int_equal(bench_row_holds(row), BENCH_NO_TARGET);
        bench_row_at_most(row, BENCH_OF_MEDIAN, 5);
        assert_int_equal(bench_row_holds(row), BENCH_NOT_MEASURED);
}

static void few_samples_are_taken_together(void **state)
{
        struct bench_row *row = new_row();
        struct bench_figures v;

        (void)state;
        for (unsigned i = 0; i < 20; i++)
                bench_row_sample(row, i % 4, 20 - i);
        v = bench_row_figures(row);
        assert_true(v.median == 10.5);
        assert_true(v.p95 == 19);
        assert_true(v.p99 == 20);
        assert_true(v.max == 20);
        assert_int_equal(v.n, 20);
}

static void one_disturbed_round_of_many_samples_does_not_count(void **state)
{
        struct bench_row *row = new_row();
        struct bench_figures v;

        (void)state;
        for (unsigned i = 0; i < 300; i++)
                bench_row_sample(row, i / 100, i / 100 == 1 ? 1000 : i % 100 + 1);
        v = bench_row_figures(row);
        assert_true(v.median == 50.5);
        assert_true(v.p99 == 99);
        assert_true(v.max == 1000);
}

static void a_ratio_is_the_median_of_the_rounds_ratios(void **state)
{
        struct bench_row *row = new_row(), *roof = new_row();
        double ratio;

        (void)state;
        bench_row_at_most(row, BENCH_OF_RATIO, 1.5);
        assert_false(bench_row_ratio(row, &ratio));
        assert_int_equal(bench_row_holds(row), BENCH_NOT_MEASURED);
        bench_row_against(row, roof);
        /* the machine was ten times slower in the second round, and the third has no roofline */
        bench_row_sample(row, 0, 12);
        bench_row_sample(roof, 0, 10);
        bench_row_sample(row, 1, 140);
        bench_row_sample(roof, 1, 100);
        bench_row_sample(row, 2, 1);
        assert_true(bench_row_ratio(row, &ratio));
        assert_true(ratio > 1.29 && ratio < 1.31);
        assert_int_equal(bench_row_holds(row), BENCH_HOLDS);
}

static void a_row_holds_when_all_of_its_targets_do(void **state)
{
        struct bench_row *row = new_row();
        char text[100];

        (void)state;
        for (unsigned i = 1; i <= 50; i++)
                bench_row_sample(row, 0, i);
        bench_row_at_most(row, BENCH_OF_MEDIAN, 25.5);
        bench_row_at_least(row, BENCH_OF_P95, 48);
        assert_int_equal(bench_row_holds(row), BENCH_HOLDS);
        bench_row_at_most(row, BENCH_OF_MAX, 49.5);
        assert_int_equal(bench_row_holds(row), BENCH_MISSED);
        assert_string_equal(bench_targets_text(row, text, sizeof(text)),
                "median <= 25.5, p95 >= 48, max <= 49.5");
}

static char *written(void (*write)(FILE *f, const struct bench_report *report))
{
        struct bench_report report = { 0 };
        struct bench_table *t = bench_table_add(&report, "t", "us", "5 < 6 & \"so on\"");
        struct bench_row *row = bench_row_add(t, "", "a \"row\", <b>");
        char *text = NULL;
        size_t len;
        FILE *f = open_memstream(&text, &len);

        assert_non_null(f);
        bench_row_sample(row, 0, 1.5);
        bench_row_at_most(row, BENCH_OF_MEDIAN, 2);
        bench_row_add(t, "", "second");
        bench_row_note(t->row[1], "skipped: %s", "no such thing");
        write(f, &report);
        fclose(f);
        bench_report_deinit(&report);
        return text;
}

static void names_cannot_break_the_csv(void **state)
{
        char *text = written(bench_report_csv);

        (void)state;
        assert_string_equal(text,
                "table,group,row,unit,n,median,p95,p99,max,roofline,ratio,target,holds,note,title\n"
                "\"t\",\"\",\"a \"\"row\"\", <b>\",\"us\",1,1.5,1.5,1.5,1.5,\"\",,\"median <= 2\","
                "\"yes\",\"\",\"5 < 6 & \"\"so on\"\"\"\n"
                "\"t\",\"\",\"second\",\"us\",0,,,,,\"\",,\"\",\"-\",\"skipped: no such thing\","
                "\"5 < 6 & \"\"so on\"\"\"\n");
        free(text);
}

static void names_cannot_break_the_picture(void **state)
{
        char *text = written(bench_report_svg);

        (void)state;
        assert_non_null(strstr(text, "a \"row\", &lt;b&gt;"));
        assert_non_null(strstr(text, "5 &lt; 6 &amp; "));
        assert_null(strstr(text, "<b>"));
        assert_non_null(strstr(text, ">not measured<"));
        assert_non_null(strstr(text, "</svg>"));
        free(text);
}

static void the_text_counts_targets(void **state)
{
        char *text = written(bench_report_text);

        (void)state;
        assert_non_null(strstr(text, "skipped: no such thing"));
        assert_non_null(strstr(text, "Targets: 1 hold, 0 missed, 0 not measured\n"));
        free(text);
}

static void figures_that_were_given_are_judged_like_ones_that_were_sampled(void **state)
{
        struct bench_report report = { 0 };
        struct bench_table *t = bench_table_add(&report, "t", "us", "T");
        struct bench_row *row = bench_row_add(t, "", "r");

        (void)state;
        bench_row_at_most(row, BENCH_OF_P99, 30);
        bench_row_give(row, (struct bench_figures){ 0 });
        assert_int_equal(bench_row_holds(row), BENCH_NOT_MEASURED);
        bench_row_give(row, (struct bench_figures){ 10, 20, 30, 40, 1000 });
        assert_float_equal(bench_row_figures(row).p95, 20, 0);
        assert_int_equal(bench_row_holds(row), BENCH_HOLDS);
        bench_row_give(row, (struct bench_figures){ 10, 20, 31, 40, 1000 });
        assert_int_equal(bench_row_holds(row), BENCH_MISSED);
        bench_report_deinit(&report);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_row_without_samples_has_no_figures_and_was_not_measured),
                cmocka_unit_test(few_samples_are_taken_together),
                cmocka_unit_test(one_disturbed_round_of_many_samples_does_not_count),
                cmocka_unit_test(a_ratio_is_the_median_of_the_rounds_ratios),
                cmocka_unit_test(a_row_holds_when_all_of_its_targets_do),
                cmocka_unit_test(names_cannot_break_the_csv),
                cmocka_unit_test(names_cannot_break_the_picture),
                cmocka_unit_test(the_text_counts_targets),
                cmocka_unit_test(figures_that_were_given_are_judged_like_ones_that_were_sampled),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
