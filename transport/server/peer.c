/*
 * peer.c - one client: what is known of it, what it is sent
 *
 * A client costs a bounded amount whatever it does: one socket, one pipe end, and a generation only when the
 * message before it has been read.
 */
#include "peer.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "message.h"

#define UNREAD_MAX 16

struct peer *peer_new(struct server *s, int fd, const struct ucred *cred, uint64_t now_ns)
{
        struct peer *p = calloc(1, sizeof(*p));

        if (!p)
                return NULL;
        p->server = s;
        p->fd = fd;
        p->wake_fd = -1;
        p->cred = *cred;
        p->since_ns = now_ns;
        p->hello_deadline_ns = now_ns + s->config.hello_timeout_ns;
        p->budget = PEER_BUDGET;
        p->refilled_ns = now_ns;

        p->prev = s->last;
        *(s->last ? &s->last->next : &s->first) = p;
        s->last = p;
        s->n_peers++;
        return p;
}

struct peer *peer_free(struct peer *p)
{
        struct server *s;

        if (!p)
                return NULL;
        s = p->server;
        *(p->prev ? &p->prev->next : &s->first) = p->next;
        *(p->next ? &p->next->prev : &s->last) = p->prev;
        s->n_peers--;
        close(p->fd);
        if (p->wake_fd >= 0)
                close(p->wake_fd);
        free(p);
        return NULL;
}

int peer_fd(const struct peer *p)
{
        return p->fd;
}

void peer_set_data(struct peer *p, void *data)
{
        p->data = data;
}

void *peer_data(const struct peer *p)
{
        return p->data;
}

struct peer_info peer_info(const struct peer *p)
{
        return (struct peer_info){
                .uid = p->cred.uid,
                .gid = p->cred.gid,
                .pid = p->cred.pid,
                .name = p->name,
                .ready = p->ready,
                .granted = p->granted,
                .since_ns = p->since_ns,
                .generation = p->generation,
                .released = p->released,
                .behind = p->behind,
                .frames_seen = p->frames_seen,
                .frames_missed = p->frames_missed,
                .torn_retries = p->torn_retries,
                .goodbye = p->goodbye,
                .goodbye_text = p->goodbye_text,
        };
}

void send_goodbye(int fd, enum vgpu_goodbye reason, const char *text)
{
        struct vgpu_msg_goodbye msg = {
                .header = message_header(VGPU_MSG_GOODBYE, sizeof(msg)),
                .reason = reason,
        };
        char rest[1];

        snprintf(msg.text, sizeof(msg.text), "%s", text);
        message_send(fd, &msg, sizeof(msg), NULL, 0, NULL, 0);

        /* closing a socket with unread packets makes the other end see a reset in place of what was sent */
        for (int i = 0; i < UNREAD_MAX; i++) {
                if (recv(fd, rest, sizeof(rest), MSG_DONTWAIT) <= 0)
                        break;
        }
}

void peer_goodbye(struct peer *p, enum vgpu_goodbye reason, const char *text)
{
        if (p->goodbye != VGPU_GOODBYE_NONE)
                return;
        p->goodbye = reason;
        snprintf(p->goodbye_text, sizeof(p->goodbye_text), "%s", text);
        p->server->counters.dropped[reason]++;
        send_goodbye(p->fd, reason, text);
}

/* ---- the ring -------------------------------------------------------------------------------- */

/* A socket's output queue counts packets until the receiver takes them, so this is "has it read everything?". */
static bool has_unread(const struct peer *p)
{
        int bytes = 0;

        return ioctl(p->fd, SIOCOUTQ, &bytes) == 0 && bytes > 0;
}

static bool wants_ring(const struct peer *p)
{
        const struct ring *ring = p->server->ring;

        return p->ready && p->goodbye == VGPU_GOODBYE_NONE && (p->granted & VGPU_WANT_RING) &&
               ring && ring_identity(ring)->generation != p->generation;
}

static void fall_behind(struct peer *p)
{
        if (!p->behind)
                p->server->counters.deferred++;
        p->behind = true;
}

void peer_offer_ring(struct peer *p)
{
        struct vgpu_msg_ring msg = { .header = message_header(VGPU_MSG_RING, sizeof(msg)) };
        const struct vgpu_ring_identity *id;
        int fd, err;

        if (!wants_ring(p)) {
                p->behind = false;
                return;
        }
        if (has_unread(p)) {
                fall_behind(p);
                return;
        }
        id = ring_identity(p->server->ring);
        fd = ring_fd(p->server->ring);
        msg.generation = id->generation;
        memcpy(msg.instance, id->instance, sizeof(msg.instance));
        err = message_send(p->fd, &msg, sizeof(msg), NULL, 0, &fd, 1);
        if (err == -EAGAIN || err == -ETOOMANYREFS) {
                fall_behind(p);
                return;
        }
        /* any other failure means the client has gone, which its socket tells when it is read */
        p->generation = id->generation;
        p->behind = false;
}

void peer_wake(struct peer *p)
{
        ssize_t n;

        if (p->wake_fd < 0)
                return;
        n = write(p->wake_fd, "", 1);
        if (n == 1)
                p->server->counters.wakes++;
        else
                p->server->counters.wakes_full++;
}
