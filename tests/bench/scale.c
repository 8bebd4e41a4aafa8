/*
 * scale.c - vgpu-bench-scale: several guests at once, and single ones that ask for much
 *
 * Each guest has a daemon and a client of its own, as processes; the clients, which look at every frame's descriptor and copy
 * nothing, are in this one. Guests draw a stripe of each frame and keep to themselves which, so that drawing costs
 * next to nothing and every frame is read whole: what bends is the daemons, or the machine's memory under them.
 *
 * `script/bench scale` builds and runs it; docs/performance.md says what the figures mean.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "line.h"
#include "options.h"
#include "process.h"

#define DEFAULT_ROUNDS 3u
#define MAX_LINES      8u
#define SPAN_NS        UINT64_C(3000000000)
#define QUICK_SPAN_NS  UINT64_C(500000000)
#define BENT           98.0                  /* percent published: below, something is short */
#define BUSY           90.0                  /* percent of all processors: above, it is they */
#define SETTLE_NS      UINT64_C(10000000000) /* of a machine that is too slow for these, or not */
#define SETTLE_FRAMES  20u /* whole ones until each slot of guest and ring was touched */

static const char about[] =
        "Runs 1, 2, 4 and 8 simulated guests side by side, each with a daemon and a client of its\n"
        "own, then single ones at 240 fps and at 8K: how many of the frames drawn are published, "
        "how\n"
        "late, and where the processors' time goes.\n";

static const struct scene {
        const char *name, *mode, *pages, *ram;
        unsigned n_lines;
        bool tells_damage;
        bool quick; /* light enough to be tried on any machine */
} scenes[] = {
        { "1080p60, 1 guest", "1920x1080@60", "--scatter", "512M", 1, false, true },
        { "1080p60, 2 guests", "1920x1080@60", "--scatter", "512M", 2, false, true },
        { "1080p60, 4 guests", "1920x1080@60", "--scatter", "512M", 4, false, false },
        { "1080p60, 8 guests", "1920x1080@60", "--scatter", "512M", 8, false, false },
        { "1080p60, 8 guests, damage told", "1920x1080@60", "--scatter", "512M", 8, true, false },
        { "1080p240, 1 guest", "1920x1080@240", "--scatter", "512M", 1, false, true },
        { "4K60, 1 guest", "3840x2160@60", "--scatter", "512M", 1, false, false },
        { "4K60, 4 guests", "3840x2160@60", "--scatter", "512M", 4, false, false },
        { "8K30, 1 guest, 2 MiB pages", "7680x4320@30", "--large-pages", "1G", 1, false, false },
};

#define N_SCENES (sizeof(scenes) / sizeof(scenes[0]))

struct rows {
        struct bench_row *published, *rate, *late;
        struct bench_row *daemons, *guests, *clients, *idle;
        struct bench_row *copied;
};

/* What is counted at the beginning and at the end of a span. */
struct count {
        uint64_t now_ns, daemons_ns, guests_ns, clients_ns;
        uint64_t drawn, published;
};

static void add_rows(struct bench_report *report, struct rows rows[N_SCENES])
{
        struct bench_table *published = bench_table_add(
                report, "published", "%", "Frames published, of those the guests drew");
        struct bench_table *rate =
                bench_table_add(report, "rate", "fps", "Frames published a second, all guests");
        struct bench_table *late = bench_table_add(
                report, "late", "us", "From publishing to a client that holds the descriptor");
        struct bench_table *cpu =
                bench_table_add(report, "cpu", "% of a CPU", "Where the processors' time goes");
        struct bench_table *copied =
                bench_table_add(report, "copied", "GiB/s", "Bytes of the frames published");

        for (size_t i = 0; i < N_SCENES; i++) {
                const char *name = scenes[i].name;

                rows[i] = (struct rows){
                        .published = bench_row_add(published, "", "%s", name),
                        .rate = bench_row_add(rate, "", "%s", name),
                        .late = bench_row_add(late, "", "%s", name),
                        .daemons = bench_row_add(cpu, name, "daemons"),
                        .guests = bench_row_add(cpu, name, "guests"),
                        .clients = bench_row_add(cpu, name, "clients"),
                        .idle = bench_row_add(cpu, name, "nobody, or somebody else"),
                        .copied = bench_row_add(copied, "", "%s", name),
                };
        }
}

static struct count count_all(struct line *line, const uint64_t *serial, unsigned n)
{
        struct count c = { .now_ns = line_now_ns(), .clients_ns = process_cpu_ns(getpid()) };

        for (unsigned i = 0; i < n; i++) {
                c.daemons_ns += process_cpu_ns(line[i].daemon.pid);
                c.guests_ns += process_cpu_ns(line[i].guest.pid);
                c.drawn += line_drawn(&line[i]);
                c.published += serial[i];
        }
        return c;
}

/* The newest frame of a line, noted once. */
static void look(struct line *l, uint64_t *serial, struct bench_row *late, unsigned round)
{
        struct vgpu_client_frame frame;

        if (vgpu_client_dispatch(l->client) < 0 || vgpu_client_peek(l->client, &frame) != 1 ||
                frame.serial == *serial)
                return;
        *serial = frame.serial;
        if (late)
                bench_row_sample(late, round, (double)(line_now_ns() - frame.publish_ns) / 1e3);
}

/* Wait for all clients at once until @until_ns, or until each has seen @n_frames. */
static void follow(struct line *line, uint64_t *serial, unsigned n, uint64_t until_ns,
        uint64_t n_frames, struct bench_row *late, unsigned round)
{
        struct pollfd fds[MAX_LINES];
        unsigned waiting = n;

        for (unsigned i = 0; i < n; i++)
                fds[i] = (struct pollfd){ vgpu_client_fd(line[i].client), POLLIN, 0 };
        while (waiting > 0 && line_now_ns() < until_ns) {
                const struct timespec longest = { .tv_nsec = 10000000 };

                ppoll(fds, n, &longest, NULL);
                waiting = 0;
                for (unsigned i = 0; i < n; i++) {
                        if (fds[i].revents)
                                look(&line[i], &serial[i], late, round);
                        waiting += serial[i] < n_frames;
                }
        }
}

static double percent(uint64_t part, uint64_t whole)
{
        return whole > 0 ? 100.0 * (double)part / (double)whole : 0;
}

static void note(const struct scene *scene, const struct rows *rows, unsigned round,
        const struct count *from, const struct count *to, uint64_t frame_bytes)
{
        uint64_t span_ns = to->now_ns - from->now_ns, frames = to->published - from->published;
        double daemons = percent(to->daemons_ns - from->daemons_ns, span_ns);
        double guests = percent(to->guests_ns - from->guests_ns, span_ns);
        double clients = percent(to->clients_ns - from->clients_ns, span_ns);
        double seconds = (double)span_ns / 1e9;

        bench_row_sample(rows->published, round, percent(frames, to->drawn - from->drawn));
        bench_row_sample(rows->rate, round, (double)frames / seconds);
        bench_row_sample(rows->daemons, round, daemons);
        bench_row_sample(rows->guests, round, guests);
        bench_row_sample(rows->clients, round, clients);
        bench_row_sample(rows->idle, round,
                100.0 * (double)sysconf(_SC_NPROCESSORS_ONLN) - daemons - guests - clients);
        if (scene->tells_damage)
                bench_row_note(rows->copied, "only what a slot lacks is copied");
        else
                bench_row_sample(
                        rows->copied, round, (double)(frames * frame_bytes) / seconds / (1 << 30));
}

static uint64_t frame_bytes_of(const struct line *l)
{
        return (uint64_t)l->guest.facts.width * l->guest.facts.height * 4;
}

static void measure(
        const struct scene *scene, const struct rows *rows, unsigned round, uint64_t span_ns)
{
        struct line line[MAX_LINES];
        uint64_t serial[MAX_LINES] = { 0 };
        struct count from, to;

        for (unsigned i = 0; i < scene->n_lines; i++) {
                line[i] = LINE_NONE;
                line_guest(&line[i], (const char *const[]){ scene->pages, "--ram-size", scene->ram,
                                             "--mode", scene->mode, "--stripes", "64",
                                             scene->tells_damage ? NULL : "--no-damage", NULL });
                line_daemon(&line[i], "[log]\nlevel = notice\n", NULL);
        }
        follow(line, serial, scene->n_lines, line_now_ns() + SETTLE_NS, SETTLE_FRAMES, NULL, round);
        from = count_all(line, serial, scene->n_lines);
        follow(line, serial, scene->n_lines, from.now_ns + span_ns, UINT64_MAX, rows->late, round);
        to = count_all(line, serial, scene->n_lines);
        note(scene, rows, round, &from, &to, frame_bytes_of(&line[0]));
        for (unsigned i = 0; i < scene->n_lines; i++)
                line_end(&line[i]);
}

/* What is short where frames are missed. */
static void say_limit(const struct rows *rows)
{
        double cpus = (double)sysconf(_SC_NPROCESSORS_ONLN);
        double daemons = bench_row_figures(rows->daemons).median / cpus;
        double guests = bench_row_figures(rows->guests).median / cpus;
        double idle = bench_row_figures(rows->idle).median / cpus;
        struct bench_figures published = bench_row_figures(rows->published);

        if (published.n == 0 || published.median >= BENT)
                return;
        if (daemons + guests >= BUSY)
                bench_row_note(rows->published,
                        "the limit is the processors: daemons %.0f %%, guests %.0f %% of all",
                        daemons, guests);
        else
                bench_row_note(rows->published,
                        "not for want of processors of our own: %.0f %% of all are nobody's or "
                        "others'",
                        idle);
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
                        if (options.quick && !scenes[i].quick) {
                                bench_row_note(rows[i].published, "not in a quick run");
                                continue;
                        }
                        bench_progress(
                                "round %u of %u: %s", round + 1, options.rounds, scenes[i].name);
                        measure(&scenes[i], &rows[i], round,
                                options.quick ? QUICK_SPAN_NS : SPAN_NS);
                }
        for (size_t i = 0; i < N_SCENES; i++)
                say_limit(&rows[i]);
        bench_progress(NULL);
        return bench_report_write(&options, &report);
}
