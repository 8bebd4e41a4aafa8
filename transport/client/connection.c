/*
 * connection.c - the socket's side of a client: hello, rings, goodbye
 *
 * Nothing here waits: connecting to a local socket succeeds or fails at once, and the welcome is taken when it
 * comes. When to try again is the business of retry.c.
 */
#include "client.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "message.h"

#define NS_PER_MS             UINT64_C(1000000)
#define STATS_PERIOD_NS       (1000 * NS_PER_MS)
#define MESSAGES_PER_DISPATCH 32

/* epoll keeps watching a closed descriptor that was duplicated (a fork, say), so take it out first. */
static void close_watched(struct vgpu_client *c, int *fd)
{
        if (*fd < 0)
                return;
        epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, *fd, NULL);
        close(*fd);
        *fd = -1;
}

static int watch(struct vgpu_client *c, int fd, uint32_t events)
{
        struct epoll_event event = { .events = events, .data.fd = fd };

        return epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int connection_lose(struct vgpu_client *c, int error, uint64_t now_ns)
{
        bool was_online = c->phase == PHASE_ONLINE;
        int events = 0;

        close_watched(c, &c->sock);
        close_watched(c, &c->wake_fd);
        page_close(&c->page);
        c->page_shown = false;
        c->phase = PHASE_OFFLINE;
        c->last_error = error;
        if (error == -EPROTONOSUPPORT)
                c->gone_for_good = error;
        else if (c->was_online && !c->connecting && (c->flags & VGPU_CLIENT_NO_RECONNECT))
                c->gone_for_good = -ENOTCONN;

        if (c->gone_for_good)
                retry_arm(c, 0);
        else
                retry_schedule(c, now_ns);
        if (was_online)
                events = VGPU_CLIENT_DISCONNECTED | intent_lost(c);
        return events;
}

int connection_open(const char *path, uint32_t wants, const char *name)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        struct vgpu_msg_hello hello = {
                .header = message_header(VGPU_MSG_HELLO, sizeof(hello)),
                .wants = wants,
        };
        size_t len = strlen(path);
        int fd, err;

        if (len >= sizeof(addr.sun_path))
                return -ENAMETOOLONG;
        memcpy(addr.sun_path, path, len + 1);
        strncpy(hello.name, name, sizeof(hello.name) - 1);

        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        err = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
        if (err == 0)
                err = message_send(fd, &hello, sizeof(hello), NULL, 0, NULL, 0);
        /* refused before HELLO was sent: the goodbye that says why is there to be read */
        if (err < 0 && err != -EPIPE) {
                close(fd);
                return err;
        }
        return fd;
}

int connection_start(struct vgpu_client *c, uint64_t now_ns)
{
        uint32_t wants = VGPU_WANT_RING;
        int fd, err;

        if (!(c->flags & (VGPU_CLIENT_NO_WAKE_FD | VGPU_CLIENT_EARLY)))
                wants |= VGPU_WANT_WAKE | VGPU_WANT_EDGE;
        if (c->flags & VGPU_CLIENT_EARLY)
                wants |= VGPU_WANT_SOON;
        if (c->flags & VGPU_CLIENT_LEASES)
                wants |= VGPU_WANT_LEASE;
        fd = connection_open(c->path, wants, c->name);
        err = fd < 0 ? fd : watch(c, fd, EPOLLIN);
        if (err < 0) {
                if (fd >= 0)
                        close(fd);
                connection_lose(c, err, now_ns);
                return err;
        }
        c->sock = fd;
        c->phase = PHASE_HELLO;
        retry_arm(c, now_ns + c->timeout_ns);
        return 0;
}

/* ---- messages -------------------------------------------------------------------------------- */

void connection_show_page(struct vgpu_client *c)
{
        const struct vgpu_msg_header mapped = message_header(VGPU_MSG_PAGE, sizeof(mapped));

        if (!c->page.map || c->page_shown)
                return;
        /* unsaid, we would never be woken: better to come again. Reading a socket that is shut says why */
        if (message_send(c->sock, &mapped, sizeof(mapped), NULL, 0, NULL, 0) < 0)
                shutdown(c->sock, SHUT_RDWR);
        c->page_shown = true;
}

/* A generation is let go of once its map is: a frame that is held keeps that of its ring. */
void connection_release(struct vgpu_client *c)
{
        struct vgpu_msg_release msg = { .header = message_header(VGPU_MSG_RELEASE, sizeof(msg)) };
        uint64_t oldest;

        if (c->phase != PHASE_ONLINE || !c->map)
                return;
        oldest = c->map->identity.generation;
        if (oldest - 1 <= c->released)
                return;
        for (size_t i = 0; i < VGPU_PAGE_HOLDS; i++) {
                const struct mapping *m = c->held[i].map;

                if (m && mapping_same_instance(m, c->map) && m->identity.generation < oldest)
                        oldest = m->identity.generation;
        }
        msg.generation = oldest - 1;
        /* a daemon is not told of what it never sent over this connection */
        if (msg.generation > c->released && msg.generation <= c->attached &&
                message_send(c->sock, &msg, sizeof(msg), NULL, 0, NULL, 0) == 0)
                c->released = msg.generation;
}

/*
 * Put a new ring in place of the one mapped. The old map stays until here: what the client last saw remains
 * readable through every gap; for as long as a frame in it is held, it stays after that, too.
 */
static int adopt_ring(struct vgpu_client *c, int fd)
{
        struct mapping *new;
        int err = mapping_new(fd, &new);
        int events = 0;

        if (err < 0)
                return err;
        if (c->map && mapping_same_instance(c->map, new)) {
                if (c->map->identity.generation == new->identity.generation) {
                        mapping_unref(new);
                        return 0;
                }
        } else {
                if (c->map)
                        events |= VGPU_CLIENT_INSTANCE;
                c->seen.frame = 0;
                c->copied = 0;
                c->released = new->identity.generation - 1;
        }
        /* frames count on over the rings of an instance, records need not */
        c->seen.liveness = c->seen.cursor = c->seen.geometry = c->seen.status = 0;
        mapping_unref(c->map);
        c->map = new;
        c->stats.generations++;
        return events | VGPU_CLIENT_GENERATION;
}

static int adopt_wake(struct vgpu_client *c, int fd, bool edge)
{
        struct stat st;

        if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode))
                return -EPROTO;
        return watch(c, fd, edge ? EPOLLIN | EPOLLET : EPOLLIN);
}

/* WELCOME's descriptors by what they are; -1: not there. They stay in @fds, the caller's to close. */
struct handed {
        int ring, wake, page;
};

static int sort_fds(
        const struct vgpu_msg_welcome *msg, const int *fds, size_t n_fds, struct handed *ret)
{
        size_t at = 0;

        *ret = (struct handed){ -1, -1, -1 };
        if (msg->generation != 0 && at < n_fds)
                ret->ring = fds[at++];
        if ((msg->granted & VGPU_WANT_WAKE) && at < n_fds)
                ret->wake = fds[at++];
        if ((msg->granted & (VGPU_WANT_WAKE | VGPU_WANT_LEASE)) && at < n_fds)
                ret->page = fds[at++];
        if (at != n_fds || (msg->generation != 0) != (ret->ring >= 0) ||
                ((msg->granted & VGPU_WANT_WAKE) != 0) != (ret->wake >= 0) ||
                ((msg->granted & (VGPU_WANT_WAKE | VGPU_WANT_LEASE)) != 0) != (ret->page >= 0))
                return -EPROTO;
        return 0;
}

static int on_welcome(struct vgpu_client *c, size_t len, int *fds, size_t n_fds)
{
        const struct vgpu_msg_welcome *msg = (const void *)c->packet;
        struct handed handed;
        int events = 0, err;

        if (c->phase != PHASE_HELLO || len < sizeof(*msg) || sort_fds(msg, fds, n_fds, &handed) < 0)
                return -EPROTO;

        err = handed.page >= 0 ? page_open(&c->page, handed.page) : 0;
        if (err < 0)
                return err;
        /* a hold counts once the page is looked at: not to lose the first ones, it is from the start */
        if (msg->granted & VGPU_WANT_LEASE)
                connection_show_page(c);
        if (handed.ring >= 0)
                events = adopt_ring(c, handed.ring);
        if (events < 0)
                return events;
        if (handed.wake >= 0) {
                err = adopt_wake(c, handed.wake, msg->granted & VGPU_WANT_EDGE);
                if (err < 0)
                        return err;
                c->wake_fd = handed.wake;
                /* ours from here */
                fds[msg->generation != 0] = -1;
        }
        c->daemon_pid = msg->daemon_pid;
        c->granted = msg->granted;
        c->attached = msg->generation;
        c->welcome = c->stats;
        c->told = (struct vgpu_msg_stats){
                .header = message_header(VGPU_MSG_STATS, sizeof(c->told)),
        };
        c->told_ns = 0;
        c->phase = PHASE_ONLINE;
        c->backoff_ms = 0;
        /* what is in the ring already rings no bell: let the caller's poll return once for it */
        retry_arm(c, 1);
        if (c->was_online)
                c->stats.reconnects++;
        c->was_online = true;
        intent_send(c);
        return events | VGPU_CLIENT_RECONNECTED;
}

static int on_ring(struct vgpu_client *c, size_t len, const int *fds, size_t n_fds)
{
        const struct vgpu_msg_ring *msg = (const void *)c->packet;
        int events;

        if (c->phase != PHASE_ONLINE || len < sizeof(*msg) || n_fds != 1)
                return -EPROTO;
        events = adopt_ring(c, fds[0]);
        if (events >= 0)
                c->attached = msg->generation;
        connection_release(c);
        return events;
}

int goodbye_errno(uint32_t reason)
{
        switch (reason) {
        case VGPU_GOODBYE_VERSION:
                return -EPROTONOSUPPORT;
        case VGPU_GOODBYE_FULL:
                return -EUSERS;
        case VGPU_GOODBYE_DENIED:
                return -EACCES;
        case VGPU_GOODBYE_MALFORMED:
        case VGPU_GOODBYE_UNSUPPORTED:
                return -EPROTO;
        default:
                return -ECONNREFUSED;
        }
}

static int on_intent_state(struct vgpu_client *c, size_t len)
{
        if (c->phase != PHASE_ONLINE || len < sizeof(struct vgpu_msg_intent_state))
                return -EPROTO;
        return intent_take(c, (const void *)c->packet);
}

/* Return: the errno that the reason stands for; the connection is over. */
static int on_goodbye(struct vgpu_client *c, size_t len)
{
        const struct vgpu_msg_goodbye *msg = (const void *)c->packet;

        if (len < sizeof(*msg))
                return -EPROTO;
        c->goodbye = msg->reason;
        c->retry_ms = msg->retry_ms;
        c->turned_away = true;
        memcpy(c->goodbye_text, msg->text, sizeof(c->goodbye_text) - 1);
        return goodbye_errno(msg->reason);
}

static int take_message(struct vgpu_client *c, size_t len, int *fds, size_t n_fds)
{
        const struct vgpu_msg_header *h = (const void *)c->packet;

        switch (message_check(c->packet, len)) {
        case MESSAGE_OK:
                break;
        case MESSAGE_MAJOR:
                /* a goodbye keeps its shape over all majors, so that it can say why */
                return h->type == VGPU_MSG_GOODBYE ? on_goodbye(c, len) : -EPROTONOSUPPORT;
        default:
                return -EPROTO;
        }
        switch (h->type) {
        case VGPU_MSG_WELCOME:
                return on_welcome(c, len, fds, n_fds);
        case VGPU_MSG_RING:
                return on_ring(c, len, fds, n_fds);
        case VGPU_MSG_INTENT_STATE:
                return on_intent_state(c, len);
        case VGPU_MSG_GOODBYE:
                return on_goodbye(c, len);
        default:
                return h->flags & VGPU_MSG_REQUIRED ? -EPROTO : 0;
        }
}

int connection_read(struct vgpu_client *c, uint64_t now_ns)
{
        int fds[MESSAGE_MAX_FDS], events = 0;
        size_t n_fds;

        for (int i = 0; i < MESSAGES_PER_DISPATCH && c->phase != PHASE_OFFLINE; i++) {
                ssize_t n = message_recv(c->sock, c->packet, sizeof(c->packet), fds, &n_fds);
                int got;

                /* a reset comes ahead of what was still queued: the goodbye, most likely */
                if (n == -ECONNRESET)
                        n = message_recv(c->sock, c->packet, sizeof(c->packet), fds, &n_fds);
                if (n == -EAGAIN)
                        break;
                got = n > 0 ? take_message(c, (size_t)n, fds, n_fds)
                            : (n == 0 ? -ECONNRESET : (int)n);
                while (n_fds > 0) {
                        if (fds[--n_fds] >= 0)
                                close(fds[n_fds]);
                }
                events |= got < 0 ? connection_lose(c, got, now_ns) : got;
        }
        return events;
}

static void tell_stats(struct vgpu_client *c, uint64_t now_ns)
{
        const struct vgpu_client_stats *from = &c->welcome;
        struct vgpu_msg_stats msg = {
                .header = message_header(VGPU_MSG_STATS, sizeof(msg)),
                .frames_seen = c->stats.frames - from->frames,
                .frames_missed = c->stats.missed - from->missed,
                .torn_retries = c->stats.torn_retries - from->torn_retries,
                .leases = c->stats.leases - from->leases,
                .lost = c->stats.lost - from->lost,
                .last_serial = c->copied,
        };

        if (memcmp(&c->told, &msg, sizeof(msg)) == 0)
                return;
        c->told = msg;
        c->told_ns = now_ns;
        message_send(c->sock, &msg, sizeof(msg), NULL, 0, NULL, 0);
}

void connection_tell_stats(struct vgpu_client *c, uint64_t now_ns)
{
        if (c->phase == PHASE_ONLINE && now_ns - c->told_ns >= STATS_PERIOD_NS)
                tell_stats(c, now_ns);
}
