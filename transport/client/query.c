/*
 * query.c - one question, one answer, for tools
 */
#include "client.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "message.h"

#define DEFAULT_TIMEOUT_MS 2000
#define NS_PER_MS          UINT64_C(1000000)

struct question {
        int fd;
        uint64_t deadline_ns;
        char *json;
        struct vgpu_client_failure *why; /* gets the daemon's goodbye */
        _Alignas(uint64_t) uint8_t packet[VGPU_MSG_MAX];
};

static int take_reply(struct question *q, size_t len)
{
        const struct vgpu_msg_reply *msg = (const void *)q->packet;

        if (len < sizeof(*msg) || msg->len > len - sizeof(*msg))
                return -EPROTO;
        if (msg->error != 0)
                return msg->error < 0 ? msg->error : -EPROTO;
        q->json = strndup((const char *)q->packet + sizeof(*msg), msg->len);
        return q->json ? 1 : -ENOMEM;
}

static int take_goodbye(struct question *q, size_t len)
{
        const struct vgpu_msg_goodbye *msg = (const void *)q->packet;

        if (len < sizeof(*msg))
                return -EPROTO;
        q->why->goodbye = msg->reason;
        memcpy(q->why->text, msg->text, sizeof(q->why->text) - 1);
        return goodbye_errno(msg->reason);
}

/* Return: 1 (answered), 0 (something else came), or a negative errno. */
static int take_message(struct question *q, size_t len)
{
        const struct vgpu_msg_header *h = (const void *)q->packet;
        enum message_flaw flaw = message_check(q->packet, len);

        if (flaw == MESSAGE_MAJOR && h->type != VGPU_MSG_GOODBYE)
                return -EPROTONOSUPPORT;
        if (flaw != MESSAGE_OK && flaw != MESSAGE_MAJOR)
                return -EPROTO;
        if (h->type == VGPU_MSG_GOODBYE)
                return take_goodbye(q, len);
        return h->type == VGPU_MSG_REPLY ? take_reply(q, len) : 0;
}

static int await_reply(struct question *q)
{
        for (;;) {
                struct pollfd pfd = { .fd = q->fd, .events = POLLIN };
                uint64_t now_ns = monotonic_ns();
                ssize_t n;
                int got;

                if (now_ns >= q->deadline_ns)
                        return -ETIMEDOUT;
                if (poll(&pfd, 1, (int)((q->deadline_ns - now_ns) / NS_PER_MS) + 1) < 0 &&
                        errno != EINTR)
                        return -errno;
                n = message_recv(q->fd, q->packet, sizeof(q->packet), NULL, NULL);
                /* a reset comes ahead of what was still queued */
                if (n == -ECONNRESET)
                        n = message_recv(q->fd, q->packet, sizeof(q->packet), NULL, NULL);
                if (n == -EAGAIN)
                        continue;
                if (n <= 0)
                        return n == 0 ? -ECONNRESET : (int)n;
                got = take_message(q, (size_t)n);
                if (got != 0)
                        return got;
        }
}

/* A full backlog (-EAGAIN) empties as fast as the daemon accepts; there is nothing to poll that would say so. */
static int open_in_time(const char *path, uint64_t deadline_ns)
{
        const struct timespec pause = { .tv_nsec = 5 * NS_PER_MS };
        int fd = connection_open(path, 0, program_invocation_short_name);

        while (fd == -EAGAIN && monotonic_ns() < deadline_ns) {
                nanosleep(&pause, NULL);
                fd = connection_open(path, 0, program_invocation_short_name);
        }
        return fd == -EAGAIN ? -ETIMEDOUT : fd;
}

static int ask(struct question *q, const char *path, const void *msg, size_t len)
{
        int err;

        q->fd = open_in_time(path, q->deadline_ns);
        if (q->fd < 0)
                return q->fd;
        err = message_send(q->fd, msg, len, NULL, 0, NULL, 0);
        /* refused already: why is there to be read */
        if (err == 0 || err == -EPIPE)
                err = await_reply(q);
        close(q->fd);
        return err;
}

/* Send @msg, give what is answered. Return: 0, or a negative errno that @reterr_why explains. */
static int exchange(const char *path, const void *msg, size_t len, int timeout_ms, char **ret_json,
        struct vgpu_client_failure *reterr_why)
{
        struct vgpu_client_failure said = { 0 };
        struct question *q = calloc(1, sizeof(*q));
        int err = -ENOMEM;

        if (q) {
                q->why = &said;
                q->deadline_ns =
                        monotonic_ns() +
                        (uint64_t)(timeout_ms > 0 ? timeout_ms : DEFAULT_TIMEOUT_MS) * NS_PER_MS;
                err = ask(q, path, msg, len);
                if (err == 1)
                        *ret_json = q->json;
                free(q);
        }
        if (err == 1)
                return 0;
        failure_set(reterr_why, err, path);
        if (reterr_why && said.goodbye != VGPU_GOODBYE_NONE) {
                reterr_why->goodbye = said.goodbye;
                memcpy(reterr_why->text, said.text, sizeof(said.text));
        }
        return err;
}

int vgpu_client_query(const char *path, uint32_t what, int timeout_ms, char **ret_json,
        struct vgpu_client_failure *reterr_why)
{
        struct vgpu_msg_query msg = {
                .header = message_header(VGPU_MSG_QUERY, sizeof(msg)),
                .what = what,
        };

        return exchange(path, &msg, sizeof(msg), timeout_ms, ret_json, reterr_why);
}

int vgpu_client_drop(const char *path, uint32_t pid, int timeout_ms, uint32_t *ret_count,
        struct vgpu_client_failure *reterr_why)
{
        struct vgpu_msg_drop msg = {
                .header = message_header(VGPU_MSG_DROP, sizeof(msg)),
                .pid = pid,
        };
        uint32_t count;
        char *json;
        int err = exchange(path, &msg, sizeof(msg), timeout_ms, &json, reterr_why);

        if (err < 0)
                return err;
        err = sscanf(json, " { \"dropped\" : %" SCNu32, &count) == 1 ? 0 : -EPROTO;
        free(json);
        if (err < 0)
                return failure_set(reterr_why, err, path);
        if (ret_count)
                *ret_count = count;
        return 0;
}
