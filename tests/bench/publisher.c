/*
 * publisher.c - vgpu-bench-publisher: the daemon's publishing side and nothing else of it
 *
 * The real ring and the real server on one epoll loop, with a fill in place of the guest. Its samples are what one
 * frame costs it beyond the pixels: CPU time of ring_publish() and server_published() together.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "ring.h"
#include "server.h"
#include "worker.h"

#define TICK_MS     100
#define LEASE_NS    UINT64_C(500000000)
#define MAX_CLIENTS 1024u
#define XRGB8888    UINT32_C(0x34325258) /* "XR24" */

struct publisher {
        struct bench_worker worker;
        struct ring *ring;
        struct server *server;
        int epoll_fd;
        int timer_fd;
        uint64_t frame_id;
        uint64_t ticked_ns;
};

static uint64_t cpu_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
        return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void watch(struct publisher *p, int fd, void *ptr)
{
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = ptr };

        if (epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
                bench_fail(&p->worker, "epoll: %s", strerror(errno));
}

static void start(struct publisher *p)
{
        const struct ring_config ring = { .slots = BENCH_SLOTS,
                .slot_bytes = p->worker.frame_bytes,
                .generation = 1,
                .instance = { 1 },
                .tick_period_ms = TICK_MS,
                .lease_ns = LEASE_NS };
        const struct vgpu_ring_liveness liveness = {
                .state = VGPU_RING_STREAMING, .run_epoch = 1, .epoch = 1, .since_ns = bench_now()
        };
        struct server_config config = { .listen_fd = -1,
                .mode = 0600,
                .group = SERVER_GROUP_NONE,
                .max_clients = MAX_CLIENTS,
                .lease_ns = LEASE_NS };
        char path[108];
        int err;

        snprintf(path, sizeof(path), "%s/vgpud.sock", p->worker.dir);
        config.path = path;
        err = ring_new(&ring, &p->ring);
        if (err == 0)
                err = server_new(&config, &p->server, NULL);
        p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (err < 0 || p->epoll_fd < 0)
                bench_fail(&p->worker, "no ring or socket: %s", strerror(err < 0 ? -err : errno));
        ring_set_liveness(p->ring, &liveness);
        ring_tick(p->ring, bench_now());
        server_set_ring(p->server, p->ring);

        p->timer_fd = bench_frame_timer(&p->worker);
        watch(p, p->timer_fd, &p->timer_fd);
        watch(p, server_fd(p->server), p->server);
        watch(p, STDIN_FILENO, NULL);
}

static void publish(struct publisher *p)
{
        const struct bench_worker *w = &p->worker;
        const struct ring_frame frame = { .frame_id = ++p->frame_id,
                .epoch = 1,
                .run_epoch = 1,
                .width = w->width,
                .height = w->height,
                .stride = w->width * 4,
                .fourcc = XRGB8888 };
        uint64_t now_ns, before_ns;

        bench_fill(&p->worker, ring_slot_begin(p->ring));
        now_ns = bench_now();
        /* the fill has emptied the caches, also of what reading this clock needs */
        cpu_ns();
        before_ns = cpu_ns();
        ring_publish(p->ring, &frame);
        server_published(p->server, now_ns);
        bench_sample(&p->worker, now_ns, cpu_ns() - before_ns);
}

static void on_timer(struct publisher *p)
{
        uint64_t expired, now_ns = bench_now();
        struct peer *peer;

        if (read(p->timer_fd, &expired, sizeof(expired)) != sizeof(expired))
                return;
        if (now_ns - p->ticked_ns >= TICK_MS * UINT64_C(1000000)) {
                ring_tick(p->ring, now_ns);
                p->ticked_ns = now_ns;
                while ((peer = server_expire(p->server, now_ns)))
                        peer_free(peer);
        }
        publish(p);
}

static void on_connection(struct publisher *p)
{
        struct peer *peer;

        while (server_accept(p->server, bench_now(), &peer) == 1)
                watch(p, peer_fd(peer), peer);
}

static void on_peer(struct publisher *p, struct peer *peer)
{
        if (peer_dispatch(peer, bench_now()) < 0) {
                epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, peer_fd(peer), NULL);
                peer_free(peer);
        }
}

int main(int argc, char **argv)
{
        static struct publisher p;

        bench_worker_init(&p.worker, argc, argv);
        start(&p);
        bench_ready(&p.worker);
        for (;;) {
                struct epoll_event event;

                /* one at a time: what it leads to may free the peer of the next */
                if (epoll_wait(p.epoll_fd, &event, 1, -1) != 1)
                        continue;
                if (!event.data.ptr)
                        return 0;
                if (event.data.ptr == &p.timer_fd)
                        on_timer(&p);
                else if (event.data.ptr == p.server)
                        on_connection(&p);
                else
                        on_peer(&p, event.data.ptr);
        }
}
