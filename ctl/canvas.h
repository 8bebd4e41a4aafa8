/*
 * canvas.h - a screen of characters, before it is on one
 *
 * A view is drawn here and shown by whoever has a terminal, a pipe or a test. Printable ASCII only: what else comes is a '?', so
 * that nothing drawn can steer a terminal.
 */
#ifndef CTL_CANVAS_H
#define CTL_CANVAS_H

#include <stdint.h>
#include <stdio.h>

enum canvas_look { CANVAS_PLAIN, CANVAS_TITLE, CANVAS_GOOD, CANVAS_WARN, CANVAS_BAD, CANVAS_DIM };

struct canvas {
        int width, height;
        char *text;    /* height * width */
        uint8_t *look; /* the same, enum canvas_look */
};

/* Blank. Return: 0 or -ENOMEM. */
int canvas_init(struct canvas *c, int width, int height);
void canvas_deinit(struct canvas *c);

/* Return: the column behind what was put; what is outside is left out. */
int canvas_put(struct canvas *c, int row, int column, enum canvas_look look, const char *format,
        ...) __attribute__((format(printf, 5, 6)));

/* The whole row gets this look. */
void canvas_row(struct canvas *c, int row, enum canvas_look look);

/* As lines without blanks at their ends, without the blank ones at the bottom. */
void canvas_print(FILE *f, const struct canvas *c);

#endif /* CTL_CANVAS_H */
