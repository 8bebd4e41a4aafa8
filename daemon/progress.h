/*
 * progress.h - does everything go on that has to?
 *
 * That the loop turns proves little: a state machine that waits for an event which nobody will send leaves the loop turning for
 * ever. So each actor that has to go on keeps a count of its own, and says whether it has to now; a check compares the counts
 * with those of the check before. Pure: counts and a time in, who is stuck out.
 *
 * Slowness that is legal is not the check's to know: who may take as long as it takes (a search through a guest's memory, a
 * machine that is paused for days) goes on in small steps, or is not due meanwhile.
 *
 * Only time counts in which the process ran: one that was stopped, or its host, for an hour finds nobody stuck.
 */
#ifndef VGPUD_PROGRESS_H
#define VGPUD_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

enum progress_actor {
        PROGRESS_TICK,  /* the outlet's, which clients take for the daemon's life */
        PROGRESS_PULSE, /* the look at RAM, clock and heartbeat */
        PROGRESS_LOOK,  /* for frames, while streaming */
        PROGRESS_STEP, /* of the guest's state machine, while it has nobody out to look for something */
        PROGRESS_SCAN, /* of who is out, through the guest's memory */
        PROGRESS_N_ACTORS,
};

/* What the actors say of themselves. */
struct progress_report {
        struct {
                uint64_t count; /* of whatever it does; another one is progress */
                bool due;       /* has it to go on? */
        } actor[PROGRESS_N_ACTORS];
};

/* All zero to begin with. */
struct progress {
        struct {
                uint64_t count;
                uint64_t quiet_ns; /* without progress, while due */
                bool due;
        } actor[PROGRESS_N_ACTORS];
        uint64_t checked_ns; /* 0: never */
};

/* Longer between two checks is time in which the process did not run. */
#define PROGRESS_CHECK_MOST_NS UINT64_C(2000000000)

/**
 * progress_check() - who is stuck?
 * @now_ns: monotonic; checks may come at any distance, at most PROGRESS_CHECK_MOST_NS of which counts
 *
 * Return: a bit for each actor that was due, and quiet, for longer than progress_bound_ns(); 0: all go on.
 */
unsigned progress_check(struct progress *p, const struct progress_report *report, uint64_t now_ns);

/* How long an actor may be quiet. */
uint64_t progress_bound_ns(enum progress_actor actor);

/* In words, to go on with "does not go on". */
const char *progress_actor_name(enum progress_actor actor);

#endif /* VGPUD_PROGRESS_H */
