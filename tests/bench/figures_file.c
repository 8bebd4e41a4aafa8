/* figures_file.c - see figures_file.h */
#include "figures_file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_FIELDS 15u

/* ---- reading ------------------------------------------------------------------------------------------------------- */

/* Cuts @line at its commas; a quoted field loses its quotes in place. Return: how many fields there are. */
static unsigned split(char *line, char *field[N_FIELDS])
{
        unsigned n = 0;

        for (char *from = line; from;) {
                char *to = from, *next = NULL;
                bool quoted = *from == '"';

                if (n == N_FIELDS)
                        return n + 1;
                field[n++] = from;
                for (from += quoted; *from != '\0'; from++) {
                        if (quoted && from[0] == '"' && from[1] == '"')
                                from++;
                        else if (quoted && *from == '"') {
                                quoted = false;
                                continue;
                        } else if (!quoted && (*from == ',' || *from == '\n')) {
                                next = *from == ',' ? from + 1 : NULL;
                                break;
                        }
                        *to++ = *from;
                }
                from = next;
                *to = '\0';
        }
        return n;
}

static void take_text(char *to, size_t size, const char *from)
{
        snprintf(to, size, "%s", from);
}

static struct figures_record *add(struct figures_file *file)
{
        if (file->n_records == file->max_records) {
                size_t max = file->max_records ? 2 * file->max_records : 64;
                struct figures_record *more = realloc(file->record, max * sizeof(*more));

                if (!more)
                        return NULL;
                file->record = more;
                file->max_records = max;
        }
        file->record[file->n_records] = (struct figures_record){ 0 };
        return &file->record[file->n_records++];
}

/* The first of that name which this run has not had yet, else a new one; NULL: no memory. */
static struct figures_record *record_of(struct figures_file *file, char *const field[N_FIELDS])
{
        for (size_t i = 0; i < file->n_records; i++) {
                struct figures_record *r = &file->record[i];

                if (r->last_run < file->n_runs && strcmp(r->table, field[0]) == 0 &&
                        strcmp(r->group, field[1]) == 0 && strcmp(r->row, field[2]) == 0)
                        return r;
        }
        return add(file);
}

static int take_record(struct figures_file *file, char *const field[N_FIELDS])
{
        struct figures_record *r = record_of(file, field);
        struct figures_run *run;

        if (!r)
                return -ENOMEM;
        r->last_run = file->n_runs;
        take_text(r->table, sizeof(r->table), field[0]);
        take_text(r->group, sizeof(r->group), field[1]);
        take_text(r->row, sizeof(r->row), field[2]);
        take_text(r->unit, sizeof(r->unit), field[3]);
        run = &r->run[file->n_runs - 1];
        run->figures.n = strtoul(field[4], NULL, 10);
        run->figures.median = strtod(field[5], NULL);
        run->figures.p95 = strtod(field[6], NULL);
        run->figures.p99 = strtod(field[7], NULL);
        run->figures.max = strtod(field[8], NULL);
        run->has_ratio = field[10][0] != '\0';
        run->ratio = strtod(field[10], NULL);
        take_text(r->target, sizeof(r->target), field[11]);
        take_text(r->note, sizeof(r->note), field[13]);
        take_text(r->title, sizeof(r->title), field[14]);
        return 0;
}

/* ---- the median of the runs ---------------------------------------------------------------------------------------- */

static const char *const figure_name[] = { "median", "p95", "p99", "max", "ratio" };

#define N_FIGURES (sizeof(figure_name) / sizeof(figure_name[0]))

/* By their names' places. NAN: not measured. */
static double figure_of(const struct figures_run *run, size_t which)
{
        const double figure[N_FIGURES] = { run->figures.median, run->figures.p95, run->figures.p99,
                run->figures.max, run->ratio };
        bool known = which + 1 == N_FIGURES ? run->has_ratio : run->figures.n > 0;

        return known ? figure[which] : NAN;
}

/* Of those that were measured; NAN: none was. */
static double middle_of(const struct figures_record *r, unsigned n_runs, size_t which)
{
        double sorted[FIGURES_RUNS];
        unsigned n = 0;

        for (unsigned i = 0; i < n_runs; i++) {
                double value = figure_of(&r->run[i], which);
                unsigned at = n;

                if (isnan(value))
                        continue;
                for (; at > 0 && sorted[at - 1] > value; at--)
                        sorted[at] = sorted[at - 1];
                sorted[at] = value;
                n++;
        }
        if (n == 0)
                return NAN;
        return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static void find_middle(struct figures_record *r, unsigned n_runs)
{
        struct figures_run *m = &r->middle;

        *m = (struct figures_run){ 0 };
        for (unsigned i = 0; i < n_runs; i++) {
                m->figures.n += r->run[i].figures.n;
                m->has_ratio = m->has_ratio || r->run[i].has_ratio;
        }
        if (m->figures.n > 0) {
                m->figures.median = middle_of(r, n_runs, 0);
                m->figures.p95 = middle_of(r, n_runs, 1);
                m->figures.p99 = middle_of(r, n_runs, 2);
                m->figures.max = middle_of(r, n_runs, 3);
        }
        if (m->has_ratio)
                m->ratio = middle_of(r, n_runs, 4);
}

int figures_file_read(struct figures_file *file, const char *path)
{
        FILE *f = file->n_runs < FIGURES_RUNS ? fopen(path, "re") : NULL;
        char *line = NULL, *field[N_FIELDS];
        bool heading = true;
        size_t cap = 0;
        int r = 0;

        if (!f)
                return file->n_runs < FIGURES_RUNS ? -errno : -E2BIG;
        file->n_runs++;
        while (r == 0 && getline(&line, &cap, f) > 0) {
                if (split(line, field) != N_FIELDS || (heading && strcmp(field[0], "table") != 0))
                        r = -EBADMSG;
                else if (!heading)
                        r = take_record(file, field);
                heading = false;
        }
        free(line);
        fclose(f);
        for (size_t i = 0; i < file->n_records; i++)
                find_middle(&file->record[i], file->n_runs);
        return r;
}

void figures_file_deinit(struct figures_file *file)
{
        free(file->record);
        *file = (struct figures_file){ 0 };
}

/* ---- targets ------------------------------------------------------------------------------------------------------- */

/* "p99 <= 500" */
struct target {
        size_t which;
        bool at_least; /* else at most */
        double limit;
};

static bool take_target(const char *text, struct target *ret)
{
        char of[16], how[4];

        if (sscanf(text, " %15s %3s %lf", of, how, &ret->limit) != 3)
                return false;
        ret->at_least = how[0] == '>';
        for (ret->which = 0; ret->which < N_FIGURES; ret->which++)
                if (strcmp(figure_name[ret->which], of) == 0)
                        return true;
        return false;
}

static double excess_of(const struct target *t, double value)
{
        if (t->limit == 0)
                return value > 0 ? 1 : 0;
        return t->at_least ? (t->limit - value) / t->limit : (value - t->limit) / t->limit;
}

bool figures_excess(const struct figures_record *record, struct figures_excess *ret)
{
        char text[BENCH_NOTE], *rest = text;
        struct figures_excess worst;
        bool any = false;

        take_text(text, sizeof(text), record->target);
        for (char *item = strsep(&rest, ","); item; item = strsep(&rest, ",")) {
                struct target target;
                double value, excess;

                if (!take_target(item, &target))
                        return false;
                value = figure_of(&record->middle, target.which);
                if (isnan(value))
                        return false;
                excess = excess_of(&target, value);
                if (any && excess <= worst.excess)
                        continue;
                worst.excess = excess;
                worst.value = value;
                for (unsigned i = 0; i < FIGURES_RUNS; i++)
                        worst.run[i] = figure_of(&record->run[i], target.which);
                any = true;
        }
        if (any)
                *ret = worst;
        return any;
}

enum bench_holds figures_holds(const struct figures_record *record)
{
        struct figures_excess by;

        if (record->target[0] == '\0')
                return BENCH_NO_TARGET;
        if (!figures_excess(record, &by))
                return BENCH_NOT_MEASURED;
        return by.excess <= 0 ? BENCH_HOLDS : BENCH_MISSED;
}

/* ---- a report again ------------------------------------------------------------------------------------------------ */

static struct bench_table *table_of(struct bench_report *report, const struct figures_record *r)
{
        for (unsigned i = 0; i < report->n_tables; i++)
                if (strcmp(report->table[i]->id, r->table) == 0)
                        return report->table[i];
        return bench_table_add(report, r->table, r->unit, r->title);
}

static void set_targets(struct bench_row *row, const char *targets)
{
        static const enum bench_of of[N_FIGURES] = { BENCH_OF_MEDIAN, BENCH_OF_P95, BENCH_OF_P99,
                BENCH_OF_MAX, BENCH_OF_RATIO };
        char text[BENCH_NOTE], *rest = text;
        struct target target;

        take_text(text, sizeof(text), targets);
        for (char *item = strsep(&rest, ","); item && take_target(item, &target);
                item = strsep(&rest, ",")) {
                if (target.at_least)
                        bench_row_at_least(row, of[target.which], target.limit);
                else
                        bench_row_at_most(row, of[target.which], target.limit);
        }
}

void figures_report(const struct figures_file *file, struct bench_report *report)
{
        for (size_t i = 0; i < file->n_records; i++) {
                const struct figures_record *r = &file->record[i];
                struct bench_row *row = bench_row_add(table_of(report, r), r->group, "%s", r->row);

                bench_row_give(row, r->middle.figures);
                set_targets(row, r->target);
                bench_row_note(row, "%s", r->note);
        }
}
