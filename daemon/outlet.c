/* outlet.c - see outlet.h; clients on the loop are in outlet_peers.c */
#include "outlet.h"

#include <errno.h>
#include <string.h>

#include "outlet_peers.h"
#include "systemd/journal.h"

/* An old ring that is let go without a word is noticed after that many ticks: a second. */
#define TICKS_TO_ASK 10

_Static_assert(CONFIG_WAKE_AUTO == SERVER_BATCH_AUTO, "one number for both");
_Static_assert(CONFIG_WAKE_NEVER == SERVER_BATCH_NEVER, "one number for both");

/* ---- rings ------------------------------------------------------------------------------------------------------- */

static void log_replaced(const struct outlet *o, uint64_t before, const char *why)
{
        const struct vgpu_ring_identity *id = ring_identity(o->rings.current);

        journal_event(EVENT_RING_REPLACED,
                JOURNAL_FIELDS(JOURNAL_U64("VGPU_GENERATION", id->generation),
                        JOURNAL_U64("VGPU_SLOT_BYTES", id->slot_bytes)),
                "%s: ring %llu has %u slots of %llu bytes, the one before had %llu; clients go "
                "over",
                why, (unsigned long long)id->generation, id->slot_count,
                (unsigned long long)id->slot_bytes, (unsigned long long)before);
}

/* Clients are sent the new ring first: who sees the mark on the old one finds it waiting. */
static int replace_ring(struct outlet *o, uint64_t slot_bytes, bool carry, const char *why)
{
        uint64_t before = ring_identity(o->rings.current)->slot_bytes;
        struct ring *old;
        int r;

        r = rings_replace(&o->rings, slot_bytes, carry, uv_hrtime(), &old);
        if (r < 0)
                return r;
        o->n_outlived = server_counters(o->server)->outlived;
        o->renew_told = false;
        log_replaced(o, before, why);
        server_set_ring(o->server, o->rings.current);
        ring_supersede(old, o->rings.n_generations);
        server_wake(o->server, 0);
        rings_retire(&o->rings, old);
        return 0;
}

static void tell_no_renewal(struct outlet *o)
{
        if (o->renew_told)
                return;
        o->renew_told = true;
        journal_event(EVENT_RING_REFUSED, NULL,
                "Who was dropped, or left and may not come again, may still see the stream: there "
                "is no room for another ring "
                "(old ones that clients still have: %u); trying again. End its process, or raise "
                "[ring] max_bytes",
                o->rings.n_old);
}

void outlet_renew_after_drop(struct outlet *o)
{
        if (server_counters(o->server)->outlived == o->n_outlived)
                return;
        if (!rings_fits_again(&o->rings) ||
                replace_ring(o, ring_identity(o->rings.current)->slot_bytes, true,
                        "A client was dropped, or who left may not come again") < 0)
                tell_no_renewal(o);
}

static void look_after_rings(struct outlet *o, uint64_t now_ns)
{
        uint64_t slot_bytes;

        if (o->rings.n_old > 0 && (o->heard || o->n_ticks % TICKS_TO_ASK == 0))
                rings_forget(&o->rings);
        o->heard = false;
        outlet_renew_after_drop(o);
        if (rings_next(&o->rings, 0, now_ns, &slot_bytes) == GENERATION_SHRINK)
                replace_ring(o, slot_bytes, true, "Smaller mode");
}

int outlet_fit(struct outlet *o, uint64_t bytes)
{
        uint64_t slot_bytes;

        outlet_renew_after_drop(o);
        switch (rings_next(&o->rings, bytes, uv_hrtime(), &slot_bytes)) {
        case GENERATION_GROW:
                return replace_ring(o, slot_bytes, false, "Larger mode");
        case GENERATION_SHRINK:
                replace_ring(o, slot_bytes, true, "Smaller mode");
                return 0;
        case GENERATION_REFUSE:
                return -ENOSPC;
        case GENERATION_STAY:
                break;
        }
        return 0;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void on_tick(uv_timer_t *timer)
{
        struct outlet *o = timer->data;
        uint64_t now_ns = uv_hrtime();

        o->n_ticks++;
        ring_tick(o->rings.current, now_ns);
        outlet_peers_tick(o, now_ns);
        look_after_rings(o, now_ns);
        server_measure(o->server);
}

void outlet_tick_early(struct outlet *o, uint64_t within_ms)
{
        if (uv_timer_get_due_in(&o->tick) > within_ms)
                return;
        uv_timer_again(&o->tick);
        on_tick(&o->tick);
}

static int listen_on_loop(struct outlet *o)
{
        int r;

        r = uv_timer_init(o->loop, &o->tick);
        if (r < 0)
                return r;
        o->tick.data = o;
        r = outlet_peers_init(o);
        if (r < 0) {
                uv_close((uv_handle_t *)&o->tick, NULL);
                return r;
        }
        return uv_timer_start(&o->tick, on_tick, 0, OUTLET_TICK_MS);
}

static struct server_access access_of(
        const struct config_ids *users, const struct config_ids *groups)
{
        return (struct server_access){ users->id, users->n, groups->id, groups->n };
}

static void say_limits(const struct outlet *o)
{
        if (server_max_clients(o->server) < o->config->ring.max_clients)
                journal_event(EVENT_RESOURCES_SHORT,
                        JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_REASON", "descriptors are limited")),
                        "At most %u clients instead of %u: descriptors are limited; raise "
                        "LimitNOFILE=",
                        server_max_clients(o->server), o->config->ring.max_clients);
}

static int open_server(struct outlet *o, int listen_fd, const struct outlet_hooks *hooks,
        struct server_failure *reterr_why)
{
        const struct vgpu_config *c = o->config;
        const struct server_config config = {
                .listen_fd = listen_fd,
                .path = c->ring.socket,
                .mode = c->ring.mode,
                .group = c->ring.group.name[0] ? c->ring.group.gid : SERVER_GROUP_NONE,
                .max_clients = c->ring.max_clients,
                .max_clients_user = c->ring.max_clients_user,
                .room = CONFIG_CLIENTS_MAX,
                .lease_ns = c->ring.lease_ms * UINT64_C(1000000),
                .wake_batch = c->ring.wake_batch,
                .connect = access_of(&c->access.users, &c->access.groups),
                .intent = access_of(&c->access.intent_users, &c->access.intent_groups),
                .admin = access_of(&c->access.admin_users, &c->access.admin_groups),
                .query = hooks->query,
                .query_ctx = hooks->ctx,
                .intents_changed = hooks->intents_changed,
                .intents_ctx = hooks->ctx,
        };

        return server_new(&config, &o->server, reterr_why);
}

int outlet_init(struct outlet *o, uv_loop_t *loop, const struct vgpu_config *config, int listen_fd,
        const struct outlet_hooks *hooks, struct server_failure *reterr_why)
{
        int r;

        *o = (struct outlet){ .loop = loop, .config = config };
        *reterr_why = (struct server_failure){ SERVER_OK, 0 };
        r = rings_init(&o->rings, config, OUTLET_TICK_MS, uv_hrtime());
        if (r < 0)
                return r;
        r = open_server(o, listen_fd, hooks, reterr_why);
        if (r < 0) {
                rings_deinit(&o->rings);
                return r;
        }
        say_limits(o);
        server_set_ring(o->server, o->rings.current);
        r = listen_on_loop(o);
        if (r < 0) {
                *reterr_why = (struct server_failure){ SERVER_FAILED, r };
                outlet_deinit(o);
        }
        return r;
}

int outlet_reload(struct outlet *o)
{
        const struct vgpu_config *c = o->config;
        const struct server_access connect = access_of(&c->access.users, &c->access.groups),
                                   intent = access_of(
                                           &c->access.intent_users, &c->access.intent_groups),
                                   admin = access_of(
                                           &c->access.admin_users, &c->access.admin_groups);
        int r;

        server_set_limits(o->server, c->ring.max_clients, c->ring.max_clients_user);
        say_limits(o);
        rings_set_max_bytes(&o->rings, c);
        r = server_set_access(o->server, &connect, &intent, &admin);
        outlet_peers_reap(o);
        return r < 0 ? r : 0;
}

void outlet_close(struct outlet *o)
{
        ring_close(o->rings.current, uv_hrtime());
        server_wake(o->server, 0);
        server_goodbye_all(
                o->server, VGPU_GOODBYE_STOPPING, "The daemon is stopping; connect again later");
        outlet_peers_close(o);
        uv_close((uv_handle_t *)&o->tick, NULL);
}

void outlet_deinit(struct outlet *o)
{
        o->server = server_free(o->server);
        rings_deinit(&o->rings);
}

/* ---- what is published ------------------------------------------------------------------------------------------- */

static void told(struct outlet *o, bool changed, uint32_t changes)
{
        if (changed)
                server_wake(o->server, changes);
}

void outlet_set_liveness(struct outlet *o, enum vgpu_ring_state state, uint64_t epoch,
        uint32_t run_epoch, uint32_t producer_pid)
{
        struct vgpu_ring_liveness next = {
                .state = state,
                .since_ns = o->liveness.since_ns,
                .epoch = epoch,
                .run_epoch = run_epoch,
                .producer_pid = producer_pid,
        };

        if (state != o->liveness.state || !next.since_ns)
                next.since_ns = uv_hrtime();
        o->liveness = next;
        told(o, ring_set_liveness(o->rings.current, &next), VGPU_CHANGE_STATE);
}

void outlet_set_cursor(struct outlet *o, const struct vgpu_ring_cursor *cursor)
{
        told(o, ring_set_cursor(o->rings.current, cursor), VGPU_CHANGE_CURSOR);
}

void outlet_set_geometry(struct outlet *o, const struct vgpu_ring_geometry *geometry)
{
        told(o, ring_set_geometry(o->rings.current, geometry), VGPU_CHANGE_GEOMETRY);
}

void outlet_set_status(struct outlet *o, const struct vgpu_ring_status *status)
{
        told(o, ring_set_status(o->rings.current, status), VGPU_CHANGE_STATUS);
}

uint64_t outlet_generation(const struct outlet *o)
{
        return ring_identity(o->rings.current)->generation;
}

uint32_t outlet_open_slot(const struct outlet *o)
{
        return ring_open_slot(o->rings.current);
}

uint8_t *outlet_begin(struct outlet *o)
{
        return ring_slot_begin(o->rings.current);
}

void outlet_abort(struct outlet *o, size_t from, size_t to)
{
        ring_slot_abort(o->rings.current, from, to);
}

void outlet_publish(struct outlet *o, const struct ring_frame *frame)
{
        uint64_t begun_ns = uv_hrtime(), published_ns;

        ring_publish(o->rings.current, frame);
        published_ns = uv_hrtime();
        server_published(o->server, published_ns);
        histogram_add(&o->wake_time, uv_hrtime() - published_ns);
        histogram_add(&o->publish_time, published_ns - begun_ns);
        if (o->published_ns)
                histogram_add(&o->frame_interval, published_ns - o->published_ns);
        o->published_ns = published_ns;
}

uint32_t outlet_n_clients(const struct outlet *o)
{
        uint32_t n = 0;

        for (struct peer *p = server_next_peer(o->server, NULL); p;
                p = server_next_peer(o->server, p))
                n += (peer_info(p).granted & VGPU_WANT_RING) != 0;
        return n;
}
