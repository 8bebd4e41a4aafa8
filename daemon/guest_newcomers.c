/*
 * guest_newcomers.c - a producer that was started again is found in milliseconds
 *
 * While none is known, the end of the guest's process list is looked at many times a second on the loop, through the map: some
 * microseconds. Whoever came lately, and the process that had the last region, is then searched on a thread of its own, beside a
 * search of everybody that may be under way. That one goes on all the same, and what newcomers brought in vain does not keep it
 * from ending, or a guest could hide a region behind ever new processes.
 */
#include <string.h>

#include "guest_private.h"

#define GLANCE_MS       10
#define GLANCE_LATER_MS 50
#define EAGER_NS        UINT64_C(10000000000) /* after the loss, and after the last that came */
#define BRIEF_MOST_NS   UINT64_C(250000000)

static void brief_returned(struct scan *scan, void *ctx)
{
        struct guest *g = ctx;
        uint64_t rest_ns = scan->took_ns * (GUEST_SEARCH_SHARE - 1);

        g->brief = NULL;
        g->brief_due_ns = uv_hrtime() + (rest_ns < BRIEF_MOST_NS ? rest_ns : BRIEF_MOST_NS);
        if (!atomic_load(&scan->cancel) && g->state == GUEST_SEARCHING)
                guest_take_newcomers(g, scan);
}

/* The process that had the last region may have made another one. */
static size_t add_lost(const struct guest *g, process *out, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (out[i].eprocess == g->lost.eprocess)
                        return n;
        if (g->lost.pid)
                out[n++] = g->lost;
        return n;
}

/* Return: how many came lately, or 0 when that cannot be told just now. */
static size_t look_for_newcomers(struct guest *g, process out[NEWCOMERS_MAX])
{
        const char *name = g->config->guest.producer[0] ? g->config->guest.producer : g->lost.name;
        process list[NEWCOMERS_MAX];
        struct win32_clock clock;
        size_t n;

        if (proc_newest(g->epoch->v, &g->mem, list, NEWCOMERS_MAX, &n) < 0 ||
                win32_read_clock(&g->mem, &clock) != 1)
                return 0;
        return newcomers_pick(list, n, name, clock.system_time, out);
}

static void glance(struct guest *g, uint64_t now_ns)
{
        process only[SCAN_MAX_NEWCOMERS];
        size_t n = look_for_newcomers(g, only);

        if (n > 0)
                g->newcomer_ns = now_ns;
        /* The first search of an epoch brings everything: what is silent among it is then known to be. */
        if (g->brief || g->brief_is_spent || !g->search_took_ns || now_ns < g->brief_due_ns)
                return;
        n = add_lost(g, only, n);
        /* One that cannot be sent out is no loss: the next is due in a moment. */
        if (n > 0)
                scan_start_newcomers(
                        g->loop, g->ram, g->epoch, only, n, brief_returned, g, &g->brief);
}

static bool is_eager(const struct guest *g, uint64_t now_ns)
{
        return now_ns - g->since_ns < EAGER_NS || now_ns - g->newcomer_ns < EAGER_NS;
}

static void on_glance(uv_timer_t *timer)
{
        struct guest *g = timer->data;
        uint64_t now_ns = uv_hrtime();

        if (g->epoch && guest_may_read(g) && g->verdict != GUEST_CLOCK_STANDING)
                glance(g, now_ns);
        uv_timer_start(timer, on_glance, is_eager(g, now_ns) ? GLANCE_MS : GLANCE_LATER_MS, 0);
}

void guest_watch_newcomers(struct guest *g)
{
        uv_timer_start(&g->glance, on_glance, 0, 0);
}

void guest_ignore_newcomers(struct guest *g)
{
        uv_timer_stop(&g->glance);
}
