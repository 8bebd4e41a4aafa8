/*
 * watchdog.h - the service manager hears that the daemon lives for as long as everything in it goes on
 *
 * progress.h says what that is. Who is stuck is named in the journal, once, and then silence does the rest: the service manager
 * starts the daemon again. Should the actor go on after all, so do the pings.
 */
#ifndef VGPUD_WATCHDOG_H
#define VGPUD_WATCHDOG_H

#include <uv.h>

#include "guest.h"
#include "outlet.h"
#include "progress.h"

struct watchdog {
        const struct outlet *outlet;
        const struct guest *guest;
        struct progress progress;
        unsigned stuck; /* bit per actor, as of the last check */
        uv_timer_t ping, check;
};

/* Begin. Both are borrowed, and have begun. */
void watchdog_start(struct watchdog *w, uv_loop_t *loop, const struct outlet *outlet,
        const struct guest *guest);

/* Close the handles. */
void watchdog_stop(struct watchdog *w);

/* What outlet and guest say of themselves now. */
struct progress_report watchdog_report(const struct outlet *outlet, const struct guest *guest);

/* Take a look at all actors, and say who is newly stuck. Return: do all go on? */
bool watchdog_check(struct watchdog *w, uint64_t now_ns);

#endif /* VGPUD_WATCHDOG_H */
