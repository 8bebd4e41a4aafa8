/* publisher.c - see publisher.h */
#include "publisher.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t now_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int answer(void *ctx, uint32_t what, char *buf, size_t cap)
{
        struct publisher *p = ctx;

        const char *text = what == VGPU_QUERY_STATUS    ? p->status
                           : what == VGPU_QUERY_CLIENTS ? p->clients
                           : what == VGPU_QUERY_METRICS ? p->metrics
                                                        : NULL;

        return text ? snprintf(buf, cap, "%s", text) : -EOPNOTSUPP;
}

static void begin(struct publisher *p, uint64_t slot_bytes)
{
        struct ring_config ring = {
                .slots = 4, .slot_bytes = slot_bytes, .generation = 1, .tick_period_ms = 100
        };
        struct server_config server = { .listen_fd = -1,
                .path = p->path,
                .mode = 0600,
                .group = SERVER_GROUP_NONE,
                .max_clients = 8,
                .query = answer,
                .query_ctx = p };

        ring.instance[0] = (uint8_t)++p->n_instances;
        assert_int_equal(ring_new(&ring, &p->ring), 0);
        assert_int_equal(server_new(&server, &p->server, NULL), 0);
        publisher_set_state(p, VGPU_RING_STREAMING, 1);
        ring_tick(p->ring, now_ns());
        server_set_ring(p->server, p->ring);
}

static void drop_peers(struct publisher *p)
{
        struct peer *peer, *next;

        for (peer = server_next_peer(p->server, NULL); peer; peer = next) {
                next = server_next_peer(p->server, peer);
                peer_free(peer);
        }
}

static void end(struct publisher *p)
{
        drop_peers(p);
        p->server = server_free(p->server);
        p->ring = ring_free(p->ring);
}

void publisher_init(struct publisher *p, uint64_t slot_bytes)
{
        memset(p, 0, sizeof *p);
        strcpy(p->dir, "/tmp/publisher.XXXXXX");
        assert_non_null(mkdtemp(p->dir));
        snprintf(p->path, sizeof p->path, "%s/vgpud.sock", p->dir);
        begin(p, slot_bytes);
}

void publisher_deinit(struct publisher *p)
{
        char command[96];

        end(p);
        snprintf(command, sizeof command, "rm -rf '%s'", p->dir);
        assert_int_equal(system(command), 0);
}

void publisher_restart(struct publisher *p, uint64_t slot_bytes)
{
        end(p);
        begin(p, slot_bytes);
}

void publisher_turn(struct publisher *p)
{
        struct peer *peer, *next;

        ring_tick(p->ring, now_ns());
        while (server_accept(p->server, now_ns(), &peer) == 1)
                ;
        for (peer = server_next_peer(p->server, NULL); peer; peer = next) {
                next = server_next_peer(p->server, peer);
                if (peer_dispatch(peer, now_ns()) < 0)
                        peer_free(peer);
        }
        while ((peer = server_expire(p->server, now_ns())))
                peer_free(peer);
}

bool publisher_has_reader(struct publisher *p)
{
        struct peer *peer = server_next_peer(p->server, NULL);

        return peer && peer_info(peer).ready;
}

void publisher_set_state(struct publisher *p, enum vgpu_ring_state state, uint64_t epoch)
{
        struct vgpu_ring_liveness liveness = { .state = state,
                .run_epoch = 1,
                .since_ns = now_ns(),
                .epoch = epoch,
                .producer_pid = PUBLISHER_PID };

        ring_set_liveness(p->ring, &liveness);
        if (p->server)
                server_wake(p->server, VGPU_CHANGE_STATE);
}

uint32_t publisher_fourcc(const char *text)
{
        uint32_t fourcc;

        memcpy(&fourcc, text, sizeof fourcc);
        return fourcc;
}

struct ring_frame publisher_frame(
        struct publisher *p, uint32_t width, uint32_t height, const char *fourcc)
{
        return (struct ring_frame){
                .frame_id = ++p->frame_id,
                .epoch = 1,
                .run_epoch = 1,
                .producer_pid = PUBLISHER_PID,
                .width = width,
                .height = height,
                .stride = width * (strcmp(fourcc, "AB4H") == 0 ? 8 : 4),
                .fourcc = publisher_fourcc(fourcc),
        };
}

void publisher_publish(struct publisher *p, const struct ring_frame *frame, const void *pixels)
{
        memcpy(ring_slot_begin(p->ring), pixels, (size_t)frame->height * frame->stride);
        ring_publish(p->ring, frame);
        server_published(p->server, now_ns());
}
