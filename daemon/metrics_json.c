/*
 * metrics_json.c - the daemon's counters as JSON (schema 1, docs/metrics.schema.json)
 *
 * Names are data: one table for each part. Buckets are cumulative, and every second one is written down: two an octave say enough,
 * and a fixed set keeps its meaning from one answer to the next.
 */
#include <errno.h>
#include <inttypes.h>
#include <json-c/printbuf.h>
#include <string.h>

#include "daemon.h"
#include "json.h"
#include "metrics.h"

#define BUCKETS_A_STEP 2

_Static_assert((HISTOGRAM_BOUNDED - 1) % BUCKETS_A_STEP == 0, "the last bound is written down");

struct field {
        const char *key;
        size_t at; /* of an uint64_t */
};

#define COUNTER(name_)                                                                             \
        {                                                                                          \
#name_, offsetof(struct metrics_counters, name_)                                   \
        }
#define GAUGE(name_)                                                                               \
        {                                                                                          \
#name_, offsetof(struct metrics_gauges, name_)                                     \
        }
#define SKIP(name_)                                                                                \
        {                                                                                          \
#name_, offsetof(struct metrics_skips, name_)                                      \
        }
#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct field counters[] = {
        COUNTER(looks),
        COUNTER(frames),
        COUNTER(patched),
        COUNTER(copied_bytes),
        COUNTER(spared_bytes),
        COUNTER(torn_retries),
        COUNTER(searches),
        COUNTER(epochs),
        COUNTER(restarts),
        COUNTER(wakes),
        COUNTER(wakes_full),
        COUNTER(wake_batches),
        COUNTER(clients_accepted),
        COUNTER(clients_left),
        COUNTER(clients_dropped_by_admin),
        COUNTER(frame_requests),
        COUNTER(rings),
        COUNTER(rings_deferred),
        COUNTER(leases_ended),
        COUNTER(reloads),
        COUNTER(reloads_refused),
        COUNTER(journal_swallowed),
};

static const struct field gauges[] = {
        GAUGE(clients),
        GAUGE(max_clients),
        GAUGE(ring_bytes),
        GAUGE(old_rings),
        GAUGE(old_ring_bytes),
        GAUGE(held),
        GAUGE(epoch),
        GAUGE(fds),
        GAUGE(rss_bytes),
};

static const struct field skips[] = {
        SKIP(busy),
        SKIP(remapped),
        SKIP(too_big),
        SKIP(malformed),
        SKIP(late),
        SKIP(overtaken),
};

static const char *const goodbyes[VGPU_N_GOODBYES] = {
        /* not here: who leaves by itself is no client that was dropped */
        [VGPU_GOODBYE_STOPPING] = "stopping",
        [VGPU_GOODBYE_VERSION] = "version",
        [VGPU_GOODBYE_MALFORMED] = "malformed",
        [VGPU_GOODBYE_UNSUPPORTED] = "unsupported",
        [VGPU_GOODBYE_FULL] = "full",
        [VGPU_GOODBYE_TOO_LATE] = "too_late",
        [VGPU_GOODBYE_UNREAD] = "unread",
        [VGPU_GOODBYE_DENIED] = "denied",
        [VGPU_GOODBYE_DROPPED] = "dropped",
        [VGPU_GOODBYE_INTERNAL] = "internal",
        [VGPU_GOODBYE_FLOOD] = "flood",
};

static const char *const histograms[METRICS_N_HISTOGRAMS] = {
        [METRICS_LOOK] = "look",
        [METRICS_SAMPLE] = "sample",
        [METRICS_PUBLISH] = "publish",
        [METRICS_WAKE] = "wake",
        [METRICS_POLL_GAP] = "poll_gap",
        [METRICS_FRAME_INTERVAL] = "frame_interval",
};

static void add_u64(struct json_object *o, const char *key, uint64_t value)
{
        json_add(o, key, json_u64(value));
}

static void add_fields(
        struct json_object *o, const struct field *fields, size_t n, const void *values)
{
        for (size_t i = 0; i < n; i++) {
                uint64_t value;

                memcpy(&value, (const char *)values + fields[i].at, sizeof(value));
                add_u64(o, fields[i].key, value);
        }
}

static struct json_object *fields_json(const struct field *fields, size_t n, const void *values)
{
        struct json_object *o = json_new();

        add_fields(o, fields, n, values);
        return o;
}

static struct json_object *goodbyes_json(const uint64_t *counts)
{
        struct json_object *o = json_new();

        for (int i = 0; i < VGPU_N_GOODBYES; i++)
                if (goodbyes[i])
                        add_u64(o, goodbyes[i], counts[i]);
        return o;
}

static struct json_object *counters_json(const struct metrics *m)
{
        struct json_object *o = fields_json(counters, N_OF(counters), &m->counters);

        json_add(o, "skips", fields_json(skips, N_OF(skips), &m->skips));
        json_add(o, "clients_refused", goodbyes_json(m->refused));
        json_add(o, "clients_dropped", goodbyes_json(m->dropped));
        return o;
}

static struct json_object *gauges_json(const struct metrics *m)
{
        struct json_object *o = fields_json(gauges, N_OF(gauges), &m->gauges);

        json_add(o, "fps", json_double(m->fps));
        return o;
}

/* A few hundred objects of two numbers each would be most of what an answer costs the loop: they are written as they are. */
static int print_buckets(struct json_object *o, struct printbuf *text, int level, int flags)
{
        const struct histogram *h = json_object_get_userdata(o);
        uint64_t n = 0;
        int r = printbuf_memappend(text, "[", 1);

        (void)level;
        (void)flags;
        for (unsigned i = 0; r >= 0 && i < HISTOGRAM_BOUNDED; i++) {
                n += h->bucket[i];
                if (i % BUCKETS_A_STEP == 0)
                        r = sprintbuf(text, "%s{\"le\":%" PRIu64 ",\"count\":%" PRIu64 "}",
                                i ? "," : "", histogram_bound(i), n);
        }
        return r < 0 ? r : printbuf_memappend(text, "]", 1);
}

static struct json_object *buckets_json(const struct histogram *h)
{
        struct json_object *a = json_array();

        if (a)
                json_object_set_serializer(a, print_buckets, (void *)h, NULL);
        return a;
}

static struct json_object *histogram_json(const struct histogram *h)
{
        struct json_object *o = json_new();

        json_add(o, "unit", json_text("ns"));
        add_u64(o, "count", histogram_count(h));
        add_u64(o, "sum", h->sum);
        add_u64(o, "max", h->max);
        add_u64(o, "p50", histogram_quantile(h, 500));
        add_u64(o, "p99", histogram_quantile(h, 990));
        json_add(o, "buckets", buckets_json(h));
        return o;
}

static struct json_object *histograms_json(const struct metrics *m)
{
        struct json_object *o = json_new();

        for (int i = 0; i < METRICS_N_HISTOGRAMS; i++)
                json_add(o, histograms[i], histogram_json(m->histograms[i]));
        return o;
}

static struct json_object *states_json(const struct metrics *m)
{
        struct json_object *o = json_new();

        for (int i = 0; i < GUEST_N_STATES; i++)
                add_u64(o, guest_state_name((enum guest_state)i), m->states_ms[i]);
        return o;
}

int metrics_json(const struct metrics *m, char *buf, size_t cap)
{
        struct json_object *o = json_new();
        const char *text;
        size_t len = 0;

        add_u64(o, "schema", 1);
        json_add(o, "name", json_text(m->name));
        add_u64(o, "pid", m->pid);
        add_u64(o, "uptime_ms", m->uptime_ms);
        json_add(o, "state", json_text(guest_state_name(m->state)));
        add_u64(o, "since_ms", m->since_ms);
        json_add(o, "counters", counters_json(m));
        json_add(o, "gauges", gauges_json(m));
        json_add(o, "histograms", histograms_json(m));
        json_add(o, "states_ms", states_json(m));

        text = json_object_to_json_string_length(
                o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
        if (text && len <= cap)
                memcpy(buf, text, len);
        json_object_put(o);
        if (!text)
                return -ENOMEM;
        return len <= cap ? (int)len : -EMSGSIZE;
}

int daemon_metrics_json(struct daemon *d, char *buf, size_t cap)
{
        struct metrics m;

        metrics_gather(d, &m);
        return metrics_json(&m, buf, cap);
}
