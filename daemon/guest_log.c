/* guest_log.c - an outage as a story: one line per turn of it, with what comes next */
#include <string.h>

#include "guest_private.h"
#include "systemd/journal.h"

static void log_lost(const struct guest *g)
{
        const struct vgpup_candidate *producer = guest_producer(g);
        char name[GUEST_NAME_MAX];

        if (!producer)
                return;
        journal_event(EVENT_PRODUCER_LOST, LOG_NOTICE,
                JOURNAL_FIELDS(JOURNAL_U64("VGPU_EPOCH", g->n_epochs),
                        JOURNAL_U64("VGPU_PID", producer->proc.pid)),
                "Producer '%s' (pid %u) or its region is gone, searching again",
                guest_producer_name(g, name), producer->proc.pid);
}

static void log_stalled(const struct guest *g)
{
        journal_event(EVENT_STREAM_STALLED, LOG_WARNING,
                JOURNAL_FIELDS(JOURNAL_U64("VGPU_EPOCH", g->n_epochs)),
                "%s; keeping the last frame and waiting", g->reason);
}

static void log_resumed(const struct guest *g)
{
        journal_event(EVENT_STREAM_RESUMED, LOG_NOTICE,
                JOURNAL_FIELDS(JOURNAL_U64("VGPU_EPOCH", g->n_epochs)),
                "The producer ticks again, frames go on");
}

static void log_epoch_ended(const struct guest *g)
{
        journal_event(EVENT_EPOCH_ENDED, LOG_NOTICE,
                JOURNAL_FIELDS(JOURNAL_U64("VGPU_EPOCH", g->n_epochs)),
                "Epoch %llu ended. %s; attaching again", (unsigned long long)g->n_epochs,
                g->reason[0] ? g->reason : "The guest's kernel is another one");
}

/* A try that fails is worth a line when it fails for another reason than the one before. */
static bool is_news(struct guest *g)
{
        if (strcmp(g->reason, g->logged) == 0)
                return false;
        memcpy(g->logged, g->reason, sizeof(g->logged));
        return true;
}

static void log_attach_failed(struct guest *g)
{
        if (is_news(g))
                journal_event(EVENT_ATTACH_FAILED, LOG_WARNING,
                        JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_REASON", g->reason)), "%s; trying again",
                        g->reason);
}

static void log_ram(struct guest *g, enum guest_event event)
{
        if (event == GUEST_EV_RAM_APPEARED)
                journal_event(EVENT_RAM_APPEARED, LOG_INFO,
                        JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_RAM", g->ram_name)),
                        "Guest RAM at %s: %llu MiB as %s", g->ram_name,
                        (unsigned long long)(vgpu_source_ram_size(g->ram->source) >> 20),
                        g->layout_by_qemu ? "QEMU says"
                                          : vgpu_machine_name(g->config->guest.machine));
        else if (is_news(g))
                journal_event(EVENT_RAM_GONE, LOG_WARNING,
                        JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_RAM", g->ram_name)),
                        "No guest RAM: %s; waiting for it", g->reason);
}

void guest_log_event(struct guest *g, enum guest_event event, enum guest_state next)
{
        switch (event) {
        case GUEST_EV_RAM_APPEARED:
        case GUEST_EV_RAM_GONE:
                log_ram(g, event);
                break;
        case GUEST_EV_ATTACH_FAILED:
                log_attach_failed(g);
                break;
        case GUEST_EV_READ_FAILED:
                log_lost(g);
                break;
        case GUEST_EV_HEARTBEAT_LOST:
                log_stalled(g);
                break;
        case GUEST_EV_CLOCK_STOPPED:
        case GUEST_EV_HALTED:
                if (next == GUEST_STALLED)
                        log_stalled(g);
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
