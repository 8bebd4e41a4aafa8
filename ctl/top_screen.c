/*
 * top_screen.c - the screen on a terminal
 *
 * curses knows terminals, their sizes and how to leave them as they were; what is on the screen is drawn elsewhere. Signals that end the
 * program only set a flag, so that every end goes through endwin().
 */
#include "top.h"

#include <curses.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_NS UINT64_C(1000000000)

static uint64_t now_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static attr_t attribute(enum canvas_look look)
{
        switch (look) {
        case CANVAS_TITLE:
                return A_REVERSE;
        case CANVAS_GOOD:
                return COLOR_PAIR(1);
        case CANVAS_WARN:
                return COLOR_PAIR(2) | A_BOLD;
        case CANVAS_BAD:
                return COLOR_PAIR(3) | A_BOLD;
        case CANVAS_DIM:
                return A_DIM;
        default:
                return A_NORMAL;
        }
}

static void show(const struct top *t)
{
        struct canvas c;

        if (canvas_init(&c, COLS > 20 ? COLS : 20, LINES > 5 ? LINES : 5) < 0)
                return;
        top_draw(t, &c);
        for (int row = 0; row < LINES; row++)
                for (int column = 0; column < COLS; column++) {
                        size_t at = (size_t)row * (size_t)c.width + (size_t)column;

                        mvaddch(row, column,
                                (chtype)(unsigned char)c.text[at] | attribute(c.look[at]));
                }
        refresh();
        canvas_deinit(&c);
}

/* As $NO_COLOR asks, whatever the terminal could. */
static void begin_colours(void)
{
        const char *none = getenv("NO_COLOR");

        if ((none && none[0]) || !has_colors())
                return;
        start_color();
        use_default_colors();
        init_pair(1, COLOR_GREEN, -1);
        init_pair(2, COLOR_YELLOW, -1);
        init_pair(3, COLOR_RED, -1);
}

/* Return: go on? */
static bool take_key(struct top *t, int key)
{
        switch (key) {
        case 'q':
        case 'Q':
                return false;
        case 's':
                t->sort = (t->sort + 1) % TOP_N_SORTS;
                break;
        case 'p':
        case ' ':
                t->paused = !t->paused;
                break;
        case KEY_RESIZE:
                erase();
                break;
        default:
                break;
        }
        return true;
}

static void follow(struct top *t, void (*ask)(void *ctx, struct top_reports *ret), void *ctx,
        const volatile sig_atomic_t *stop, uint64_t end_ns)
{
        uint64_t next_ns = 0, until_ns;
        int key = ERR;

        do {
                uint64_t now = now_ns();

                if (now >= end_ns)
                        break;
                if (now >= next_ns && !t->paused) {
                        struct top_reports reports = { .at_ns = now };

                        ask(ctx, &reports);
                        top_take(t, &reports);
                        next_ns = now + PERIOD_NS;
                }
                show(t);
                now = now_ns();
                until_ns = t->paused || next_ns <= now ? now + PERIOD_NS : next_ns;
                if (until_ns > end_ns)
                        until_ns = end_ns;
                timeout((int)(until_ns > now ? (until_ns - now) / 1000000 : 0) + 1);
                key = getch();
        } while (!*stop && take_key(t, key));
}

int top_screen(struct top *t, void (*ask)(void *ctx, struct top_reports *ret), void *ctx,
        const volatile sig_atomic_t *stop, uint64_t end_ns)
{
        SCREEN *screen = newterm(NULL, stdout, stdin);

        if (!screen)
                return -ENOTTY;
        cbreak();
        noecho();
        keypad(stdscr, TRUE);
        curs_set(0);
        begin_colours();
        follow(t, ask, ctx, stop, end_ns);
        endwin();
        delscreen(screen);
        return 0;
}
