/*
 * client.c - the handle: connect, one descriptor, dispatch, close
 *
 * Everything that can make the library act is in one epoll: the socket, the wake descriptor and a timer for retries. So a
 * caller polls one descriptor for the handle's whole life, through every reconnect.
 */
#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_TIMEOUT_MS 2000
#define NS_PER_MS          UINT64_C(1000000)

uint64_t monotonic_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000 * NS_PER_MS + (uint64_t)ts.tv_nsec;
}

static void set_interest(struct vgpu_client *c, uint32_t interest)
{
        static const struct {
                uint32_t event, change;
        } table[] = {
                { VGPU_CLIENT_FRAME, VGPU_CHANGE_FRAME },
                { VGPU_CLIENT_CURSOR, VGPU_CHANGE_CURSOR },
                { VGPU_CLIENT_GEOMETRY, VGPU_CHANGE_GEOMETRY },
                { VGPU_CLIENT_STATUS, VGPU_CHANGE_STATUS },
                { VGPU_CLIENT_STATE, VGPU_CHANGE_STATE },
        };

        c->reported = ~0;
        c->changes = 0;
        for (size_t i = 0; interest != 0 && i < sizeof(table) / sizeof(table[0]); i++) {
                if (interest & table[i].event)
                        c->changes |= table[i].change;
                else
                        c->reported &= ~(int)table[i].event;
        }
        /* no change at all cannot be said in the page; the state is the one that moves least */
        if (interest != 0 && c->changes == 0)
                c->changes = VGPU_CHANGE_STATE;
}

static int client_init(struct vgpu_client *c, const char *path, const struct vgpu_client_options *o)
{
        int32_t timeout_ms = o->timeout_ms > 0 ? o->timeout_ms : DEFAULT_TIMEOUT_MS;
        struct epoll_event event = { .events = EPOLLIN };

        c->epoll_fd = c->timer_fd = c->sock = c->wake_fd = -1;
        c->flags = o->flags;
        c->timeout_ns = (uint64_t)timeout_ms * NS_PER_MS;
        early_init(&c->early, o->spin_us);
        set_interest(c, o->interest);
        snprintf(c->name, sizeof(c->name), "%s", o->name ? o->name : program_invocation_short_name);
        c->random = monotonic_ns() ^ (uint64_t)getpid() << 32 ^ (uintptr_t)c;
        c->random += c->random == 0;
        c->path = strdup(path);
        if (!c->path)
                return -ENOMEM;
        c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (c->epoll_fd < 0)
                return -errno;
        c->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        if (c->timer_fd < 0)
                return -errno;
        event.data.fd = c->timer_fd;
        return epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, c->timer_fd, &event) < 0 ? -errno : 0;
}

/* Act on the timer. */
static int take_time(struct vgpu_client *c, uint64_t now_ns)
{
        if (c->due_ns == 0 || now_ns < c->due_ns)
                return 0;
        switch (c->phase) {
        case PHASE_OFFLINE:
                connection_start(c, now_ns);
                return 0;
        case PHASE_HELLO:
                return connection_lose(c, -ETIMEDOUT, now_ns);
        case PHASE_ONLINE:
                retry_arm(c, 0);
                return 0;
        }
        return 0;
}

/*
 * Is a lost connection only a reason to come again? A full backlog is, and so is a daemon that stops or dies under us: behind
 * a socket that systemd keeps the next one is about to answer. Without such a socket there is nothing to connect to
 * the next time, which is an answer.
 */
static bool next_may_answer(const struct vgpu_client *c)
{
        return c->phase == PHASE_OFFLINE &&
               (c->last_error == -EAGAIN || c->last_error == -ECONNRESET ||
                       (c->last_error == -ECONNREFUSED && c->goodbye == VGPU_GOODBYE_STOPPING));
}

/* Wait for the first welcome, or for why there is none. */
static int first_welcome(struct vgpu_client *c)
{
        uint64_t deadline_ns = monotonic_ns() + c->timeout_ns;

        while (c->phase == PHASE_HELLO || next_may_answer(c)) {
                uint64_t now_ns = monotonic_ns();
                struct pollfd pfd = { .fd = c->epoll_fd, .events = POLLIN };

                if (now_ns >= deadline_ns)
                        return c->phase == PHASE_HELLO || c->last_error == -EAGAIN ? -ETIMEDOUT
                                                                                   : c->last_error;
                if (poll(&pfd, 1, (int)((deadline_ns - now_ns) / NS_PER_MS) + 1) < 0 &&
                        errno != EINTR)
                        return -errno;
                take_time(c, monotonic_ns());
                if (c->phase == PHASE_HELLO)
                        connection_read(c, monotonic_ns());
        }
        return c->phase == PHASE_ONLINE ? 0 : c->last_error;
}

int vgpu_client_connect(const char *path, const struct vgpu_client_options *options,
        struct vgpu_client **ret_client, struct vgpu_client_failure *reterr_why)
{
        static const struct vgpu_client_options defaults;
        struct vgpu_client *c = calloc(1, sizeof(*c));
        bool wait_daemon;
        int err;

        if (!c)
                return failure_set(reterr_why, -ENOMEM, path);
        if (!options)
                options = &defaults;
        wait_daemon = options->flags & VGPU_CLIENT_WAIT_DAEMON;

        err = client_init(c, path, options);
        c->connecting = !wait_daemon;
        if (err == 0)
                err = connection_start(c, monotonic_ns());
        if ((err == 0 || next_may_answer(c)) && !wait_daemon)
                err = first_welcome(c);
        c->connecting = false;
        if (err < 0 && wait_daemon && c->due_ns != 0 && err != -ENAMETOOLONG)
                err = 0;
        if (err < 0) {
                failure_set(reterr_why, err, path);
                if (reterr_why && c->goodbye != VGPU_GOODBYE_NONE) {
                        reterr_why->goodbye = c->goodbye;
                        memcpy(reterr_why->text, c->goodbye_text, sizeof(reterr_why->text));
                }
                vgpu_client_close(c);
                return err;
        }
        *ret_client = c;
        return 0;
}

struct vgpu_client *vgpu_client_close(struct vgpu_client *c)
{
        if (!c)
                return NULL;
        lease_drop_all(c);
        mapping_unref(c->map);
        page_close(&c->page);
        if (c->wake_fd >= 0)
                close(c->wake_fd);
        if (c->sock >= 0)
                close(c->sock);
        if (c->timer_fd >= 0)
                close(c->timer_fd);
        if (c->epoll_fd >= 0)
                close(c->epoll_fd);
        free(c->path);
        free(c);
        return NULL;
}

int vgpu_client_fd(const struct vgpu_client *c)
{
        return c->epoll_fd;
}

/* Empty the wake descriptor before looking at the ring: a change after that look then leaves a byte to be found. */
static void drain_wake(struct vgpu_client *c)
{
        char bytes[256];

        /* one byte per ticket: more than fit are more than were due, and leave it readable */
        if (recv(c->wake_fd, bytes, sizeof(bytes), MSG_DONTWAIT) == 0) {
                /* the daemon's end is closed; the socket will say so too, but must not have to race this one */
                epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, c->wake_fd, NULL);
                close(c->wake_fd);
                c->wake_fd = -1;
        }
}

/*
 * What of the three is readable. This also takes the edge off a wake descriptor that has edges: after it, and so before
 * arming and the look at the ring.
 */
static int take_ready(struct vgpu_client *c, uint64_t now_ns)
{
        struct epoll_event ready[3];
        int n = epoll_wait(c->epoll_fd, ready, 3, 0), events = 0;
        bool woken = false, told = false;

        for (int i = 0; i < n; i++) {
                woken |= ready[i].data.fd == c->wake_fd;
                told |= ready[i].data.fd == c->sock;
        }
        /* first, since what is told may be another connection's descriptors */
        if (woken && c->wake_fd >= 0 && !(c->granted & VGPU_WANT_EDGE))
                drain_wake(c);
        if (told && c->phase != PHASE_OFFLINE)
                events = connection_read(c, now_ns);
        return events;
}

int client_take(struct vgpu_client *c, uint64_t now_ns)
{
        int events;

        c->is_armed = false;
        events = take_time(c, now_ns) | take_ready(c, now_ns);
        intent_send(c);
        connection_release(c);
        connection_tell_stats(c, now_ns);
        return events & c->reported;
}

int client_look(struct vgpu_client *c, uint64_t now_ns)
{
        return (ring_events(c, now_ns) | intent_look(c)) & c->reported;
}

void client_arm(struct vgpu_client *c)
{
        uint32_t changes = c->changes;

        if (c->wake_fd < 0)
                return;
        /* the producer's acknowledgement is in the status record */
        if (changes != 0 && c->intent.state.progress == VGPU_CLIENT_INTENT_WRITTEN)
                changes |= VGPU_CHANGE_STATUS;
        page_arm(&c->page, changes);
        c->is_armed = true;
        /* a page that never armed is not looked at: those who are connected and wait for nothing cost no look */
        connection_show_page(c);
}

/*
 * Who was woken for a frame is told of it before anything else is done. What woke us is left where it is, or comes yet:
 * we were armed when the frame came, so the descriptor is readable at the next poll, and that dispatch does the rest. It
 * must: neither the socket nor the wake descriptor may wait for a pause between frames.
 */
static int take_news(struct vgpu_client *c, uint64_t now_ns)
{
        if (!c->is_armed)
                return 0;
        c->is_armed = false;
        return client_look(c, now_ns);
}

int vgpu_client_dispatch(struct vgpu_client *c)
{
        uint64_t now_ns = monotonic_ns();
        int events;

        if (c->gone_for_good)
                return c->gone_for_good;
        events = take_news(c, now_ns);
        if (events & VGPU_CLIENT_FRAME)
                return events;
        events |= client_take(c, now_ns);
        /* whatever we find, the caller polls next; so this look is the one after arming */
        client_arm(c);
        events |= client_look(c, now_ns);
        if (events == 0 && c->gone_for_good)
                return c->gone_for_good;
        return events;
}

void vgpu_client_stats(const struct vgpu_client *c, struct vgpu_client_stats *ret)
{
        *ret = c->stats;
}

const char *vgpu_client_goodbye(const struct vgpu_client *c, uint32_t *ret_reason)
{
        *ret_reason = c->goodbye;
        return c->goodbye_text;
}
