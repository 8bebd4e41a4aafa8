/*
 * events.h - what the daemons wrote into the journal, event by event
 */
#ifndef CTL_EVENTS_H
#define CTL_EVENTS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-journal.h>

/* One event, as it is in the journal. */
struct event {
        uint64_t realtime_us;
        char vm[72];        /* of its unit, which nobody but the service manager can write */
        char name[64];      /* VGPU_EVENT */
        char message[2048]; /* for a terminal: escaped */
        int priority;       /* LOG_* */
};

/* Return: 1 and *ret, 0: the entry is none of ours, or a negative errno. */
int event_read(sd_journal *j, struct event *ret);

/**
 * event_json() - the same with all of its fields (docs/events.schema.json)
 * @explain: with the catalog's text
 *
 * Return: the caller's to put.
 */
json_object *event_json(sd_journal *j, const struct event *e, bool explain);

/* One line, and the catalog's text below it. */
void event_print(sd_journal *j, const struct event *e, bool explain, bool with_vm);

/**
 * events_since() - a point in time that a person typed
 * @text:   "2026-11-22", "2026-11-22 20:00", "2026-11-22 20:00:30", "20:00", "today", "yesterday", or "-90s", "-30min", "-2h", "-3d"
 * @now_us: realtime
 *
 * By the local time zone. Return: 0 and *ret_us, or -EINVAL.
 */
int events_since(const char *text, uint64_t now_us, uint64_t *ret_us);

#endif /* CTL_EVENTS_H */
