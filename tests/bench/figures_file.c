/* figures_file.c - see figures_file.h */
#include "figures_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_FIELDS 14u

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

static void take_record(struct figures_record *r, char *const field[N_FIELDS])
{
        *r = (struct figures_record){ 0 };
        take_text(r->table, sizeof(r->table), field[0]);
        take_text(r->group, sizeof(r->group), field[1]);
        take_text(r->row, sizeof(r->row), field[2]);
        take_text(r->unit, sizeof(r->unit), field[3]);
        r->figures.n = strtoul(field[4], NULL, 10);
        r->figures.median = strtod(field[5], NULL);
        r->figures.p95 = strtod(field[6], NULL);
        r->figures.p99 = strtod(field[7], NULL);
        r->figures.max = strtod(field[8], NULL);
        r->has_ratio = field[10][0] != '\0';
        r->ratio = strtod(field[10], NULL);
        take_text(r->target, sizeof(r->target), field[11]);
        take_text(r->holds, sizeof(r->holds), field[12]);
        take_text(r->note, sizeof(r->note), field[13]);
}

static int add(struct figures_file *file, char *const field[N_FIELDS])
{
        if (file->n_records == file->max_records) {
                size_t max = file->max_records ? 2 * file->max_records : 64;
                struct figures_record *more = realloc(file->record, max * sizeof(*more));

                if (!more)
                        return -ENOMEM;
                file->record = more;
                file->max_records = max;
        }
        take_record(&file->record[file->n_records++], field);
        return 0;
}

int figures_file_read(struct figures_file *file, const char *path)
{
        FILE *f = fopen(path, "re");
        char *line = NULL, *field[N_FIELDS];
        bool heading = true;
        size_t cap = 0;
        int r = f ? 0 : -errno;

        while (r == 0 && getline(&line, &cap, f) > 0) {
                if (split(line, field) != N_FIELDS || (heading && strcmp(field[0], "table") != 0))
                        r = -EBADMSG;
                else if (!heading)
                        r = add(file, field);
                heading = false;
        }
        free(line);
        if (f)
                fclose(f);
        return r;
}

void figures_file_deinit(struct figures_file *file)
{
        free(file->record);
        *file = (struct figures_file){ 0 };
}

/* "p99 <= 500" */
static bool value_of(const struct figures_record *r, const char *of, double *ret)
{
        const struct {
                const char *name;
                double value;
                bool known;
        } known[] = {
                { "median", r->figures.median, r->figures.n > 0 },
                { "p95", r->figures.p95, r->figures.n > 0 },
                { "p99", r->figures.p99, r->figures.n > 0 },
                { "max", r->figures.max, r->figures.n > 0 },
                { "ratio", r->ratio, r->has_ratio },
        };

        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
                if (strcmp(known[i].name, of) != 0)
                        continue;
                *ret = known[i].value;
                return known[i].known;
        }
        return false;
}

static double excess_of(double value, double limit, bool at_least)
{
        if (limit == 0)
                return value > 0 ? 1 : 0;
        return at_least ? (limit - value) / limit : (value - limit) / limit;
}

bool figures_excess(const struct figures_record *record, double *ret_excess, double *ret_value)
{
        char text[BENCH_NOTE], *rest = text;
        bool any = false;

        snprintf(text, sizeof(text), "%s", record->target);
        for (char *item = strsep(&rest, ","); item; item = strsep(&rest, ",")) {
                char of[16], how[4];
                double limit, value, excess;

                if (sscanf(item, " %15s %3s %lf", of, how, &limit) != 3 ||
                        !value_of(record, of, &value))
                        return false;
                excess = excess_of(value, limit, how[0] == '>');
                if (any && excess <= *ret_excess)
                        continue;
                *ret_excess = excess;
                *ret_value = value;
                any = true;
        }
        return any;
}
