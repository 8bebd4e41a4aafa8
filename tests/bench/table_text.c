/* table_text.c - a report as aligned text and as CSV (see table.h) */
#include <string.h>

#include "table.h"

#define NUMBER 24

/* ---- text -------------------------------------------------------------------------------------------------------- */

static int longest(const struct bench_table *t, const char *(*text)(const struct bench_row *row))
{
        size_t most = 0;

        for (unsigned i = 0; i < t->n_rows; i++)
                if (strlen(text(t->row[i])) > most)
                        most = strlen(text(t->row[i]));
        return (int)most;
}

static const char *group_of(const struct bench_row *row)
{
        return row->group;
}

static const char *name_of(const struct bench_row *row)
{
        return row->name;
}

static void print_figures(FILE *f, const struct bench_row *row)
{
        struct bench_figures v = bench_row_figures(row);
        char median[NUMBER], p95[NUMBER], p99[NUMBER], max[NUMBER], ratio[NUMBER] = "-";
        double by;

        if (v.n == 0) {
                fprintf(f, "%9s %9s %9s %9s %7s %7s", "-", "-", "-", "-", "0", "-");
                return;
        }
        if (bench_row_ratio(row, &by))
                snprintf(ratio, sizeof(ratio), "%.3f", by);
        fprintf(f, "%9s %9s %9s %9s %7zu %7s", bench_number(v.median, median, NUMBER),
                bench_number(v.p95, p95, NUMBER), bench_number(v.p99, p99, NUMBER),
                bench_number(v.max, max, NUMBER), v.n, ratio);
}

static void print_table(FILE *f, const struct bench_table *t)
{
        int group = longest(t, group_of), name = longest(t, name_of);
        const char *last = "";
        char targets[BENCH_NOTE];

        fprintf(f, "\n%s (%s)\n%-*s  %-*s %9s %9s %9s %9s %7s %7s  %-12s target\n", t->title,
                t->unit, group, "", name, "", "median", "p95", "p99", "max", "n", "ratio", "holds");
        for (unsigned i = 0; i < t->n_rows; i++) {
                const struct bench_row *row = t->row[i];

                fprintf(f, "%-*s  %-*s ", group, strcmp(last, row->group) != 0 ? row->group : "",
                        name, row->name);
                print_figures(f, row);
                fprintf(f, "  %-12s %s%s%s\n", bench_holds_text(bench_row_holds(row)),
                        bench_targets_text(row, targets, sizeof(targets)),
                        row->note[0] != '\0' && row->n_targets > 0 ? "; " : "", row->note);
                last = row->group;
        }
}

void bench_report_text(FILE *f, const struct bench_report *report)
{
        unsigned n[] = { [BENCH_HOLDS] = 0, [BENCH_MISSED] = 0, [BENCH_NOT_MEASURED] = 0 };

        for (unsigned i = 0; i < report->n_tables; i++) {
                const struct bench_table *t = report->table[i];

                print_table(f, t);
                for (unsigned k = 0; k < t->n_rows; k++)
                        n[bench_row_holds(t->row[k])]++;
        }
        fprintf(f, "\nTargets: %u hold, %u missed, %u not measured\n", n[BENCH_HOLDS],
                n[BENCH_MISSED], n[BENCH_NOT_MEASURED]);
}

/* ---- CSV --------------------------------------------------------------------------------------------------------- */

static void csv_text(FILE *f, const char *text)
{
        fputc('"', f);
        for (; *text != '\0'; text++) {
                if (*text == '"')
                        fputc('"', f);
                fputc(*text, f);
        }
        fputc('"', f);
}

static void csv_field(FILE *f, const char *text)
{
        csv_text(f, text);
        fputc(',', f);
}

static void csv_row(FILE *f, const struct bench_table *t, const struct bench_row *row)
{
        struct bench_figures v = bench_row_figures(row);
        char targets[BENCH_NOTE];
        double ratio;

        csv_field(f, t->id);
        csv_field(f, row->group);
        csv_field(f, row->name);
        csv_field(f, t->unit);
        fprintf(f, "%zu,", v.n);
        if (v.n > 0)
                fprintf(f, "%.6g,%.6g,%.6g,%.6g,", v.median, v.p95, v.p99, v.max);
        else
                fputs(",,,,", f);
        csv_field(f, row->roofline ? row->roofline->name : "");
        if (bench_row_ratio(row, &ratio))
                fprintf(f, "%.4f", ratio);
        fputc(',', f);
        csv_field(f, bench_targets_text(row, targets, sizeof(targets)));
        csv_field(f, bench_holds_text(bench_row_holds(row)));
        csv_field(f, row->note);
        csv_text(f, t->title);
        fputc('\n', f);
}

void bench_report_csv(FILE *f, const struct bench_report *report)
{
        fputs("table,group,row,unit,n,median,p95,p99,max,roofline,ratio,target,holds,note,title\n",
                f);
        for (unsigned i = 0; i < report->n_tables; i++)
                for (unsigned k = 0; k < report->table[i]->n_rows; k++)
                        csv_row(f, report->table[i], report->table[i]->row[k]);
}
