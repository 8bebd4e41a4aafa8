/*
 * witness.c - vgpu-witness: clients that say what a restart of the daemon was like
 *
 *      vgpu-witness SOCKET CLIENTS
 *
 * CLIENTS handles of one program take frames for as long as it runs, and one more connects, waits to be welcomed and leaves,
 * again and again, as programs do that are started at a bad moment. A line "ready" says that every client has had a
 * frame, and after each loss "back MS" that every client has a new one, and how long the longest was without; at SIGTERM a JSON
 * object says how many connects failed.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>

#include "vgpu_client.h"

#define MAX_CLIENTS        64
#define CONNECT_TIMEOUT_MS 5000

struct witness {
        struct vgpu_client *client;
        uint64_t last_ns; /* when it got its newest frame; 0: none yet */
        uint64_t gap_ns;  /* the longest time between two since all were last back */
        uint64_t frames, losses;
        bool waits; /* for its first frame, at the start or after a loss */
};

static const char *path;
static atomic_bool stopping;
static atomic_uint n_connects, n_refused;
static uint64_t longest_connect_ns; /* the newcomer's until it is joined */
static char refusal[192];

static uint64_t now_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *come_and_go(void *unused)
{
        const struct vgpu_client_options options = {
                .flags = VGPU_CLIENT_NO_RECONNECT,
                .timeout_ms = CONNECT_TIMEOUT_MS,
        };

        (void)unused;
        while (!atomic_load(&stopping)) {
                struct vgpu_client_failure why;
                struct vgpu_client *c = NULL;
                uint64_t began = now_ns(), took;

                if (vgpu_client_connect(path, &options, &c, &why) < 0) {
                        if (atomic_fetch_add(&n_refused, 1) == 0)
                                memcpy(refusal, why.text, sizeof(refusal));
                }
                took = now_ns() - began;
                if (took > longest_connect_ns)
                        longest_connect_ns = took;
                atomic_fetch_add(&n_connects, 1);
                vgpu_client_close(c);
                nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
        }
        return NULL;
}

static void look(struct witness *w)
{
        int events = vgpu_client_dispatch(w->client);

        if (events > 0 && events & VGPU_CLIENT_DISCONNECTED) {
                w->losses++;
                w->waits = true;
        }
        if (events > 0 && events & VGPU_CLIENT_FRAME) {
                struct vgpu_client_frame frame;
                uint64_t now;

                if (vgpu_client_peek(w->client, &frame) < 1 || frame.stale)
                        return;
                now = now_ns();
                if (w->last_ns && now - w->last_ns > w->gap_ns)
                        w->gap_ns = now - w->last_ns;
                w->last_ns = now;
                w->frames++;
                w->waits = false;
        }
}

/* The longest any client was without a frame since the last time this was asked. */
static double longest_gap_ms(struct witness *all, size_t n)
{
        uint64_t gap = 0;

        for (size_t i = 0; i < n; i++) {
                if (all[i].gap_ns > gap)
                        gap = all[i].gap_ns;
                all[i].gap_ns = 0;
        }
        return (double)gap / 1e6;
}

static void summary(const struct witness *all, size_t n)
{
        uint64_t frames = 0, losses = 0;

        for (size_t i = 0; i < n; i++) {
                frames += all[i].frames;
                losses += all[i].losses;
        }
        printf("{\"clients\": %zu, \"frames\": %llu, \"losses\": %llu, "
               "\"connects\": %u, \"refused\": %u, \"longest_connect_ms\": %.1f, \"refusal\": "
               "\"%s\"}\n",
                n, (unsigned long long)frames, (unsigned long long)losses, atomic_load(&n_connects),
                atomic_load(&n_refused), (double)longest_connect_ns / 1e6, refusal);
}

int main(int argc, char **argv)
{
        static struct witness all[MAX_CLIENTS];
        struct pollfd fds[MAX_CLIENTS + 1];
        size_t n = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
        struct vgpu_client_failure why;
        bool started = false, complete = false;
        pthread_t newcomer;
        sigset_t term;

        if (n < 1 || n > MAX_CLIENTS) {
                fprintf(stderr, "usage: vgpu-witness SOCKET CLIENTS (at most %d)\n", MAX_CLIENTS);
                return 2;
        }
        path = argv[1];
        setvbuf(stdout, NULL, _IOLBF, 0);
        sigemptyset(&term);
        sigaddset(&term, SIGTERM);
        sigprocmask(SIG_BLOCK, &term, NULL);
        fds[n] = (struct pollfd){ .fd = signalfd(-1, &term, SFD_CLOEXEC), .events = POLLIN };
        for (size_t i = 0; i < n; i++) {
                if (vgpu_client_connect(path, NULL, &all[i].client, &why) < 0) {
                        fprintf(stderr, "vgpu-witness: %s\n", why.text);
                        return 1;
                }
                all[i].waits = true;
                fds[i] = (struct pollfd){ .fd = vgpu_client_fd(all[i].client), .events = POLLIN };
        }
        if (fds[n].fd < 0 || pthread_create(&newcomer, NULL, come_and_go, NULL) != 0)
                return 1;

        while (!(fds[n].revents & POLLIN)) {
                bool waits = false;

                if (poll(fds, n + 1, -1) < 0 && errno != EINTR)
                        return 1;
                for (size_t i = 0; i < n; i++) {
                        if (fds[i].revents)
                                look(&all[i]);
                        waits |= all[i].waits;
                }
                if (!waits && !complete) {
                        double ms = longest_gap_ms(all, n);

                        if (started)
                                printf("back %.0f\n", ms);
                        else
                                puts("ready");
                        started = true;
                }
                complete = !waits;
        }
        atomic_store(&stopping, true);
        pthread_join(newcomer, NULL);
        summary(all, n);
        for (size_t i = 0; i < n; i++)
                vgpu_client_close(all[i].client);
        return 0;
}
