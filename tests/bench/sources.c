/* sources.c - see sources.h */
#include "sources.h"

#include <errno.h>
#include <string.h>

static const char *const programs[N_SOURCES] = { "copy", "find", "pace", "ring", "footprint",
        "scale", "soak" };

/* ---- reading ------------------------------------------------------------------------------------------------------- */

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

/* Return: 1, 0 (no such run), or -1 after saying why it cannot be read. */
static int read_run(struct source *s, const char *folder)
{
        char path[4096];
        int r;

        snprintf(path, sizeof(path), "%s/%s.csv", folder, s->program);
        r = figures_file_read(&s->file, path);
        if (r == -ENOENT)
                return 0;
        if (r < 0) {
                fprintf(stderr, "vgpu-bench-bar: %s: %s\n", path, strerror(-r));
                return -1;
        }
        read_machine(folder, s->program, s->machine[s->file.n_runs - 1],
                sizeof(s->machine[s->file.n_runs - 1]));
        return 1;
}

static bool read_runs(struct source *s, const char *folder)
{
        int r = read_run(s, folder);

        for (unsigned run = 1; r >= 0 && run <= FIGURES_RUNS; run++) {
                char path[2048];

                if (run == 1 && r > 0)
                        break;
                snprintf(path, sizeof(path), "%s/run-%u", folder, run);
                r = read_run(s, path);
        }
        return r >= 0;
}

bool sources_read(struct source sources[N_SOURCES], const char *folder)
{
        bool good = true;

        for (size_t i = 0; i < N_SOURCES; i++) {
                sources[i].program = programs[i];
                good = read_runs(&sources[i], folder) && good;
        }
        return good;
}

void sources_deinit(struct source sources[N_SOURCES])
{
        for (size_t i = 0; i < N_SOURCES; i++)
                figures_file_deinit(&sources[i].file);
}

const struct source *source_of(const struct source sources[N_SOURCES], const char *program)
{
        for (size_t i = 0; i < N_SOURCES; i++)
                if (strcmp(programs[i], program) == 0)
                        return &sources[i];
        return NULL;
}

/* ---- machines ------------------------------------------------------------------------------------------------------ */

/* "2 CPUs, Linux, load 0.4 before, 2026-01-02": what was said of the load, and all else without it. */
static void split_load(const char *text, char *machine, size_t size, double *ret_load)
{
        static const char word[] = ", load ";
        const char *load = strstr(text, word);
        int n = 0;

        if (!load || sscanf(load, ", load %lf before%n", ret_load, &n) != 1 || n == 0) {
                *ret_load = -1;
                snprintf(machine, size, "%s", text);
                return;
        }
        snprintf(machine, size, "%.*s%s", (int)(load - text), text, load + n);
}

/* "find (3 runs, load 0.4, 0.2, 0.3 before)" for those of its runs that were on @machine. Return: whether there are any. */
static bool describe_program(FILE *f, const struct source *s, const char *machine, bool more)
{
        char other[512];
        double load[FIGURES_RUNS];
        unsigned n = 0;

        for (unsigned run = 0; run < s->file.n_runs; run++) {
                split_load(s->machine[run], other, sizeof(other), &load[n]);
                n += strcmp(machine, other) == 0;
        }
        if (n == 0)
                return false;
        fprintf(f, "%s%s (%u run%s", more ? ", " : ": ", s->program, n, n > 1 ? "s" : "");
        for (unsigned i = 0; i < n; i++)
                if (load[i] >= 0)
                        fprintf(f, "%s%.1f", i > 0 ? ", " : ", load ", load[i]);
        fputs(")", f);
        return true;
}

/* Was it said already, of a run before this one? */
static bool was_named(
        const struct source *sources, size_t source, unsigned run, const char *machine)
{
        char other[512];
        double load;

        for (size_t i = 0; i <= source; i++) {
                unsigned n = i < source ? sources[i].file.n_runs : run;

                for (unsigned k = 0; k < n; k++) {
                        split_load(sources[i].machine[k], other, sizeof(other), &load);
                        if (strcmp(other, machine) == 0)
                                return true;
                }
        }
        return false;
}

void sources_describe(FILE *f, const struct source sources[N_SOURCES])
{
        for (size_t i = 0; i < N_SOURCES; i++) {
                for (unsigned run = 0; run < sources[i].file.n_runs; run++) {
                        char machine[512];
                        bool more = false;
                        double load;

                        split_load(sources[i].machine[run], machine, sizeof(machine), &load);
                        if (was_named(sources, i, run, machine))
                                continue;
                        fprintf(f, "- %s", machine);
                        for (size_t k = i; k < N_SOURCES; k++)
                                more = describe_program(f, &sources[k], machine, more) || more;
                        fputc('\n', f);
                }
        }
}
