/*
 * guest_log.c - an outage as a story: one line per turn of it, with its cause and what comes next
 *
 * What mends itself at once is no trouble: that a kernel or a producer is not found is said when it has not been for longer
 * than a boot's and a start's first steps take, and again only for another reason. Who is on call reads lines from warning up;
 * the rest is there to tell him afterwards what it was.
 */
#include <stdio.h>
#include <string.h>

#include "guest_private.h"
#include "systemd/journal.h"

/* Frames or a next step may be missing for so long before a human is called. */
#define PATIENCE_NS UINT64_C(10000000000)

/* A reason that replaces another is believed when it has stood for so long. */
#define SETTLED_NS UINT64_C(1000000000)

/* For a field: the state that an event leads to stands beside it already. */
static uint64_t ms_since(uint64_t then_ns)
{
        return (uv_hrtime() - then_ns) / 1000000;
}

/* "0.4 s", "3 min 20 s", "2 h 5 min": what a person would say. */
static const char *lasted(uint64_t ms, char buf[32])
{
        uint64_t s = ms / 1000;

        if (s < 60)
                snprintf(buf, 32, "%llu.%llu s", (unsigned long long)s,
                        (unsigned long long)(ms % 1000 / 100));
        else if (s < 3600)
                snprintf(buf, 32, "%llu min %llu s", (unsigned long long)(s / 60),
                        (unsigned long long)(s % 60));
        else
                snprintf(buf, 32, "%llu h %llu min", (unsigned long long)(s / 3600),
                        (unsigned long long)(s / 60 % 60));
        return buf;
}

/* A try that fails is worth a line when it fails for another reason than the one before. */
static bool is_news(struct guest *g)
{
        if (strcmp(g->reason, g->logged) == 0)
                return false;
        memcpy(g->logged, g->reason, sizeof(g->logged));
        return true;
}

static bool is_trouble(struct guest *g)
{
        return uv_hrtime() - g->phase_ns >= PATIENCE_NS && is_news(g);
}

/* A file that is just being made is there, then has a size, then a guest in it: none of that is news. */
static bool is_settled(struct guest *g)
{
        uint64_t now_ns = uv_hrtime();

        if (strcmp(g->reason, g->seen) != 0) {
                memcpy(g->seen, g->reason, sizeof(g->seen));
                g->seen_ns = now_ns;
        }
        return now_ns - g->seen_ns >= SETTLED_NS && now_ns - g->phase_ns >= PATIENCE_NS;
}

/* ---- an outage begins ---------------------------------------------------------------------------------------------- */

static void log_lost(const struct guest *g)
{
        const struct vgpup_candidate *producer = guest_producer(g);
        char name[GUEST_NAME_MAX];

        if (!producer)
                return;
        guest_producer_name(g, name);
        journal_event(EVENT_PRODUCER_LOST,
                JOURNAL_FIELDS(JOURNAL_U64("VGPU_PID", producer->proc.pid),
                        JOURNAL_TEXT("VGPU_PRODUCER", name),
                        JOURNAL_TEXT("VGPU_REASON", g->reason)),
                "Producer '%s' (pid %u) ended or gave up its region; searching for another, "
                "clients keep the last frame",
                name, producer->proc.pid);
}

static void log_hangs(const struct guest *g)
{
        const struct vgpup_candidate *producer = guest_producer(g);
        char name[GUEST_NAME_MAX];

        guest_producer_name(g, name);
        journal_event(EVENT_STREAM_STALLED,
                JOURNAL_FIELDS(JOURNAL_U64("VGPU_PID", producer->proc.pid),
                        JOURNAL_TEXT("VGPU_PRODUCER", name),
                        JOURNAL_TEXT("VGPU_REASON", g->reason)),
                "Producer '%s' (pid %u) hangs: its heartbeat stands still while the guest runs; "
                "waiting for it or another, clients keep the last frame. Restart it in the guest",
                name, producer->proc.pid);
}

static void log_paused(const struct guest *g)
{
        journal_event(EVENT_MACHINE_PAUSED, JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_REASON", g->reason)),
                "%s; the stream goes on when the machine does, clients keep the last frame. If "
                "nobody paused it, look at its QEMU",
                g->reason);
}

static void log_epoch_ended(const struct guest *g)
{
        journal_event(EVENT_EPOCH_ENDED, JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_REASON", g->reason)),
                "%s (epoch %llu ended); looking for the kernel that boots now",
                g->reason[0] ? g->reason : "The guest's kernel is another one",
                (unsigned long long)g->n_epochs);
}

/* ---- an outage goes on --------------------------------------------------------------------------------------------- */

static void log_attach_failed(struct guest *g)
{
        char buf[32];

        if (is_trouble(g))
                journal_event(EVENT_ATTACH_FAILED,
                        JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_REASON", g->reason)),
                        "%s. That is so for %s; trying again", g->reason,
                        lasted(ms_since(g->phase_ns), buf));
}

static void log_missing(struct guest *g)
{
        char buf[32];

        if (g->state != GUEST_STALLED && is_trouble(g))
                journal_event(EVENT_PRODUCER_MISSING,
                        JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_REASON", g->reason)),
                        "%s. That is so for %s; searching on", g->reason,
                        lasted(ms_since(g->phase_ns), buf));
}

/* Switched off, or not known to run: then nothing is wrong with its RAM. */
static bool machine_is_off(const struct guest *g)
{
        return !guest_may_read(g) || (g->has_process && g->process.pid == 0);
}

/* At first nobody has answered, and nobody has refused. */
static bool is_unknown(const struct guest *g)
{
        return g->has_monitor && g->monitor.says == MONITOR_SILENT && !g->monitor.refused &&
               g->monitor.why[0] == '\0';
}

static void log_machine_off(const struct guest *g)
{
        journal_event(EVENT_MACHINE_OFF, JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_REASON", g->reason)),
                "%s; %s", g->reason,
                guest_is_known_off(g) ? "start it, and frames come by themselves"
                                      : "waiting for it to run");
}

static void log_ram_gone(struct guest *g)
{
        bool is_told = g->state == GUEST_ABSENT && g->logged[0] != '\0';

        if (g->is_asking || is_unknown(g) || (is_told && !is_settled(g)) || !is_news(g))
                return;
        if (machine_is_off(g))
                log_machine_off(g);
        else
                journal_event(EVENT_RAM_GONE,
                        JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_RAM", g->ram_name),
                                JOURNAL_TEXT("VGPU_REASON", g->reason)),
                        "No guest RAM: %s; waiting for it%s", g->reason,
                        g->state == GUEST_ABSENT
                                ? ""
                                : ". If nobody switched the machine off, look at its QEMU's log");
}

/* ---- an outage ends ------------------------------------------------------------------------------------------------ */

static void log_ram_appeared(struct guest *g)
{
        journal_event(EVENT_RAM_APPEARED, JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_RAM", g->ram_name)),
                "Guest RAM at %s: %llu MiB as %s; looking for a Windows kernel", g->ram_name,
                (unsigned long long)(vgpu_source_ram_size(g->ram->source) >> 20),
                g->layout_by_qemu ? "QEMU says" : vgpu_machine_name(g->config->guest.machine));
}

/* ", after 4.2 s without frames"; nothing after the start, when nobody had any to miss. */
static const char *say_outage(const struct guest *g, uint64_t outage_ms, char buf[64])
{
        char time[32];

        buf[0] = '\0';
        if (g->n_bindings > 1 || g->state == GUEST_STALLED)
                snprintf(buf, 64, ", after %s without frames", lasted(outage_ms, time));
        return buf;
}

void guest_log_found(const struct guest *g)
{
        const struct vgpup_candidate *producer = guest_producer(g);
        uint64_t outage_ms = ms_since(g->outage_ns);
        char name[GUEST_NAME_MAX], outage[64];

        guest_producer_name(g, name);
        journal_event(EVENT_PRODUCER_FOUND,
                JOURNAL_FIELDS(JOURNAL_U64("VGPU_PID", producer->proc.pid),
                        JOURNAL_TEXT("VGPU_PRODUCER", name),
                        JOURNAL_HEX("VGPU_CR3", producer->proc.cr3),
                        JOURNAL_HEX("VGPU_REGION", producer->region_gva),
                        JOURNAL_U64("VGPU_RUN_EPOCH", g->run_epoch),
                        JOURNAL_U64("VGPU_OUTAGE_MS", outage_ms)),
                "Streaming from '%s' (pid %u), region at %#llx, epoch %llu%s", name,
                producer->proc.pid, (unsigned long long)producer->region_gva,
                (unsigned long long)g->epoch->number, say_outage(g, outage_ms, outage));
}

static void log_resumed(const struct guest *g)
{
        const struct vgpup_candidate *producer = guest_producer(g);
        uint64_t outage_ms = ms_since(g->outage_ns);
        char name[GUEST_NAME_MAX], outage[64];

        guest_producer_name(g, name);
        journal_event(EVENT_STREAM_RESUMED,
                JOURNAL_FIELDS(JOURNAL_U64("VGPU_PID", producer->proc.pid),
                        JOURNAL_TEXT("VGPU_PRODUCER", name),
                        JOURNAL_U64("VGPU_OUTAGE_MS", outage_ms)),
                "Streaming again from '%s' (pid %u)%s", name, producer->proc.pid,
                say_outage(g, outage_ms, outage));
}

/* -------------------------------------------------------------------------------------------------------------------- */

static void log_halt(struct guest *g, enum guest_state next)
{
        if (next == GUEST_STALLED && is_news(g))
                log_paused(g);
}

void guest_log_event(struct guest *g, enum guest_event event, enum guest_state next)
{
        switch (event) {
        case GUEST_EV_RAM_APPEARED:
                log_ram_appeared(g);
                break;
        case GUEST_EV_RAM_GONE:
                log_ram_gone(g);
                break;
        case GUEST_EV_ATTACH_FAILED:
                log_attach_failed(g);
                break;
        case GUEST_EV_NO_CANDIDATES:
        case GUEST_EV_STILL_SILENT:
        case GUEST_EV_NOT_CONFIRMED:
                log_missing(g);
                break;
        case GUEST_EV_READ_FAILED:
                log_lost(g);
                break;
        case GUEST_EV_HEARTBEAT_LOST:
                log_hangs(g);
                break;
        case GUEST_EV_CLOCK_STOPPED:
        case GUEST_EV_HALTED:
                log_halt(g, next);
                break;
        case GUEST_EV_HEARTBEAT_RETURNED:
                log_resumed(g);
                break;
        case GUEST_EV_EPOCH_ENDED:
                /* Firmware resets a machine before any kernel is there. */
                if (g->epoch)
                        log_epoch_ended(g);
                break;
        default:
                break;
        }
}
