/*
 * dispatch.c - what a client says
 *
 * Whatever arrives is checked on a private copy and either understood, ignored (optional and unknown) or answered
 * with a GOODBYE.
 */
#include "peer.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "message.h"

#define MESSAGES_PER_DISPATCH 4
#define BUDGET_PER_SECOND     128u
#define NS_PER_S              UINT64_C(1000000000)

/* What goes with WELCOME. */
struct parcel {
        int fds[MESSAGE_MAX_FDS];
        size_t n;
        int wake_end; /* the client's, to close once it is sent; -1: none */
};

static int grant_page(struct peer *p, struct parcel *parcel)
{
        struct pages *pages = &p->server->pages;
        struct page_seat *seat;
        int err;

        err = pages_take(pages, &p->page);
        if (err < 0)
                return err;
        seat = &pages->seat[p->page];
        seat->leases = p->granted & VGPU_WANT_LEASE;
        if (p->granted & VGPU_WANT_WAKE) {
                seat->edge = p->granted & VGPU_WANT_EDGE;
                seat->wake_fd = waker_pair(seat->edge, &parcel->wake_end);
                if (seat->wake_fd < 0)
                        return seat->wake_fd;
                parcel->fds[parcel->n++] = parcel->wake_end;
        }
        parcel->fds[parcel->n++] = seat->memfd;
        return 0;
}

static int welcome(struct peer *p)
{
        const struct server *s = p->server;
        struct vgpu_msg_welcome msg = {
                .header = message_header(VGPU_MSG_WELCOME, sizeof(msg)),
                .granted = p->granted,
                .max_clients = s->config.max_clients,
                .daemon_pid = (uint32_t)getpid(),
                .lease_ns = p->granted & VGPU_WANT_LEASE ? s->config.lease_ns : 0,
        };
        struct parcel parcel = { .wake_end = -1 };
        int err = 0;

        if (s->ring) {
                const struct vgpu_ring_identity *id = ring_identity(s->ring);

                memcpy(msg.instance, id->instance, sizeof(msg.instance));
                msg.tick_period_ms = id->tick_period_ms;
        }
        if (s->ring && (p->granted & VGPU_WANT_RING)) {
                msg.generation = ring_identity(s->ring)->generation;
                parcel.fds[parcel.n++] = ring_fd(s->ring);
        }
        if (p->granted & (VGPU_WANT_WAKE | VGPU_WANT_LEASE))
                err = grant_page(p, &parcel);
        if (err < 0)
                return peer_condemn(p, VGPU_GOODBYE_INTERNAL, "vgpud has no descriptors left.");
        err = message_send(p->fd, &msg, sizeof(msg), NULL, 0, parcel.fds, parcel.n);
        if (parcel.wake_end >= 0)
                close(parcel.wake_end);
        if (err == -EPIPE)
                return -ECONNRESET;
        if (err < 0)
                return peer_condemn(
                        p, VGPU_GOODBYE_INTERNAL, "vgpud could not pass its descriptors on.");
        p->generation = msg.generation;
        return 0;
}

static uint32_t grant(const struct server *s, uint32_t wants)
{
        uint32_t granted = wants & (VGPU_WANT_RING | VGPU_WANT_WAKE | VGPU_WANT_LEASE |
                                           VGPU_WANT_SOON | VGPU_WANT_EDGE);

        if (s->config.lease_ns == 0)
                granted &= ~VGPU_WANT_LEASE;
        if (!(granted & VGPU_WANT_WAKE) || !s->waker.has_edges)
                granted &= ~VGPU_WANT_EDGE;
        return granted;
}

static int on_hello(struct peer *p, const void *packet)
{
        const struct vgpu_msg_hello *msg = packet;

        if (p->ready)
                return peer_condemn(p, VGPU_GOODBYE_MALFORMED, "HELLO may be sent once only.");
        memcpy(p->name, msg->name, sizeof(msg->name));
        p->granted = grant(p->server, msg->wants);
        p->ready = true;
        if (p->granted & VGPU_WANT_SOON) {
                p->server->n_early++;
                server_announce(p->server);
        }
        return welcome(p);
}

static int on_page(struct peer *p, const void *packet)
{
        struct server *s = p->server;
        int err;

        (void)packet;
        if (p->page == PAGES_NONE || s->pages.seat[p->page].watch != PAGES_NONE)
                return peer_condemn(
                        p, VGPU_GOODBYE_MALFORMED, "PAGE names none that waits for it.");
        err = pages_settle(&s->pages, p->page);
        if (err == -EPERM)
                return peer_condemn(
                        p, VGPU_GOODBYE_MALFORMED, "PAGE names one that is not sealed.");
        if (err < 0)
                return peer_condemn(p, VGPU_GOODBYE_INTERNAL, "vgpud has no memory left.");
        tell_settled(s, p->page);
        return 0;
}

static int on_stats(struct peer *p, const void *packet)
{
        memcpy(&p->stats, packet, sizeof(p->stats));
        return 0;
}

/* What is in server.reply, or an error. */
static int reply(struct peer *p, uint32_t what, uint32_t cookie, int n)
{
        struct vgpu_msg_reply msg = {
                .what = what,
                .cookie = cookie,
                .error = n < 0 ? n : 0,
                .len = n < 0 ? 0 : (uint32_t)n,
        };
        int err;

        msg.header = message_header(VGPU_MSG_REPLY, sizeof(msg) + msg.len);
        err = message_send(p->fd, &msg, sizeof(msg), p->server->reply, msg.len, NULL, 0);
        if (err == -EPIPE)
                return -ECONNRESET;
        if (err < 0)
                return peer_condemn(p, VGPU_GOODBYE_UNREAD, "Replies were asked for and not read.");
        return 0;
}

static int on_query(struct peer *p, const void *packet)
{
        const struct vgpu_msg_query *msg = packet;
        struct server *s = p->server;
        int n = -EOPNOTSUPP;

        if (s->config.query)
                n = s->config.query(s->config.query_ctx, msg->what, s->reply, sizeof(s->reply));
        assert(n <= (int)sizeof(s->reply));
        return reply(p, msg->what, msg->cookie, n);
}

/* The connection that asks is none of those dropped: it still has an answer coming. */
static int on_drop(struct peer *p, const void *packet)
{
        const struct vgpu_msg_drop *msg = packet;
        struct server *s = p->server;
        uint32_t n;

        if (!p->may_admin)
                return reply(p, 0, msg->cookie, -EACCES);
        n = server_drop_but(s, (pid_t)msg->pid, p);
        if (n == 0)
                return reply(p, 0, msg->cookie, -ESRCH);
        return reply(
                p, 0, msg->cookie, snprintf(s->reply, sizeof(s->reply), "{\"dropped\": %u}", n));
}

static int on_release(struct peer *p, const void *packet)
{
        const struct vgpu_msg_release *msg = packet;

        if (msg->generation > p->generation)
                return peer_condemn(
                        p, VGPU_GOODBYE_MALFORMED, "RELEASE names a ring that was never sent.");
        if (msg->generation > p->released)
                p->released = msg->generation;
        return 0;
}

static const struct {
        uint32_t type;
        size_t len; /* at least; a later minor may append */
        int (*take)(struct peer *p, const void *packet);
} table[] = {
        { VGPU_MSG_HELLO, sizeof(struct vgpu_msg_hello), on_hello },
        { VGPU_MSG_STATS, sizeof(struct vgpu_msg_stats), on_stats },
        { VGPU_MSG_QUERY, sizeof(struct vgpu_msg_query), on_query },
        { VGPU_MSG_RELEASE, sizeof(struct vgpu_msg_release), on_release },
        { VGPU_MSG_INTENT, sizeof(struct vgpu_msg_intent), peer_take_intent },
        { VGPU_MSG_DROP, sizeof(struct vgpu_msg_drop), on_drop },
        { VGPU_MSG_PAGE, sizeof(struct vgpu_msg_header), on_page },
};

static int refuse_flaw(struct peer *p, enum message_flaw flaw, const struct vgpu_msg_header *h)
{
        char text[sizeof(p->goodbye_text)];

        switch (flaw) {
        case MESSAGE_SHORT:
                return peer_condemn(
                        p, VGPU_GOODBYE_MALFORMED, "A message is shorter than its header.");
        case MESSAGE_NOT_OURS:
                return peer_condemn(
                        p, VGPU_GOODBYE_MALFORMED, "That is not the vgpud protocol (wrong magic).");
        case MESSAGE_MAJOR:
                snprintf(text, sizeof(text),
                        "The client speaks protocol %u.%u, this vgpud speaks %u.%u: update the "
                        "older one.",
                        VGPU_PROTOCOL_MAJOR(h->version), VGPU_PROTOCOL_MINOR(h->version),
                        VGPU_PROTOCOL_MAJOR(VGPU_PROTOCOL_VERSION),
                        VGPU_PROTOCOL_MINOR(VGPU_PROTOCOL_VERSION));
                return peer_condemn(p, VGPU_GOODBYE_VERSION, text);
        default:
                return peer_condemn(
                        p, VGPU_GOODBYE_MALFORMED, "A message's length is not its packet's.");
        }
}

static int take_message(struct peer *p, const void *packet, size_t len)
{
        const struct vgpu_msg_header *h = packet;
        enum message_flaw flaw = message_check(packet, len);

        if (flaw != MESSAGE_OK)
                return refuse_flaw(p, flaw, h);
        if (!p->ready && h->type != VGPU_MSG_HELLO)
                return peer_condemn(p, VGPU_GOODBYE_MALFORMED, "The first message must be HELLO.");

        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                if (table[i].type != h->type)
                        continue;
                if (len < table[i].len)
                        return peer_condemn(
                                p, VGPU_GOODBYE_MALFORMED, "A message is shorter than its type.");
                return table[i].take(p, packet);
        }
        if (h->flags & VGPU_MSG_REQUIRED)
                return peer_condemn(p, VGPU_GOODBYE_UNSUPPORTED,
                        "A required message is unknown to this vgpud.");
        return 0;
}

static bool spend(struct peer *p, uint64_t now_ns)
{
        uint64_t elapsed = now_ns > p->refilled_ns ? now_ns - p->refilled_ns : 0;
        uint64_t earned =
                elapsed > 4 * NS_PER_S ? PEER_BUDGET : elapsed * BUDGET_PER_SECOND / NS_PER_S;

        if (earned > 0) {
                p->budget = earned + p->budget > PEER_BUDGET ? PEER_BUDGET
                                                             : p->budget + (uint32_t)earned;
                p->refilled_ns = now_ns;
        }
        if (p->budget == 0)
                return false;
        p->budget--;
        return true;
}

static int closed(struct peer *p)
{
        p->server->counters.dropped[VGPU_GOODBYE_NONE]++;
        return -ECONNRESET;
}

int peer_dispatch(struct peer *p, uint64_t now_ns)
{
        _Alignas(uint64_t) uint8_t packet[VGPU_MSG_MAX_CLIENT];

        if (p->goodbye != VGPU_GOODBYE_NONE)
                return -EPROTO;
        for (int i = 0; i < MESSAGES_PER_DISPATCH; i++) {
                ssize_t n = message_recv(p->fd, packet, sizeof(packet), NULL, NULL);
                int err;

                if (n == -EAGAIN)
                        break;
                if (n == -EMSGSIZE)
                        return peer_condemn(
                                p, VGPU_GOODBYE_MALFORMED, "A message is larger than 4096 bytes.");
                if (n == -EBADMSG)
                        return peer_condemn(
                                p, VGPU_GOODBYE_MALFORMED, "Descriptors may not be sent to vgpud.");
                if (n <= 0)
                        return closed(p);
                if (!spend(p, now_ns))
                        return peer_condemn(p, VGPU_GOODBYE_FLOOD, "Too many messages.");
                err = take_message(p, packet, (size_t)n);
                if (err == -ECONNRESET)
                        return closed(p);
                if (err < 0)
                        return err;
        }
        peer_catch_up(p);
        return 0;
}
