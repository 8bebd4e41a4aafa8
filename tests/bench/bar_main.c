/*
 * bar_main.c - vgpu-bench-bar: what the product is held to, from what the benchmarks wrote
 *
 * script/bench runs it last. It also writes the figures into documents, so that none of them is typed by hand.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bar.h"
#include "host.h"
#include "sources.h"

#define BEGIN_MARK "<!-- figures: from here to the end mark written by script/bench --document -->"
#define END_MARK   "<!-- figures: end -->"

static void usage(FILE *f)
{
        fputs("Usage: vgpu-bench-bar [OPTION...] FOLDER | --host\n\n"
              "Prints what the product is held to, and whether it holds by the figures in FOLDER,\n"
              "where script/bench wrote them; of several runs, by the median of each figure.\n\n"
              "  --program NAME   only what this benchmark measures\n"
              "  --document FILE  write that into FILE, between its two marks, too\n"
              "  --figures FILE   write all of the figures there, as tables\n"
              "  --charts FOLDER  draw them there, as NAME.svg\n"
              "  --host           only say which machine this is\n\n"
              "Exit status: 0 said, 1 it could not be, 2 wrong usage.\n",
                f);
}

/* ---- the bar ------------------------------------------------------------------------------------------------------- */

static void print_row(
        FILE *f, const struct bar_row *row, const struct bar_verdict *v, bool markdown)
{
        char text[512], runs[256];

        bar_verdict_text(row, v, text, sizeof(text));
        bar_runs_text(&v->by, v->worst ? v->n_runs : 0, runs, sizeof(runs));
        if (markdown)
                fprintf(f, "| %s | %s | %s | %s |\n", row->what, row->target, text, runs);
        else
                fprintf(f, "%-60s %-55s %s%s%s\n", row->what, row->target, text,
                        runs[0] != '\0' ? "; runs " : "", runs);
}

/* @only: NULL, or the one program whose rows are meant. */
static void print_bar(FILE *f, const struct source *sources, const char *only, bool markdown)
{
        unsigned n[BENCH_NOT_MEASURED + 1] = { 0 }, n_rows = 0, n_runs = FIGURES_RUNS;

        fputs(markdown ? "| what | target | holds | each run |\n|---|---|---|---|\n"
                       : "\nThe bar\n",
                f);
        for (size_t i = 0; i < n_bar; i++) {
                const struct source *s = source_of(sources, bar[i].program);
                struct bar_verdict v = bar_judge(&bar[i], &s->file);

                if (only && strcmp(only, bar[i].program) != 0)
                        continue;
                print_row(f, &bar[i], &v, markdown);
                n[v.holds]++;
                n_rows++;
                if (v.holds != BENCH_NOT_MEASURED && s->file.n_runs < n_runs)
                        n_runs = s->file.n_runs;
        }
        fprintf(f, "\n%u of %u rows hold, %u do not, %u were not measured", n[BENCH_HOLDS], n_rows,
                n[BENCH_MISSED], n[BENCH_NOT_MEASURED]);
        if (n[BENCH_NOT_MEASURED] == n_rows)
                fputs(".\n", f);
        else if (n_runs > 1)
                fprintf(f, ": by the median of %u runs.\n", n_runs);
        else
                fputs(": by one run.\n", f);
}

static void print_one_missed(FILE *f, const char *program, const struct figures_record *r,
        const struct figures_excess *by, unsigned n_runs)
{
        bool is_ratio = strncmp(r->target, "ratio", strlen("ratio")) == 0;
        char number[32], runs[256];

        bench_number(by->value, number, sizeof(number));
        bar_runs_text(by, n_runs, runs, sizeof(runs));
        fprintf(f, "| %s | %s | %s%s%s | %s | %.0f %% | %s |\n",
                r->group[0] != '\0' ? r->group : program, r->row, r->target, is_ratio ? "" : ", ",
                is_ratio ? "" : r->unit, number, 100 * by->excess, runs);
}

/* Each figure that is beyond its target, where a row of the bar names only the worst of its own. */
static void print_missed(FILE *f, const struct source *sources)
{
        bool any = false;

        for (size_t i = 0; i < n_bar; i++) {
                const struct figures_file *file = &source_of(sources, bar[i].program)->file;

                for (size_t k = 0; k < file->n_records; k++) {
                        const struct figures_record *r = &file->record[k];
                        struct figures_excess by;

                        if (!bar_counts(&bar[i], r) || !figures_excess(r, &by) || by.excess <= 0)
                                continue;
                        if (!any)
                                fputs("\nBeyond their targets are:\n\n"
                                      "| where | what | target | is | beyond by | each run |\n"
                                      "|---|---|---|---|---|---|\n",
                                        f);
                        any = true;
                        print_one_missed(f, bar[i].program, r, &by, file->n_runs);
                }
        }
}

/* ---- documents ----------------------------------------------------------------------------------------------------- */

/*
 * Copies @from to @to up to and with the line @mark (NULL: to the end), or only looks for it when @to is NULL. Return: whether it
 * came.
 */
static bool pass(FILE *from, FILE *to, const char *mark)
{
        char *line = NULL;
        size_t cap = 0;
        bool found = false;

        while (!found && getline(&line, &cap, from) > 0) {
                found = mark && strncmp(line, mark, strlen(mark)) == 0;
                if (to)
                        fputs(line, to);
        }
        free(line);
        return found;
}

static bool rewrite(FILE *from, FILE *to, const struct source *sources)
{
        if (!pass(from, to, BEGIN_MARK))
                return false;
        fputc('\n', to);
        print_bar(to, sources, NULL, true);
        print_missed(to, sources);
        fputs("\nMeasured on:\n\n", to);
        sources_describe(to, sources);
        fputc('\n', to);
        if (!pass(from, NULL, END_MARK))
                return false;
        fputs(END_MARK "\n", to);
        pass(from, to, NULL);
        return true;
}

static int write_document(const char *path, const struct source *sources)
{
        char new_path[4096];
        FILE *from = fopen(path, "re"), *to;
        bool done;

        snprintf(new_path, sizeof(new_path), "%s.new", path);
        to = from ? fopen(new_path, "we") : NULL;
        done = to && rewrite(from, to, sources);
        if (from)
                fclose(from);
        if (to && fclose(to) != 0)
                done = false;
        if (done && rename(new_path, path) == 0)
                return 0;
        fprintf(stderr, "vgpu-bench-bar: %s: %s\n", path,
                to ? "its marks are missing" : strerror(errno));
        if (to)
                unlink(new_path);
        return 1;
}

static void print_number(FILE *f, bool known, double value)
{
        char text[32];

        fprintf(f, " %s |", known ? bench_number(value, text, sizeof(text)) : "-");
}

static void print_record(FILE *f, const struct figures_record *r)
{
        const struct figures_run *m = &r->middle;

        fprintf(f, "| %s%s%s |", r->group, r->group[0] != '\0' ? ": " : "", r->row);
        print_number(f, m->figures.n > 0, m->figures.median);
        print_number(f, m->figures.n > 0, m->figures.p95);
        print_number(f, m->figures.n > 0, m->figures.p99);
        print_number(f, m->figures.n > 0, m->figures.max);
        fprintf(f, " %zu |", m->figures.n);
        print_number(f, m->has_ratio, m->ratio);
        fprintf(f, " %s | %s%s%s |\n", bench_holds_text(figures_holds(r)), r->target,
                r->target[0] != '\0' && r->note[0] != '\0' ? "; " : "", r->note);
}

static void print_source(FILE *f, const struct source *s)
{
        const char *table = "";

        fprintf(f, "\n## %s\n\n", s->program);
        if (s->file.n_runs > 1)
                fprintf(f,
                        "Each figure is the median of what %u runs made of it, *n* all that they "
                        "measured.\n\n",
                        s->file.n_runs);
        fprintf(f, "![Medians](charts/%s.svg)\n", s->program);
        for (size_t i = 0; i < s->file.n_records; i++) {
                const struct figures_record *r = &s->file.record[i];

                if (strcmp(table, r->table) != 0)
                        fprintf(f,
                                "\n**%s** (%s)\n\n| | median | p95 | p99 | max | n | ratio | holds "
                                "| "
                                "target |\n|---|---|---|---|---|---|---|---|---|\n",
                                r->title, r->unit);
                table = r->table;
                print_record(f, r);
        }
}

static int write_figures(const char *path, const struct source *sources)
{
        FILE *f = fopen(path, "we");

        if (f) {
                fputs("# Figures\n\nWritten by `script/bench --document`, not by hand. "
                      "[performance.md](performance.md) says what they mean. Measured on:\n\n",
                        f);
                sources_describe(f, sources);
                for (size_t i = 0; i < N_SOURCES; i++)
                        if (sources[i].file.n_runs > 0)
                                print_source(f, &sources[i]);
        }
        if (!f || fclose(f) != 0) {
                fprintf(stderr, "vgpu-bench-bar: %s: %s\n", path, strerror(errno));
                return 1;
        }
        return 0;
}

static int draw_chart(const char *folder, const struct source *s)
{
        struct bench_report report = { 0 };
        char path[4096];
        FILE *f;
        int status = 0;

        snprintf(path, sizeof(path), "%s/%s.svg", folder, s->program);
        f = fopen(path, "we");
        figures_report(&s->file, &report);
        if (f)
                bench_report_svg(f, &report);
        if (!f || fclose(f) != 0) {
                fprintf(stderr, "vgpu-bench-bar: %s: %s\n", path, strerror(errno));
                status = 1;
        }
        bench_report_deinit(&report);
        return status;
}

/* ---- the command line ---------------------------------------------------------------------------------------------- */

struct wanted {
        const char *program, *document, *figures, *charts; /* NULL: all of them; not wanted */
};

static int say(const char *folder, const struct wanted *w)
{
        static struct source sources[N_SOURCES];
        int status = !sources_read(sources, folder);

        print_bar(stdout, sources, w->program, false);
        if (w->document)
                status |= write_document(w->document, sources);
        if (w->figures)
                status |= write_figures(w->figures, sources);
        for (size_t i = 0; w->charts && i < N_SOURCES; i++)
                if (sources[i].file.n_runs > 0)
                        status |= draw_chart(w->charts, &sources[i]);
        sources_deinit(sources);
        return status;
}

int main(int argc, char **argv)
{
        static const struct option options[] = {
                { "program", required_argument, NULL, 'p' },
                { "charts", required_argument, NULL, 'c' },
                { "document", required_argument, NULL, 'd' },
                { "figures", required_argument, NULL, 'f' },
                { "host", no_argument, NULL, 'H' },
                { "help", no_argument, NULL, 'h' },
                { 0 },
        };
        struct wanted wanted = { 0 };
        char host[512];
        int option;

        while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
                switch (option) {
                case 'p':
                        wanted.program = optarg;
                        break;
                case 'd':
                        wanted.document = optarg;
                        break;
                case 'f':
                        wanted.figures = optarg;
                        break;
                case 'c':
                        wanted.charts = optarg;
                        break;
                case 'H':
                        puts(host_describe(host, sizeof(host)));
                        return 0;
                case 'h':
                        usage(stdout);
                        return 0;
                default:
                        return 2;
                }
        }
        if (argc - optind != 1) {
                usage(stderr);
                return 2;
        }
        return say(argv[optind], &wanted);
}
