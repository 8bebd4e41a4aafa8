/* control_link.c - see control_link.h */
#include "control_link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "goodbye.h"
#include "message.h"

#define BUDGET            64u
#define BUDGET_PER_SECOND 32u
#define NS_PER_S          UINT64_C(1000000000)

int control_link_init(struct control_link *l, const struct control_link_config *config,
        struct server_failure *reterr_why)
{
        const struct server_config socket = {
                .listen_fd = -1,
                .path = config->path,
                .mode = config->mode,
                .group = config->group,
        };

        *l = (struct control_link){
                .has_user = config->has_user,
                .user = config->user,
                .fd = -1,
        };
        return listener_init(&l->listener, &socket, reterr_why);
}

void control_link_deinit(struct control_link *l)
{
        if (l->fd >= 0)
                control_link_goodbye(
                        l, VGPU_GOODBYE_STOPPING, "The daemon is stopping; connect again later.");
        control_link_drop(l);
        listener_deinit(&l->listener);
}

/* ---- goodbye ------------------------------------------------------------------------------------------------------- */

void control_link_goodbye(struct control_link *l, enum vgpu_goodbye reason, const char *text)
{
        snprintf(l->goodbye, sizeof(l->goodbye), "%s", text);
        send_goodbye(l->fd, reason, text);
}

static int drop(struct control_link *l, enum vgpu_goodbye reason, const char *text)
{
        l->counters.broken++;
        control_link_goodbye(l, reason, text);
        return -EPROTO;
}

void control_link_drop(struct control_link *l)
{
        if (l->fd >= 0)
                close(l->fd);
        l->fd = -1;
        l->ready = false;
        l->name[0] = '\0';
}

/* ---- who may come -------------------------------------------------------------------------------------------------- */

static bool may_write(const struct control_link *l, uid_t uid)
{
        return uid == 0 || uid == geteuid() || (l->has_user && uid == l->user);
}

static int refuse(int fd, enum vgpu_goodbye reason, const char *text)
{
        send_goodbye(fd, reason, text);
        close(fd);
        return CONTROL_LINK_REFUSED;
}

int control_link_accept(struct control_link *l, uint64_t now_ns)
{
        struct ucred cred;
        socklen_t len = sizeof(cred);
        int fd;

        fd = accept4(l->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
                bool nobody = errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;

                return nobody ? CONTROL_LINK_NOBODY : -errno;
        }
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 || !may_write(l, cred.uid)) {
                l->counters.denied++;
                return refuse(fd, VGPU_GOODBYE_DENIED,
                        "This user may not write into the guest: see [control] user.");
        }
        if (l->fd >= 0) {
                l->counters.full++;
                return refuse(fd, VGPU_GOODBYE_FULL, "There is a writer already.");
        }
        l->counters.accepted++;
        l->fd = fd;
        l->cred = cred;
        l->ready = false;
        l->since_ns = l->refilled_ns = now_ns;
        l->budget = BUDGET;
        return CONTROL_LINK_TAKEN;
}

bool control_link_is_dead(const struct control_link *l)
{
        struct pollfd fd = { .fd = l->fd };

        return l->fd >= 0 && poll(&fd, 1, 0) == 1 && (fd.revents & (POLLHUP | POLLERR));
}

bool control_link_expired(struct control_link *l, uint64_t now_ns)
{
        if (l->fd < 0 || l->ready || now_ns - l->since_ns < CONTROL_LINK_HELLO_NS)
                return false;
        drop(l, VGPU_GOODBYE_TOO_LATE, "The first message, WRITER, did not come in time.");
        return true;
}

/* ---- what it says -------------------------------------------------------------------------------------------------- */

static int take_writer(struct control_link *l, const void *packet)
{
        const struct vgpu_control_writer *msg = packet;

        if (l->ready)
                return drop(l, VGPU_GOODBYE_MALFORMED, "WRITER may be sent once only.");
        memcpy(l->name, msg->name, sizeof(msg->name));
        l->ready = true;
        return CONTROL_LINK_WRITER;
}

static int refuse_flaw(
        struct control_link *l, enum message_flaw flaw, const struct vgpu_msg_header *h)
{
        char text[sizeof(l->goodbye)];

        if (flaw != MESSAGE_MAJOR)
                return drop(l, VGPU_GOODBYE_MALFORMED, "That is no message of this protocol.");
        snprintf(text, sizeof(text),
                "The writer speaks protocol %u.%u, this vgpud speaks %u.%u: update the older one.",
                VGPU_PROTOCOL_MAJOR(h->version), VGPU_PROTOCOL_MINOR(h->version),
                VGPU_PROTOCOL_MAJOR(VGPU_PROTOCOL_VERSION),
                VGPU_PROTOCOL_MINOR(VGPU_PROTOCOL_VERSION));
        return drop(l, VGPU_GOODBYE_VERSION, text);
}

static int take(struct control_link *l, const void *packet, size_t len,
        struct vgpu_control_written *ret_written)
{
        const struct vgpu_msg_header *h = packet;
        enum message_flaw flaw = message_check(packet, len);

        if (flaw != MESSAGE_OK)
                return refuse_flaw(l, flaw, h);
        if (!l->ready && h->type != VGPU_CONTROL_WRITER)
                return drop(l, VGPU_GOODBYE_MALFORMED, "The first message must be WRITER.");
        if (h->type == VGPU_CONTROL_WRITER && len >= sizeof(struct vgpu_control_writer))
                return take_writer(l, packet);
        if (h->type == VGPU_CONTROL_WRITTEN && len >= sizeof(*ret_written)) {
                memcpy(ret_written, packet, sizeof(*ret_written));
                return CONTROL_LINK_WRITTEN;
        }
        if (h->type == VGPU_CONTROL_WRITER || h->type == VGPU_CONTROL_WRITTEN)
                return drop(l, VGPU_GOODBYE_MALFORMED, "A message is shorter than its type.");
        if (h->flags & VGPU_MSG_REQUIRED)
                return drop(l, VGPU_GOODBYE_UNSUPPORTED,
                        "A required message is unknown to this vgpud.");
        return CONTROL_LINK_NOTHING;
}

static bool spend(struct control_link *l, uint64_t now_ns)
{
        uint64_t elapsed = now_ns > l->refilled_ns ? now_ns - l->refilled_ns : 0;
        uint64_t earned = elapsed > 4 * NS_PER_S ? BUDGET : elapsed * BUDGET_PER_SECOND / NS_PER_S;

        if (earned > 0) {
                l->budget = earned + l->budget > BUDGET ? BUDGET : l->budget + (uint32_t)earned;
                l->refilled_ns = now_ns;
        }
        if (l->budget == 0)
                return false;
        l->budget--;
        return true;
}

int control_link_read(
        struct control_link *l, uint64_t now_ns, struct vgpu_control_written *ret_written)
{
        _Alignas(uint64_t) uint8_t packet[VGPU_MSG_MAX_CLIENT];
        int heard = CONTROL_LINK_NOTHING;

        /* What is ignored, a type of a later minor, is paid for all the same. */
        while (heard == CONTROL_LINK_NOTHING) {
                ssize_t n = message_recv(l->fd, packet, sizeof(packet), NULL, NULL);

                if (n == -EAGAIN)
                        return CONTROL_LINK_NOTHING;
                if (n == -EMSGSIZE)
                        return drop(
                                l, VGPU_GOODBYE_MALFORMED, "A message is larger than 4096 bytes.");
                if (n == -EBADMSG)
                        return drop(
                                l, VGPU_GOODBYE_MALFORMED, "Descriptors may not be sent to vgpud.");
                if (n <= 0)
                        return -ECONNRESET;
                if (!spend(l, now_ns))
                        return drop(l, VGPU_GOODBYE_FLOOD, "Too many messages.");
                heard = take(l, packet, (size_t)n, ret_written);
        }
        return heard;
}

int control_link_send(struct control_link *l, struct vgpu_control_write *write)
{
        int r;

        if (l->fd < 0 || !l->ready)
                return -ENOTCONN;
        write->header = message_header((enum vgpu_msg_type)VGPU_CONTROL_WRITE, sizeof(*write));
        r = message_send(l->fd, write, sizeof(*write), NULL, 0, NULL, 0);
        /* Pays for its answer: clients decide how many of these there are. */
        if (r == 0 && l->budget < BUDGET)
                l->budget++;
        return r;
}
