/*
 * vgpu-bench-find - how long until a kernel, its processes and a region are found, and what that costs others
 *
 * First the steps by themselves, out of cold caches; then the daemon's own loop beside a guest that lives: its producer is
 * killed and started again, over and over, at moments that have nothing to do with when the daemon looks.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "find_daemon.h"
#include "find_scene.h"
#include "options.h"
#include "scan_helper.h"
#include "systemd/journal.h"

#define DEFAULT_ROUNDS 10
#define MAX_LISTED     8192u
#define MAX_FOUND      64u
#define RESTARTS       5u
#define PATIENCE_NS    (UINT64_C(20) * 1000000000)

/* What the bar says. */
#define TARGET_ATTACH_MS   20
#define TARGET_DISCOVER_MS 100
#define TARGET_RESTART_MS  20
#define TARGET_SLICE_MS    1

static const char about[] =
        "Finds a kernel, its processes and a region in a simulated guest of 8 GiB with 300 "
        "processes\n"
        "and 2 million mapped user pages, and restarts its producer under the daemon's own loop.\n";

static double now_ms(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* Of this thread: what the machine does beside it counts less there. */
static double cpu_ms(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
        return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static uint64_t now_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static _Noreturn void give_up(const char *what)
{
        fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
        exit(1);
}

/* ---- the steps by themselves --------------------------------------------------------------------------------------- */

struct steps {
        struct bench_row *attach, *attach_cpu, *list, *blocks;
        struct bench_row *discover, *discover_cpu; /* as the daemon does it: two threads */
        struct bench_row *alone, *alone_cpu;
};

static void measure_attach(
        struct find_scene *s, const struct steps *to, unsigned round, vmie_win32 **ret_v)
{
        static process listed[MAX_LISTED];
        struct win32_failure why;
        double from_ms, cpu_from_ms;
        vmie_win32 *v;
        size_t n;

        s->scan.levels = 0;
        find_scene_cool(s);
        cpu_from_ms = cpu_ms();
        from_ms = now_ms();
        v = vmie_win32_open(&s->scan, 0, &why);
        if (!v)
                give_up(win32_reason_text(why.reason));
        bench_row_sample(to->attach, round, now_ms() - from_ms);
        bench_row_sample(to->attach_cpu, round, cpu_ms() - cpu_from_ms);
        from_ms = now_ms();
        if (proc_list(v, listed, MAX_LISTED, &n) < 0)
                give_up("the processes cannot be listed");
        bench_row_sample(to->list, round, now_ms() - from_ms);
        *ret_v = v;
}

/* @helper: NULL: by this thread alone. */
static void measure_discovery(struct find_scene *s, vmie_win32 *v, struct scan_helper *helper,
        unsigned round, struct bench_row *wall, struct bench_row *cpu)
{
        static struct vgpup_candidate found[MAX_FOUND];
        struct vgpup_progress progress;
        const struct vgpup_discovery how = {
                .progress = &progress,
                .helper = helper ? &helper->helper : NULL,
        };
        double from_ms, cpu_from_ms;
        size_t n;

        find_scene_cool(s);
        cpu_from_ms = cpu_ms();
        from_ms = now_ms();
        if (vgpup_discover(v, &how, found, MAX_FOUND, &n) < 0 || n != 1)
                give_up("the region was not found");
        bench_row_sample(wall, round, now_ms() - from_ms);
        bench_row_sample(
                cpu, round, cpu_ms() - cpu_from_ms + (helper ? (double)helper->took_ns / 1e6 : 0));
        bench_row_note(wall, "%zu processes, %llu pages mapped, %zu looked into",
                atomic_load(&progress.n_processes), (unsigned long long)s->n_pages,
                atomic_load(&progress.n_pages));
}

/* Nothing in the guest moves meanwhile; a context that was never read through begins each round. */
static void measure_steps(struct find_scene *s, const struct steps *to, unsigned round)
{
        uint64_t blocks = find_scene_blocks(s);
        struct scan_helper helper;
        vmie_win32 *v;

        measure_attach(s, to, round, &v);
        scan_helper_init(&helper);
        measure_discovery(s, v, &helper, round, to->discover, to->discover_cpu);
        measure_discovery(s, v, NULL, round, to->alone, to->alone_cpu);
        vmie_win32_close(v);
        bench_row_sample(to->blocks, round, (double)(find_scene_blocks(s) - blocks) / 8);
}

/* ---- a guest that lives --------------------------------------------------------------------------------------------- */

enum wish { WISH_NONE, WISH_KILL, WISH_START, WISH_END };

/* The simulated guest on a thread of its own. */
struct life {
        struct guest *guest;
        pthread_t thread;
        _Atomic enum wish wish;
        atomic_uint_fast64_t published_ns; /* by the last start */
};

static void fulfil(struct life *l, enum wish wish)
{
        if (wish == WISH_KILL && !guest_kill_producer(l->guest))
                give_up(l->guest->why);
        if (wish == WISH_START) {
                if (!guest_restart_producer(l->guest))
                        give_up(l->guest->why);
                atomic_store(&l->published_ns, now_ns());
        }
        atomic_store(&l->wish, WISH_NONE);
}

static void *live(void *arg)
{
        struct life *l = arg;
        enum wish wish;

        while ((wish = atomic_load(&l->wish)) != WISH_END) {
                const struct timespec nap = { .tv_nsec = 1000000 };

                if (wish != WISH_NONE)
                        fulfil(l, wish);
                guest_run_due(l->guest);
                nanosleep(&nap, NULL);
        }
        return NULL;
}

static void ask(struct life *l, enum wish wish)
{
        atomic_store(&l->wish, wish);
}

struct lives {
        struct bench_row *restart, *slice, *busy;
};

/* The longest turn that found a scan out: one that copies a last frame and then sends it out does not count. */
struct turns {
        uint64_t longest_ns;
};

static void turn(struct find_daemon *d, struct turns *t)
{
        bool scanning = find_daemon_is_scanning(d);
        uint64_t ns = find_daemon_turn(d);

        if (scanning && ns > t->longest_ns)
                t->longest_ns = ns;
}

static void turn_until(
        struct find_daemon *d, struct turns *t, bool (*is)(const struct find_daemon *d))
{
        uint64_t from_ns = now_ns();

        while (!is(d)) {
                turn(d, t);
                if (now_ns() - from_ns > PATIENCE_NS)
                        give_up("the daemon does not get on");
        }
}

static void turn_for(struct find_daemon *d, struct turns *t, uint64_t ns)
{
        uint64_t from_ns = now_ns();

        while (now_ns() - from_ns < ns)
                turn(d, t);
}

static double process_cpu_ms(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void measure_restart(struct find_daemon *d, struct life *l, const struct lives *to,
        unsigned round, unsigned which)
{
        struct turns t = { 0 };
        uint64_t wait_ns = 300000000 + (uint64_t)which * 37000000 + round * UINT64_C(11300000);
        uint64_t published_ns, found_ns;
        double busy_ms, from_ms;

        turn_until(d, &t, find_daemon_is_streaming);
        ask(l, WISH_KILL);
        turn_until(d, &t, find_daemon_is_searching);
        busy_ms = process_cpu_ms();
        from_ms = now_ms();
        turn_for(d, &t, wait_ns);
        bench_row_sample(
                to->busy, round, (process_cpu_ms() - busy_ms) / (now_ms() - from_ms) * 100);
        ask(l, WISH_START);
        turn_until(d, &t, find_daemon_is_streaming);
        published_ns = atomic_load(&l->published_ns);
        found_ns = find_daemon_found_ns(d);
        /* A scan that was under way may come upon it before the clock was read. */
        bench_row_sample(to->restart, round,
                found_ns > published_ns ? (double)(found_ns - published_ns) / 1e6 : 0);
        bench_row_sample(to->slice, round, (double)t.longest_ns / 1e6);
}

static void measure_lives(struct find_scene *s, const struct lives *to, unsigned rounds, bool quick)
{
        struct find_daemon *d = find_daemon_open(s->guest.ram.path);
        struct life l = { .guest = &s->guest };

        if (pthread_create(&l.thread, NULL, live, &l) != 0)
                give_up("no thread for the guest");
        for (unsigned round = 0; round < rounds; round++) {
                if (isatty(STDERR_FILENO))
                        fprintf(stderr, "\r\033[Krestarts, round %u of %u", round + 1, rounds);
                for (unsigned i = 0; i < (quick ? 1 : RESTARTS); i++)
                        measure_restart(d, &l, to, round, i);
        }
        while (atomic_load(&l.wish) != WISH_NONE)
                find_daemon_turn(d);
        ask(&l, WISH_END);
        pthread_join(l.thread, NULL);
        find_daemon_close(d);
}

int main(int argc, char **argv)
{
        static struct find_scene scene;
        static const struct find_size full = { UINT64_C(8) << 30, 300, 2000000 };
        static const struct find_size small = { UINT64_C(512) << 20, 60, 50000 };
        struct bench_options options = { .rounds = DEFAULT_ROUNDS };
        static struct bench_report report; /* reachable at the end: nobody frees it */
        struct bench_table *t, *u;
        struct steps steps;
        struct lives lives;

        bench_options_take(&options, argc, argv, about);
        bench_print_machine();
        journal_set_level(LOG_ERR);
        find_scene_open(&scene, options.quick ? &small : &full);
        t = bench_table_add(&report, "find", "ms", "Finding a kernel and a region");
        steps.attach = bench_row_add(t, "", "attach: kernel, offsets, process list");
        bench_row_at_most(steps.attach, BENCH_OF_MEDIAN, TARGET_ATTACH_MS);
        steps.attach_cpu = bench_row_add(t, "", "... processor time of it");
        steps.list = bench_row_add(t, "", "the process list again");
        steps.discover = bench_row_add(t, "", "discovery");
        bench_row_at_most(steps.discover, BENCH_OF_MEDIAN, TARGET_DISCOVER_MS);
        steps.discover_cpu = bench_row_add(t, "", "... processor time of both threads");
        steps.alone = bench_row_add(t, "", "the same by one thread");
        steps.alone_cpu = bench_row_add(t, "", "... its processor time");
        lives.restart = bench_row_add(t, "", "a restarted producer, from its identity on");
        bench_row_at_most(lives.restart, BENCH_OF_MEDIAN, TARGET_RESTART_MS);
        lives.slice = bench_row_add(t, "", "longest turn of the loop meanwhile");
        bench_row_at_most(lives.slice, BENCH_OF_MAX, TARGET_SLICE_MS);
        u = bench_table_add(&report, "find-cost", "see row", "What finding costs");
        steps.blocks = bench_row_add(u, "", "pages allocated in the RAM file");
        bench_row_at_most(steps.blocks, BENCH_OF_MAX, 0);
        lives.busy = bench_row_add(u, "", "percent of a processor while searching");
        bench_row_note(lives.busy, "in the first half second; the simulated guest and one search "
                                   "of everybody included");
        for (unsigned round = 0; round < options.rounds; round++) {
                if (isatty(STDERR_FILENO))
                        fprintf(stderr, "\r\033[Ksteps, round %u of %u", round + 1, options.rounds);
                measure_steps(&scene, &steps, round);
        }
        measure_lives(&scene, &lives, options.rounds, options.quick);
        find_scene_close(&scene);
        if (isatty(STDERR_FILENO))
                fputs("\r\033[K", stderr);
        return bench_report_write(&options, &report);
}
