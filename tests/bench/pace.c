/*
 * pace.c - vgpu-bench-pace: how long after the guest published a frame a client has it, and what looking for it costs
 *
 * `script/bench pace` builds and runs it; docs/performance.md says what the figures mean. What the copy itself takes is
 * taken off: the daemon's own measure of it, from the look that found the frame to the proof that the copy is whole.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "options.h"
#include "pace_daemon.h"
#include "pace_guest.h"
#include "vgpu_client.h"

#define DEFAULT_ROUNDS 3u
#define ROUND_NS       UINT64_C(3000000000)
#define QUICK_NS       UINT64_C(300000000)
#define WARM_UP_NS     UINT64_C(500000000)
#define QUIET_NS       UINT64_C(3000000000) /* until looks are as rare as they get */
#define PATIENCE_NS    UINT64_C(10000000000)
#define WAIT_MS        50
#define MAX_SAMPLES    1024u

/* What the bar says; the other rows have none. */
#define TARGET_MEDIAN_US 150
#define TARGET_P99_US    500
#define TARGET_BUSY      3.0
#define TARGET_IDLE      0.3

static const char about[] =
        "Runs the real daemon on a simulated guest that publishes 1080p frames at several rates,\n"
        "or none, and measures how late a client has them beside what their copy takes, and what\n"
        "looking for them costs.\n";

static const struct scene {
        const char *latency;
        uint32_t fps; /* 0: idle */
        bool has_bar;
} scenes[] = {
        { "balanced", 24, false },
        { "balanced", 60, true },
        { "balanced", 120, false },
        { "balanced", 240, false },
        { "balanced", 0, true },
        { "low", 60, false },
        { "low", 0, false },
        { "powersave", 60, false },
        { "powersave", 0, false },
};
#define N_SCENES (sizeof(scenes) / sizeof(scenes[0]))

struct rows {
        struct bench_row *late, *copy, *cpu, *looks, *calls;
};

struct sampler {
        double late_us[MAX_SAMPLES];
        unsigned n;
};

static _Noreturn void give_up(const char *what, const char *why)
{
        fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, why);
        exit(1);
}

static uint64_t now(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Takes frames as they come, for so long. @s NULL: they do not count. */
static void watch(struct vgpu_client *c, uint64_t for_ns, struct sampler *s)
{
        const uint64_t until_ns = now() + for_ns;
        uint64_t serial = 0;

        while (now() < until_ns) {
                struct vgpu_client_frame frame;
                uint64_t woken_ns;
                int r = vgpu_client_wait(c, WAIT_MS);

                woken_ns = now();
                if (r < 0)
                        give_up("client", strerror(-r));
                if (!(r & VGPU_CLIENT_FRAME) || vgpu_client_peek(c, &frame) != 1 ||
                        frame.serial == serial)
                        continue;
                serial = frame.serial;
                if (s && s->n < MAX_SAMPLES && frame.timestamp_ns < woken_ns)
                        s->late_us[s->n++] = (double)(woken_ns - frame.timestamp_ns) / 1e3;
        }
}

static struct vgpu_client *connect_to(const struct pace_daemon *d)
{
        const struct vgpu_client_options options = {
                .flags = VGPU_CLIENT_NO_WAKE_FD | VGPU_CLIENT_WAIT_DAEMON,
                .interest = VGPU_CLIENT_FRAME,
        };
        const uint64_t until_ns = now() + PATIENCE_NS;
        struct vgpu_client_failure why;
        struct vgpu_client_state state;
        struct vgpu_client *c;

        if (vgpu_client_connect(d->proc.socket, &options, &c, &why) < 0)
                give_up("client", why.text);
        do {
                if (now() > until_ns)
                        give_up("daemon", "it does not stream");
                vgpu_client_wait(c, WAIT_MS);
                vgpu_client_state(c, &state);
        } while (state.stream.state != VGPU_RING_STREAMING);
        return c;
}

/* The first round's daemon has everything to learn too: what is measured begins when it has. */
static void measure(const struct scene *scene, struct pace_guest *g, const struct rows *rows,
        unsigned round, bool is_quick)
{
        static struct sampler sampler;
        struct pace_spent before = { 0 }, after = { 0 };
        struct vgpu_client *client;
        struct pace_daemon daemon;
        double frames, copy_ns, copy_us, elapsed_ns;

        pace_guest_set_fps(g, 0);
        pace_daemon_start(&daemon, g->ram, scene->latency);
        client = connect_to(&daemon);
        pace_guest_set_fps(g, scene->fps);
        watch(client, scene->fps || is_quick ? WARM_UP_NS : QUIET_NS, NULL);
        sampler.n = 0;
        pace_daemon_ask(&daemon, &before);
        pace_daemon_clock(&daemon, &before);
        watch(client, is_quick ? QUICK_NS : ROUND_NS, &sampler);
        pace_daemon_clock(&daemon, &after);
        pace_daemon_ask(&daemon, &after);
        vgpu_client_close(client);
        pace_daemon_stop(&daemon);

        frames = (double)(after.frames - before.frames);
        elapsed_ns = (double)(after.at_ns - before.at_ns);
        copy_ns = (double)(after.copy_ns - before.copy_ns);
        bench_row_sample(rows->cpu, round,
                100 * ((double)(after.cpu_ns - before.cpu_ns) - copy_ns) / elapsed_ns);
        if (scene->fps == 0) {
                bench_row_sample(rows->looks, round,
                        (double)(after.looks - before.looks) * 1e9 / elapsed_ns);
                return;
        }
        /* A mean has interruptions in it that no frame in the middle has, and the daemon's median is a bound. */
        copy_us = copy_ns / frames / 1e3;
        if (copy_us > (double)after.copy_median_ns / 1e3)
                copy_us = (double)after.copy_median_ns / 1e3;
        for (unsigned i = 0; i < sampler.n; i++)
                bench_row_sample(rows->late, round, sampler.late_us[i] - copy_us);
        bench_row_sample(rows->copy, round, copy_us);
        bench_row_sample(rows->looks, round, (double)(after.looks - before.looks) / frames);
        if (daemon.calls_fd >= 0)
                bench_row_sample(rows->calls, round, (double)(after.calls - before.calls) / frames);
        else
                bench_row_note(rows->calls, "no tracepoints here, or not for this user");
}

struct tables {
        struct bench_table *late, *cpu, *looks, *calls;
};

static void add_rows(const struct tables *t, const struct scene *scene, struct rows *ret)
{
        char name[32];

        *ret = (struct rows){ 0 };
        if (scene->fps == 0) {
                ret->cpu = bench_row_add(t->cpu, scene->latency, "idle");
                ret->looks = bench_row_add(t->looks, scene->latency, "idle, a second");
                if (scene->has_bar)
                        bench_row_at_most(ret->cpu, BENCH_OF_MEDIAN, TARGET_IDLE);
                return;
        }
        snprintf(name, sizeof(name), "%u fps", scene->fps);
        ret->late = bench_row_add(t->late, scene->latency, "%s, besides the copy", name);
        ret->copy = bench_row_add(t->late, scene->latency, "%s, the copy", name);
        ret->cpu = bench_row_add(t->cpu, scene->latency, "%s", name);
        ret->looks = bench_row_add(t->looks, scene->latency, "%s", name);
        ret->calls = bench_row_add(t->calls, scene->latency, "%s", name);
        if (!scene->has_bar)
                return;
        bench_row_at_most(ret->late, BENCH_OF_MEDIAN, TARGET_MEDIAN_US);
        bench_row_at_most(ret->late, BENCH_OF_P99, TARGET_P99_US);
        bench_row_at_most(ret->cpu, BENCH_OF_MEDIAN, TARGET_BUSY);
}

int main(int argc, char **argv)
{
        struct bench_options options = { .rounds = DEFAULT_ROUNDS };
        static struct bench_report report; /* reachable at the end: nobody frees it */
        struct rows rows[N_SCENES];
        struct pace_guest guest;
        struct tables t;

        bench_options_take(&options, argc, argv, about);
        bench_print_machine();
        t.late = bench_table_add(&report, "pace_latency", "us",
                "From the guest's publishing to the client that has the frame");
        t.cpu = bench_table_add(
                &report, "pace_cpu", "% of a core", "The daemon's processor time besides the copy");
        t.looks = bench_table_add(&report, "pace_looks", "looks", "Looks for each frame");
        t.calls = bench_table_add(
                &report, "pace_calls", "calls", "The daemon's system calls for each frame");
        for (size_t i = 0; i < N_SCENES; i++)
                add_rows(&t, &scenes[i], &rows[i]);
        pace_guest_start(&guest, 1920, 1080);
        for (unsigned round = 0; round < options.rounds; round++) {
                for (size_t i = 0; i < N_SCENES; i++) {
                        if (isatty(STDERR_FILENO))
                                fprintf(stderr, "\r\033[K%s, %u fps, round %u of %u",
                                        scenes[i].latency, scenes[i].fps, round + 1,
                                        options.rounds);
                        measure(&scenes[i], &guest, &rows[i], round, options.quick);
                }
        }
        if (isatty(STDERR_FILENO))
                fputs("\r\033[K", stderr);
        pace_guest_stop(&guest);
        return bench_report_write(&options, &report);
}
