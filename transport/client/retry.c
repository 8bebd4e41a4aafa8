/*
 * retry.c - when to come again
 *
 * The first retry after a loss follows almost immediately, since a restarted daemon behind a listening socket that
 * systemd kept is there already; then 10 ms, doubling to 1 s, or as much later as a goodbye asked for. Up to half as much
 * again is added at random, since all clients of a daemon lose it at the same moment.
 */
#include <sys/timerfd.h>

#include "client.h"

#define FIRST_RETRY_MS 1
#define BACKOFF_MIN_MS 10u
#define BACKOFF_MAX_MS 1000u
#define ADVICE_MAX_MS  60000u
#define HOPELESS_MS    30000u /* until somebody changes something: that may have happened */
#define NS_PER_MS      UINT64_C(1000000)

void retry_arm(struct vgpu_client *c, uint64_t due_ns)
{
        struct itimerspec when = {
                .it_value = {
                        .tv_sec = (time_t)(due_ns / (1000 * NS_PER_MS)),
                        .tv_nsec = (long)(due_ns % (1000 * NS_PER_MS)),
                },
        };

        c->due_ns = due_ns;
        timerfd_settime(c->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

/* xorshift: nothing here needs to be hard to guess. */
static uint64_t random_below(struct vgpu_client *c, uint64_t limit)
{
        c->random ^= c->random << 13;
        c->random ^= c->random >> 7;
        c->random ^= c->random << 17;
        return c->random % limit;
}

static uint32_t advice_ms(const struct vgpu_client *c)
{
        if (!c->turned_away)
                return 0;
        if (c->retry_ms == 0)
                return HOPELESS_MS;
        return c->retry_ms < ADVICE_MAX_MS ? c->retry_ms : ADVICE_MAX_MS;
}

void retry_schedule(struct vgpu_client *c, uint64_t now_ns)
{
        uint32_t ms = c->backoff_ms == 0 ? FIRST_RETRY_MS : c->backoff_ms;
        uint64_t ns;

        if (ms < advice_ms(c))
                ms = advice_ms(c);
        c->turned_away = false;
        c->backoff_ms = c->backoff_ms == 0 ? BACKOFF_MIN_MS : c->backoff_ms * 2;
        if (c->backoff_ms > BACKOFF_MAX_MS)
                c->backoff_ms = BACKOFF_MAX_MS;
        ns = ms * NS_PER_MS;
        retry_arm(c, now_ns + ns + random_below(c, ns / 2));
}
