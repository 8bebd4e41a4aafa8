/*
 * problems.c - everything that is wrong with a configuration, in the order in which a person repairs it
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "problems.h"

static bool make_room(struct config_problems *problems)
{
        size_t cap = problems->cap != 0 ? 2 * problems->cap : 8;
        struct config_problem *item;

        if (problems->n < problems->cap)
                return true;
        item = reallocarray(problems->item, cap, sizeof(*item));
        if (item == NULL)
                return false;
        problems->item = item;
        problems->cap = cap;
        return true;
}

void config_problems_add(struct config_problems *problems, unsigned line, const char *fmt, ...)
{
        size_t at = problems->n;
        va_list args;

        if (!make_room(problems)) {
                problems->n_lost++;
                return;
        }
        /* Nearly all come in order, so this seldom moves anything. */
        while (at > 0 && problems->item[at - 1].line > line)
                at--;
        memmove(&problems->item[at + 1], &problems->item[at],
                (problems->n - at) * sizeof(*problems->item));
        problems->n++;

        problems->item[at].line = line;
        va_start(args, fmt);
        vsnprintf(problems->item[at].text, sizeof(problems->item[at].text), fmt, args);
        va_end(args);
        /* A tab may stand inside a value. */
        for (char *c = problems->item[at].text; *c != '\0'; c++) {
                if ((unsigned char)*c < 0x20 || *c == 0x7f)
                        *c = '?';
        }
}

void config_problems_print(FILE *f, const char *path, const struct config_problems *problems)
{
        for (size_t i = 0; i < problems->n; i++) {
                const struct config_problem *p = &problems->item[i];

                if (p->line != 0)
                        fprintf(f, "%s:%u: %s\n", path, p->line, p->text);
                else
                        fprintf(f, "%s: %s\n", path, p->text);
        }
        if (problems->n_lost > 0)
                fprintf(f, "%s: and %zu more, for which memory ran out\n", path, problems->n_lost);
}

void config_problems_free(struct config_problems *problems)
{
        free(problems->item);
        *problems = (struct config_problems){ 0 };
}
