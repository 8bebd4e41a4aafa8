/*
 * peer.h - one client, as the server sees it (private to server/)
 */
#ifndef VGPUD_PEER_H
#define VGPUD_PEER_H

#include <sys/socket.h>

#include "listen.h"
#include "server.h"

#define PEER_BUDGET 256u /* messages a client may send in one go */

struct server {
        struct listener listener;
        int reserve_fd; /* closed for a moment when descriptors have run out, to refuse a client properly */
        struct server_config config;
        const struct ring *ring;
        struct peer *first, *last;
        uint32_t n_peers;
        struct server_counters counters;
        char reply[VGPU_REPLY_MAX];
};

struct peer {
        struct server *server;
        struct peer *prev, *next;
        int fd;
        int wake_fd; /* both ends of the wake pipe in one description; -1: not granted */
        struct ucred cred;
        char name[sizeof(((struct vgpu_msg_hello *)0)->name) + 1];
        bool ready;
        bool behind; /* a generation waits until the message before it has been read */
        uint32_t granted;
        uint64_t since_ns;
        uint64_t hello_deadline_ns;
        uint64_t generation;
        uint64_t released;
        uint64_t frames_seen, frames_missed, torn_retries;
        uint32_t budget; /* messages it may still send; refilled with time */
        uint64_t refilled_ns;
        enum vgpu_goodbye goodbye;
        char goodbye_text[sizeof(((struct vgpu_msg_goodbye *)0)->text)];
        void *data;
};

/* @fd is owned by the peer on success, by the caller on failure (NULL: no memory). */
struct peer *peer_new(struct server *s, int fd, const struct ucred *cred, uint64_t now_ns);

/* Send the server's ring if the client wants one, has not got it, and has read what it was sent before. */
void peer_offer_ring(struct peer *p);

/* One wake byte, if it has a pipe. */
void peer_wake(struct peer *p);

/* The last words on a socket that may have unread data: without taking that, closing would lose them. */
void send_goodbye(int fd, enum vgpu_goodbye reason, const char *text);

#endif /* VGPUD_PEER_H */
