/* watchdog.c - see watchdog.h */
#include "watchdog.h"

#include "systemd/journal.h"
#include "systemd/notify.h"

#define CHECK_MS 1000

/*
 * A search under way takes as long as the guest is large, and brings a step when it is back. The machine moves by itself in all
 * states but STREAMING, where the looks are what has to go on.
 */
struct progress_report watchdog_report(const struct outlet *outlet, const struct guest *guest)
{
        unsigned n_reads =
                guest->scan ? atomic_load_explicit(&guest->scan->n_reads, memory_order_relaxed) : 0;
        bool lives = guest->state != GUEST_STOPPING, streams = guest->state == GUEST_STREAMING;

        return (struct progress_report){
                .actor = {
                        [PROGRESS_TICK] = { outlet->n_ticks, lives },
                        [PROGRESS_PULSE] = { guest->n_pulses, lives },
                        [PROGRESS_LOOK] = { guest->n_looks, streams },
                        [PROGRESS_SCAN] = { n_reads, lives && guest->scan },
                        [PROGRESS_STEP] = { guest->n_steps, lives && !streams && !guest->scan },
                },
        };
}

bool watchdog_check(struct watchdog *w, uint64_t now_ns)
{
        struct progress_report report = watchdog_report(w->outlet, w->guest);
        unsigned stuck = progress_check(&w->progress, &report, now_ns);

        for (int i = 0; i < PROGRESS_N_ACTORS; i++) {
                const char *name = progress_actor_name(i);

                if (stuck & ~w->stuck & 1u << i)
                        journal_event(EVENT_STUCK,
                                JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_REASON", name)),
                                "Stuck: %s does not go on; the service manager hears no more that "
                                "vgpud lives, and will start it again",
                                name);
                else if (w->stuck & ~stuck & 1u << i)
                        journal_log(LOG_NOTICE, "No longer stuck: %s goes on", name);
        }
        w->stuck = stuck;
        return stuck == 0;
}

static void on_ping(uv_timer_t *timer)
{
        struct watchdog *w = timer->data;

        if (watchdog_check(w, uv_hrtime()))
                notify_alive();
}

static void on_check(uv_timer_t *timer)
{
        watchdog_check(timer->data, uv_hrtime());
}

void watchdog_start(
        struct watchdog *w, uv_loop_t *loop, const struct outlet *outlet, const struct guest *guest)
{
        uint64_t ping_ms = notify_watchdog_interval_ms();

        *w = (struct watchdog){ .outlet = outlet, .guest = guest };
        uv_timer_init(loop, &w->ping);
        uv_timer_init(loop, &w->check);
        w->ping.data = w->check.data = w;
        uv_timer_start(&w->check, on_check, CHECK_MS, CHECK_MS);
        if (ping_ms)
                uv_timer_start(&w->ping, on_ping, 0, ping_ms);
}

void watchdog_stop(struct watchdog *w)
{
        uv_close((uv_handle_t *)&w->ping, NULL);
        uv_close((uv_handle_t *)&w->check, NULL);
}
