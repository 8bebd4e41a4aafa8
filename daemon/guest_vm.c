/* guest_vm.c - what QEMU's monitor and its process say, as events: both are optional, and may come and go */
#include <string.h>

#include "guest_private.h"
#include "systemd/journal.h"

bool guest_may_read(const struct guest *g)
{
        return !g->has_monitor || g->monitor.says == MONITOR_RUNS;
}

bool guest_is_quiet(void *guest)
{
        const struct guest *g = guest;

        return !g->has_monitor || monitor_quiet(&g->monitor);
}

bool guest_is_known_off(const struct guest *g)
{
        return (g->has_process && g->process.pid == 0) ||
               (g->has_monitor && (g->monitor.refused || g->monitor.says == MONITOR_HALTED));
}

bool guest_is_off(struct guest *g)
{
        if (!g->has_monitor || !g->monitor.refused)
                return false;
        /* Nobody to say that it runs any more: whoever listens there next has to. */
        g->monitor.says = MONITOR_SILENT;
        guest_set_reason(
                g, "The virtual machine is off: nobody listens at %s", g->config->guest.qmp);
        return true;
}

void guest_look_again(struct guest *g)
{
        g->backoff_ms = GUEST_BACKOFF_FIRST_MS;
        uv_timer_start(&g->retry, guest_on_retry, 0, 0);
}

static void on_runs(struct guest *g)
{
        g->backoff_ms = GUEST_BACKOFF_FIRST_MS;
        guest_clock_resume(&g->clock, uv_hrtime());
        g->verdict = GUEST_CLOCK_UNKNOWN;
        g->heartbeat_ns = uv_hrtime();
        if (g->state == GUEST_CONFIRMING || g->state == GUEST_STREAMING || g->scan)
                return;
        /* What is being watched was found before: its wait must not end in the middle of the next scan. */
        guest_cancel_scan(g);
        guest_look_again(g);
}

static void on_halted(struct guest *g)
{
        guest_set_reason(g, "QEMU says '%s': the machine does not run", g->monitor.view.status);
        guest_post(g, GUEST_EV_HALTED);
}

static void on_reset(struct guest *g)
{
        if (g->epoch) {
                g->relic = *vmie_win32_info(g->epoch->v);
                g->relic_clock = 0;
                g->has_relic = true;
        }
        guest_set_reason(g, "QEMU reset the machine");
        guest_post(g, GUEST_EV_EPOCH_ENDED);
}

static void on_lost(struct guest *g)
{
        journal_event(EVENT_MONITOR_LOST,
                JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_QMP", g->config->guest.qmp),
                        JOURNAL_TEXT("VGPU_REASON", g->monitor.why)),
                "QEMU's monitor at %s: %s; connecting again", g->config->guest.qmp, g->monitor.why);
        /* A machine that ended closed its monitor first: look at once whether RAM, clock and kernel are what they were. */
        guest_pulse_now(g);
}

/* Without a kernel there is no clock to ask, and while the machine stands none may be read. */
static void on_refused(struct guest *g)
{
        if (g->ram && g->epoch && guest_may_read(g))
                return;
        if (g->ram && guest_is_off(g))
                guest_post(g, GUEST_EV_RAM_GONE);
        g->monitor.says = MONITOR_SILENT;
}

static void on_news(struct monitor *m, enum monitor_news news)
{
        struct guest *g = m->ctx;

        switch (news) {
        case MONITOR_NEWS_RUNS:
                on_runs(g);
                break;
        case MONITOR_NEWS_HALTED:
                on_halted(g);
                break;
        case MONITOR_NEWS_RESET:
                on_reset(g);
                break;
        case MONITOR_NEWS_OFF:
                guest_set_reason(g, "The virtual machine was shut down");
                guest_post(g, GUEST_EV_RAM_GONE);
                break;
        case MONITOR_NEWS_LAYOUT:
                guest_set_reason(g, "QEMU's RAM is laid out anew");
                guest_post(g, GUEST_EV_RAM_GONE);
                guest_look_again(g);
                break;
        case MONITOR_NEWS_BACK:
                journal_event(EVENT_MONITOR_BACK,
                        JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_QMP", g->config->guest.qmp)),
                        "QEMU's monitor is back at %s", g->config->guest.qmp);
                break;
        case MONITOR_NEWS_LOST:
                on_lost(g);
                break;
        case MONITOR_NEWS_REFUSED:
                on_refused(g);
                break;
        }
}

static void on_ended(struct vm_process *p)
{
        struct guest *g = p->ctx;

        g->monitor.says = MONITOR_SILENT;
        guest_set_reason(g, "The virtual machine is off: QEMU's process ended");
        guest_post(g, GUEST_EV_RAM_GONE);
}

int guest_vm_init(struct guest *g)
{
        vm_process_init(&g->process, g->loop, g->config->guest.pidfile, on_ended, g);
        if (!g->has_monitor)
                return 0;
        return monitor_init(&g->monitor, g->loop, g->config->guest.qmp, on_news, g);
}

void guest_vm_stop(struct guest *g)
{
        vm_process_stop(&g->process);
        if (g->has_monitor)
                monitor_stop(&g->monitor);
}
