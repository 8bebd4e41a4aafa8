/*
 * events.h - the things worth an admin's attention, each with an identity that never changes
 *
 * A MESSAGE_ID is a promise: filters, alerts and the journal's catalog go by it, so an event keeps its own for ever, and
 * a new meaning gets a new one. What a guest or a client can cause at will has a rate limit.
 */
#ifndef VGPU_EVENTS_H
#define VGPU_EVENTS_H

#include <stdint.h>

enum journal_event {
        EVENT_DAEMON_STARTED,
        EVENT_DAEMON_STOPPING,
        EVENT_GUEST_ATTACHED, /* a kernel was found: an epoch begins */
        EVENT_ATTACH_FAILED,  /* guest RAM is there, a kernel is not */
        EVENT_PRODUCER_FOUND, /* a live region is bound */
        EVENT_PRODUCER_LOST,  /* its process is gone or another one */
        EVENT_STREAM_STALLED, /* readable, but heartbeat or guest clock stand still */
        EVENT_STREAM_RESUMED,
        EVENT_RUN_EPOCH_CHANGED, /* the producer began a new session in the same process */
        EVENT_EPOCH_ENDED,       /* the guest's address space is another one */
        EVENT_RAM_GONE,
        EVENT_RAM_APPEARED,
        EVENT_CLIENT_REFUSED,
        EVENT_CLIENT_DROPPED,
        EVENT_CONFIG_BAD,
        EVENT_MODE_CHANGED,      /* another frame size or format */
        EVENT_PRODUCERS_SEVERAL, /* more than one is alive, one of them was taken */
        EVENT_WRITER_CONNECTED,  /* the external writer of [control] socket is there */
        EVENT_WRITER_GONE,
        EVENT_WRITER_UNBELIEVED, /* an answer of the writer fits nothing it was asked */
        EVENT_CONTROL_FAILED,    /* what clients ask for cannot be written into the guest */
        EVENT_RING_REPLACED, /* clients go over to a ring of another capacity, or after a drop */
        EVENT_RING_REFUSED,  /* another ring is due and has no room */
        JOURNAL_N_EVENTS,
};

struct journal_event_info {
        const char *name;          /* as in the enumerator, without EVENT_ */
        const char *message_id;    /* 32 lower-case hex digits */
        uint32_t limit_burst;      /* that many at once; 0: never limited */
        uint32_t limit_interval_s; /* in which that many come back */
};

/* Static storage. */
const struct journal_event_info *journal_event_info(enum journal_event event);

#endif /* VGPU_EVENTS_H */
