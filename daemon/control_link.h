/*
 * control_link.h - the control socket and the one writer at its other end
 *
 * No event loop and no clock inside, as in transport/server. A writer may do more than any client, yet what it says is
 * checked as a client's is: whatever breaks the protocol is told why and dropped, nothing it does makes us wait or keep more
 * than this struct.
 */
#ifndef VGPUD_CONTROL_LINK_H
#define VGPUD_CONTROL_LINK_H

#include <sys/socket.h>

#include "listen.h"
#include "vgpu_control.h"

/* What a writer is given to come to its first message. */
#define CONTROL_LINK_HELLO_NS UINT64_C(2000000000)

struct control_link {
        struct listener listener;
        bool has_user;
        uid_t user; /* who may be the writer, beside root and ourselves */

        /* the writer; fd -1: none */
        int fd;
        struct ucred cred;
        char name[sizeof(((struct vgpu_control_writer *)0)->name) +
                  1]; /* as sent: escape before showing */
        bool ready;   /* it has said who it is */
        uint64_t since_ns;
        uint32_t budget; /* messages it may still send; refilled with time and by each WRITE */
        uint64_t refilled_ns;
        char goodbye[sizeof(
                ((struct vgpu_msg_goodbye *)0)->text)]; /* why the last one was dropped */

        struct {
                uint64_t accepted;
                uint64_t denied; /* another user than may be */
                uint64_t full;   /* there was one already */
                uint64_t broken; /* dropped for what it sent, or did not */
        } counters;
};

struct control_link_config {
        const char *path; /* absolute */
        mode_t mode;
        gid_t group; /* SERVER_GROUP_NONE: leave it */
        bool has_user;
        uid_t user;
};

/**
 * control_link_init() - listen
 * @reterr_why: written on failure
 *
 * The socket file of a daemon that died is replaced, that of a living one is -EADDRINUSE, as server_new() does it.
 *
 * Return: 0, or a negative errno with nothing left behind.
 */
int control_link_init(struct control_link *l, const struct control_link_config *config,
        struct server_failure *reterr_why);

/* The writer, if any, is told that the daemon stops. */
void control_link_deinit(struct control_link *l);

enum control_link_accepted {
        CONTROL_LINK_NOBODY, /* nobody waits */
        CONTROL_LINK_TAKEN,  /* poll control_link's fd from now on */
        CONTROL_LINK_REFUSED /* one was told why and closed; counted */
};

/**
 * control_link_accept() - take one connection
 *
 * There must be no writer, or it stays and who comes is refused.
 *
 * Return: enum control_link_accepted, or a negative errno that says the listening socket is broken or out of descriptors.
 */
int control_link_accept(struct control_link *l, uint64_t now_ns);

/* Has the writer's other end been closed, whatever is still to be read from it? false with no writer. */
bool control_link_is_dead(const struct control_link *l);

enum control_link_heard {
        CONTROL_LINK_NOTHING,
        CONTROL_LINK_WRITER,  /* it has said who it is, and is ready */
        CONTROL_LINK_WRITTEN, /* *ret_written holds a whole message; nothing in it is checked */
};

/**
 * control_link_read() - take one message
 *
 * Call until CONTROL_LINK_NOTHING, a few times in one go.
 *
 * Return: enum control_link_heard, or < 0: drop it with control_link_drop(): -ECONNRESET (it closed), anything else: it was
 * told goodbye, and l->goodbye says why.
 */
int control_link_read(
        struct control_link *l, uint64_t now_ns, struct vgpu_control_written *ret_written);

/* Is its first message overdue? Then it has been told goodbye: drop it. */
bool control_link_expired(struct control_link *l, uint64_t now_ns);

/* Hand over a WRITE, its header filled in here. Return: 0, -EAGAIN (it does not read), -EPIPE, -ENOTCONN, another -errno. */
int control_link_send(struct control_link *l, struct vgpu_control_write *write);

/* Tell the writer goodbye. @text: a sentence, cut to fit. */
void control_link_goodbye(struct control_link *l, enum vgpu_goodbye reason, const char *text);

/* Close the writer's socket; the caller has stopped polling it. Fine without one. */
void control_link_drop(struct control_link *l);

#endif /* VGPUD_CONTROL_LINK_H */
