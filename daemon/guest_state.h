/*
 * guest_state.h - what the daemon knows about its guest, as a total pure table
 *
 * Each state says what is true in it; callbacks turn what happened into an event, ask guest_next(), and run the actions
 * it names, lowest bit first. Nothing here has a clock, a handle or a side effect. docs/architecture.md draws the same
 * table as a picture.
 */
#ifndef VGPUD_GUEST_STATE_H
#define VGPUD_GUEST_STATE_H

#include <stdbool.h>

enum guest_state {
        GUEST_ABSENT,     /* no guest RAM to read */
        GUEST_ATTACHING,  /* RAM mapped, kernel not found yet */
        GUEST_SEARCHING,  /* epoch open, no live region */
        GUEST_CONFIRMING, /* candidates snapshot, waiting for a heartbeat to advance */
        GUEST_STREAMING,  /* producer alive, frames pulled */
        GUEST_STALLED,    /* reads succeed, heartbeat or guest clock does not advance */
        GUEST_STOPPING,   /* draining, ring marked closed */
        GUEST_N_STATES,
};

enum guest_event {
        GUEST_EV_RAM_APPEARED, /* source opened */
        GUEST_EV_RAM_GONE,     /* missing, replaced or truncated */
        GUEST_EV_ATTACHED, /* a kernel was found (in SEARCHING and STALLED: another one, its clock running) */
        GUEST_EV_ATTACH_FAILED, /* a scan ended without a kernel */
        GUEST_EV_CANDIDATES,    /* a scan found regions (in STALLED: other than the bound one) */
        GUEST_EV_NO_CANDIDATES, /* a scan found none */
        GUEST_EV_STILL_SILENT, /* a scan found none but those that were silent before and are still */
        GUEST_EV_CONFIRMED,    /* a candidate's heartbeat advanced and it was bound */
        GUEST_EV_NOT_CONFIRMED,      /* none did */
        GUEST_EV_READ_FAILED,        /* process or region gone, kernel still there */
        GUEST_EV_HEARTBEAT_LOST,     /* 5 periods without a tick while the guest's clock ran */
        GUEST_EV_CLOCK_STOPPED,      /* the guest's own clock stands still */
        GUEST_EV_CLOCK_RUNS,         /* it stood, and goes on */
        GUEST_EV_HEARTBEAT_RETURNED, /* the bound producer ticks again */
        GUEST_EV_RUN_EPOCH,          /* the producer began another run in the same process */
        GUEST_EV_EPOCH_ENDED,        /* anchors or clock say this is not the kernel we opened */
        GUEST_EV_HALTED, /* QEMU says that the machine does not run: nothing is to be read until it says so */
        GUEST_EV_RETRY, /* the back-off ran out */
        GUEST_EV_STOP,  /* asked to end */
        GUEST_N_EVENTS,
};

/* Run in this order. */
enum guest_action {
        GUEST_DO_CANCEL_SCAN = 1 << 0,     /* drop what is being looked for, results included */
        GUEST_DO_STOP_LOOKING = 1 << 1,    /* no more looks for frames */
        GUEST_DO_UNBIND = 1 << 2,          /* close the region */
        GUEST_DO_DROP_CONTEXT = 1 << 3,    /* the epoch is over: close its context */
        GUEST_DO_CLOSE_RAM = 1 << 4,       /* unmap and close the source */
        GUEST_DO_TAKE_CONTEXT = 1 << 5,    /* what the scan opened begins the next epoch */
        GUEST_DO_TAKE_REGION = 1 << 6,     /* what was confirmed becomes the bound region */
        GUEST_DO_RESET_BACKOFF = 1 << 7,   /* the next retry comes soon */
        GUEST_DO_OPEN_RAM = 1 << 8,        /* try the configured path */
        GUEST_DO_ATTACH = 1 << 9,          /* scan for the kernel */
        GUEST_DO_DISCOVER = 1 << 10,       /* scan for regions */
        GUEST_DO_LOOK_AROUND = 1 << 11,    /* scan for another kernel, then for other regions */
        GUEST_DO_WAIT_HEARTBEAT = 1 << 12, /* compare the candidates' heartbeats in two periods */
        GUEST_DO_LOOK = 1 << 13,           /* start to look for frames */
        GUEST_DO_REPORT_RUN = 1 << 14,     /* tell clients and the journal of the new run */
        GUEST_DO_RETRY = 1 << 15,          /* arm the back-off */
        GUEST_DO_RETRY_LATER = 1 << 16,    /* the same, for what is not likely to change */
        GUEST_DO_CLOSE_RING = 1 << 17,     /* mark it closed, say goodbye */
};

struct guest_step {
        enum guest_state state;
        unsigned actions; /* of enum guest_action */
};

/**
 * guest_next() - where an event leads
 *
 * Total: a pair without a row keeps the state and does nothing. Pure.
 */
struct guest_step guest_next(enum guest_state state, enum guest_event event);

/* Lower-case words, as in `vgpuctl status`. Static storage. */
const char *guest_state_name(enum guest_state state);
const char *guest_event_name(enum guest_event event);

#endif /* VGPUD_GUEST_STATE_H */
