/*
 * clients.c - who reads the ring, in JSON (schema 1, docs/vgpuctl.md)
 *
 * What clients say of themselves is shown as they said it, and they choose their names and counts. The answer has a limit, so
 * as many are listed as fit, in the order in which they came, and how many there are is said beside.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon.h"
#include "json.h"
#include "systemd/journal.h"

/* A name with escapes may be cut: it must not take the place of somebody else's line. */
#define NAME_SHOWN 33

#define LISTED_MAX sizeof("],\"listed\":4294967295}")

struct text {
        char *buf;
        size_t len, cap;
};

static bool append(struct text *t, const char *piece, size_t len)
{
        if (len > t->cap - t->len)
                return false;
        memcpy(t->buf + t->len, piece, len);
        t->len += len;
        return true;
}

static void add_u64(struct json_object *o, const char *key, uint64_t value)
{
        json_add(o, key, json_u64(value));
}

/* Frames since the newest that the client had by its last account; null: it has had none yet. */
static struct json_object *lag_json(const struct peer_info *info, uint64_t serial)
{
        if (info->last_serial == 0)
                return NULL;
        return json_u64(info->last_serial < serial ? serial - info->last_serial : 0);
}

static struct json_object *client_json(const struct peer_info *info, uint64_t serial)
{
        struct json_object *o = json_new();
        char name[NAME_SHOWN];

        journal_escape(info->name, strlen(info->name), name, sizeof(name));
        add_u64(o, "uid", info->uid);
        add_u64(o, "pid", (uint64_t)info->pid);
        json_add(o, "name", json_text(name));
        add_u64(o, "frames", info->frames_seen);
        add_u64(o, "missed", info->frames_missed);
        add_u64(o, "torn", info->torn_retries);
        add_u64(o, "leases", info->leases);
        add_u64(o, "lost", info->lost);
        add_u64(o, "held", info->n_held);
        add_u64(o, "ended", info->n_ended);
        json_add(o, "lag", lag_json(info, serial));
        add_u64(o, "since_ms", (uv_hrtime() - info->since_ns) / 1000000);
        add_u64(o, "generation", info->generation);
        json_add(o, "armed", json_flag(info->armed));
        json_add(o, "behind", json_flag(info->behind));
        return o;
}

static bool append_client(struct text *t, const struct peer_info *info, uint64_t serial, bool first)
{
        struct json_object *o = client_json(info, serial);
        size_t before = t->len, len = 0;
        const char *text;
        bool fits;

        text = json_object_to_json_string_length(
                o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
        fits = text && append(t, ",", first ? 0 : 1) && append(t, text, len);
        if (!fits)
                t->len = before;
        json_object_put(o);
        return fits;
}

int daemon_clients_json(struct daemon *d, char *buf, size_t cap)
{
        const struct ring *ring = d->outlet.rings.current;
        struct server *s = d->outlet.server;
        struct text t = { .buf = buf, .cap = cap - LISTED_MAX };
        uint32_t total = outlet_n_clients(&d->outlet), listed = 0;
        char piece[160];
        int len;

        len = snprintf(piece, sizeof(piece),
                "{\"schema\":1,\"total\":%u,\"generation\":%llu,\"serial\":%llu,\"clients\":[",
                total, (unsigned long long)ring_identity(ring)->generation,
                (unsigned long long)ring_serial(ring));
        if (cap < LISTED_MAX || !append(&t, piece, (size_t)len))
                return -EMSGSIZE;
        for (struct peer *p = server_next_peer(s, NULL); p; p = server_next_peer(s, p)) {
                struct peer_info info = peer_info(p);

                if (!(info.granted & VGPU_WANT_RING))
                        continue;
                if (!append_client(&t, &info, ring_serial(ring), listed == 0))
                        break;
                listed++;
        }
        t.cap = cap;
        len = snprintf(piece, sizeof(piece), "],\"listed\":%u}", listed);
        append(&t, piece, (size_t)len);
        return (int)t.len;
}
