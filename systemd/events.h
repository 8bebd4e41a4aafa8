/*
 * events.h - the things worth an admin's attention, each with an identity that never changes
 *
 * A MESSAGE_ID is a promise: filters, alerts and the journal's catalog go by it, so an event keeps its own for ever, and
 * a new meaning gets a new one. Priorities say who is asked for: from warning up it is a human; notice is what ends the stream
 * and what brings it back, and who was turned away; info is a step on the way. docs/journal.md lists them all.
 */
#ifndef VGPU_EVENTS_H
#define VGPU_EVENTS_H

#include <stdint.h>

enum journal_event {
        EVENT_DAEMON_STARTED,
        EVENT_DAEMON_STOPPING,
        EVENT_GUEST_ATTACHED, /* a kernel was found: an epoch begins */
        EVENT_ATTACH_FAILED, /* guest RAM is there, a kernel is not, for longer than it takes to boot */
        EVENT_PRODUCER_FOUND,   /* a live region is bound */
        EVENT_PRODUCER_LOST,    /* its process is gone or another one */
        EVENT_PRODUCER_MISSING, /* none is found, for longer than one takes to start */
        EVENT_STREAM_STALLED,   /* readable, and the guest runs, but the heartbeat stands still */
        EVENT_MACHINE_PAUSED,   /* the guest's clock stands still, or QEMU says so */
        EVENT_STREAM_RESUMED,
        EVENT_RUN_EPOCH_CHANGED, /* the producer began a new session in the same process */
        EVENT_EPOCH_ENDED,       /* the guest's address space is another one */
        EVENT_RAM_GONE,
        EVENT_MACHINE_OFF, /* QEMU has ended, or says that the guest was shut down */
        EVENT_RAM_APPEARED,
        EVENT_LAYOUT_DIFFERS, /* QEMU lays RAM out in another way than the configuration says */
        EVENT_MONITOR_LOST,   /* QEMU's monitor closed the connection */
        EVENT_MONITOR_BACK,
        EVENT_SCAN_FAILED, /* looking for a kernel or a producer could not be begun */
        EVENT_CLIENT_REFUSED,
        EVENT_CLIENT_DROPPED,
        EVENT_RESOURCES_SHORT, /* no descriptor or memory for a client or writer */
        EVENT_CONFIG_BAD,
        EVENT_CONFIG_RELOADED,   /* a good one was read while running */
        EVENT_CONFIG_WAITS,      /* of it, something counts only after a restart */
        EVENT_STUCK,             /* something that has to go on does not */
        EVENT_MODE_CHANGED,      /* another frame size or format */
        EVENT_PRODUCERS_SEVERAL, /* more than one is alive, one of them was taken */
        EVENT_WRITER_CONNECTED,  /* the external writer of [control] socket is there */
        EVENT_WRITER_GONE,
        EVENT_WRITER_REFUSED,
        EVENT_WRITER_UNBELIEVED, /* an answer of the writer fits nothing it was asked */
        EVENT_CONTROL_FAILED,    /* what clients ask for cannot be written into the guest */
        EVENT_RING_REPLACED, /* clients go over to a ring of another capacity, or after a drop */
        EVENT_RING_REFUSED,  /* another ring is due and has no room */
        JOURNAL_N_EVENTS,
};

struct journal_event_info {
        const char *name;          /* VGPU_EVENT: the enumerator in kebab-case, without EVENT_ */
        const char *message_id;    /* 32 lower-case hex digits */
        int priority;              /* LOG_* */
        uint32_t limit_burst;      /* that many at once; 0: never limited */
        uint32_t limit_interval_s; /* in which that many come back */
        const char *
                fields; /* what it carries besides what every event does, space between; "": nothing */
};

/* Static storage. */
const struct journal_event_info *journal_event_info(enum journal_event event);

#endif /* VGPU_EVENTS_H */
