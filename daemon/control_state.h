/*
 * control_state.h - how far what clients ask for has come on its way into the guest, as a total pure table
 *
 * As guest_state.h: callbacks turn what happened into an event, ask control_next(), and run the actions it names, lowest bit
 * first. Nothing here has a clock, a handle or a side effect.
 */
#ifndef VGPUD_CONTROL_STATE_H
#define VGPUD_CONTROL_STATE_H

#include <stdbool.h>

enum control_state {
        CONTROL_AWAY, /* no live producer's region to write into */
        CONTROL_IDLE, /* nothing needs to be written: nobody asks for anything */
        CONTROL_WAITING, /* something is to be written; no writer is connected, or the guest stands still */
        CONTROL_SENT,     /* a WRITE is with the writer */
        CONTROL_OUTDATED, /* likewise, and something else is asked for by now */
        CONTROL_RESTING,  /* a try failed, the next one waits for the back-off */
        CONTROL_WRITTEN,  /* the writer did it, the producer has not taken it up yet */
        CONTROL_APPLIED,  /* the producer has */
        CONTROL_GIVEN_UP, /* too many tries failed: nothing is tried until something changes */
        CONTROL_N_STATES,
};

enum control_event {
        CONTROL_EV_BOUND,       /* a live producer's region was bound */
        CONTROL_EV_UNBOUND,     /* it is gone */
        CONTROL_EV_WANTED,      /* what is asked for is not what the block was last told */
        CONTROL_EV_SETTLED,     /* nobody asks for anything and the block says so */
        CONTROL_EV_WRITER_CAME, /* one is there and ready; there was none before */
        CONTROL_EV_WRITER_GONE,
        CONTROL_EV_HELD_BACK, /* a WRITE was to be sent, and no writer is there, or the guest stands still */
        CONTROL_EV_RESUMED, /* the guest goes on */
        CONTROL_EV_DONE,    /* the awaited WRITE was performed */
        CONTROL_EV_FAILED, /* it was not, or could not be sent, or nothing was heard of it in time */
        CONTROL_EV_EXHAUSTED, /* likewise, and it was the last try */
        CONTROL_EV_RETRY,     /* the back-off ran out */
        CONTROL_EV_ACKED,     /* the producer's ctrl_ack is the generation written last */
        CONTROL_N_EVENTS,
};

/* Run in this order. */
enum control_action {
        CONTROL_DO_FORGET = 1 << 0,    /* no answer is awaited any more; no timer runs */
        CONTROL_DO_FORGIVE = 1 << 1,   /* count tries from 0, begin with the shortest back-off */
        CONTROL_DO_KEEP = 1 << 2,      /* the block says now what was sent */
        CONTROL_DO_ARM_RETRY = 1 << 3, /* wait for the back-off */
        CONTROL_DO_SEND = 1 << 4,      /* build a WRITE of what is asked for now, and send it */
};

struct control_step {
        enum control_state state;
        unsigned actions; /* of enum control_action */
};

/**
 * control_next() - where an event leads
 *
 * Total: a pair without a row keeps the state and does nothing. Pure.
 */
struct control_step control_next(enum control_state state, enum control_event event);

/* Lower-case words, as in `vgpuctl status --json`. Static storage. */
const char *control_state_name(enum control_state state);
const char *control_event_name(enum control_event event);

#endif /* VGPUD_CONTROL_STATE_H */
