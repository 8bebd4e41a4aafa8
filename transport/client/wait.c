/*
 * wait.c - block until something happens
 *
 * In the epoll behind the handle's descriptor, or on the ring's futex for those who did not want a wake descriptor.
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

/*
 * The futex is a fast path among friends: any holder of the map can requeue its waiters, and the socket is not in
 * it. So never longer than a tick period.
 */
static int nap_on_futex(struct vgpu_client *c, uint32_t wake, uint64_t nap)
{
        uint64_t period = c->map->identity.tick_period_ms * NS_PER_MS;
        struct timespec ts;

        if (nap > period)
                nap = period;
        ts = (struct timespec){
                .tv_sec = (time_t)(nap / (1000 * NS_PER_MS)),
                .tv_nsec = (long)(nap % (1000 * NS_PER_MS)),
        };
        if (syscall(SYS_futex, &c->map->header->wake, FUTEX_WAIT, wake, &ts, NULL, 0) == 0)
                return 0;
        return errno == EAGAIN || errno == ETIMEDOUT ? 0 : -errno;
}

/* Sleep unless there is news. Return: set of events (there was, no sleep), 0 (slept), or a negative errno. */
static int nap(struct vgpu_client *c, uint64_t now_ns, uint64_t end_ns)
{
        uint32_t wake = 0;
        int events;

        if (c->map && c->phase == PHASE_ONLINE && c->wake_fd < 0) {
                /* loaded before the look: a change after it makes the futex return at once */
                wake = __atomic_load_n(&c->map->header->wake, __ATOMIC_ACQUIRE);
                events = client_look(c, now_ns);
                return events ? events : nap_on_futex(c, wake, nap_ns(c, now_ns, end_ns));
        }
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
        return got;
}
