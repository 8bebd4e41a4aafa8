/*
 * outlet_peers.c - clients on the loop: who comes, what they say, who goes, and what the journal hears of it
 */
#include "outlet_peers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "systemd/journal.h"

#define NAME_MAX_ESCAPED JOURNAL_ESCAPED(32)

/*
 * Clients have so much of the loop at a time, all together; then the guest's next frame is looked for. As many as may connect,
 * each asking no more often than it may, would have it all otherwise.
 */
#define TURN_NS UINT64_C(1000000)

/* A client's place on the loop: lives from accept until its handle's close callback. */
struct peer_watch {
        uv_poll_t poll;
        struct outlet *outlet;
        struct peer *peer;
        uint64_t round; /* when it was served last */
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

static const char *escaped_name(const struct peer_info *info, char buf[NAME_MAX_ESCAPED])
{
        return journal_escape(info->name, strlen(info->name), buf, NAME_MAX_ESCAPED);
}

static void log_end(const struct peer_info *info)
{
        char name[NAME_MAX_ESCAPED];

        escaped_name(info, name);
        if (info->goodbye == VGPU_GOODBYE_NONE)
                journal_log(LOG_DEBUG, "Client '%s' (pid %d, uid %u) left after %llu frames", name,
                        (int)info->pid, (unsigned)info->uid, (unsigned long long)info->frames_seen);
        else
                journal_event(EVENT_CLIENT_DROPPED,
                        JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_CLIENT", name),
                                JOURNAL_U64("VGPU_CLIENT_PID", (uint64_t)info->pid),
                                JOURNAL_U64("VGPU_CLIENT_UID", info->uid),
                                JOURNAL_TEXT("VGPU_REASON", info->goodbye_text)),
                        "Client '%s' (pid %d, uid %u) dropped: %s", name, (int)info->pid,
                        (unsigned)info->uid, info->goodbye_text);
}

static void end_peer(struct peer_watch *watch)
{
        struct peer_info info = peer_info(watch->peer);

        log_end(&info);
        drop_peer(watch);
}

/* One client's message may be the end of others. */
void outlet_peers_reap(struct outlet *o)
{
        struct peer *peer;

        while ((peer = server_reap(o->server)) != NULL)
                end_peer(peer_data(peer));
        outlet_renew_after_drop(o);
}

static void log_hello(const struct peer_info *info)
{
        char name[NAME_MAX_ESCAPED];

        journal_log(LOG_DEBUG, "Client '%s' (pid %d, uid %u) connected", escaped_name(info, name),
                (int)info->pid, (unsigned)info->uid);
}

/*
 * Nobody twice before everybody once, or those who never stop would keep newcomers from their HELLO. Who is not served now
 * is asked again at once: its socket stays readable.
 */
static bool may_be_served(struct outlet *o, struct peer_watch *watch)
{
        uint64_t now_ms = uv_now(o->loop);

        if (now_ms != o->turn_ms) {
                o->turn_ms = now_ms;
                o->turn_ns = 0;
                o->round += !o->put_off;
                o->put_off = false;
        }
        if (watch->round == o->round)
                return false;
        if (o->turn_ns >= TURN_NS) {
                o->put_off = true;
                return false;
        }
        watch->round = o->round;
        return true;
}

static void serve(struct peer_watch *watch, int status)
{
        struct outlet *o = watch->outlet;
        bool was_ready = peer_info(watch->peer).ready;
        int r;

        r = status < 0 ? -ECONNRESET : peer_dispatch(watch->peer, uv_hrtime());
        o->heard = true;
        if (r < 0) {
                end_peer(watch);
        } else if (!was_ready) {
                struct peer_info info = peer_info(watch->peer);

                if (info.ready)
                        log_hello(&info);
        }
        outlet_peers_reap(o);
}

static void on_peer(uv_poll_t *poll, int status, int events)
{
        struct peer_watch *watch = poll->data;
        struct outlet *o = watch->outlet;
        uint64_t began_ns = uv_hrtime();

        (void)events;
        /* after an error libuv has stopped to watch: there is no next time */
        if (status >= 0 && !may_be_served(o, watch))
                return;
        serve(watch, status);
        o->turn_ns += uv_hrtime() - began_ns;
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
        watch->round = o->round - 1;
        peer_set_data(peer, watch);
        uv_poll_start(&watch->poll, UV_READABLE, on_peer);
}

static void log_refusal(const struct outlet *o)
{
        const char *text;

        switch (server_last_refusal(o->server, &text)) {
        case VGPU_GOODBYE_FULL:
                journal_event(EVENT_CLIENT_REFUSED,
                        JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_REASON", text)),
                        "A client was refused by [ring] max_clients = %u, max_clients_user = %u. "
                        "It was told: %s",
                        server_max_clients(o->server), o->config->ring.max_clients_user, text);
                break;
        case VGPU_GOODBYE_DENIED:
                journal_event(EVENT_CLIENT_REFUSED,
                        JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_REASON", text)),
                        "A client was refused by [access] users and groups. It was told: %s", text);
                break;
        default:
                journal_event(EVENT_RESOURCES_SHORT,
                        JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_REASON", text)),
                        "A client was refused: the daemon has no descriptor or memory left for it; "
                        "raise LimitNOFILE=");
                break;
        }
}

static void on_connect(uv_poll_t *poll, int status, int events)
{
        struct outlet *o = poll->data;
        struct peer *peer;
        int r = status;

        (void)events;
        /* Bounded, so that a storm of connections cannot keep the loop from the guest. */
        for (int i = 0; i < 16 && r >= 0; i++) {
                r = server_accept(o->server, uv_hrtime(), &peer);
                if (r == 0)
                        return;
                if (r == 1)
                        watch_peer(o, peer);
                if (r == -ECONNREFUSED) {
                        log_refusal(o);
                        r = 0;
                }
        }
        if (r >= 0)
                return;
        /* Who waits there keeps the socket readable: without a rest the loop would do nothing else. */
        uv_poll_stop(&o->listener);
        journal_event(EVENT_RESOURCES_SHORT,
                JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_REASON", strerror(-r))),
                "A client cannot be accepted: %s; trying again", strerror(-r));
}

int outlet_peers_init(struct outlet *o)
{
        int r = uv_poll_init(o->loop, &o->listener, server_fd(o->server));

        if (r < 0)
                return r;
        o->listener.data = o;
        uv_poll_start(&o->listener, UV_READABLE, on_connect);
        return 0;
}

void outlet_peers_close(struct outlet *o)
{
        struct peer *peer, *next;

        for (peer = server_next_peer(o->server, NULL); peer; peer = next) {
                next = server_next_peer(o->server, peer);
                drop_peer(peer_data(peer));
        }
        uv_close((uv_handle_t *)&o->listener, NULL);
}

void outlet_peers_tick(struct outlet *o, uint64_t now_ns)
{
        struct peer *peer;

        if (!uv_is_active((uv_handle_t *)&o->listener))
                uv_poll_start(&o->listener, UV_READABLE, on_connect);
        while ((peer = server_expire(o->server, now_ns)) != NULL)
                end_peer(peer_data(peer));
        outlet_peers_reap(o);
}
