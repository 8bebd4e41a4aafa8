/*
 * client.c - vgpu-bench-client: one reader of the ring, through libvgpu-client
 *
 * Its role is how it waits and what it does with a frame:
 *      word   sleeps on the ring's futex; then it knows the newest frame and sees it mapped
 *      early  the same, but awake before the frame is published
 *      fd     the same in a poll loop on the handle's descriptor, woken by its wake fd
 *      lease  as fd, then holds the frame where it lies and reads its first and last byte
 *      copy   as fd, then copies the frame into memory of its own
 *      idle   is connected and never waits
 *      busy   waited once, as fd, and does not any more
 * A sample is the time since the daemon's publish_ns.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vgpu_client.h"
#include "worker.h"

struct reader {
        struct bench_worker worker;
        struct vgpu_client *client;
        uint8_t *pixels; /* for copies */
};

static void sample(struct reader *r, const struct vgpu_client_frame *frame)
{
        uint64_t now_ns = bench_now();

        bench_sample(&r->worker, frame->publish_ns,
                now_ns > frame->publish_ns ? now_ns - frame->publish_ns : 0);
}

static void look(struct reader *r)
{
        struct vgpu_client_frame frame;

        if (vgpu_client_peek(r->client, &frame) == 1)
                sample(r, &frame);
}

static void hold(struct reader *r)
{
        struct vgpu_client_frame frame;
        const void *pixels;
        const volatile uint8_t *bytes;

        if (vgpu_client_acquire(r->client, &frame, &pixels) != 1)
                return;
        bytes = pixels;
        (void)bytes[0];
        (void)bytes[frame.bytes - 1];
        sample(r, &frame);
        if (vgpu_client_release(r->client, frame.serial) != 1)
                r->worker.sheet->n_bad++;
}

static void copy(struct reader *r)
{
        struct vgpu_client_frame frame;

        if (vgpu_client_copy_latest(r->client, r->pixels, r->worker.frame_bytes, &frame) == 1)
                sample(r, &frame);
}

static int wait_in_poll(struct vgpu_client *c)
{
        struct pollfd pfd = { .fd = vgpu_client_fd(c), .events = POLLIN };

        if (poll(&pfd, 1, -1) < 0)
                return 0;
        return vgpu_client_dispatch(c);
}

static int wait_on_word(struct vgpu_client *c)
{
        return vgpu_client_wait(c, -1);
}

static const struct way {
        const char *role;
        uint32_t flags; /* of connect */
        int (*wait)(struct vgpu_client *c);
        void (*take)(struct reader *r);
} ways[] = {
        { "word", VGPU_CLIENT_NO_WAKE_FD, wait_on_word, look },
        { "early", VGPU_CLIENT_EARLY, wait_on_word, look },
        { "fd", 0, wait_in_poll, look },
        { "lease", VGPU_CLIENT_LEASES, wait_in_poll, hold },
        { "copy", 0, wait_in_poll, copy },
        { "idle", 0, NULL, NULL },
        { "busy", 0, NULL, NULL },
};

static const struct way *find_way(const struct bench_worker *w)
{
        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
                if (strcmp(ways[i].role, w->role) == 0)
                        return &ways[i];
        bench_fail(w, "there is no way to wait called '%s'", w->role);
}

int main(int argc, char **argv)
{
        struct vgpu_client_options options = { .timeout_ms = 20000 };
        struct vgpu_client_failure why;
        static struct reader r;
        const struct way *way;
        char path[108];

        bench_worker_init(&r.worker, argc, argv);
        way = find_way(&r.worker);
        options.flags = way->flags | VGPU_CLIENT_NO_RECONNECT;
        snprintf(path, sizeof(path), "%s/vgpud.sock", r.worker.dir);
        if (way->take == copy) {
                r.pixels = malloc(r.worker.frame_bytes);
                if (!r.pixels)
                        bench_skip(&r.worker, "not enough memory for a frame per client");
                memset(r.pixels, 1, r.worker.frame_bytes);
        }
        if (vgpu_client_connect(path, &options, &r.client, &why) < 0)
                bench_fail(&r.worker, "%s", why.text);
        if (strcmp(way->role, "busy") == 0)
                wait_in_poll(r.client);
        bench_ready(&r.worker);
        while (!way->wait)
                pause();
        for (;;) {
                int got = way->wait(r.client);

                if (got < 0)
                        bench_fail(&r.worker, "the ring is gone: %s", strerror(-got));
                if (got & VGPU_CLIENT_FRAME)
                        way->take(&r);
        }
}
