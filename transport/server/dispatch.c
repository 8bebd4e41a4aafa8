/*
 * dispatch.c - what a client says
 *
 * Whatever arrives is checked on a private copy and either understood, ignored (optional and unknown) or answered
 * with a GOODBYE.
 */
#include "peer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "message.h"

#define MESSAGES_PER_DISPATCH 16
#define BUDGET_PER_SECOND     128u
#define NS_PER_S              UINT64_C(1000000000)

static int drop(struct peer *p, enum vgpu_goodbye reason, const char *text)
{
        peer_goodbye(p, reason, text);
        return -EPROTO;
}

/*
 * A pipe whose writer is also a reader: with the client's end closed a write meets a full pipe (EAGAIN) and never a
 * broken one (SIGPIPE). @ret_read_end is the client's, a description of its own, so no flag it sets reaches ours.
 */
static int wake_pipe(int *ret_read_end)
{
        char path[32];
        int ends[2], both, err;

        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        fcntl(ends[1], F_SETPIPE_SZ, 1);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[1]);
        both = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        err = -errno;
        close(ends[1]);
        if (both < 0) {
                close(ends[0]);
                return err;
        }
        *ret_read_end = ends[0];
        return both;
}

static int welcome(struct peer *p)
{
        const struct server *s = p->server;
        struct vgpu_msg_welcome msg = {
                .header = message_header(VGPU_MSG_WELCOME, sizeof(msg)),
                .granted = p->granted,
                .max_clients = s->config.max_clients,
                .daemon_pid = (uint32_t)getpid(),
        };
        int fds[2], n_fds = 0, read_end = -1, err;

        if (s->ring) {
                const struct vgpu_ring_identity *id = ring_identity(s->ring);

                memcpy(msg.instance, id->instance, sizeof(msg.instance));
                msg.tick_period_ms = id->tick_period_ms;
        }
        if (s->ring && (p->granted & VGPU_WANT_RING)) {
                msg.generation = ring_identity(s->ring)->generation;
                fds[n_fds++] = ring_fd(s->ring);
        }
        if (p->granted & VGPU_WANT_WAKE) {
                p->wake_fd = wake_pipe(&read_end);
                if (p->wake_fd < 0)
                        return drop(p, VGPU_GOODBYE_INTERNAL, "vgpud has no descriptors left.");
                fds[n_fds++] = read_end;
        }
        err = message_send(p->fd, &msg, sizeof(msg), NULL, 0, fds, (size_t)n_fds);
        if (read_end >= 0)
                close(read_end);
        if (err == -EPIPE)
                return -ECONNRESET;
        if (err < 0)
                return drop(p, VGPU_GOODBYE_INTERNAL, "vgpud could not pass its descriptors on.");
        p->generation = msg.generation;
        return 0;
}

static int on_hello(struct peer *p, const void *packet)
{
        const struct vgpu_msg_hello *msg = packet;

        if (p->ready)
                return drop(p, VGPU_GOODBYE_MALFORMED, "HELLO may be sent once only.");
        memcpy(p->name, msg->name, sizeof(msg->name));
        p->granted = msg->wants & (VGPU_WANT_RING | VGPU_WANT_WAKE);
        p->ready = true;
        return welcome(p);
}

static int on_stats(struct peer *p, const void *packet)
{
        const struct vgpu_msg_stats *msg = packet;

        p->frames_seen = msg->frames_seen;
        p->frames_missed = msg->frames_missed;
        p->torn_retries = msg->torn_retries;
        return 0;
}

static int on_query(struct peer *p, const void *packet)
{
        const struct vgpu_msg_query *msg = packet;
        struct server *s = p->server;
        struct vgpu_msg_reply reply = { .what = msg->what, .cookie = msg->cookie };
        int n = -EOPNOTSUPP, err;

        if (s->config.query)
                n = s->config.query(s->config.query_ctx, msg->what, s->reply, sizeof(s->reply));
        assert(n <= (int)sizeof(s->reply));
        reply.error = n < 0 ? n : 0;
        reply.len = n < 0 ? 0 : (uint32_t)n;
        reply.header = message_header(VGPU_MSG_REPLY, sizeof(reply) + reply.len);

        err = message_send(p->fd, &reply, sizeof(reply), s->reply, reply.len, NULL, 0);
        if (err == -EPIPE)
                return -ECONNRESET;
        if (err < 0)
                return drop(p, VGPU_GOODBYE_UNREAD, "Replies were asked for and not read.");
        return 0;
}

static int on_release(struct peer *p, const void *packet)
{
        const struct vgpu_msg_release *msg = packet;

        if (msg->generation > p->generation)
                return drop(p, VGPU_GOODBYE_MALFORMED, "RELEASE names a ring that was never sent.");
        if (msg->generation > p->released)
                p->released = msg->generation;
        return 0;
}

static int on_intent(struct peer *p, const void *packet)
{
        (void)packet;
        return drop(p, VGPU_GOODBYE_UNSUPPORTED, "This vgpud takes no control intents.");
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
        { VGPU_MSG_INTENT, sizeof(struct vgpu_msg_header), on_intent },
};

static int refuse_flaw(struct peer *p, enum message_flaw flaw, const struct vgpu_msg_header *h)
{
        char text[sizeof(p->goodbye_text)];

        switch (flaw) {
        case MESSAGE_SHORT:
                return drop(p, VGPU_GOODBYE_MALFORMED, "A message is shorter than its header.");
        case MESSAGE_NOT_OURS:
                return drop(
                        p, VGPU_GOODBYE_MALFORMED, "That is not the vgpud protocol (wrong magic).");
        case MESSAGE_MAJOR:
                snprintf(text, sizeof(text),
                        "The client speaks protocol %u.%u, this vgpud speaks %u.%u: update the "
                        "older one.",
                        VGPU_PROTOCOL_MAJOR(h->version), VGPU_PROTOCOL_MINOR(h->version),
                        VGPU_PROTOCOL_MAJOR(VGPU_PROTOCOL_VERSION),
                        VGPU_PROTOCOL_MINOR(VGPU_PROTOCOL_VERSION));
                return drop(p, VGPU_GOODBYE_VERSION, text);
        default:
                return drop(p, VGPU_GOODBYE_MALFORMED, "A message's length is not its packet's.");
        }
}

static int take_message(struct peer *p, const void *packet, size_t len)
{
        const struct vgpu_msg_header *h = packet;
        enum message_flaw flaw = message_check(packet, len);

        if (flaw != MESSAGE_OK)
                return refuse_flaw(p, flaw, h);
        if (!p->ready && h->type != VGPU_MSG_HELLO)
                return drop(p, VGPU_GOODBYE_MALFORMED, "The first message must be HELLO.");

        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                if (table[i].type != h->type)
                        continue;
                if (len < table[i].len)
                        return drop(
                                p, VGPU_GOODBYE_MALFORMED, "A message is shorter than its type.");
                return table[i].take(p, packet);
        }
        if (h->flags & VGPU_MSG_REQUIRED)
                return drop(p, VGPU_GOODBYE_UNSUPPORTED,
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
                        return drop(
                                p, VGPU_GOODBYE_MALFORMED, "A message is larger than 4096 bytes.");
                if (n == -EBADMSG)
                        return drop(
                                p, VGPU_GOODBYE_MALFORMED, "Descriptors may not be sent to vgpud.");
                if (n <= 0)
                        return closed(p);
                if (!spend(p, now_ns))
                        return drop(p, VGPU_GOODBYE_FLOOD, "Too many messages.");
                err = take_message(p, packet, (size_t)n);
                if (err == -ECONNRESET)
                        return closed(p);
                if (err < 0)
                        return err;
        }
        if (p->behind)
                peer_offer_ring(p);
        return 0;
}
