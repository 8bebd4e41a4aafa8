/*
 * reader.c - see reader.h
 */
#include <string.h>

#include "keys.h"
#include "report.h"
#include "reader.h"

#define UTF8_BOM "\xef\xbb\xbf"

/* One line of the file; not NUL-terminated. */
struct line {
        const char *text;
        size_t len;
};

static bool is_blank(char c)
{
        return c == ' ' || c == '\t';
}

static struct line take_line(struct config_reader *r)
{
        struct line line = { .text = r->text + r->at, .len = r->len - r->at };
        const char *end = memchr(line.text, '\n', line.len);

        if (end != NULL)
                line.len = (size_t)(end - line.text);
        r->at += line.len + (end != NULL);
        r->line++;

        if (r->line == 1 && line.len >= 3 && memcmp(line.text, UTF8_BOM, 3) == 0)
                line = (struct line){ .text = line.text + 3, .len = line.len - 3 };
        if (line.len > 0 && line.text[line.len - 1] == '\r')
                line.len--;
        while (line.len > 0 && is_blank(line.text[line.len - 1]))
                line.len--;
        return line;
}

/* Where a comment after a value begins, as inih sees it: a semicolon behind a blank. @line.len when there is none. */
static size_t find_comment(struct line line)
{
        for (size_t i = 1; i < line.len; i++) {
                if (line.text[i] == ';' && is_blank(line.text[i - 1]))
                        return i;
        }
        return line.len;
}

static bool has_control_character(struct line line, unsigned char *ret_c)
{
        for (size_t i = 0; i < line.len; i++) {
                unsigned char c = (unsigned char)line.text[i];

                if ((c < 0x20 && c != '\t') || c == 0x7f) {
                        *ret_c = c;
                        return true;
                }
        }
        return false;
}

static struct config_place here(const struct config_reader *r)
{
        return (struct config_place){ r->file, r->line };
}

/* Return: is this a header that inih may see? It decides about the lines that follow, too. */
static bool check_section(struct config_reader *r, struct line line)
{
        const char *end = memchr(line.text, ']', line.len);
        size_t rest;

        r->skip_section = true;
        if (end == NULL) {
                config_report_error(r->report, here(r), "the section's name does not end in ']'");
                return false;
        }
        rest = (size_t)(end - line.text) + 1;
        while (rest < line.len && is_blank(line.text[rest]))
                rest++;
        if (rest < line.len && line.text[rest] != ';' && line.text[rest] != '#') {
                config_report_error(
                        r->report, here(r), "something follows the ']' of a section's name");
                return false;
        }
        if (!config_section_known(line.text + 1, (size_t)(end - line.text) - 1)) {
                config_report_error(r->report, here(r),
                        "unknown section %.*s (there are " CONFIG_SECTIONS ")",
                        (int)(end - line.text) + 1, line.text);
                return false;
        }
        r->skip_section = false;
        return true;
}

static bool check_assignment(struct config_reader *r, struct line line)
{
        const char *sign;

        line.len = find_comment(line);
        sign = memchr(line.text, '=', line.len);
        if (sign == NULL || memchr(line.text, ':', (size_t)(sign - line.text)) != NULL) {
                config_report_error(r->report, here(r), "neither a section nor \"key = value\"");
                return false;
        }
        if (sign == line.text) {
                config_report_error(r->report, here(r), "no key before the '='");
                return false;
        }
        return !r->skip_section;
}

/* Return: may inih see @line, which must fit into @cap bytes with its NUL? If not, what is wrong is a problem now. */
static bool check_line(struct config_reader *r, struct line line, size_t cap)
{
        unsigned char c = 0;
        size_t indent = 0;

        while (indent < line.len && is_blank(line.text[indent]))
                indent++;
        if (has_control_character(line, &c)) {
                config_report_error(
                        r->report, here(r), "a control character (0x%02x) is in this line", c);
                return false;
        }
        if (indent == line.len || line.text[indent] == '#' || line.text[indent] == ';')
                return false;
        if (line.len >= cap) {
                config_report_error(r->report, here(r), "the line has %zu bytes, more than %zu",
                        line.len, cap - 1);
                return false;
        }
        if (indent > 0) {
                config_report_error(r->report, here(r),
                        "the line is indented; values do not go on in a second line");
                return false;
        }
        return line.text[0] == '[' ? check_section(r, line) : check_assignment(r, line);
}

char *config_reader_next(char *dst, int cap, void *stream)
{
        struct config_reader *r = stream;
        struct line line;

        if (r->at >= r->len)
                return NULL;
        line = take_line(r);
        if (!check_line(r, line, (size_t)cap))
                line.len = 0;
        memcpy(dst, line.text, line.len);
        dst[line.len] = '\0';
        return dst;
}
