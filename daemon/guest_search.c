/* guest_search.c - finding a kernel, a live region: what sends scans out and makes events of what they bring */
#include <errno.h>
#include <string.h>

#include "choose.h"
#include "guest_private.h"
#include "systemd/journal.h"

#define CONFIRM_MS      (2 * VGPU_HEARTBEAT_PERIOD_MS)
#define CONFIRM_LOOK_MS 5

/* ---- scans --------------------------------------------------------------------------------------------------------- */

static void drop_findings(struct guest *g)
{
        uv_timer_stop(&g->confirm);
        g->n_candidates = g->n_silent = 0;
        g->other = epoch_unref(g->other);
}

void guest_cancel_scan(struct guest *g)
{
        if (g->scan)
                scan_cancel(g->scan);
        if (g->brief)
                scan_cancel(g->brief);
        g->scan_wanted = false;
        drop_findings(g);
}

/* Is this the region we are bound to? Its silence is what sent the scan out. */
static bool is_bound(const struct guest *g, const struct vgpup_candidate *c)
{
        const struct vgpup_candidate *bound = guest_producer(g);

        return bound && c->proc.eprocess == bound->proc.eprocess &&
               c->proc.create_time == bound->proc.create_time && c->region_gva == bound->region_gva;
}

static bool is_still_silent(const struct guest *g, const struct vgpup_candidate *c)
{
        for (size_t i = 0; i < g->n_silent; i++) {
                const struct vgpup_candidate *s = &g->candidate[i];

                if (c->proc.eprocess == s->proc.eprocess &&
                        c->proc.create_time == s->proc.create_time &&
                        c->region_gva == s->region_gva)
                        return c->heartbeat == s->heartbeat;
        }
        return false;
}

static void say_silent(struct guest *g, size_t n)
{
        if (g->verdict == GUEST_CLOCK_STANDING)
                guest_say_clock_stands(g);
        else
                guest_set_reason(g,
                        "%zu region%s found, but no heartbeat in %s: its producer hangs or is "
                        "dead; restart it in "
                        "the guest",
                        n, n == 1 ? "" : "s", n == 1 ? "it" : "any");
}

/* Regions that were waited for in vain and have not ticked since are not waited for again. */
static void take_candidates(struct guest *g, struct scan *scan)
{
        size_t n = 0, n_silent = 0;

        for (size_t i = 0; i < scan->n_candidates; i++) {
                if (is_bound(g, &scan->candidate[i]))
                        continue;
                n_silent += is_still_silent(g, &scan->candidate[i]);
                scan->candidate[n++] = scan->candidate[i];
        }
        if (n && n == n_silent) {
                if (g->state == GUEST_SEARCHING)
                        say_silent(g, n);
                guest_post(g, GUEST_EV_STILL_SILENT);
                return;
        }
        memcpy(g->candidate, scan->candidate, n * sizeof(scan->candidate[0]));
        g->n_candidates = n;
        g->n_silent = 0;
        if (g->state == GUEST_SEARCHING && scan->error)
                guest_set_reason(g, "The guest's process list could not be read: %s",
                        strerror(-scan->error));
        else if (g->state == GUEST_SEARCHING && !g->n_candidates &&
                 g->verdict == GUEST_CLOCK_STANDING)
                guest_say_clock_stands(g);
        else if (g->state == GUEST_SEARCHING && !g->n_candidates)
                guest_set_reason(g,
                        "No process in the guest has a region: start the producer in the guest, in "
                        "the session of the user who is logged on");
        guest_post(g, g->n_candidates ? GUEST_EV_CANDIDATES : GUEST_EV_NO_CANDIDATES);
}

void guest_take_newcomers(struct guest *g, struct scan *scan)
{
        size_t n_news = 0;

        for (size_t i = 0; i < scan->n_candidates; i++)
                n_news += !is_still_silent(g, &scan->candidate[i]);
        if (n_news == 0 || g->brief_is_spent)
                return;
        g->brief_is_spent = true;
        if (g->scan)
                scan_cancel(g->scan);
        take_candidates(g, scan);
}

static void explain_attach(struct guest *g, const struct win32_failure *why)
{
        /* Past the first stage something Windows-like was there, and the layout is the likeliest thing to be wrong. */
        bool guessed = why->stage > WIN32_STAGE_KCR3 && !g->layout_by_qemu;
        const char *hint = guessed ? "; check [guest] machine and ram_size" : "";

        guest_set_reason(g, "No Windows kernel found: %s%s%s%s%s", win32_reason_text(why->reason),
                why->detail[0] ? " (" : "", why->detail, why->detail[0] ? ")" : "", hint);
}

/*
 * What is found after a reset may be what was there before: it is believed once its clock was seen to move, as it is when
 * the guest boots to the very same places.
 */
static bool is_relic(struct guest *g, struct epoch *epoch)
{
        const struct win32_info *info = vmie_win32_info(epoch->v);
        uint64_t before = g->relic_clock;
        struct win32_clock clock;

        if (!g->has_relic || info->kcr3 != g->relic.kcr3 ||
                info->kernel_base != g->relic.kernel_base ||
                info->system_eprocess != g->relic.system_eprocess ||
                info->boot_id != g->relic.boot_id)
                return false;
        if (win32_read_clock(&epoch->mem, &clock) != 1)
                return true;
        g->relic_clock = clock.interrupt_time;
        return before == 0 || before == clock.interrupt_time;
}

static void attach_returned(struct guest *g, struct scan *scan)
{
        if (scan->opened && is_relic(g, scan->opened)) {
                guest_set_reason(g, "The guest was reset and has not booted yet");
                guest_post(g, GUEST_EV_ATTACH_FAILED);
                return;
        }
        if (scan->opened) {
                g->has_relic = false;
                g->next_epoch = scan->opened;
                scan->opened = NULL;
                guest_post(g, GUEST_EV_ATTACHED);
                return;
        }
        explain_attach(g, &scan->why);
        guest_post(g, GUEST_EV_ATTACH_FAILED);
}

/* A kernel that is not ours may be what is left of an earlier boot: it counts only if its clock runs. */
static void watch_other(struct guest *g, struct scan *scan)
{
        struct win32_clock clock;

        g->other = scan->opened;
        scan->opened = NULL;
        if (win32_read_clock(&g->other->mem, &clock) != 1) {
                g->other = epoch_unref(g->other);
                guest_post(g, GUEST_EV_NO_CANDIDATES);
                return;
        }
        g->other_clock = clock.interrupt_time;
        guest_wait_heartbeat(g);
}

static void scan_returned(struct scan *scan, void *ctx)
{
        struct guest *g = ctx;

        g->scan = NULL;
        if (atomic_load(&scan->cancel)) {
                if (g->scan_wanted)
                        guest_scan(g, g->wanted);
                return;
        }
        if (scan->kind == SCAN_DISCOVER)
                g->search_took_ns = scan->took_ns;
        g->brief_is_spent = false;
        if (scan->kind == SCAN_ATTACH)
                attach_returned(g, scan);
        else if (scan->opened)
                watch_other(g, scan);
        else
                take_candidates(g, scan);
}

void guest_scan(struct guest *g, enum scan_kind kind)
{
        int r;

        g->scan_wanted = false;
        /* A machine that stands can be reset as well, which begins a search: it waits until the machine runs. */
        if (!guest_may_read(g)) {
                uv_timer_start(&g->retry, guest_on_retry, GUEST_BACKOFF_MOST_MS, 0);
                return;
        }
        g->scan_wanted = g->scan != NULL;
        g->wanted = kind;
        if (g->scan)
                return; /* cancelled, still on the pool: an epoch's memory serves one scan at a time */
        r = scan_start(
                g->loop, kind, g->ram, g->epoch, g->config->guest.kcr3, scan_returned, g, &g->scan);
        if (r == 0) {
                g->n_scans++;
                return;
        }
        journal_event(EVENT_SCAN_FAILED, JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_REASON", strerror(-r))),
                "The guest's memory cannot be searched: %s; trying again. The daemon is short of "
                "memory or threads: look at its unit's limits and the host's",
                strerror(-r));
        guest_post(g, kind == SCAN_ATTACH ? GUEST_EV_ATTACH_FAILED : GUEST_EV_NO_CANDIDATES);
}

void guest_on_retry(uv_timer_t *timer)
{
        struct guest *g = timer->data;

        g->n_steps++;
        if (g->state != GUEST_ABSENT && !guest_may_read(g)) {
                uv_timer_start(timer, guest_on_retry, GUEST_BACKOFF_MOST_MS, 0);
                return;
        }
        /* A guest whose clock stands is paused, or it was reset and lives in other pages now. */
        if (g->state == GUEST_SEARCHING && g->verdict == GUEST_CLOCK_STANDING) {
                guest_say_clock_stands(g);
                guest_post(g, GUEST_EV_CLOCK_STOPPED);
        } else {
                guest_post(g, GUEST_EV_RETRY);
        }
}

/* A scan that is out brings what is true now: were it sent anew each time, none would end in a guest that stutters. */
void guest_clock_goes_on(struct guest *g)
{
        if (g->scan)
                g->backoff_ms = GUEST_BACKOFF_FIRST_MS;
        else
                guest_post(g, GUEST_EV_CLOCK_RUNS);
}

/* ---- the heartbeat wait -------------------------------------------------------------------------------------------- */

static bool bind_best(struct guest *g, bool *alive)
{
        const char *name = g->config->guest.producer;
        size_t i;

        while ((i = choose_next(g->candidate, alive, g->n_candidates, name)) < g->n_candidates) {
                if (vgpup_bind(g->epoch->v, &g->mem, &g->candidate[i], &g->next_region) == 0)
                        return true;
                alive[i] = false;
        }
        return false;
}

static void confirm_candidates(struct guest *g)
{
        bool alive[SCAN_MAX_CANDIDATES] = { false };
        size_t n_alive = 0;

        for (size_t i = 0; i < g->n_candidates; i++) {
                const struct vgpup_candidate *c = &g->candidate[i];

                alive[i] =
                        vgpup_confirm_alive(&g->mem, c->proc.cr3, c->region_gva, c->heartbeat) == 1;
                n_alive += alive[i];
        }
        if (n_alive > 1)
                journal_event(EVENT_PRODUCERS_SEVERAL, NULL,
                        "%zu producers are alive in the guest; taking the one that [guest] "
                        "producer names, else the newest",
                        n_alive);
        if (bind_best(g, alive)) {
                g->epoch->was_brief = false;
                guest_post(g, GUEST_EV_CONFIRMED);
                return;
        }
        if (g->state == GUEST_CONFIRMING)
                say_silent(g, g->n_candidates);
        g->n_silent = g->n_candidates;
        guest_post(g, GUEST_EV_NOT_CONFIRMED);
}

static void confirm_other(struct guest *g)
{
        struct epoch *other = g->other;
        struct win32_clock clock;

        g->other = NULL;
        if (win32_read_clock(&other->mem, &clock) == 1 && clock.interrupt_time != g->other_clock) {
                g->next_epoch = other;
                guest_post(g, GUEST_EV_ATTACHED);
                return;
        }
        epoch_unref(other);
        guest_post(g, GUEST_EV_NO_CANDIDATES);
}

/* A heartbeat that has advanced proves life at once; only that none does takes two periods, and that others do as well. */
static bool has_ticked_alone(struct guest *g)
{
        const struct vgpup_candidate *c = &g->candidate[0];

        return !g->other && g->n_candidates == 1 &&
               vgpup_confirm_alive(&g->mem, c->proc.cr3, c->region_gva, c->heartbeat) == 1;
}

static void on_confirm(uv_timer_t *timer)
{
        struct guest *g = timer->data;

        if (uv_now(g->loop) < g->confirm_until_ms && !has_ticked_alone(g))
                return;
        uv_timer_stop(&g->confirm);
        if (g->other)
                confirm_other(g);
        else
                confirm_candidates(g);
}

void guest_wait_heartbeat(struct guest *g)
{
        uv_update_time(g->loop);
        g->confirm_until_ms = uv_now(g->loop) + CONFIRM_MS;
        uv_timer_start(&g->confirm, on_confirm, CONFIRM_LOOK_MS, CONFIRM_LOOK_MS);
}
