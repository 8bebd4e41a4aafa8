/* guest_pulse.c - watching what was found: the looks for frames, and some ten times a second clock and heartbeat */
#include <errno.h>
#include <sys/timerfd.h>

#include "guest_private.h"
#include "spin.h"
#include "systemd/journal.h"

#define HEARTBEAT_LOST_NS (5 * VGPU_HEARTBEAT_PERIOD_MS * UINT64_C(1000000))

#define KERNEL_GONE "The kernel is gone from where it was: the guest was reset"

static bool ram_lost(struct guest *g)
{
        if (vgpu_source_check(g->ram->source) == 0)
                return false;
        guest_set_reason(g, "%s was removed, replaced or truncated", g->ram_name);
        return true;
}

/* A hard read error, told apart from the outside in: is the RAM gone, the kernel, or the process alone? */
static void read_failed(struct guest *g)
{
        if (ram_lost(g)) {
                guest_post(g, GUEST_EV_RAM_GONE);
        } else if (vmie_win32_check(g->epoch->v, &g->mem) < 0) {
                guest_set_reason(g, KERNEL_GONE);
                guest_post(g, GUEST_EV_EPOCH_ENDED);
        } else {
                guest_set_reason(g, "The producer or its region is gone; looking for another");
                guest_post(g, GUEST_EV_READ_FAILED);
        }
}

/* ---- looks --------------------------------------------------------------------------------------------------------- */

void guest_look_at(struct guest *g, uint64_t when_ns)
{
        struct itimerspec at = {
                .it_value = { .tv_sec = (time_t)(when_ns / 1000000000),
                        .tv_nsec = (long)(when_ns % 1000000000) },
        };

        timerfd_settime(g->look_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static void note_look(struct guest *g, uint64_t now_ns)
{
        histogram_add(&g->look_time, now_ns - g->stream.look_ns);
        if (g->looked_ns)
                histogram_add(&g->poll_gap, now_ns - g->looked_ns);
        g->looked_ns = now_ns;
}

/* Looks once. Returns whether looking goes on, and then when. */
static bool look(struct guest *g, struct pacer_plan *ret_plan)
{
        struct stream_view view = {
                .region = g->region,
                .mem = &g->mem,
                .source = g->ram->source,
                .epoch = g->epoch->number,
                .producer_pid = guest_producer(g)->proc.pid,
                /* What lies unread from QEMU is the loop's next turn; another look comes after it. */
                .may_take = guest_is_quiet,
                .may_publish = guest_is_quiet,
                .ctx = g,
        };
        enum pacer_saw saw;
        uint64_t now_ns;

        g->n_looks++;
        if (stream_look(&g->stream, &view, &saw) < 0) {
                read_failed(g);
                return false;
        }
        now_ns = uv_hrtime();
        note_look(g, now_ns);
        *ret_plan = pacer_next(&g->pacer, saw, g->stream.look_ns, now_ns);
        return true;
}

/*
 * What comes a few times a second anyway comes with a look when it is due before the next one, or soon: a wake-up costs more than
 * all of them do, and one in the middle of a window would be a frame's delay. A look that has another close behind it has no
 * time for them.
 */
static void do_early(struct guest *g, uint64_t gap_ns)
{
        uint64_t within_ms = gap_ns / 1000000;

        if (gap_ns < GUEST_GAP_NS)
                return;
        if (within_ms < GUEST_EARLY_MS)
                within_ms = GUEST_EARLY_MS;
        outlet_tick_early(g->outlet, within_ms);
        if (uv_timer_get_due_in(&g->pulse) <= within_ms) {
                uv_timer_again(&g->pulse);
                guest_on_pulse(&g->pulse);
        }
}

static void spin_until(uint64_t when_ns)
{
        while (uv_hrtime() < when_ns)
                spin_pause();
}

/*
 * The timer is not read: setting it anew takes back that it expired, and one system call of two is saved. Looks that are too
 * close for a sleep are waited for here, but not for so long that the loop's other business would notice.
 */
void guest_on_look(uv_poll_t *poll, int status, int events)
{
        struct guest *g = poll->data;
        const uint64_t until_ns = uv_hrtime() + GUEST_SPIN_NS;
        struct pacer_plan plan;
        bool goes_on;

        (void)status;
        (void)events;
        goes_on = look(g, &plan);
        while (goes_on && plan.spin && plan.at_ns < until_ns) {
                stream_expect(&g->stream);
                spin_until(plan.at_ns);
                goes_on = look(g, &plan);
        }
        stream_expect_no_more(&g->stream);
        if (!goes_on)
                return;
        guest_look_at(g, plan.at_ns);
        /* last: they may end the looking */
        do_early(g, plan.at_ns - g->looked_ns);
}

/* ---- pulse --------------------------------------------------------------------------------------------------------- */

void guest_report_run(struct guest *g)
{
        journal_event(EVENT_RUN_EPOCH_CHANGED,
                JOURNAL_FIELDS(JOURNAL_U64("VGPU_PID", guest_producer(g)->proc.pid),
                        JOURNAL_U64("VGPU_RUN_EPOCH", g->run_epoch)),
                "The producer began run %u in the same process", g->run_epoch);
}

static void tell_status(struct guest *g, const vgpup_status *status)
{
        if (g->control)
                control_status(g->control, status);
        outlet_set_status(g->outlet, &(struct vgpu_ring_status){
                                             .status = status->status,
                                             .backend = status->backend,
                                             .error_code = status->error_code,
                                             .applied_fps = status->applied_fps,
                                             .supported_formats = status->supported_formats,
                                             .ctrl_ack = status->ctrl_ack,
                                             .full_frame_ack = status->full_frame_ack,
                                             .ctrl_gen = control_ctrl_gen(g->control),
                                             .heartbeat = status->heartbeat,
                                             .content_change_ns = status->content_change_ns,
                                     });
}

static int look_at_geometry(struct guest *g)
{
        vgpup_geometry geometry;
        int r;

        r = vgpup_read_geometry(g->region, &g->mem, &geometry);
        if (r <= 0)
                return r;
        outlet_set_geometry(g->outlet, &(struct vgpu_ring_geometry){
                                               .virt_x = geometry.virt_x,
                                               .virt_y = geometry.virt_y,
                                               .virt_w = geometry.virt_w,
                                               .virt_h = geometry.virt_h,
                                               .cap_x = geometry.cap_x,
                                               .cap_y = geometry.cap_y,
                                               .dpi = geometry.dpi,
                                               .refresh_mhz = geometry.refresh_mhz,
                                       });
        return 0;
}

void guest_say_clock_stands(struct guest *g)
{
        guest_set_reason(g, "The guest's clock stands still: the machine is paused%s",
                g->has_process ? "" : " or off");
}

/*
 * Why the producer is silent, by whether the guest's clock runs; false: it need not be. In STALLED the reason is kept true by
 * this: a machine that goes on may do so without its producer.
 */
static bool explain_silence(struct guest *g, uint64_t now_ns, enum guest_event *ret_event)
{
        if (g->verdict == GUEST_CLOCK_STANDING) {
                /* Its time to tick begins when the machine goes on. */
                g->heartbeat_ns = now_ns;
                guest_say_clock_stands(g);
                *ret_event = GUEST_EV_CLOCK_STOPPED;
                return true;
        }
        if (g->verdict != GUEST_CLOCK_RUNNING || now_ns - g->heartbeat_ns <= HEARTBEAT_LOST_NS)
                return false;
        guest_set_reason(g, "The producer's heartbeat stands still while the guest runs: it hangs; "
                            "restart it in the guest");
        *ret_event = GUEST_EV_HEARTBEAT_LOST;
        return true;
}

/* What the producer's own pulse leads to. */
static void judge_heartbeat(struct guest *g, uint64_t heartbeat, uint64_t now_ns)
{
        bool ticked = heartbeat != g->heartbeat, stalled = g->state == GUEST_STALLED;
        enum guest_event event;

        g->heartbeat = heartbeat;
        if (ticked)
                g->heartbeat_ns = now_ns;
        if (stalled && ticked && g->verdict != GUEST_CLOCK_STANDING)
                guest_post(g, GUEST_EV_HEARTBEAT_RETURNED);
        else if (explain_silence(g, now_ns, &event) && !stalled)
                guest_post(g, event);
}

static void pulse_of_producer(struct guest *g, uint64_t now_ns)
{
        vgpup_status status;
        int r;

        r = vgpup_read_status(g->region, &g->mem, &status);
        /* Its page is on the move, or trimmed until the producer writes to it again; one that hangs never does. */
        if (r == -EAGAIN) {
                judge_heartbeat(g, g->heartbeat, now_ns);
                return;
        }
        if (r < 0 || look_at_geometry(g) < 0) {
                read_failed(g);
                return;
        }
        tell_status(g, &status);
        if (status.run_epoch != g->run_epoch) {
                g->run_epoch = status.run_epoch;
                guest_post(g, GUEST_EV_RUN_EPOCH);
        }
        judge_heartbeat(g, status.heartbeat, now_ns);
}

/* Returns whether the epoch still stands. */
static bool pulse_of_epoch(struct guest *g, uint64_t now_ns)
{
        struct win32_clock clock;
        int r;

        r = vmie_win32_check(g->epoch->v, &g->mem);
        if (r == 0)
                r = win32_read_clock(&g->mem, &clock);
        if (r == 1)
                g->verdict = guest_clock_update(&g->clock, clock.interrupt_time * 100, now_ns);
        if (r < 0)
                guest_set_reason(g, KERNEL_GONE);
        else if (g->verdict == GUEST_CLOCK_JUMPED)
                guest_set_reason(g, "The guest's clock jumped: it was reset, restored or migrated");
        if (r >= 0 && g->verdict != GUEST_CLOCK_JUMPED)
                return true;
        guest_post(g, GUEST_EV_EPOCH_ENDED);
        return false;
}

static void pulse(struct guest *g, bool ram_too)
{
        bool stood = g->verdict == GUEST_CLOCK_STANDING;
        uint64_t now_ns = uv_hrtime();

        g->n_pulses++;
        stream_fps(&g->stream, now_ns);
        if (!g->ram)
                return;
        if (ram_too && ram_lost(g)) {
                guest_post(g, GUEST_EV_RAM_GONE);
                return;
        }
        if (!guest_may_read(g) || !g->epoch || !pulse_of_epoch(g, now_ns))
                return;
        if (stood && g->verdict == GUEST_CLOCK_RUNNING)
                guest_clock_goes_on(g);
        if (g->verdict == GUEST_CLOCK_STANDING && guest_is_off(g))
                guest_post(g, GUEST_EV_RAM_GONE);
        else if (g->region)
                pulse_of_producer(g, now_ns);
}

void guest_on_pulse(uv_timer_t *timer)
{
        struct guest *g = timer->data;

        pulse(g, g->n_pulses % GUEST_RAM_PULSES == 0);
}

void guest_pulse_now(struct guest *g)
{
        pulse(g, true);
}
