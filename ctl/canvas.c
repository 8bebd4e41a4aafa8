/* canvas.c - see canvas.h */
#include "canvas.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int canvas_init(struct canvas *c, int width, int height)
{
        size_t n = (size_t)width * (size_t)height;

        *c = (struct canvas){
                .width = width, .height = height, .text = malloc(n + 1), .look = calloc(n + 1, 1)
        };
        if (!c->text || !c->look) {
                canvas_deinit(c);
                return -ENOMEM;
        }
        memset(c->text, ' ', n);
        return 0;
}

void canvas_deinit(struct canvas *c)
{
        free(c->text);
        free(c->look);
        *c = (struct canvas){ 0 };
}

int canvas_put(
        struct canvas *c, int row, int column, enum canvas_look look, const char *format, ...)
{
        char buf[512];
        va_list ap;

        va_start(ap, format);
        vsnprintf(buf, sizeof buf, format, ap);
        va_end(ap);
        for (const char *p = buf; *p; p++, column++) {
                size_t at = (size_t)row * (size_t)c->width + (size_t)column;

                if (row < 0 || row >= c->height || column < 0 || column >= c->width)
                        continue;
                c->text[at] = *p >= 0x20 && *p < 0x7f ? *p : '?';
                c->look[at] = (uint8_t)look;
        }
        return column;
}

void canvas_row(struct canvas *c, int row, enum canvas_look look)
{
        if (row >= 0 && row < c->height)
                memset(c->look + (size_t)row * (size_t)c->width, look, (size_t)c->width);
}

static int used(const struct canvas *c, int row)
{
        const char *line = c->text + (size_t)row * (size_t)c->width;
        int n = c->width;

        while (n > 0 && line[n - 1] == ' ')
                n--;
        return n;
}

void canvas_print(FILE *f, const struct canvas *c)
{
        int rows = c->height;

        while (rows > 0 && used(c, rows - 1) == 0)
                rows--;
        for (int row = 0; row < rows; row++)
                fprintf(f, "%.*s\n", used(c, row), c->text + (size_t)row * (size_t)c->width);
}
