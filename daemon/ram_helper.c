/* ram_helper.c - see ram_helper.h */
#include "ram_helper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HELPER_SOCKET "/run/vgpud-ram/%s.sock"

#define PATIENCE_NS (10 * UINT64_C(1000000000))
#define AGAIN_NS    UINT64_C(1000000000)
#define AGAIN_SHIFT 3

void ram_helper_init(struct ram_helper *h, uv_loop_t *loop, const struct vgpu_config *config,
        ram_helper_answered_fn answered, void *ctx)
{
        int len;

        *h = (struct ram_helper){
                .loop = loop,
                .answered = answered,
                .ctx = ctx,
                .configured = config->guest.ram_helper[0] != '\0',
                .fd = -1,
        };
        if (h->configured) {
                memcpy(h->path, config->guest.ram_helper, sizeof(h->path));
                return;
        }
        len = snprintf(h->path, sizeof(h->path), HELPER_SOCKET, config->name);
        if (len >= (int)sizeof(h->path))
                h->path[0] = '\0';
}

static void free_handle(uv_handle_t *handle)
{
        free(handle);
}

void ram_helper_stop(struct ram_helper *h)
{
        if (h->poll) {
                uv_poll_stop(h->poll);
                uv_close((uv_handle_t *)h->poll, free_handle);
                h->poll = NULL;
        }
        if (h->fd >= 0)
                close(h->fd);
        h->fd = -1;
}

void ram_helper_forget(struct ram_helper *h)
{
        h->n_refusals = 0;
        h->again_ns = 0;
        h->why[0] = '\0';
}

/* ---- answers ------------------------------------------------------------------------------------------------------- */

void ram_helper_reject(struct ram_helper *h, const char *why)
{
        unsigned shift = h->n_refusals < AGAIN_SHIFT ? h->n_refusals : AGAIN_SHIFT;

        snprintf(h->why, sizeof(h->why), "%s", why);
        h->n_refusals++;
        h->again_ns = uv_hrtime() + (AGAIN_NS << shift);
}

static const char *failure_text(int error)
{
        switch (error) {
        case -ECONNRESET:
                return "it closed the connection without an answer; its own journal says why";
        case -EPERM:
                return "a descriptor that it sent could write to the guest";
        case -EPROTO:
                return "its answer makes no sense";
        default:
                return strerror(-error);
        }
}

static void on_answer(uv_poll_t *poll, int status, int events)
{
        struct ram_helper *h = poll->data;
        struct ram_hand hand = RAM_HAND_EMPTY;
        int r = ram_hand_receive(h->fd, &hand);

        (void)status;
        (void)events;
        if (r == -EAGAIN || r == -EINTR)
                return;
        ram_helper_stop(h);
        if (r < 0)
                ram_helper_reject(h, failure_text(r));
        else if (hand.offer.n_files == 0)
                ram_helper_reject(h, hand.offer.reason);
        else
                h->why[0] = '\0';
        h->answered(h, &hand);
}

/* ---- questions ----------------------------------------------------------------------------------------------------- */

/* Whoever called listen(). */
static int check_peer(int fd)
{
        struct ucred peer = { 0 };
        socklen_t len = sizeof(peer);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
                return -errno;
        return peer.uid == 0 || peer.uid == geteuid() ? 0 : -EACCES;
}

static int open_connection(struct ram_helper *h)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int r;

        memcpy(address.sun_path, h->path, strlen(h->path) + 1);
        h->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (h->fd < 0)
                return -errno;
        if (connect(h->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return -errno;
        r = check_peer(h->fd);
        if (r < 0)
                return r;
        h->poll = malloc(sizeof(*h->poll));
        if (!h->poll)
                return -ENOMEM;
        r = uv_poll_init(h->loop, h->poll, h->fd);
        if (r < 0) {
                free(h->poll);
                h->poll = NULL;
                return r;
        }
        h->poll->data = h;
        h->asked_ns = uv_hrtime();
        return uv_poll_start(h->poll, UV_READABLE | UV_DISCONNECT, on_answer);
}

int ram_helper_ask(struct ram_helper *h)
{
        int r;

        if (h->fd >= 0 && uv_hrtime() - h->asked_ns > PATIENCE_NS) {
                ram_helper_stop(h);
                ram_helper_reject(h, "it did not answer for 10 s");
        }
        if (h->fd >= 0 || uv_hrtime() < h->again_ns)
                return 0;
        r = h->path[0] ? open_connection(h) : -ENOENT;
        if (r == 0)
                return 0;
        ram_helper_stop(h);
        if (r == -ENOENT && !h->configured)
                return -ENOENT;
        ram_helper_reject(h, r == -EACCES ? "this user may not ask it" : strerror(-r));
        return 0;
}
