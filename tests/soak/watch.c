/* watch.c - see watch.h */
#include "watch.h"

#include <string.h>
#include <time.h>

#include "vgpu_client.h"

#define LOOK_MS      100 /* how often to see whether to stop */
#define VISIT_FRAMES 12u /* of a visitor, until it leaves */
#define RETRY_NS     10000000

static const char *const names[] = { "verifier", "prober", "visitor" };

static void add(struct watch *w, const struct watch_counts *more)
{
        pthread_mutex_lock(&w->lock);
        w->tally.counts.frames += more->frames;
        w->tally.counts.torn += more->torn;
        w->tally.counts.foreign += more->foreign;
        w->tally.counts.backwards += more->backwards;
        w->tally.counts.visits += more->visits;
        w->tally.counts.reconnects += more->reconnects;
        pthread_mutex_unlock(&w->lock);
}

static void note_latency(struct watch *w, uint64_t ns)
{
        pthread_mutex_lock(&w->lock);
        latency_add(&w->tally.latency, ns);
        pthread_mutex_unlock(&w->lock);
}

/* The newest frame's descriptor, and what was published since the last one. */
static void probe(struct watch *w, int events)
{
        struct vgpu_client_frame frame;
        uint64_t now_ns = latency_now();
        bool first = (events & VGPU_CLIENT_INSTANCE) != 0 || w->last_serial == 0;

        if (vgpu_client_peek(w->verify.client, &frame) != 1 || frame.serial == w->last_serial)
                return;
        /* what was there before it came says nothing */
        if (!first)
                note_latency(w, latency_between(frame.publish_ns, now_ns));
        add(w, &(struct watch_counts){ .frames = first ? 1 : frame.serial - w->last_serial });
        w->last_serial = frame.serial;
}

static void take(struct watch *w, uint64_t wait_began_ns)
{
        const struct verify_tally *t = &w->verify.tally;
        const struct watch_counts before = {
                .torn = t->torn,
                .foreign = t->foreign,
                .backwards = t->backwards,
        };

        if (verify_take(&w->verify, wait_began_ns) != 1)
                return;
        add(w, &(struct watch_counts){ .frames = 1,
                       .torn = t->torn - before.torn,
                       .foreign = t->foreign - before.foreign,
                       .backwards = t->backwards - before.backwards });
}

/* Until it is to stop, or has had enough. */
static void follow(struct watch *w, uint64_t enough)
{
        while (!w->stop && w->verify.tally.frames < enough) {
                uint64_t began_ns = latency_now();
                int events = vgpu_client_wait(w->verify.client, LOOK_MS);

                if (events < 0)
                        return;
                verify_dispatched(&w->verify, events);
                if (events & VGPU_CLIENT_RECONNECTED)
                        add(w, &(struct watch_counts){ .reconnects = 1 });
                if (w->kind == WATCH_PROBES)
                        probe(w, events);
                else
                        take(w, began_ns);
        }
}

static void visit(struct watch *w)
{
        const struct vgpu_client_options options = { .name = names[WATCH_VISITS],
                .flags = VGPU_CLIENT_NO_RECONNECT };

        if (vgpu_client_connect(w->socket, &options, &w->verify.client, NULL) < 0) {
                /* its daemon is just being started again */
                nanosleep(&(struct timespec){ .tv_nsec = RETRY_NS }, NULL);
                return;
        }
        verify_dispatched(&w->verify, VGPU_CLIENT_RECONNECTED);
        follow(w, VISIT_FRAMES);
        verify_deinit(&w->verify);
        memset(&w->verify.tally, 0, sizeof(w->verify.tally));
        w->verify.last_serial = 0;
        add(w, &(struct watch_counts){ .visits = 1 });
}

static void *run(void *arg)
{
        struct watch *w = arg;
        const struct vgpu_client_options options = { .name = names[w->kind],
                .flags = VGPU_CLIENT_WAIT_DAEMON };

        w->verify.n_stripes = w->n_stripes;
        if (w->kind == WATCH_VISITS) {
                while (!w->stop)
                        visit(w);
                return NULL;
        }
        if (vgpu_client_connect(w->socket, &options, &w->verify.client, NULL) == 0)
                follow(w, UINT64_MAX);
        verify_deinit(&w->verify);
        return NULL;
}

int watch_start(struct watch *w)
{
        int r;

        pthread_mutex_init(&w->lock, NULL);
        r = pthread_create(&w->thread, NULL, run, w);
        w->started = r == 0;
        return -r;
}

void watch_take(struct watch *w, struct watch_tally *ret)
{
        pthread_mutex_lock(&w->lock);
        *ret = w->tally;
        memset(&w->tally, 0, sizeof(w->tally));
        pthread_mutex_unlock(&w->lock);
}

void watch_stop(struct watch *w)
{
        if (!w->started)
                return;
        w->stop = true;
        pthread_join(w->thread, NULL);
        w->started = false;
}
