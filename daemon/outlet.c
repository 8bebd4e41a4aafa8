/* outlet.c - see outlet.h */
#include "outlet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "systemd/journal.h"

/* A first ring for the mode most guests have; memory is taken as frames are written. */
#define FIRST_SLOT_BYTES (UINT64_C(1920) * 1080 * 4)

/* A client's place on the loop: lives from accept until its handle's close callback. */
struct peer_watch {
        uv_poll_t poll;
        struct outlet *outlet;
        struct peer *peer;
};

static void watch_closed(uv_handle_t *handle)
{
        free(handle->data);
}

/* The handle lets go of the descriptor before the server closes it. */
static void drop_peer(struct peer_watch *watch)
{
        uv_close((uv_handle_t *)&watch->poll, watch_closed);
        watch->peer = peer_free(watch->peer);
}

static void log_drop(const struct peer_info *info)
{
        char name[JOURNAL_ESCAPED(32)];

        journal_event(EVENT_CLIENT_DROPPED, LOG_NOTICE,
                JOURNAL_FIELDS(JOURNAL_U64("VGPU_CLIENT_PID", (uint64_t)info->pid),
                        JOURNAL_U64("VGPU_CLIENT_UID", info->uid)),
                "Client '%s' (pid %d, uid %u) dropped: %s",
                journal_escape(info->name, strlen(info->name), name, sizeof(name)), (int)info->pid,
                (unsigned)info->uid, info->goodbye_text);
}

static void on_peer(uv_poll_t *poll, int status, int events)
{
        struct peer_watch *watch = poll->data;
        int r;

        (void)events;
        r = status < 0 ? -ECONNRESET : peer_dispatch(watch->peer, uv_hrtime());
        if (r == 0)
                return;
        if (r != -ECONNRESET) {
                struct peer_info info = peer_info(watch->peer);

                log_drop(&info);
        }
        drop_peer(watch);
}

static void watch_peer(struct outlet *o, struct peer *peer)
{
        struct peer_watch *watch = calloc(1, sizeof(*watch));

        if (!watch || uv_poll_init(o->loop, &watch->poll, peer_fd(peer)) < 0) {
                free(watch);
                peer_goodbye(peer, VGPU_GOODBYE_INTERNAL,
                        "The daemon is out of memory; try again later");
                peer_free(peer);
                return;
        }
        watch->poll.data = watch;
        watch->outlet = o;
        watch->peer = peer;
        peer_set_data(peer, watch);
        uv_poll_start(&watch->poll, UV_READABLE, on_peer);
}

static void log_refusal(const struct outlet *o, uint64_t full_before)
{
        if (server_counters(o->server)->refused[VGPU_GOODBYE_FULL] > full_before)
                journal_event(EVENT_CLIENT_REFUSED, LOG_NOTICE, NULL,
                        "A client was refused: as many are connected as [ring] max_clients = %u "
                        "allows",
                        o->config->ring.max_clients);
        else
                journal_event(EVENT_CLIENT_REFUSED, LOG_WARNING, NULL,
                        "A client was refused: the daemon has no descriptor left for it; raise "
                        "LimitNOFILE=");
}

static void on_connect(uv_poll_t *poll, int status, int events)
{
        struct outlet *o = poll->data;
        struct peer *peer;
        int r = status;

        (void)events;
        /* Bounded, so that a storm of connections cannot keep the loop from the guest. */
        for (int i = 0; i < 16 && r >= 0; i++) {
                uint64_t full = server_counters(o->server)->refused[VGPU_GOODBYE_FULL];

                r = server_accept(o->server, uv_hrtime(), &peer);
                if (r == 0)
                        return;
                if (r == 1)
                        watch_peer(o, peer);
                if (r == -ECONNREFUSED) {
                        log_refusal(o, full);
                        r = 0;
                }
        }
        if (r >= 0)
                return;
        /* Who waits there keeps the socket readable: without a rest the loop would do nothing else. */
        uv_poll_stop(&o->listener);
        journal_event(EVENT_CLIENT_REFUSED, LOG_ERR, NULL,
                "A client cannot be accepted: %s; trying again", strerror(-r));
}

static void on_tick(uv_timer_t *timer)
{
        struct outlet *o = timer->data;
        uint64_t now_ns = uv_hrtime();
        struct peer *peer;

        ring_tick(o->ring, now_ns);
        if (!uv_is_active((uv_handle_t *)&o->listener))
                uv_poll_start(&o->listener, UV_READABLE, on_connect);
        while ((peer = server_expire(o->server, now_ns)) != NULL) {
                struct peer_info info = peer_info(peer);

                log_drop(&info);
                drop_peer(peer_data(peer));
        }
}

static int new_ring(struct outlet *o, uint64_t slot_bytes, struct ring **ret_ring)
{
        struct ring_config config = {
                .slots = o->config->ring.slots,
                .slot_bytes = slot_bytes,
                .generation = o->generation + 1,
                .replaces = o->ring,
                .tick_period_ms = OUTLET_TICK_MS,
        };
        int r;

        memcpy(config.instance, o->instance, sizeof(config.instance));
        r = ring_new(&config, ret_ring);
        if (r == 0)
                o->generation++;
        return r;
}

static int listen_on_loop(struct outlet *o)
{
        int r;

        r = uv_timer_init(o->loop, &o->tick);
        if (r < 0)
                return r;
        o->tick.data = o;
        r = uv_poll_init(o->loop, &o->listener, server_fd(o->server));
        if (r < 0) {
                uv_close((uv_handle_t *)&o->tick, NULL);
                return r;
        }
        o->listener.data = o;
        uv_timer_start(&o->tick, on_tick, 0, OUTLET_TICK_MS);
        uv_poll_start(&o->listener, UV_READABLE, on_connect);
        return 0;
}

int outlet_init(struct outlet *o, uv_loop_t *loop, const struct vgpu_config *config, int listen_fd,
        server_query_fn query, void *query_ctx, struct server_failure *reterr_why)
{
        struct server_config server = {
                .listen_fd = listen_fd,
                .path = config->ring.socket,
                .mode = config->ring.mode,
                .group = config->ring.group.name[0] ? config->ring.group.gid : SERVER_GROUP_NONE,
                .max_clients = config->ring.max_clients,
                .wake_batch = SERVER_BATCH_AUTO,
                .query = query,
                .query_ctx = query_ctx,
        };
        int r;

        *o = (struct outlet){ .loop = loop, .config = config };
        *reterr_why = (struct server_failure){ SERVER_OK, 0 };
        if (getrandom(o->instance, sizeof(o->instance), 0) != sizeof(o->instance))
                return -EIO;
        r = new_ring(o, FIRST_SLOT_BYTES, &o->ring);
        if (r < 0)
                return r;
        ring_tick(o->ring, uv_hrtime());
        r = server_new(&server, &o->server, reterr_why);
        if (r < 0) {
                o->ring = ring_free(o->ring);
                return r;
        }
        server_set_ring(o->server, o->ring);
        r = listen_on_loop(o);
        if (r < 0)
                outlet_deinit(o);
        return r;
}

void outlet_close(struct outlet *o)
{
        struct peer *peer, *next;

        ring_close(o->ring, uv_hrtime());
        server_wake(o->server, 0);
        server_goodbye_all(
                o->server, VGPU_GOODBYE_STOPPING, "The daemon is stopping; connect again later");
        for (peer = server_next_peer(o->server, NULL); peer; peer = next) {
                next = server_next_peer(o->server, peer);
                drop_peer(peer_data(peer));
        }
        uv_close((uv_handle_t *)&o->listener, NULL);
        uv_close((uv_handle_t *)&o->tick, NULL);
}

void outlet_deinit(struct outlet *o)
{
        o->server = server_free(o->server);
        o->ring = ring_free(o->ring);
}

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
        told(o, ring_set_liveness(o->ring, &next), VGPU_CHANGE_STATE);
}

void outlet_set_cursor(struct outlet *o, const struct vgpu_ring_cursor *cursor)
{
        told(o, ring_set_cursor(o->ring, cursor), VGPU_CHANGE_CURSOR);
}

void outlet_set_geometry(struct outlet *o, const struct vgpu_ring_geometry *geometry)
{
        told(o, ring_set_geometry(o->ring, geometry), VGPU_CHANGE_GEOMETRY);
}

void outlet_set_status(struct outlet *o, const struct vgpu_ring_status *status)
{
        told(o, ring_set_status(o->ring, status), VGPU_CHANGE_STATUS);
}

int outlet_fit(struct outlet *o, uint64_t bytes)
{
        uint64_t have = ring_identity(o->ring)->slot_bytes;
        struct ring *ring, *old = o->ring;
        int r;

        if (bytes <= have)
                return 0;
        r = new_ring(o, bytes > 2 * have ? bytes : 2 * have, &ring);
        if (r < 0)
                return r;
        o->ring = ring;
        server_set_ring(o->server, ring);
        ring_supersede(old, o->generation);
        server_wake(o->server, 0);
        ring_free(old);
        return 0;
}

uint8_t *outlet_begin(struct outlet *o)
{
        return ring_slot_begin(o->ring);
}

void outlet_abort(struct outlet *o, size_t touched)
{
        ring_slot_abort(o->ring, touched);
}

void outlet_publish(struct outlet *o, const struct ring_frame *frame)
{
        ring_publish(o->ring, frame);
        server_published(o->server, uv_hrtime());
}

uint32_t outlet_n_clients(const struct outlet *o)
{
        uint32_t n = 0;

        for (struct peer *p = server_next_peer(o->server, NULL); p;
                p = server_next_peer(o->server, p))
                n += (peer_info(p).granted & VGPU_WANT_RING) != 0;
        return n;
}
