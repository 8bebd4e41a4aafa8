/*
 * peer.c - one client: what is known of it, what it is sent
 *
 * A client costs a bounded amount whatever it does: one socket, one end of a wake socket, one page, and a generation
 * only when the message before it has been read.
 */
#include "peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "message.h"

struct peer *peer_new(struct server *s, int fd, const struct ucred *cred, uint64_t now_ns)
{
        struct peer *p = calloc(1, sizeof(*p));

        if (!p)
                return NULL;
        p->server = s;
        p->fd = fd;
        p->page = PAGES_NONE;
        p->cred = *cred;
        p->since_ns = now_ns;
        p->hello_deadline_ns = now_ns + s->config.hello_timeout_ns;
        p->budget = PEER_BUDGET_FIRST;
        p->refilled_ns = now_ns;

        p->prev = s->last;
        *(s->last ? &s->last->next : &s->first) = p;
        s->last = p;
        s->n_peers++;
        return p;
}

/* Maps live on: it may see the ring's frames for as long as there are any. */
static bool has_ring(const struct peer *p)
{
        const struct ring *ring = p->server->ring;

        return (p->granted & VGPU_WANT_RING) && ring &&
               ring_identity(ring)->generation == p->generation;
}

/* Its holds end, and its wake socket. */
static void leave_page(struct peer *p)
{
        struct pages *pages = &p->server->pages;

        if (p->page == PAGES_NONE)
                return;
        if (pages->seat[p->page].wake_fd >= 0)
                close(pages->seat[p->page].wake_fd);
        pages_leave(pages, p->page);
        p->page = PAGES_NONE;
}

struct peer *peer_free(struct peer *p)
{
        struct server *s;
        bool had_intent;

        if (!p)
                return NULL;
        s = p->server;
        had_intent = p->intent.fields != 0;
        s->left_with_ring |= has_ring(p);
        leave_page(p);
        *(p->prev ? &p->prev->next : &s->first) = p->next;
        *(p->next ? &p->next->prev : &s->last) = p->prev;
        s->n_peers--;
        s->n_condemned -= p->goodbye != VGPU_GOODBYE_NONE;
        if (p->granted & VGPU_WANT_SOON) {
                s->n_early--;
                server_announce(s);
        }
        /* only who was granted something was sent descriptors */
        if (p->granted != 0)
                unread_close(&s->unread, p->fd, p->cred.uid);
        else
                close(p->fd);
        free(p);
        if (had_intent)
                s->config.intents_changed(s->config.intents_ctx);
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

static void describe_page(const struct peer *p, struct peer_info *info)
{
        const struct server *s = p->server;
        const struct page_seat *seat;

        if (p->page == PAGES_NONE || s->pages.seat[p->page].watch == PAGES_NONE)
                return;
        seat = &s->pages.seat[p->page];
        info->armed = seat->wake_fd >= 0 && page_ticket(&s->pages.watch[seat->watch]) != 0;
        info->n_ended = seat->holder.lost;
        if (s->ring && seat->holder.generation == ring_identity(s->ring)->generation)
                info->n_held = (uint32_t)__builtin_popcount(seat->holder.standing);
}

struct peer_info peer_info(const struct peer *p)
{
        struct peer_info info = {
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
                .frames_seen = p->stats.frames_seen,
                .frames_missed = p->stats.frames_missed,
                .torn_retries = p->stats.torn_retries,
                .leases = p->stats.leases,
                .lost = p->stats.lost,
                .last_serial = p->stats.last_serial,
                .intent = p->intent,
                .frame_requests = p->frame_requests,
                .goodbye = p->goodbye,
                .goodbye_text = p->goodbye_text,
        };

        describe_page(p, &info);
        return info;
}

void peer_goodbye(struct peer *p, enum vgpu_goodbye reason, const char *text)
{
        if (p->goodbye != VGPU_GOODBYE_NONE)
                return;
        p->goodbye = reason;
        snprintf(p->goodbye_text, sizeof(p->goodbye_text), "%s", text);
        p->server->counters.dropped[reason]++;
        p->server->n_condemned++;
        leave_page(p);
        send_goodbye(p->fd, reason, text);
}

int peer_condemn(struct peer *p, enum vgpu_goodbye reason, const char *text)
{
        peer_goodbye(p, reason, text);
        return -EPROTO;
}

/* ---- the ring -------------------------------------------------------------------------------- */

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
        if (unread_any(p->fd)) {
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

void peer_catch_up(struct peer *p)
{
        peer_offer_intent_state(p);
        if (p->behind)
                peer_offer_ring(p);
}
