/* plan.c - see plan.h */
#include "plan.h"

#include <stdio.h>

#define OUR_ENDS(role)                                                                             \
        .producer = "vgpu-bench-publisher", .producer_role = "publisher",                          \
        .client = "vgpu-bench-client", .client_role = (role)

#ifdef BENCH_HAS_GST
#define GST_SKIP NULL
#else
#define GST_SKIP "gstreamer-1.0 was not there at build time (as root: script/setup bench)"
#endif
#define GST_ENDS(role)                                                                             \
        .producer = "vgpu-bench-gst", .producer_role = "source", .client = "vgpu-bench-gst",       \
        .client_role = (role), .skip = GST_SKIP, .peer = true

#ifdef BENCH_HAS_PIPEWIRE
#define PIPEWIRE_SKIP NULL
#else
#define PIPEWIRE_SKIP "libpipewire-0.3 was not there at build time (as root: script/setup bench)"
#endif
#define PIPEWIRE_ENDS(suffix)                                                                      \
        .producer = "vgpu-bench-pipewire", .producer_role = "source" suffix,                       \
        .client = "vgpu-bench-pipewire", .client_role = "client" suffix,                           \
        .daemon = "vgpu-bench-pipewire", .daemon_role = "daemon", .skip = PIPEWIRE_SKIP,           \
        .peer = true

const struct way ways[N_WAYS] = {
        [WAY_FLOOR] = { .name = "floor: one bare futex",
                .producer = "vgpu-bench-floor",
                .producer_role = "source",
                .client = "vgpu-bench-floor",
                .client_role = "client",
                .floor = true },
        [WAY_IDLE] = { .name = "ring, nobody waits", .what = "nobody", OUR_ENDS("idle") },
        [WAY_BUSY] = { .name = "ring, nobody waits any more",
                .what = "nobody any more, all have before",
                OUR_ENDS("busy") },
        [WAY_EARLY] = { .name = "ring, awake before", OUR_ENDS("early") },
        [WAY_WORD] = { .name = "ring, wake word", .what = "on the wake word", OUR_ENDS("word") },
        [WAY_FD] = { .name = "ring, wake fd", .what = "on their wake fds", OUR_ENDS("fd") },
        [WAY_LEASE] = { .name = "ring, lease", OUR_ENDS("lease") },
        [WAY_COPY] = { .name = "ring, copy", .copies = true, OUR_ENDS("copy") },
        [WAY_PIPEWIRE] = { .name = "PipeWire, data thread", PIPEWIRE_ENDS("-rt") },
        [WAY_PIPEWIRE_LOOP] = { .name = "PipeWire, main loop", PIPEWIRE_ENDS("") },
        [WAY_GST] = { .name = "GStreamer shm, in place", GST_ENDS("inplace") },
        [WAY_GST_COPY] = { .name = "GStreamer shm, copy", .copies = true, GST_ENDS("copy") },
};

static const struct scene uhd = { 3840, 2160, 1, false };
static const struct scene stopped = { 1920, 1080, 4, true };
static const unsigned cost_counts[] = { 1, 16, 64, 256 };

bool scene_equal(const struct scene *a, const struct scene *b)
{
        return a->width == b->width && a->height == b->height && a->n_clients == b->n_clients &&
               a->one_stopped == b->one_stopped;
}

const struct row *plan_find(const struct plan *p, const struct scene *scene, enum way_id way)
{
        for (unsigned i = 0; i < p->n_rows; i++)
                if (p->row[i].way == way && scene_equal(&p->row[i].scene, scene))
                        return &p->row[i];
        return NULL;
}

static void add(struct plan *p, const struct scene *scene, enum way_id way, bool cost_only)
{
        if (p->n_rows < MAX_ROWS && !plan_find(p, scene, way))
                p->row[p->n_rows++] =
                        (struct row){ .scene = *scene, .way = way, .cost_only = cost_only };
}

/*
 * Peers are compared with where that says something: not with crowds that no pipeline of theirs has. Nor is spinning
 * for crowds.
 */
static void add_handoff(struct plan *p, const struct scene *scene)
{
        for (unsigned way = 0; way < N_WAYS; way++) {
                if (way == WAY_IDLE || way == WAY_BUSY)
                        continue;
                if ((ways[way].peer || way == WAY_EARLY) && scene->n_clients > 4)
                        continue;
                if (ways[way].peer ? p->options.peers : p->options.ring)
                        add(p, scene, way, false);
        }
}

static void add_cost(struct plan *p, unsigned n_clients)
{
        const struct scene scene = { 1920, 1080, n_clients, false };

        add(p, &scene, WAY_IDLE, true);
        add(p, &scene, WAY_BUSY, true);
        add(p, &scene, WAY_WORD, true);
        add(p, &scene, WAY_FD, true);
}

/* Alternate between ours and peers for as long as there are both. */
static void put_in_order(struct plan *p)
{
        unsigned next[2] = { 0, 0 }, n = 0;
        bool peer = false;

        while (n < p->n_rows) {
                unsigned *i = &next[peer];

                while (*i < p->n_rows && ways[p->row[*i].way].peer != peer)
                        (*i)++;
                if (*i < p->n_rows)
                        p->order[n++] = (*i)++;
                peer = !peer;
        }
}

void plan_init(struct plan *p, const struct plan_options *options)
{
        *p = (struct plan){ .options = *options };
        for (unsigned i = 0; i < options->n_counts; i++) {
                const struct scene scene = { 1920, 1080, options->count[i], false };

                add_handoff(p, &scene);
        }
        if (options->default_counts) {
                add_handoff(p, &stopped);
                add_handoff(p, &uhd);
        }
        if (options->cost && options->default_counts) {
                for (unsigned i = 0; i < sizeof(cost_counts) / sizeof(cost_counts[0]); i++)
                        add_cost(p, cost_counts[i]);
        } else if (options->cost) {
                for (unsigned i = 0; i < options->n_counts; i++)
                        add_cost(p, options->count[i]);
        }
        put_in_order(p);
}

static bool run_row(struct row *row, unsigned round, const struct scene_options *options)
{
        struct scene_result result;

        scene_run(&row->scene, &ways[row->way], options, &result);
        if (result.outcome != SCENE_OK) {
                row->outcome = result.outcome;
                snprintf(row->reason, sizeof(row->reason), "%s", result.reason);
        } else {
                row->handoff[round] = figures_of(result.ns, result.n);
                row->cost[round] = figures_of(result.cost_ns, result.n_cost);
                row->client_us[round] = result.client_us;
                row->n_got += result.n;
                row->n_wanted += result.n_wanted;
                row->n_bad += result.n_bad;
        }
        scene_result_deinit(&result);
        return row->outcome != SCENE_INTERRUPTED;
}

bool plan_run(struct plan *p, const struct scene_options *scene, plan_progress_fn progress)
{
        for (unsigned round = 0; round < p->options.n_rounds; round++) {
                for (unsigned i = 0; i < p->n_rows; i++) {
                        /* what a machine does slowly, such as growing warm, then favours nobody */
                        unsigned at = round % 2 ? p->n_rows - 1 - i : i;
                        struct row *row = &p->row[p->order[at]];

                        progress(p, round, i, row);
                        if (!run_row(row, round, scene))
                                return false;
                }
        }
        return true;
}
