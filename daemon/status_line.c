/*
 * status_line.c - the daemon's state in one line, for `systemctl status`
 *
 * While it streams, what and to whom; in any other state since when, what it waits for, and what a person can do. A moment is
 * given and not a length, so that the line changes when something does and not with every second.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon.h"
#include "format.h"
#include "guest_private.h"

static const char *plural(uint32_t n)
{
        return n == 1 ? "" : "s";
}

static void streaming_line(struct daemon *d, char *buf, size_t cap)
{
        const struct vgpup_candidate *producer = guest_producer(&d->guest);
        const vgpup_frame_desc *mode = &d->guest.stream.mode;
        uint32_t clients = outlet_n_clients(&d->outlet);
        char name[GUEST_NAME_MAX], frames[64] = "";

        if (mode->width)
                snprintf(frames, sizeof(frames), "%ux%u %s %.1f fps ", mode->width, mode->height,
                        format_short_name(mode->format), stream_fps(&d->guest.stream, uv_hrtime()));
        snprintf(buf, cap, "Streaming %sfrom '%s' (pid %u), epoch %llu, %u client%s", frames,
                guest_producer_name(&d->guest, name), producer->proc.pid,
                (unsigned long long)d->guest.n_epochs, clients, plural(clients));
}

/* The wall's time when what is waited for began; kept, for two clocks never give the same second twice. */
static void say_since(struct daemon *d, char *buf, size_t cap)
{
        uint64_t phase_ns = d->guest.phase_ns;
        struct tm tm;

        if (d->line_phase_ns != phase_ns) {
                d->line_phase_ns = phase_ns;
                d->line_since = time(NULL) - (time_t)((uv_hrtime() - phase_ns) / 1000000000);
        }
        localtime_r(&d->line_since, &tm);
        strftime(buf, cap, "%F %T", &tm);
}

/* For a machine that does not run: what the reason leaves out. */
static const char *next_step(const struct guest *g)
{
        if (g->state == GUEST_ABSENT && guest_is_known_off(g))
                return "; start it";
        if (g->state != GUEST_STALLED || (g->verdict != GUEST_CLOCK_STANDING && guest_may_read(g)))
                return "";
        return g->has_process || g->has_monitor ? "; resume it" : "; resume or start it";
}

static void waiting_line(struct daemon *d, char *buf, size_t cap)
{
        static const char *const waits[GUEST_N_STATES] = {
                [GUEST_ABSENT] = "No guest RAM",
                [GUEST_ATTACHING] = "Attaching",
                [GUEST_SEARCHING] = "Looking for a producer",
                [GUEST_CONFIRMING] = "Looking for a producer",
                [GUEST_STALLED] = "Stalled, keeping the last frame",
        };
        const struct guest *g = &d->guest;
        uint32_t clients = outlet_n_clients(&d->outlet);
        char since[32], who[32] = "";

        if (g->state == GUEST_STOPPING) {
                snprintf(buf, cap, "Stopping; %u client%s told", clients, plural(clients));
                return;
        }
        say_since(d, since, sizeof(since));
        if (clients)
                snprintf(who, sizeof(who), ", %u client%s wait%s", clients, plural(clients),
                        clients == 1 ? "s" : "");
        snprintf(buf, cap, "%s since %s%s%s%s%s", waits[g->state], since, who,
                g->reason[0] ? ": " : "", g->reason, g->reason[0] ? next_step(g) : "");
}

/* What the journal cannot say itself. */
static void add_log_room(const struct daemon *d, char *buf, size_t cap)
{
        size_t len = strlen(buf);

        if (d->log_room.is_full)
                snprintf(buf + len, cap - len,
                        "; nothing is logged: /var/log/journal is full, make room there "
                        "(journalctl --vacuum-size=100M)");
}

void daemon_status_line(struct daemon *d, char *buf, size_t cap)
{
        if (d->guest.state == GUEST_STREAMING)
                streaming_line(d, buf, cap);
        else
                waiting_line(d, buf, cap);
        add_log_room(d, buf, cap);
}
