/*
 * footprint.c - vgpu-bench-footprint: what a daemon takes while it streams, and how soon it is there
 *
 * `script/bench footprint` builds and runs it; docs/performance.md says what the figures mean.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "line.h"
#include "options.h"
#include "process.h"
#include "vgpu_stream.h"

#define DEFAULT_ROUNDS 7u
#define MANY_CLIENTS   64u
#define STREAM_FRAMES  60u /* until everything was touched once: each slot, each worker */

/* What the bar says. */
#define TARGET_MIB      16.0
#define TARGET_READY_MS 50.0
#define TARGET_FRAME_MS (VGPU_HEARTBEAT_PERIOD_MS + 100.0)

static const char about[] =
        "Starts the daemon on a simulated guest that streams, and looks at what it takes: memory\n"
        "besides ring and guest RAM, descriptors, threads; and how long READY and the first frame\n"
        "took.\n";

/* Frames are drawn a stripe at a time and read whole: the guest is not what is measured. */
static const struct scene {
        const char *name, *mode;
        unsigned n_clients;
} scenes[] = {
        { "1080p, 1 client", "1920x1080@60", 1 },
        { "1080p, 64 clients", "1920x1080@60", MANY_CLIENTS },
        { "4K, 1 client", "3840x2160@60", 1 },
};

#define N_SCENES (sizeof(scenes) / sizeof(scenes[0]))

struct rows {
        struct bench_row *rss, *pss, *ring, *guest;
        struct bench_row *ready, *connected, *first_frame;
        struct bench_row *fds, *threads, *maps;
};

static void add_rows(struct bench_report *report, struct rows rows[N_SCENES])
{
        struct bench_table *memory = bench_table_add(
                report, "memory", "MiB", "What a daemon keeps resident while it streams");
        struct bench_table *start =
                bench_table_add(report, "start", "ms", "From making the daemon's process");
        struct bench_table *holds =
                bench_table_add(report, "holds", "number", "What else a daemon holds");

        for (size_t i = 0; i < N_SCENES; i++) {
                const char *name = scenes[i].name;

                rows[i] = (struct rows){
                        .rss = bench_row_add(memory, name, "RSS besides ring and guest"),
                        .pss = bench_row_add(memory, name, "PSS besides ring and guest"),
                        .ring = bench_row_add(memory, name, "of the ring"),
                        .guest = bench_row_add(memory, name, "of the guest's RAM"),
                        .ready = bench_row_add(start, name, "to READY"),
                        .connected = bench_row_add(start, name, "to a client's welcome"),
                        .first_frame = bench_row_add(start, name, "to the client's first frame"),
                        .fds = bench_row_add(holds, name, "descriptors"),
                        .threads = bench_row_add(holds, name, "threads"),
                        .maps = bench_row_add(holds, name, "mappings"),
                };
                bench_row_at_most(rows[i].rss, BENCH_OF_MAX, TARGET_MIB);
                bench_row_at_most(rows[i].pss, BENCH_OF_MAX, TARGET_MIB);
                bench_row_at_most(rows[i].ready, BENCH_OF_MEDIAN, TARGET_READY_MS);
                bench_row_at_most(rows[i].first_frame, BENCH_OF_MEDIAN, TARGET_FRAME_MS);
        }
}

static double mib(uint64_t bytes)
{
        return (double)bytes / (1 << 20);
}

static double ms(uint64_t ns)
{
        return (double)ns / 1e6;
}

/* The others are there, and do not wait for frames. */
static unsigned join(struct line *l, struct vgpu_client *client[MANY_CLIENTS], unsigned n)
{
        const struct vgpu_client_options options = { .name = "footprint" };

        for (unsigned i = 0; i < n; i++)
                if (vgpu_client_connect(l->daemon.socket, &options, &client[i], NULL) < 0)
                        return i;
        return n;
}

static void stream_for(struct line *l, uint64_t n_frames)
{
        struct vgpu_client_frame frame;
        uint64_t last = 0;

        while (last < n_frames) {
                if (vgpu_client_wait(l->client, 1000) < 0)
                        return;
                if (vgpu_client_peek(l->client, &frame) == 1)
                        last = frame.serial;
        }
}

static void measure(const struct scene *scene, const struct rows *rows, unsigned round)
{
        struct vgpu_client *others[MANY_CLIENTS] = { NULL };
        struct line line = LINE_NONE;
        struct process_memory m;
        struct process_holds h;
        struct line_start start;
        unsigned n;

        line_guest(&line, (const char *const[]){ "--scatter", "--mode", scene->mode, "--stripes",
                                  "64", "--no-damage", NULL });
        line_daemon(&line, "[log]\nlevel = notice\n", &start);
        n = join(&line, others, scene->n_clients - 1);
        stream_for(&line, STREAM_FRAMES);
        if (n != scene->n_clients - 1 || !process_memory(line.daemon.pid, &m) ||
                !process_holds(line.daemon.pid, &h)) {
                fprintf(stderr, "%s: the daemon is gone\n", program_invocation_short_name);
                exit(1);
        }
        bench_row_sample(rows->rss, round, mib(m.rss_bytes));
        bench_row_sample(rows->pss, round, mib(m.pss_bytes));
        bench_row_sample(rows->ring, round, mib(m.ring_bytes));
        bench_row_sample(rows->guest, round, mib(m.guest_bytes));
        bench_row_sample(rows->ready, round, ms(start.ready));
        bench_row_sample(rows->connected, round, ms(start.connected));
        bench_row_sample(rows->first_frame, round, ms(start.first_frame));
        bench_row_sample(rows->fds, round, h.n_fds);
        bench_row_sample(rows->threads, round, h.n_threads);
        bench_row_sample(rows->maps, round, h.n_maps);
        for (unsigned i = 0; i < n; i++)
                vgpu_client_close(others[i]);
        line_end(&line);
}

int main(int argc, char **argv)
{
        struct bench_options options = { .rounds = DEFAULT_ROUNDS };
        static struct bench_report report; /* reachable at the end: nobody frees it */
        struct rows rows[N_SCENES];

        bench_options_take(&options, argc, argv, about);
        bench_print_machine();
        add_rows(&report, rows);
        for (unsigned round = 0; round < options.rounds; round++)
                for (size_t i = 0; i < N_SCENES; i++) {
                        bench_progress(
                                "round %u of %u: %s", round + 1, options.rounds, scenes[i].name);
                        measure(&scenes[i], &rows[i], round);
                }
        bench_progress(NULL);
        return bench_report_write(&options, &report);
}
