/*
 * top.h - what `vgpuctl top` knows and how it looks
 *
 * The daemon's reports go in, one after the other; a screen of any size comes out. No clock, no terminal and no socket in between,
 * so that tests see what people see.
 */
#ifndef CTL_TOP_H
#define CTL_TOP_H

#include <json-c/json.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "canvas.h"

#define TOP_HISTORY 300 /* seconds that the strip of states goes back */

enum top_sort { TOP_BY_MISSED, TOP_BY_LAG, TOP_BY_FPS, TOP_BY_NAME, TOP_N_SORTS };

/* The three reports of one moment; each NULL if it was not to be had. */
struct top_reports {
        uint64_t at_ns;
        json_object *status, *clients, *metrics;
};

struct top {
        struct top_reports now, before; /* owned */
        uint64_t away_ns;               /* since when the daemon does not answer; 0: it does */
        char history[TOP_HISTORY];      /* a letter a second, the newest last; ' ': not known */
        uint64_t history_s;             /* the second that its last letter stands for */
        enum top_sort sort;
        bool paused; /* the view stays as it is */
};

void top_init(struct top *t);
void top_deinit(struct top *t);

/* Takes @reports over. No status in it: the daemon is away, and what was known stays. */
void top_take(struct top *t, const struct top_reports *reports);

/* The whole screen. At least 20 by 5. */
void top_draw(const struct top *t, struct canvas *c);

/* The same for paper: no keys are named at the bottom, and there is room for all clients. */
void top_draw_batch(const struct top *t, struct canvas *c);

/* "missed", "lag", ... */
const char *top_sort_name(enum top_sort sort);

/**
 * top_screen() - on the terminal, until q or a signal
 * @ask:    fills the reports of this moment
 * @stop:   set by a signal
 * @end_ns: monotonic; UINT64_MAX: no end
 *
 * Return: 0, or -ENOTTY: this terminal can show no screen; nothing was done. However it ends, the terminal is as it was.
 */
int top_screen(struct top *t, void (*ask)(void *ctx, struct top_reports *ret), void *ctx,
        const volatile sig_atomic_t *stop, uint64_t end_ns);

#endif /* CTL_TOP_H */
