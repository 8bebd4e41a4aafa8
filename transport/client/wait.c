/*
 * wait.c - block until something happens
 *
 * In the epoll behind the handle's descriptor, or on the ring's futex for those who did not want a wake descriptor; who
 * wants to be early sleeps on two of them (early.c).
 */
#include "client.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS UINT64_C(1000000)
#define NO_LIMIT  UINT64_MAX

/* How long to sleep: to the end, or until the tick becomes overdue, which nobody announces. */
static uint64_t nap_ns(const struct vgpu_client *c, uint64_t now_ns, uint64_t end_ns)
{
        uint64_t nap = end_ns == NO_LIMIT ? NO_LIMIT : end_ns - now_ns;
        uint64_t overdue_ns, look;

        if (c->phase != PHASE_ONLINE || !c->map)
                return nap;
        overdue_ns = tick_overdue_ns(c);
        look = overdue_ns > now_ns ? overdue_ns - now_ns + NS_PER_MS
                                   : c->map->identity.tick_period_ms * NS_PER_MS;
        return look < nap ? look : nap;
}

/* In the epoll itself: polling its descriptor would be one more queue to be woken through. */
static int nap_in_epoll(struct vgpu_client *c, uint64_t nap)
{
        uint64_t ms = nap / NS_PER_MS + 1;
        int timeout_ms = ms < INT_MAX ? (int)ms : INT_MAX;
        struct epoll_event event;

        if (nap == NO_LIMIT)
                timeout_ms = -1;
        return epoll_wait(c->epoll_fd, &event, 1, timeout_ms) < 0 ? -errno : 0;
}

static int nap_on_futex(struct vgpu_client *c, uint32_t wake, uint64_t nap)
{
        struct timespec ts;

        ts = (struct timespec){
                .tv_sec = (time_t)(nap / (1000 * NS_PER_MS)),
                .tv_nsec = (long)(nap % (1000 * NS_PER_MS)),
        };
        if (syscall(SYS_futex, &c->map->header->wake, FUTEX_WAIT, wake, &ts, NULL, 0) == 0)
                return 0;
        return errno == EAGAIN || errno == ETIMEDOUT ? 0 : -errno;
}

static bool is_early(const struct vgpu_client *c)
{
        return (c->granted & VGPU_WANT_SOON) && (c->reported & VGPU_CLIENT_FRAME) &&
               early_works(&c->early, c->map);
}

/*
 * The futex is a fast path among friends: any holder of the map can requeue its waiters, and the socket is not in
 * it. So never longer than a tick period.
 */
static int look_and_nap_in_ring(struct vgpu_client *c, uint64_t now_ns, uint64_t end_ns)
{
        const struct vgpu_ring_header *h = c->map->header;
        const uint64_t period = c->map->identity.tick_period_ms * NS_PER_MS;
        const bool early = is_early(c);
        /* loaded before the look: a change after it makes the futex return at once */
        const uint32_t soon = early ? __atomic_load_n(&h->soon, __ATOMIC_ACQUIRE) : 0;
        const uint32_t wake = __atomic_load_n(&h->wake, __ATOMIC_ACQUIRE);
        int events = client_look(c, now_ns);
        uint64_t nap;

        if (events)
                return events;
        nap = nap_ns(c, now_ns, end_ns);
        if (nap > period)
                nap = period;
        return early ? early_nap(&c->early, c->map, wake, soon, nap) : nap_on_futex(c, wake, nap);
}

/* Sleep unless there is news. Return: set of events (there was, no sleep), 0 (slept), or a negative errno. */
static int nap(struct vgpu_client *c, uint64_t now_ns, uint64_t end_ns)
{
        int events;

        if (c->map && c->phase == PHASE_ONLINE && c->wake_fd < 0)
                return look_and_nap_in_ring(c, now_ns, end_ns);
        client_arm(c);
        events = client_look(c, now_ns);
        return events ? events : nap_in_epoll(c, nap_ns(c, now_ns, end_ns));
}

static int wait_until(struct vgpu_client *c, uint64_t end_ns)
{
        bool slept = false;

        for (;;) {
                uint64_t now_ns = monotonic_ns();
                int got = 0;

                if (c->gone_for_good)
                        return c->gone_for_good;
                /* who was woken wants the frame: the rest of what has come is there at the next call, too */
                if (slept)
                        got = client_look(c, now_ns);
                if (got == 0)
                        got = client_take(c, now_ns) | client_look(c, now_ns);
                if (got == 0 && c->gone_for_good)
                        return c->gone_for_good;
                if (got != 0 || now_ns >= end_ns)
                        return got;
                got = nap(c, now_ns, end_ns);
                if (got == -EINTR)
                        return 0;
                if (got != 0)
                        return got;
                slept = true;
        }
}

int vgpu_client_wait(struct vgpu_client *c, int timeout_ms)
{
        uint64_t end_ns = NO_LIMIT;
        int got;

        if (timeout_ms >= 0)
                end_ns = monotonic_ns() + (uint64_t)timeout_ms * NS_PER_MS;
        got = wait_until(c, end_ns);
        page_disarm(&c->page);
        c->is_armed = false;
        return got;
}
