/*
 * metrics.h - what the daemon counts and times, as one value
 *
 * Whoever does the work keeps the count of it (struct stream, outlet, server, guest); here it is put together, and written down as
 * JSON. docs/metrics.schema.json says what each means.
 */
#ifndef VGPUD_METRICS_H
#define VGPUD_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "guest_state.h"
#include "histogram.h"
#include "vgpu_protocol.h"

struct daemon;

/* Since the daemon began; they only rise. */
struct metrics_counters {
        uint64_t looks, frames, patched, copied_bytes, spared_bytes, torn_retries;
        uint64_t searches, epochs, restarts;
        uint64_t wakes, wakes_full, wake_batches;
        uint64_t clients_accepted, clients_left, clients_dropped_by_admin;
        uint64_t frame_requests;
        uint64_t rings, rings_deferred, leases_ended;
        uint64_t reloads, reloads_refused, journal_swallowed;
};

/* Looks that saw a frame and brought none. */
struct metrics_skips {
        uint64_t busy, remapped, too_big, malformed, late, overtaken;
};

/* As it is now. */
struct metrics_gauges {
        uint64_t clients, max_clients;
        uint64_t ring_bytes, old_rings, old_ring_bytes, held;
        uint64_t epoch, fds, rss_bytes;
};

enum metrics_histogram {
        METRICS_LOOK,
        METRICS_SAMPLE,
        METRICS_PUBLISH,
        METRICS_WAKE,
        METRICS_POLL_GAP,
        METRICS_FRAME_INTERVAL,
        METRICS_N_HISTOGRAMS
};

struct metrics {
        const char *name; /* the virtual machine's, from the configuration */
        uint64_t pid, uptime_ms, since_ms;
        enum guest_state state;
        double fps;
        struct metrics_counters counters;
        struct metrics_skips skips;
        uint64_t refused[VGPU_N_GOODBYES], dropped[VGPU_N_GOODBYES];
        struct metrics_gauges gauges;
        const struct histogram *histograms[METRICS_N_HISTOGRAMS]; /* borrowed */
        uint64_t states_ms[GUEST_N_STATES];
};

/* What stands now; borrows from @d. Costs three small files of /proc/self. */
void metrics_gather(struct daemon *d, struct metrics *ret);

/**
 * metrics_json() - write it down (schema 1, docs/metrics.schema.json)
 *
 * VGPU_REPLY_MAX is enough for every value. No NUL is written.
 *
 * Return: bytes, -EMSGSIZE, or -ENOMEM.
 */
int metrics_json(const struct metrics *m, char *buf, size_t cap);

#endif /* VGPUD_METRICS_H */
