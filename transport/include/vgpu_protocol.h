/*
 * vgpu_protocol.h - what goes over the daemon's socket
 *
 * AF_UNIX, SOCK_SEQPACKET: one message per packet, a fixed header before a fixed body. Native byte order; both ends
 * are on one host. A receiver takes bodies longer than it knows (a later minor appended fields) and refuses shorter
 * ones. Unknown types are ignored unless VGPU_MSG_REQUIRED is set; another major is refused with a GOODBYE that
 * names both. docs/protocol.md tells the conversations. Programs use libvgpu-client (vgpu_client.h) instead of
 * this.
 *
 * Compiles as C11 and C++11.
 */
#ifndef VGPU_PROTOCOL_H
#define VGPU_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define VGPU_PROTOCOL_ASSERT(cond) static_assert(cond, #cond)
#else
#define VGPU_PROTOCOL_ASSERT(cond) _Static_assert(cond, #cond)
#endif

#define VGPU_PROTOCOL_MAGIC    UINT32_C(0x50555047) /* "GPUP" */
#define VGPU_PROTOCOL_VERSION  UINT32_C(0x00010000) /* major << 16 | minor */
#define VGPU_PROTOCOL_MAJOR(v) ((uint32_t)(v) >> 16)
#define VGPU_PROTOCOL_MINOR(v) ((uint32_t)(v)&0xFFFF)

#define VGPU_MSG_MAX        65536u /* bytes of a whole message, either way */
#define VGPU_MSG_MAX_CLIENT 4096u  /* bytes of a message a client may send */
#define VGPU_REPLY_MAX      61440u /* bytes of JSON text in a REPLY */

/* header.flags */
#define VGPU_MSG_REQUIRED UINT32_C(1) /* a receiver that does not know the type must not go on */

enum vgpu_msg_type {
        /* client to daemon */
        VGPU_MSG_HELLO = 0x001,   /* first message; answered by WELCOME or GOODBYE */
        VGPU_MSG_STATS = 0x002,   /* the client about itself, at most once a second */
        VGPU_MSG_QUERY = 0x003,   /* answered by REPLY */
        VGPU_MSG_RELEASE = 0x004, /* this generation and older ones are no longer mapped */
        VGPU_MSG_INTENT = 0x005,  /* wants of the producer; answered by INTENT_STATE */
        VGPU_MSG_DROP = 0x006,    /* an administrator: drop clients; answered by REPLY */
        /* header only: WELCOME's page is mapped writable and sealed FUTURE_WRITE, look at it from now on */
        VGPU_MSG_PAGE = 0x007,
        /* daemon to client */
        /* + ring fd if generation != 0, + wake fd if granted, + the client's own page if wake or lease is granted */
        VGPU_MSG_WELCOME = 0x101,
        VGPU_MSG_RING = 0x102, /* a new generation, + its fd */
        VGPU_MSG_REPLY = 0x103,
        VGPU_MSG_GOODBYE = 0x104, /* last message; then the socket closes */
        VGPU_MSG_INTENT_STATE = 0x105,
        /* 0x2xx, 0x3xx: to and from the external writer, on a socket of its own: vgpu_control.h */
};

/* HELLO.wants, WELCOME.granted */
#define VGPU_WANT_RING  UINT32_C(1)
#define VGPU_WANT_WAKE  UINT32_C(2) /* a socket's end: readable after a change while armed */
#define VGPU_WANT_LEASE UINT32_C(4) /* holds in the client's page are honoured */
#define VGPU_WANT_SOON  UINT32_C(8) /* the ring's `soon` is raised before frames */
#define VGPU_WANT_EDGE                                                                             \
        UINT32_C(16) /* with WAKE: no bytes, it is readable for ever, and a wake is an edge */

/* QUERY.what */
enum vgpu_query {
        VGPU_QUERY_STATUS = 1,
        VGPU_QUERY_CLIENTS = 2,
        VGPU_QUERY_METRICS = 3, /* counters and histograms: docs/metrics.schema.json */
};

enum vgpu_goodbye {
        VGPU_GOODBYE_NONE = 0,
        VGPU_GOODBYE_STOPPING = 1,    /* the daemon is going; try again later */
        VGPU_GOODBYE_VERSION = 2,     /* another major; the text names both */
        VGPU_GOODBYE_MALFORMED = 3,   /* the text says what was wrong */
        VGPU_GOODBYE_UNSUPPORTED = 4, /* a required message that this daemon does not know */
        VGPU_GOODBYE_FULL = 5,        /* as many clients as may be, in all or of this user */
        VGPU_GOODBYE_TOO_LATE = 6,    /* no HELLO within the time allowed */
        VGPU_GOODBYE_UNREAD = 7,      /* the client does not read what it asked for */
        VGPU_GOODBYE_DENIED = 8,
        VGPU_GOODBYE_DROPPED = 9,   /* by the administrator */
        VGPU_GOODBYE_INTERNAL = 10, /* the daemon ran out of something */
        VGPU_GOODBYE_FLOOD = 11,    /* more messages than any client needs to send */
        VGPU_N_GOODBYES
};

struct vgpu_msg_header {
        uint32_t magic;
        uint32_t type;
        uint32_t length; /* bytes, this header included; equals the packet's */
        uint32_t version;
        uint32_t flags;
        uint32_t reserved;
};

struct vgpu_msg_hello {
        struct vgpu_msg_header header;
        uint32_t wants;
        uint32_t reserved;
        char name[32]; /* who it is, for the daemon's log; NUL-padded, any bytes */
};

struct vgpu_msg_stats {
        struct vgpu_msg_header header;
        uint64_t frames_seen; /* totals since HELLO */
        uint64_t frames_missed;
        uint64_t torn_retries;
        uint64_t leases;      /* holds taken */
        uint64_t lost;        /* of them, ended by the daemon while held */
        uint64_t last_serial; /* of the newest frame it got; 0: none of this instance */
};

struct vgpu_msg_query {
        struct vgpu_msg_header header;
        uint32_t what;
        uint32_t cookie; /* comes back in the REPLY */
};

/* INTENT.fields: which of the values are asked for. No field at all withdraws what was asked before. */
#define VGPU_INTENT_STATE  UINT32_C(1)
#define VGPU_INTENT_FPS    UINT32_C(2)
#define VGPU_INTENT_CURSOR UINT32_C(4)
#define VGPU_INTENT_FRAME  UINT32_C(8) /* one whole frame, once per message that says so */

/* Stands until the next one, or until the socket closes. docs/protocol.md says how those of several clients merge. */
struct vgpu_msg_intent {
        struct vgpu_msg_header header;
        uint32_t cookie; /* comes back in every INTENT_STATE */
        uint32_t fields;
        uint32_t state;       /* VGPU_CMD_* of vgpu_stream.h */
        uint32_t fps;         /* frames per second, 0: the producer's default */
        uint32_t draw_cursor; /* 0 or 1 */
        uint32_t reserved;
};

/* Sent when an intent is taken or refused, and again when the writer has performed a write that contains it. */
struct vgpu_msg_intent_state {
        struct vgpu_msg_header header;
        uint32_t cookie;
        /* 0: taken; -EACCES: not allowed to; -EOPNOTSUPP: no control socket is configured; -EINVAL: out of range;
         * -ENOTCONN: taken, but no writer is connected; -EIO: the writer could not do it */
        int32_t error;
        /* 0: not yet; 1: ctrl_gen and full_frame say what to wait for in the status record */
        uint32_t written;
        uint32_t ctrl_gen;
        uint32_t full_frame; /* full_frame_req of that write */
        uint32_t reserved;
};

struct vgpu_msg_drop {
        struct vgpu_msg_header header;
        uint32_t pid; /* every client of this process */
        uint32_t cookie;
};

struct vgpu_msg_release {
        struct vgpu_msg_header header;
        uint64_t generation;
};

struct vgpu_msg_welcome {
        struct vgpu_msg_header header;
        /* of the ring that is attached; 0: none yet, a RING follows when there is one */
        uint64_t generation;
        uint8_t instance[16];
        uint32_t granted;
        uint32_t tick_period_ms;
        uint32_t max_clients;
        uint32_t daemon_pid;
        uint64_t lease_ns; /* how long a hold is honoured; 0 without VGPU_WANT_LEASE */
        uint64_t reserved[3];
};

struct vgpu_msg_ring {
        struct vgpu_msg_header header;
        uint64_t generation;
        uint8_t instance[16];
        uint64_t reserved[2];
};

struct vgpu_msg_reply {
        struct vgpu_msg_header header;
        uint32_t what;
        uint32_t cookie;
        int32_t error; /* 0, or a negative errno and no text */
        uint32_t len;  /* bytes of JSON text that follow, no NUL */
};

struct vgpu_msg_goodbye {
        struct vgpu_msg_header header;
        uint32_t reason; /* enum vgpu_goodbye */
        /* do not come again before; 0: coming again is no use until somebody changes something */
        uint32_t retry_ms;
        char text[192]; /* a sentence for people, NUL-terminated */
};

VGPU_PROTOCOL_ASSERT(sizeof(struct vgpu_msg_header) == 24);
VGPU_PROTOCOL_ASSERT(sizeof(struct vgpu_msg_hello) == 64);
VGPU_PROTOCOL_ASSERT(sizeof(struct vgpu_msg_stats) == 72);
VGPU_PROTOCOL_ASSERT(sizeof(struct vgpu_msg_query) == 32);
VGPU_PROTOCOL_ASSERT(sizeof(struct vgpu_msg_release) == 32);
VGPU_PROTOCOL_ASSERT(sizeof(struct vgpu_msg_intent) == 48);
VGPU_PROTOCOL_ASSERT(sizeof(struct vgpu_msg_intent_state) == 48);
VGPU_PROTOCOL_ASSERT(sizeof(struct vgpu_msg_drop) == 32);
VGPU_PROTOCOL_ASSERT(sizeof(struct vgpu_msg_welcome) == 96);
VGPU_PROTOCOL_ASSERT(sizeof(struct vgpu_msg_ring) == 64);
VGPU_PROTOCOL_ASSERT(sizeof(struct vgpu_msg_reply) == 40);
VGPU_PROTOCOL_ASSERT(sizeof(struct vgpu_msg_goodbye) == 224);

#endif /* VGPU_PROTOCOL_H */
