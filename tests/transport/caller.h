/*
 * caller.h - a client made of bare messages, for tests of the server
 *
 * The library never does what most of these tests need: greet twice, arm without looking, read nothing.
 */
#ifndef CALLER_H
#define CALLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message.h"
#include "relay.h"
#include "vgpu_ring.h"

/* A non-blocking socket connected to @path, or a negative errno. */
int dial(const char *path);

/* The same with HELLO sent; has to work. */
int dial_and_greet(const char *path, uint32_t wants);

/* Read one message, with its descriptors; @fds NULL: none may come. Return: its type, 0 at the end or if none is there. */
uint32_t hear(int fd, void *buf, size_t cap, int *fds, size_t *n_fds);

struct caller {
        int fd;
        int ring_fd, wake_fd, page_fd;          /* -1: not granted */
        volatile struct vgpu_client_page *page; /* NULL: not granted */
        struct vgpu_msg_welcome welcome;
        _Alignas(uint64_t) uint8_t heard[VGPU_MSG_MAX];
};

/* Connect, be welcomed (the relay is turned). */
void caller_start(struct caller *c, struct relay *r, uint32_t wants);

/* Parts of it, for who greeted already: take WELCOME and map the page; seal it; say that it is mapped and sealed. */
void caller_welcomed(struct caller *c, int fd);
void caller_settle(struct caller *c);
void caller_say_page(struct caller *c);

/* Close everything; the relay learns of it at its next turn. */
void caller_stop(struct caller *c);

/* One message into c->heard; descriptors are closed. Return: as hear(). */
uint32_t caller_hear(struct caller *c);

/* Send; has to work. The message starts with its header. */
void caller_say(struct caller *c, const void *msg);

void caller_arm(struct caller *c, uint32_t ticket, uint32_t interest);

/* Take the bytes out of the wake socket. Return: how many there were. */
int caller_wakes(struct caller *c);

struct stranger {
        uint32_t type; /* of the first message: WELCOME, or GOODBYE and what it said */
        struct vgpu_msg_goodbye goodbye;
        int32_t intent_error, drop_error; /* 1: not asked */
};

/*
 * What a user sees: a child becomes @uid with group @gid and the @n_groups supplementary @groups, greets, says INTENT and
 * DROP of pid 1, and returns what it was told. Turns the relay until it has. Takes root.
 */
struct stranger stranger_visits(
        struct relay *r, uid_t uid, gid_t gid, const gid_t *groups, size_t n_groups);

#endif /* CALLER_H */
