/*
 * report.c - everything that is wrong with a configuration, in the order in which a person repairs it
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

/* What a file holds, or is called, must not write to somebody's terminal. */
static void make_plain(char *text)
{
        for (; *text != '\0'; text++) {
                if ((unsigned char)*text < 0x20 || *text == 0x7f)
                        *text = '?';
        }
}

bool config_report_file(struct config_report *report, const char *path)
{
        char **file = reallocarray(report->file, report->n_files + 1, sizeof(*file));
        char *copy = strdup(path);

        if (file != NULL)
                report->file = file;
        if (file == NULL || copy == NULL) {
                free(copy);
                return false;
        }
        make_plain(copy);
        file[report->n_files++] = copy;
        return true;
}

static bool make_room(struct config_report *report)
{
        size_t cap = report->cap != 0 ? 2 * report->cap : 8;
        struct config_problem *item;

        if (report->n < report->cap)
                return true;
        item = reallocarray(report->item, cap, sizeof(*item));
        if (item == NULL)
                return false;
        report->item = item;
        report->cap = cap;
        return true;
}

static bool is_behind(struct config_place a, struct config_place b)
{
        return a.file != b.file ? a.file > b.file : a.line > b.line;
}

static void add(struct config_report *report, struct config_place place, bool warning,
        const char *fmt, va_list args)
{
        size_t at = report->n;
        struct config_problem *p;

        report->n_errors += !warning;
        if (!make_room(report)) {
                report->n_lost++;
                return;
        }
        /* Nearly all come in order, so this seldom moves anything. */
        while (at > 0 && is_behind(report->item[at - 1].at, place))
                at--;
        p = &report->item[at];
        memmove(p + 1, p, (report->n - at) * sizeof(*p));
        report->n++;

        p->at = place;
        p->warning = warning;
        vsnprintf(p->text, sizeof(p->text), fmt, args);
        make_plain(p->text); /* a tab may stand inside a value */
}

void config_report_error(struct config_report *report, struct config_place at, const char *fmt, ...)
{
        va_list args;

        va_start(args, fmt);
        add(report, at, false, fmt, args);
        va_end(args);
}

void config_report_warning(
        struct config_report *report, struct config_place at, const char *fmt, ...)
{
        va_list args;

        va_start(args, fmt);
        add(report, at, true, fmt, args);
        va_end(args);
}

static const char *file_of(const struct config_report *report, unsigned file)
{
        return file < report->n_files ? report->file[file] : "configuration";
}

void config_problem_text(const struct config_report *report, size_t i, char *buf, size_t cap)
{
        const struct config_problem *p = &report->item[i];
        const char *file = file_of(report, p->at.file), *mark = p->warning ? "warning: " : "";

        if (p->at.line != 0)
                snprintf(buf, cap, "%s:%u: %s%s", file, p->at.line, mark, p->text);
        else
                snprintf(buf, cap, "%s: %s%s", file, mark, p->text);
}

void config_first_error(const struct config_report *report, char *buf, size_t cap)
{
        for (size_t i = 0; i < report->n; i++) {
                if (!report->item[i].warning) {
                        config_problem_text(report, i, buf, cap);
                        return;
                }
        }
        snprintf(buf, cap, "%s: memory ran out", file_of(report, 0));
}

void config_report_print(FILE *f, const struct config_report *report)
{
        for (size_t i = 0; i < report->n; i++) {
                char text[CONFIG_PROBLEM_MAX];

                config_problem_text(report, i, text, sizeof(text));
                fprintf(f, "%s\n", text);
        }
        if (report->n_lost > 0)
                fprintf(f, "%s: and %zu more, for which memory ran out\n", file_of(report, 0),
                        report->n_lost);
}

void config_report_free(struct config_report *report)
{
        for (size_t i = 0; i < report->n_files; i++)
                free(report->file[i]);
        free(report->file);
        free(report->set);
        free(report->item);
        *report = (struct config_report){ 0 };
}
