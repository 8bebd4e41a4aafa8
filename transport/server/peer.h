/*
 * peer.h - one client, as the server sees it (private to server/)
 */
#ifndef VGPUD_PEER_H
#define VGPUD_PEER_H

#include <sys/socket.h>

#include "access.h"
#include "unread.h"
#include "goodbye.h"
#include "listen.h"
#include "pages.h"
#include "server.h"
#include "wake.h"

/*
 * Messages a client may send in one go. Who has just connected has earned few, or connecting again would be the
 * cheapest way to send many.
 */
#define PEER_BUDGET       256u
#define PEER_BUDGET_FIRST 8u

struct server {
        struct listener listener;
        int reserve_fd; /* closed for a moment when descriptors have run out, to refuse a client properly */
        struct server_config config; /* its path and lists are not kept here */
        struct access access[ACCESS_N_RIGHTS];
        struct ring *ring;
        struct pages pages;
        struct waker waker;
        struct unread unread;
        struct peer *first, *last;
        uint32_t n_peers;
        uint32_t n_condemned; /* told goodbye, not freed yet */
        uint32_t n_early;     /* granted VGPU_WANT_SOON */
        bool left_with_ring;  /* somebody who was sent the present one is gone */
        struct server_counters counters;
        enum vgpu_goodbye refusal; /* of the last one refused */
        char refusal_text[sizeof(((struct vgpu_msg_goodbye *)0)->text)];
        char reply[VGPU_REPLY_MAX];
};

struct peer {
        struct server *server;
        struct peer *prev, *next;
        int fd;
        uint32_t page; /* its seat; PAGES_NONE: it has no page */
        struct ucred cred;
        char name[sizeof(((struct vgpu_msg_hello *)0)->name) + 1];
        bool ready;
        bool behind; /* a generation waits until the message before it has been read */
        bool may_intend, may_admin;
        uint32_t granted;
        uint64_t since_ns;
        uint64_t hello_deadline_ns;
        uint64_t generation;
        uint64_t released;
        struct vgpu_msg_stats stats; /* as it sent them last */
        struct vgpu_msg_intent intent;
        uint32_t frame_requests;
        bool untold; /* intent_state did not fit its queue */
        struct vgpu_msg_intent_state intent_state;
        uint32_t budget; /* messages it may still send; refilled with time */
        uint64_t refilled_ns;
        enum vgpu_goodbye goodbye;
        char goodbye_text[sizeof(((struct vgpu_msg_goodbye *)0)->text)];
        void *data;
};

/* @fd is owned by the peer on success, by the caller on failure (NULL: no memory). */
struct peer *peer_new(struct server *s, int fd, const struct ucred *cred, uint64_t now_ns);

/* Have the ring announce frames if anybody asked for it. After n_early or the ring changed. */
void server_announce(struct server *s);

/* Say goodbye with @reason. Return: -EPROTO, for peer_dispatch() to return. */
int peer_condemn(struct peer *p, enum vgpu_goodbye reason, const char *text);

/* Send the server's ring if the client wants one, has not got it, and has read what it was sent before. */
void peer_offer_ring(struct peer *p);

/* Send again what did not fit: a ring, the state of an intent. */
void peer_catch_up(struct peer *p);

/* How many of @max_clients the limit on open files bears out, once it has been raised as far as it goes. */
uint32_t server_fit_descriptors(uint32_t max_clients);

/* server_drop(), sparing one; NULL: none. */
uint32_t server_drop_but(struct server *s, pid_t pid, const struct peer *spared);

/* Wake the client of a page that has just been settled, if it is armed. */
void tell_settled(struct server *s, uint32_t index);

/* intent.c: INTENT */
int peer_take_intent(struct peer *p, const void *packet);
void peer_offer_intent_state(struct peer *p);

#endif /* VGPUD_PEER_H */
