/* metrics.c - where each count is kept; see metrics.h */
#include "metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon.h"

/* Linux 6.2 and later tell the number as the folder's size; before, it is read, with itself in it. */
static uint64_t count_fds(void)
{
        uint64_t n = 0;
        struct stat st;
        DIR *dir;

        if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
                return (uint64_t)st.st_size;
        dir = opendir("/proc/self/fd");
        if (!dir)
                return 0;
        for (const struct dirent *e; (e = readdir(dir)) != NULL;)
                n += e->d_name[0] != '.';
        closedir(dir);
        return n > 0 ? n - 1 : 0;
}

/* What is resident: the mapped guest RAM that was looked at, and the ring, are in it. */
static uint64_t resident_bytes(void)
{
        FILE *f = fopen("/proc/self/statm", "re");
        unsigned long long total, resident = 0;

        if (!f)
                return 0;
        if (fscanf(f, "%llu %llu", &total, &resident) != 2)
                resident = 0;
        fclose(f);
        return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void gather_stream(const struct stream *s, struct metrics *m)
{
        const struct stream_counters *c = &s->counters;

        m->counters.frames = c->frames;
        m->counters.patched = c->patched;
        m->counters.copied_bytes = c->copied_bytes;
        m->counters.spared_bytes = c->spared_bytes;
        m->counters.torn_retries = c->torn_retries;
        m->skips = (struct metrics_skips){
                .busy = c->busy,
                .remapped = c->remapped,
                .too_big = c->too_big,
                .malformed = c->malformed,
                .late = c->late,
                .overtaken = c->overtaken,
        };
        m->histograms[METRICS_SAMPLE] = &s->sample_time;
}

static void gather_guest(struct guest *g, uint64_t now_ns, struct metrics *m)
{
        m->state = g->state;
        m->since_ms = (now_ns - g->since_ns) / 1000000;
        m->fps = stream_fps(&g->stream, now_ns);
        m->counters.looks = histogram_count(&g->look_time);
        m->counters.searches = g->n_scans;
        m->counters.epochs = g->n_epochs;
        m->counters.restarts = g->n_bindings ? g->n_bindings - 1 : 0;
        m->gauges.epoch = g->epoch ? g->epoch->number : 0;
        m->histograms[METRICS_LOOK] = &g->look_time;
        m->histograms[METRICS_POLL_GAP] = &g->poll_gap;
        for (int i = 0; i < GUEST_N_STATES; i++)
                m->states_ms[i] = g->state_ns[i] / 1000000;
        m->states_ms[g->state] = (g->state_ns[g->state] + now_ns - g->since_ns) / 1000000;
}

static void gather_server(const struct server *s, struct metrics *m)
{
        const struct server_counters *c = server_counters(s);

        m->counters.wakes = c->wakes;
        m->counters.wakes_full = c->wakes_full;
        m->counters.wake_batches = c->batches;
        m->counters.clients_accepted = c->accepted;
        m->counters.clients_left = c->dropped[VGPU_GOODBYE_NONE];
        m->counters.clients_dropped_by_admin = c->dropped_by_admin;
        m->counters.frame_requests = c->frame_requests;
        m->counters.rings_deferred = c->deferred;
        for (int i = 0; i < VGPU_N_GOODBYES; i++) {
                m->refused[i] = c->refused[i];
                m->dropped[i] = c->dropped[i];
        }
        m->gauges.max_clients = server_max_clients(s);
}

static void gather_outlet(const struct outlet *o, struct metrics *m)
{
        m->counters.rings = o->rings.n_generations;
        m->counters.leases_ended = rings_n_lost(&o->rings);
        m->gauges.clients = outlet_n_clients(o);
        m->gauges.ring_bytes = ring_identity(o->rings.current)->total_bytes;
        m->gauges.old_rings = o->rings.n_old;
        m->gauges.old_ring_bytes = o->rings.old_bytes;
        m->gauges.held = ring_n_held(o->rings.current);
        m->histograms[METRICS_PUBLISH] = &o->publish_time;
        m->histograms[METRICS_WAKE] = &o->wake_time;
        m->histograms[METRICS_FRAME_INTERVAL] = &o->frame_interval;
        gather_server(o->server, m);
}

void metrics_gather(struct daemon *d, struct metrics *ret)
{
        uint64_t now_ns = uv_hrtime();

        *ret = (struct metrics){
                .name = d->config.name,
                .pid = (uint64_t)getpid(),
                .uptime_ms = (now_ns - d->started_ns) / 1000000,
        };
        ret->counters.reloads = d->reload.n_done;
        ret->counters.reloads_refused = d->reload.n_refused;
        ret->counters.journal_swallowed = journal_n_swallowed();
        ret->gauges.fds = count_fds();
        ret->gauges.rss_bytes = resident_bytes();
        gather_stream(&d->guest.stream, ret);
        gather_guest(&d->guest, now_ns, ret);
        gather_outlet(&d->outlet, ret);
}
