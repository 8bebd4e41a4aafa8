/*
 * pager.h - long output, page by page on a terminal, and whether it may have colours
 *
 * By the rules of systemd's tools, and with the same variables: what an administrator set for those holds here too.
 */
#ifndef CTL_PAGER_H
#define CTL_PAGER_H

#include "ctl.h"

/**
 * pager_open() - from here on stdout goes through a pager, if it is a terminal
 *
 * $SYSTEMD_PAGER, else $PAGER, else pager(1) or less(1); an empty one or "cat" is none, and neither is one on a dumb
 * terminal or with --no-pager. less gets $SYSTEMD_LESS or "FRSXMK": it leaves by itself what fits the screen. Where the
 * program runs with another user's rights than those of the login ($SYSTEMD_PAGERSECURE overrides that), only less is
 * run, in its secure mode: no other can be trusted not to give away a shell.
 */
void pager_open(const struct ctl *ctl);

/* Wait until the pager was left; stdout is not written to any more. Does nothing without one. */
void pager_close(void);

enum colour {
        COLOUR_OFF, /* back to the terminal's own */
        COLOUR_GOOD,
        COLOUR_WARN,
        COLOUR_BAD,
        COLOUR_DIM,
        COLOUR_TITLE,
        N_COLOURS,
};

/*
 * The escape for @colour, or "" where there are to be none: on what is neither a terminal nor a pager on one, on a dumb one, with
 * $NO_COLOR, or as $SYSTEMD_COLORS says (a boolean, or a number of colours), which goes before all of these.
 */
const char *colour(enum colour colour);

#endif /* CTL_PAGER_H */
