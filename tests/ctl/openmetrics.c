/*
 * openmetrics.c - see openmetrics.h
 *
 * One pass over the lines. A family's lines stand together, so nothing but the present family, the names of those before it, and
 * the series of the present one have to be kept.
 */
#include "openmetrics.h"

#include <math.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_ 128
#define LINE_MAX_ 1024
#define SEEN_MAX  512

struct parser {
        struct openmetrics *out;
        size_t line;
        char family[NAME_MAX_], type[LINE_MAX_];
        bool has_unit, has_help, has_samples;
        char families[SEEN_MAX][NAME_MAX_];
        char series[SEEN_MAX][LINE_MAX_]; /* of the present family, without the value */
        size_t n_series;
        /* of the present histogram */
        double le, n_bucket;
        bool has_inf;
};

__attribute__((format(printf, 2, 3))) static bool wrong(struct parser *p, const char *format, ...)
{
        int n = snprintf(p->out->why, sizeof p->out->why, "line %zu: ", p->line);
        va_list ap;

        va_start(ap, format);
        vsnprintf(p->out->why + n, sizeof p->out->why - (size_t)n, format, ap);
        va_end(ap);
        return false;
}

static bool matches(const char *pattern, const char *text)
{
        regex_t re;
        bool ok;

        if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) != 0)
                return false;
        ok = regexec(&re, text, 0, NULL, 0) == 0;
        regfree(&re);
        return ok;
}

static bool end_family(struct parser *p)
{
        if (!p->family[0])
                return true;
        if (!p->has_samples || !p->has_help)
                return wrong(
                        p, "the family '%s' has no %s", p->family, p->has_help ? "sample" : "help");
        if (strcmp(p->type, "histogram") == 0 && !p->has_inf)
                return wrong(p, "the histogram '%s' does not end at +Inf", p->family);
        return true;
}

static bool begin_family(struct parser *p, const char *name, const char *type)
{
        if (!end_family(p))
                return false;
        for (size_t i = 0; i < p->out->n_families; i++)
                if (strcmp(p->families[i], name) == 0)
                        return wrong(p, "the family '%s' is there twice", name);
        if (!matches("^[a-zA-Z_:][a-zA-Z0-9_:]*$", name) ||
                matches("_(total|bucket|count|sum|created|info)$", name))
                return wrong(p, "'%s' is no name of a family", name);
        if (!matches("^(counter|gauge|histogram)$", type))
                return wrong(p, "'%s' is no type", type);
        if (p->out->n_families == SEEN_MAX)
                return wrong(p, "too many families");
        snprintf(p->families[p->out->n_families++], NAME_MAX_, "%s", name);
        snprintf(p->family, sizeof p->family, "%s", name);
        snprintf(p->type, sizeof p->type, "%s", type);
        p->has_unit = p->has_help = p->has_samples = p->has_inf = false;
        p->n_series = 0;
        return true;
}

static bool take_metadata(struct parser *p, const char *line)
{
        char what[8], name[NAME_MAX_], rest[LINE_MAX_], again[LINE_MAX_ + NAME_MAX_ + 16];

        if (sscanf(line, "# %7s %127s %1023[^\n]", what, name, rest) != 3)
                return wrong(p, "metadata is not whole");
        snprintf(again, sizeof again, "# %s %s %s", what, name, rest);
        if (strcmp(again, line) != 0)
                return wrong(p, "blanks that do not belong there");
        if (strcmp(what, "TYPE") == 0)
                return begin_family(p, name, rest);
        if (strcmp(name, p->family) != 0 || p->has_samples)
                return wrong(p, "metadata of '%s' out of its place", name);
        if (strcmp(what, "UNIT") == 0) {
                char suffix[NAME_MAX_ + 1];
                size_t n = strlen(name),
                       m = (size_t)snprintf(suffix, sizeof suffix, "_%.100s", rest);

                if (p->has_unit || m >= n || strcmp(name + n - m, suffix) != 0)
                        return wrong(p, "'%s' does not end in its unit '%s'", name, rest);
                p->has_unit = true;
                return true;
        }
        if (strcmp(what, "HELP") != 0 || p->has_help)
                return wrong(p, "'%s' is no metadata, or twice", what);
        p->has_help = true;
        return true;
}

static bool take_bucket(struct parser *p, const char *labels, double value)
{
        const char *le = strstr(labels, "le=\"");
        double bound;

        if (!le || !matches("(^|,)le=\"(\\+Inf|[0-9]+\\.[0-9]+|[0-9.]+e[-+][0-9]+)\"", labels))
                return wrong(p, "a bucket without a proper bound");
        bound = strncmp(le + 4, "+Inf", 4) == 0 ? INFINITY : strtod(le + 4, NULL);
        if (p->has_inf || (p->n_series > 1 && bound <= p->le))
                return wrong(p, "buckets do not rise");
        if (p->n_series > 1 && value < p->n_bucket)
                return wrong(p, "buckets are not cumulative");
        p->le = bound;
        p->n_bucket = value;
        p->has_inf = isinf(bound);
        return true;
}

static bool belongs(struct parser *p, const char *suffix, const char *labels, double value)
{
        if (strcmp(p->type, "counter") == 0)
                return (strcmp(suffix, "_total") == 0 && value >= 0) ||
                       wrong(p, "no counter's sample");
        if (strcmp(p->type, "gauge") == 0)
                return suffix[0] == '\0' || wrong(p, "no gauge's sample");
        if (strcmp(suffix, "_bucket") == 0)
                return take_bucket(p, labels, value);
        if (strcmp(suffix, "_count") == 0)
                return (p->has_inf && value == p->n_bucket) ||
                       wrong(p, "the count is not that of +Inf");
        return (strcmp(suffix, "_sum") == 0 && p->has_inf && value >= 0) ||
               wrong(p, "no histogram's sample");
}

static bool take_sample(struct parser *p, const char *line)
{
        char name[NAME_MAX_], labels[LINE_MAX_] = "", number[64], *end;
        const char *blank = strrchr(line, ' ');
        size_t len = strlen(p->family);
        double value;

        if (!matches("^[a-zA-Z_:][a-zA-Z0-9_:]*(\\{[a-z_]+=\"([^\\\"]|\\\\[n\\\"])*\"(,[a-z_]+=\"(["
                     "^\\\"]|\\\\[n\\\"])*\")*\\})? "
                     "[0-9.e+-]+$",
                    line))
                return wrong(p, "no sample");
        if (sscanf(line, "%127[a-zA-Z0-9_:]{%1023[^\n]", name, labels) < 1 ||
                strncmp(name, p->family, len) != 0)
                return wrong(p, "a sample outside of its family");
        snprintf(number, sizeof number, "%s", blank + 1);
        value = strtod(number, &end);
        if (*end || !isfinite(value))
                return wrong(p, "'%s' is no number", number);
        for (size_t i = 0; i < p->n_series; i++)
                if (strlen(p->series[i]) == (size_t)(blank - line) &&
                        strncmp(p->series[i], line, (size_t)(blank - line)) == 0)
                        return wrong(p, "the same series twice");
        if (p->n_series == SEEN_MAX)
                return wrong(p, "too many series");
        snprintf(p->series[p->n_series++], LINE_MAX_, "%.*s", (int)(blank - line), line);
        p->has_samples = true;
        p->out->n_samples++;
        return belongs(p, name + len, labels, value);
}

bool openmetrics_check(const char *text, struct openmetrics *ret)
{
        struct parser *p = calloc(1, sizeof *p);
        char line[LINE_MAX_];
        bool ok = true;

        *ret = (struct openmetrics){ 0 };
        if (!p)
                return false;
        p->out = ret;
        while (ok) {
                size_t len = strcspn(text, "\n");

                p->line++;
                if (text[len] != '\n' || len == 0 || len >= sizeof line) {
                        ok = wrong(p, "a line that is empty, too long or has no end");
                        break;
                }
                snprintf(line, sizeof line, "%.*s", (int)len, text);
                text += len + 1;
                if (strcmp(line, "# EOF") == 0) {
                        ok = end_family(p) &&
                             (*text == '\0' || wrong(p, "something behind the end"));
                        break;
                }
                ok = line[0] == '#' ? take_metadata(p, line) : take_sample(p, line);
        }
        free(p);
        return ok;
}
