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
        VGPU_MSG_INTENT = 0x005,  /* reserved: refused as not supported by 1.0 */
        /* daemon to client */
        VGPU_MSG_WELCOME = 0x101, /* + ring fd if generation != 0, + wake fd if granted */
        VGPU_MSG_RING = 0x102,    /* a new generation, + its fd */
        VGPU_MSG_REPLY = 0x103,
        VGPU_MSG_GOODBYE = 0x104, /* last message; then the socket closes */
};

/* HELLO.wants, WELCOME.granted */
#define VGPU_WANT_RING  UINT32_C(1)
#define VGPU_WANT_WAKE  UINT32_C(2) /* a pipe's read end, readable after every change */
#define VGPU_WANT_LEASE UINT32_C(4) /* reserved: not granted by 1.0 */

/* QUERY.what */
enum vgpu_query {
        VGPU_QUERY_STATUS = 1,
        VGPU_QUERY_CLIENTS = 2,
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
};

struct vgpu_msg_query {
        struct vgpu_msg_header header;
        uint32_t what;
        uint32_t cookie; /* comes back in the REPLY */
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
        uint64_t reserved[4];
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
        uint32_t reserved;
        char text[192]; /* a sentence for people, NUL-terminated */
};

VGPU_PROTOCOL_ASSERT(sizeof(struct vgpu_msg_header) == 24);
VGPU_PROTOCOL_ASSERT(sizeof(struct vgpu_msg_hello) == 64);
VGPU_PROTOCOL_ASSERT(sizeof(struct vgpu_msg_stats) == 48);
VGPU_PROTOCOL_ASSERT(sizeof(struct vgpu_msg_query) == 32);
VGPU_PROTOCOL_ASSERT(sizeof(struct vgpu_msg_release) == 32);
VGPU_PROTOCOL_ASSERT(sizeof(struct vgpu_msg_welcome) == 96);
VGPU_PROTOCOL_ASSERT(sizeof(struct vgpu_msg_ring) == 64);
VGPU_PROTOCOL_ASSERT(sizeof(struct vgpu_msg_reply) == 40);
VGPU_PROTOCOL_ASSERT(sizeof(struct vgpu_msg_goodbye) == 224);

#endif /* VGPU_PROTOCOL_H */
