/* status.c - the daemon's state in JSON (schema 1, docs/status.schema.json) */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon.h"
#include "format.h"
#include "json.h"
#include "systemd/journal.h"
#include "version.h"

static uint64_t ms_since(uint64_t then_ns)
{
        return (uv_hrtime() - then_ns) / 1000000;
}

static void add_u64(struct json_object *o, const char *key, uint64_t value)
{
        json_add(o, key, json_u64(value));
}

static void add_text(struct json_object *o, const char *key, const char *value)
{
        json_add(o, key, json_text(value));
}

/* 64-bit addresses are strings: JSON's numbers are doubles to many readers. */
static void add_hex(struct json_object *o, const char *key, uint64_t value)
{
        char text[19];

        snprintf(text, sizeof(text), "0x%llx", (unsigned long long)value);
        add_text(o, key, text);
}

static struct json_object *kernel_json(const struct guest *g)
{
        const struct win32_info *info;
        struct json_object *o;

        if (!g->epoch)
                return NULL;
        info = vmie_win32_info(g->epoch->v);
        o = json_new();
        add_hex(o, "base", info->kernel_base);
        add_u64(o, "build", info->build);
        add_hex(o, "kcr3", info->kcr3);
        return o;
}

static struct json_object *process_json(const struct guest *g)
{
        const struct vgpup_candidate *producer = guest_producer(g);
        char name[GUEST_NAME_MAX];
        struct json_object *o;

        if (!producer)
                return NULL;
        o = json_new();
        add_text(o, "name", guest_producer_name(g, name));
        add_u64(o, "pid", producer->proc.pid);
        add_hex(o, "cr3", producer->proc.cr3);
        return o;
}

static struct json_object *mode_json(const struct stream *s)
{
        struct json_object *o;

        if (!s->mode.width)
                return NULL;
        o = json_new();
        add_u64(o, "width", s->mode.width);
        add_u64(o, "height", s->mode.height);
        add_u64(o, "stride", s->mode.stride);
        add_text(o, "format", format_name(s->mode.format));
        return o;
}

static struct json_object *skips_json(const struct stream_counters *c)
{
        struct json_object *o = json_new();

        add_u64(o, "busy", c->busy);
        add_u64(o, "remapped", c->remapped);
        add_u64(o, "too_big", c->too_big);
        add_u64(o, "malformed", c->malformed);
        add_u64(o, "late", c->late);
        add_u64(o, "overtaken", c->overtaken);
        return o;
}

static struct json_object *ring_json(const struct outlet *outlet)
{
        const struct vgpu_ring_identity *ring = ring_identity(outlet->rings.current);
        struct json_object *o = json_new();

        add_u64(o, "generation", ring->generation);
        add_u64(o, "slots", ring->slot_count);
        add_u64(o, "slot_bytes", ring->slot_bytes);
        add_u64(o, "held", ring_n_held(outlet->rings.current));
        add_u64(o, "lost", rings_n_lost(&outlet->rings));
        add_u64(o, "retired", outlet->rings.n_old);
        add_u64(o, "retired_bytes", outlet->rings.old_bytes);
        return o;
}

static void add_guest(struct json_object *o, struct guest *g)
{
        const struct vgpup_candidate *producer = guest_producer(g);

        add_text(o, "state", guest_state_name(g->state));
        add_u64(o, "since_ms", ms_since(g->since_ns));
        add_text(o, "reason", g->reason[0] ? g->reason : NULL);
        add_text(o, "ram", g->ram_name);
        add_u64(o, "epoch", g->n_epochs);
        add_u64(o, "run_epoch", producer ? g->run_epoch : 0);
        json_add(o, "kernel", kernel_json(g));
        json_add(o, "process", process_json(g));
        if (producer)
                add_hex(o, "region", producer->region_gva);
        else
                add_text(o, "region", NULL);
        json_add(o, "mode", mode_json(&g->stream));
        json_add(o, "fps", json_double(stream_fps(&g->stream, uv_hrtime())));
        add_u64(o, "frames", g->stream.counters.frames);
        json_add(o, "skips", skips_json(&g->stream.counters));
        add_u64(o, "torn_retries", g->stream.counters.torn_retries);
        add_u64(o, "restarts", g->n_bindings ? g->n_bindings - 1 : 0);
}

int daemon_status_json(struct daemon *d, char *buf, size_t cap)
{
        struct json_object *o = json_new();
        const char *text;
        size_t len;

        add_u64(o, "schema", 1);
        add_text(o, "version", VGPUD_VERSION);
        add_u64(o, "pid", (uint64_t)getpid());
        add_guest(o, &d->guest);
        add_u64(o, "clients", outlet_n_clients(&d->outlet));
        json_add(o, "ring", ring_json(&d->outlet));
        json_add(o, "control", control_json(d->guest.control));
        json_add(o, "reload", reload_json(&d->reload));
        add_u64(o, "uptime_ms", ms_since(d->started_ns));

        text = json_object_to_json_string_length(
                o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
        if (text && len <= cap)
                memcpy(buf, text, len);
        json_object_put(o);
        if (!text)
                return -ENOMEM;
        return len <= cap ? (int)len : -EMSGSIZE;
}
