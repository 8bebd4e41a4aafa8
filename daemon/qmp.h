/*
 * qmp.h - a connection to QEMU's monitor that can be lost, and is looked for again
 *
 * Speaks the QEMU Machine Protocol over a unix socket: one JSON object a line, a greeting, one request at a time, events
 * in between. The other end is not trusted to be well: lines and floods are bounded, everything that is waited for has a
 * timeout, and what is broken is closed and connected to again with a back-off. Nothing ends because a monitor did.
 *
 * The socket is polled, not handed to libuv as a stream, because of qmp_quiet(): whether something lies unread must be
 * known at a moment of the caller's choosing, and not when the loop comes round to it.
 */
#ifndef VGPUD_QMP_H
#define VGPUD_QMP_H

#include <json-c/json.h>
#include <stdbool.h>
#include <uv.h>

#define QMP_LINE_MAX         (1u << 20) /* bytes; `info mtree -f` of a large machine is a tenth of it */
#define QMP_FLOOD_BYTES      (4u << 20) /* bytes a second that are too many, answers included */
#define QMP_TIMEOUT_MS       5000       /* for a greeting, an answer, the second half of a line */
#define QMP_BACKOFF_FIRST_MS 50
#define QMP_BACKOFF_MOST_MS  1000

enum qmp_state {
        QMP_DOWN,     /* not connected; a timer will try again */
        QMP_GREETING, /* connected, nothing heard yet */
        QMP_TALKING,  /* negotiated */
};

struct qmp;

/* @ret is borrowed for the call; NULL: refused, and @error says why. */
typedef void (*qmp_reply)(struct qmp *q, struct json_object *ret, const char *error);

struct qmp_handlers {
        void (*up)(struct qmp *q); /* negotiated: requests may be sent */
        /* Not, or no longer, connected. @error: negative errno; -ECONNREFUSED or -ENOENT when nobody listens there. */
        void (*down)(struct qmp *q, int error, const char *why);
        /* @data is borrowed for the call and may be NULL. */
        void (*event)(struct qmp *q, const char *name, struct json_object *data);
};

struct qmp {
        uv_loop_t *loop;
        const char *path;
        const struct qmp_handlers *handlers;
        void *ctx; /* the owner's */

        enum qmp_state state;
        int fd; /* -1: none */
        uv_poll_t *poll;
        uv_timer_t timer; /* what is waited for, or the back-off */
        uint64_t backoff_ms;
        qmp_reply reply; /* to the request under way, or NULL */

        char *line; /* bytes of lines not complete yet */
        size_t len, cap;
        uint64_t flood_since_ns;
        uint64_t flood_bytes;
};

/**
 * qmp_init() - look for a monitor from the next turn of the loop on
 * @path: of its socket; borrowed
 *
 * Return: 0 or what libuv said.
 */
int qmp_init(struct qmp *q, uv_loop_t *loop, const char *path, const struct qmp_handlers *handlers,
        void *ctx);

/* Closes everything; no handler is called any more. The loop must run out before @q goes. */
void qmp_stop(struct qmp *q);

/**
 * qmp_execute() - send a request; only when up, and when none is under way
 * @arguments: taken over; NULL: none
 * @reply:     called once, unless the connection goes down first
 *
 * A failure to send takes the connection down, from the loop.
 */
void qmp_execute(
        struct qmp *q, const char *command, struct json_object *arguments, qmp_reply reply);

/**
 * qmp_quiet() - is nothing said that we have not heard?
 *
 * One system call. False when bytes lie unread in the socket, or half a line was read: the loop is about to deliver
 * something, or to give the monitor up.
 */
bool qmp_quiet(const struct qmp *q);

/* The process that listens at the other end, or 0. */
int qmp_peer_pid(const struct qmp *q);

#endif /* VGPUD_QMP_H */
