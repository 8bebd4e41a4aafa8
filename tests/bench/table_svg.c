/*
 * table_svg.c - a report as a picture (see table.h): for each table one chart of horizontal bars
 *
 * A bar is as long as the median, a thin line goes on to p95, and a red mark stands where a target for the median is. Nothing
 * but rectangles, lines and text, so that any browser shows it.
 */
#include <string.h>

#include "table.h"

#define WIDTH     960
#define LABEL     400 /* what names take, on the left */
#define BARS      440 /* what the longest bar takes */
#define LINE      20
#define MARGIN    16
#define HEADING   44
#define N_COLOURS 5u

static void xml_text(FILE *f, const char *text)
{
        for (; *text != '\0'; text++) {
                switch (*text) {
                case '&':
                        fputs("&amp;", f);
                        break;
                case '<':
                        fputs("&lt;", f);
                        break;
                case '>':
                        fputs("&gt;", f);
                        break;
                default:
                        if ((unsigned char)*text >= ' ')
                                fputc(*text, f);
                }
        }
}

static double median_target(const struct bench_row *row)
{
        for (unsigned i = 0; i < row->n_targets; i++)
                if (row->target[i].of == BENCH_OF_MEDIAN)
                        return row->target[i].limit;
        return 0;
}

/* What the width of all bars stands for. */
static double scale_of(const struct bench_table *t)
{
        double most = 0;

        for (unsigned i = 0; i < t->n_rows; i++) {
                struct bench_figures v = bench_row_figures(t->row[i]);

                if (v.p95 > most)
                        most = v.p95;
                if (median_target(t->row[i]) > most)
                        most = median_target(t->row[i]);
        }
        return most > 0 ? most : 1;
}

static double length_of(double value, double scale)
{
        return value > 0 ? value / scale * BARS : 0;
}

static void draw_bar(FILE *f, const struct bench_row *row, int y, double scale, const char *colour)
{
        struct bench_figures v = bench_row_figures(row);
        double median = length_of(v.median, scale), p95 = length_of(v.p95, scale);
        double target = length_of(median_target(row), scale);
        char number[32];

        if (v.n > 0) {
                fprintf(f, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"12\" fill=\"%s\"/>\n",
                        LABEL, y + 4, median, colour);
                fprintf(f, "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#555\"/>\n",
                        LABEL + median, y + 10, LABEL + p95, y + 10);
        }
        if (target > 0)
                fprintf(f,
                        "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#c00\" "
                        "stroke-width=\"2\"/>\n",
                        LABEL + target, y + 1, LABEL + target, y + 19);
        fprintf(f, "<text x=\"%.1f\" y=\"%d\">%s</text>\n",
                LABEL + (p95 > target ? p95 : target) + 6, y + 14,
                v.n > 0 ? bench_number(v.median, number, sizeof(number)) : "not measured");
}

static int draw_table(FILE *f, const struct bench_table *t, int y)
{
        static const char *const colour[N_COLOURS] = { "#4878a8", "#6aa06a", "#b08040", "#8868a0",
                "#707070" };
        double scale = scale_of(t);
        unsigned group = 0;

        fprintf(f, "<text x=\"%d\" y=\"%d\" font-weight=\"bold\">", MARGIN, y + 24);
        xml_text(f, t->title);
        fputs(" (", f);
        xml_text(f, t->unit);
        fputs(")</text>\n", f);
        y += HEADING;
        for (unsigned i = 0; i < t->n_rows; i++, y += LINE) {
                const struct bench_row *row = t->row[i];

                if (i > 0 && strcmp(row->group, t->row[i - 1]->group) != 0)
                        group++;
                fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", LABEL - 8, y + 14);
                xml_text(f, row->group);
                fputs(row->group[0] != '\0' ? ", " : "", f);
                xml_text(f, row->name);
                fputs("</text>\n", f);
                draw_bar(f, row, y, scale, colour[group % N_COLOURS]);
        }
        return y;
}

void bench_report_svg(FILE *f, const struct bench_report *report)
{
        int height = MARGIN, y = 0;

        for (unsigned i = 0; i < report->n_tables; i++)
                height += HEADING + LINE * (int)report->table[i]->n_rows;
        fprintf(f,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                "font-family=\"sans-serif\" font-size=\"12\">\n"
                "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
                WIDTH, height, WIDTH, height);
        for (unsigned i = 0; i < report->n_tables; i++)
                y = draw_table(f, report->table[i], y);
        fputs("</svg>\n", f);
}
