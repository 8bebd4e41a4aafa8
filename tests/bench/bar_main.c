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

#define BEGIN_MARK "<!-- figures: from here to the end mark written by script/bench --document -->"
#define END_MARK   "<!-- figures: end -->"

static const char *const programs[] = { "copy", "find", "pace", "ring", "footprint", "scale",
        "soak" };

#define N_PROGRAMS (sizeof(programs) / sizeof(programs[0]))

/* What a program measured, and on which machine. */
struct source {
        struct figures_file file;
        char machine[512];
        bool there;
};

static void usage(FILE *f)
{
        fputs("Usage: vgpu-bench-bar [--document FILE] [--figures FILE] FOLDER | --host\n\n"
              "Prints what the product is held to, and whether it holds by the figures in FOLDER,\n"
              "where script/bench wrote them.\n\n"
              "  --document FILE  write that into FILE, between its two marks, too\n"
              "  --figures FILE   write all of the figures there, as tables\n"
              "  --host           only say which machine this is\n\n"
              "Exit status: 0 said, 1 it could not be, 2 wrong usage.\n",
                f);
}

static void read_machine(const char *folder, const char *program, char *text, int size)
{
        char path[4096];
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s.machine", folder, program);
        f = fopen(path, "re");
        if (!f || !fgets(text, size, f))
                snprintf(text, (size_t)size, "a machine that was not noted");
        text[strcspn(text, "\n")] = '\0';
        if (f)
                fclose(f);
}

static bool read_source(const char *folder, const char *program, struct source *s)
{
        char path[4096];
        int r;

        snprintf(path, sizeof(path), "%s/%s.csv", folder, program);
        r = figures_file_read(&s->file, path);
        if (r < 0 && r != -ENOENT)
                fprintf(stderr, "vgpu-bench-bar: %s: %s\n", path, strerror(-r));
        s->there = r == 0;
        if (s->there)
                read_machine(folder, program, s->machine, sizeof(s->machine));
        return r == 0 || r == -ENOENT;
}

static const struct source *source_of(const struct source *sources, const char *program)
{
        for (size_t i = 0; i < N_PROGRAMS; i++)
                if (strcmp(programs[i], program) == 0)
                        return &sources[i];
        return NULL;
}

/* ---- the bar ------------------------------------------------------------------------------------------------------- */

static void print_bar(FILE *f, const struct source *sources, bool markdown)
{
        unsigned n[BENCH_NOT_MEASURED + 1] = { 0 };

        fputs(markdown ? "| what | target | holds |\n|---|---|---|\n" : "\nThe bar\n", f);
        for (size_t i = 0; i < n_bar; i++) {
                struct bar_verdict v =
                        bar_judge(&bar[i], &source_of(sources, bar[i].program)->file);
                char text[512];

                bar_verdict_text(&bar[i], &v, text, sizeof(text));
                fprintf(f, markdown ? "| %s | %s | %s |\n" : "%-60s %-55s %s\n", bar[i].what,
                        bar[i].target, text);
                n[v.holds]++;
        }
        fprintf(f, "\n%u of %zu rows hold, %u do not, %u were not measured.\n", n[BENCH_HOLDS],
                n_bar, n[BENCH_MISSED], n[BENCH_NOT_MEASURED]);
}

/* ---- documents ----------------------------------------------------------------------------------------------------- */

static void print_sources(FILE *f, const struct source *sources)
{
        for (size_t i = 0; i < N_PROGRAMS; i++)
                if (sources[i].there)
                        fprintf(f, "- %s: %s\n", programs[i], sources[i].machine);
}

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
        print_bar(to, sources, true);
        fputs("\nMeasured on:\n\n", to);
        print_sources(to, sources);
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
        fprintf(f, "| %s%s%s |", r->group, r->group[0] != '\0' ? ": " : "", r->row);
        print_number(f, r->figures.n > 0, r->figures.median);
        print_number(f, r->figures.n > 0, r->figures.p95);
        print_number(f, r->figures.n > 0, r->figures.p99);
        print_number(f, r->figures.n > 0, r->figures.max);
        fprintf(f, " %zu |", r->figures.n);
        print_number(f, r->has_ratio, r->ratio);
        fprintf(f, " %s | %s%s%s |\n", r->holds, r->target,
                r->target[0] != '\0' && r->note[0] != '\0' ? "; " : "", r->note);
}

static void print_source(FILE *f, const char *program, const struct source *s)
{
        const char *table = "";

        fprintf(f, "\n## %s\n\n%s\n\n![Medians](charts/%s.svg)\n", program, s->machine, program);
        for (size_t i = 0; i < s->file.n_records; i++) {
                const struct figures_record *r = &s->file.record[i];

                if (strcmp(table, r->table) != 0)
                        fprintf(f,
                                "\n**%s** (%s)\n\n| | median | p95 | p99 | max | n | ratio | holds "
                                "| "
                                "target |\n|---|---|---|---|---|---|---|---|---|\n",
                                r->table, r->unit);
                table = r->table;
                print_record(f, r);
        }
}

static int write_figures(const char *path, const struct source *sources)
{
        FILE *f = fopen(path, "we");

        if (f) {
                fputs("# Figures\n\nWritten by `script/bench --document`, not by hand. "
                      "[performance.md](performance.md) says what they mean.\n",
                        f);
                for (size_t i = 0; i < N_PROGRAMS; i++)
                        if (sources[i].there)
                                print_source(f, programs[i], &sources[i]);
        }
        if (!f || fclose(f) != 0) {
                fprintf(stderr, "vgpu-bench-bar: %s: %s\n", path, strerror(errno));
                return 1;
        }
        return 0;
}

/* ---- the command line ---------------------------------------------------------------------------------------------- */

static int say(const char *folder, const char *document, const char *figures)
{
        static struct source sources[N_PROGRAMS];
        int status = 0;

        for (size_t i = 0; i < N_PROGRAMS; i++)
                status |= !read_source(folder, programs[i], &sources[i]);
        print_bar(stdout, sources, false);
        if (document)
                status |= write_document(document, sources);
        if (figures)
                status |= write_figures(figures, sources);
        for (size_t i = 0; i < N_PROGRAMS; i++)
                figures_file_deinit(&sources[i].file);
        return status;
}

int main(int argc, char **argv)
{
        static const struct option options[] = {
                { "document", required_argument, NULL, 'd' },
                { "figures", required_argument, NULL, 'f' },
                { "host", no_argument, NULL, 'H' },
                { "help", no_argument, NULL, 'h' },
                { 0 },
        };
        const char *document = NULL, *figures = NULL;
        char host[512];
        int option;

        while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
                switch (option) {
                case 'd':
                        document = optarg;
                        break;
                case 'f':
                        figures = optarg;
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
        return say(argv[optind], document, figures);
}
