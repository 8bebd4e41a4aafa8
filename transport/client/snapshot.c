/*
 * snapshot.c - what the ring says beside pixels: liveness, cursor, geometry, status, and what is new in it
 */
#include "client.h"

#include <errno.h>
#include <string.h>

#define OVERDUE_PERIODS 5
#define NS_PER_MS       UINT64_C(1000000)

uint64_t tick_overdue_ns(const struct vgpu_client *c)
{
        uint64_t tick;

        if (!c->map)
                return 0;
        tick = __atomic_load_n(&c->map->header->tick_ns, __ATOMIC_RELAXED);
        return tick + OVERDUE_PERIODS * NS_PER_MS * c->map->identity.tick_period_ms;
}

static bool read_liveness(const struct vgpu_client *c, struct vgpu_ring_liveness *ret)
{
        const struct vgpu_ring_liveness_record *rec = &c->map->header->liveness;

        return mapping_read_record(&rec->seq, &rec->value, ret, sizeof(*ret));
}

bool ring_is_stale(const struct vgpu_client *c, uint64_t now_ns)
{
        struct vgpu_ring_liveness live;

        return c->phase != PHASE_ONLINE || now_ns > tick_overdue_ns(c) ||
               !read_liveness(c, &live) || live.state != VGPU_RING_STREAMING;
}

static int if_moved(const uint64_t *serial, uint64_t *seen, int event)
{
        uint64_t now = __atomic_load_n(serial, __ATOMIC_ACQUIRE);

        if (now == *seen)
                return 0;
        *seen = now;
        return event;
}

int ring_events(struct vgpu_client *c, uint64_t now_ns)
{
        const struct vgpu_ring_header *h = c->map ? c->map->header : NULL;
        uint64_t serial;
        int events = 0;
        bool overdue;

        if (!h)
                return 0;
        serial = VGPU_RING_WORD_SERIAL(__atomic_load_n(&h->publish, __ATOMIC_ACQUIRE));
        if (serial > c->seen.frame) {
                c->seen.frame = serial;
                events |= VGPU_CLIENT_FRAME;
        }
        events |= if_moved(&h->liveness.serial, &c->seen.liveness, VGPU_CLIENT_STATE);
        events |= if_moved(&h->cursor.serial, &c->seen.cursor, VGPU_CLIENT_CURSOR);
        events |= if_moved(&h->geometry.serial, &c->seen.geometry, VGPU_CLIENT_GEOMETRY);
        events |= if_moved(&h->status.serial, &c->seen.status, VGPU_CLIENT_STATUS);

        overdue = now_ns > tick_overdue_ns(c);
        if (overdue != c->seen.overdue)
                events |= VGPU_CLIENT_STATE;
        c->seen.overdue = overdue;
        return events;
}

static int snapshot(
        const uint32_t *seq, const uint64_t *serial, const void *value, void *ret, size_t len)
{
        /* no serial: nothing was ever stored, and once something was, the value is one */
        if (__atomic_load_n(serial, __ATOMIC_ACQUIRE) == 0)
                return 0;
        return mapping_read_record(seq, value, ret, len);
}

int vgpu_client_cursor(struct vgpu_client *c, struct vgpu_ring_cursor *ret)
{
        const struct vgpu_ring_header *h = c->map ? c->map->header : NULL;

        if (!h)
                return -ENODATA;
        return snapshot(&h->cursor.seq, &h->cursor.serial, &h->cursor.value, ret, sizeof(*ret));
}

int vgpu_client_geometry(struct vgpu_client *c, struct vgpu_ring_geometry *ret)
{
        const struct vgpu_ring_header *h = c->map ? c->map->header : NULL;

        if (!h)
                return -ENODATA;
        return snapshot(
                &h->geometry.seq, &h->geometry.serial, &h->geometry.value, ret, sizeof(*ret));
}

int vgpu_client_status(struct vgpu_client *c, struct vgpu_ring_status *ret)
{
        const struct vgpu_ring_header *h = c->map ? c->map->header : NULL;

        if (!h)
                return -ENODATA;
        return snapshot(&h->status.seq, &h->status.serial, &h->status.value, ret, sizeof(*ret));
}

void vgpu_client_state(struct vgpu_client *c, struct vgpu_client_state *ret)
{
        memset(ret, 0, sizeof(*ret));
        ret->connected = c->phase == PHASE_ONLINE;
        ret->daemon_pid = c->daemon_pid;
        if (!c->map)
                return;
        if (!read_liveness(c, &ret->stream))
                memset(&ret->stream, 0, sizeof(ret->stream));
        ret->tick_ns = __atomic_load_n(&c->map->header->tick_ns, __ATOMIC_RELAXED);
        ret->tick_period_ms = c->map->identity.tick_period_ms;
        ret->tick_overdue = monotonic_ns() > tick_overdue_ns(c);
        ret->generation = c->map->identity.generation;
        memcpy(ret->instance, c->map->identity.instance, sizeof(ret->instance));
}

const char *vgpu_client_state_name(uint32_t state)
{
        static const char *const name[VGPU_RING_N_STATES] = {
                [VGPU_RING_ABSENT] = "absent",
                [VGPU_RING_ATTACHING] = "attaching",
                [VGPU_RING_SEARCHING] = "searching",
                [VGPU_RING_CONFIRMING] = "confirming",
                [VGPU_RING_STREAMING] = "streaming",
                [VGPU_RING_STALLED] = "stalled",
                [VGPU_RING_STOPPING] = "stopping",
                [VGPU_RING_CLOSED] = "closed",
        };

        return state < VGPU_RING_N_STATES ? name[state] : "unknown";
}
