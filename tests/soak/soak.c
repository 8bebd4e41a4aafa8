/*
 * soak.c - vgpu-soak: hours in minutes
 *
 * One simulated guest at 1080p60 that draws a stripe at a time and says which; every few seconds its mode changes, its producer
 * restarts or breaks its run, and once in a while it reboots. Two daemons read it: one lives as long as the soak and is
 * watched, the other one is killed and started again. Clients verify every byte of both, come and go, and one notes how
 * late it is told. What must come out: nothing torn, nothing foreign, and a daemon that is as small and as
 * quick at the end as at the beginning.
 *
 * script/soak builds and runs it; docs/performance.md says what the figures mean.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "line.h"
#include "options.h"
#include "process.h"
#include "trend.h"
#include "watch.h"

#define STRIPES      16u
#define STRIPES_TEXT "16"
#define MAX_MINUTES  1440u
#define LEAST_ROWS   5u /* a short soak has shorter rows */
#define MINUTE_S     60u

#define WARM_UP                                                                                    \
        3u /* one part in so many, until each worker has scanned and each client has left once */

/* What counts as flat, after that. */
#define MAX_GROWTH_KIB  256.0
#define MAX_MORE_FDS    8.0 /* rings of the past that a client has not let go of yet */
#define MAX_SLOWER      1.5
#define MAX_SLOWER_TAIL 3.0

enum who { LIVES_ON, OF_THE_OTHER, PROBER, VISITOR, N_WATCHES };

struct row {
        unsigned second; /* at its end */
        struct watch_counts counts;
        unsigned n_silent; /* clients that were not given anything */
        double rss_mib, p50_us, p99_us;
        struct process_holds holds;
};

struct soak {
        struct line line;
        struct daemon_proc other;
        struct watch *watch; /* N_WATCHES of them */
        unsigned seconds, row_s;
        unsigned n_modes, n_restarts, n_runs, n_reboots, n_daemons;
        struct trend rss_kib;
        struct bench_table *table;
        struct bench_row *rss, *fds, *maps, *growth, *p50, *p99, *slower, *slower_tail;
        struct bench_row *torn, *foreign, *backwards, *frames, *silent;
        struct row *row;
        unsigned n_rows;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
        (void)signal;
        interrupted = 1;
}

/* ---- what happens -------------------------------------------------------------------------------------------------- */

static _Noreturn void give_up(struct soak *s, const char *what)
{
        fprintf(stderr, "vgpu-soak: %s\n", what);
        daemon_proc_stop(&s->other);
        line_end(&s->line);
        exit(1);
}

static void tell(struct soak *s, const char *command)
{
        if (guest_proc_command(&s->line.guest, command) < 0)
                give_up(s, s->line.guest.line);
}

/* Larger and smaller than the one it began with, which every other one is. */
static void change_mode(struct soak *s)
{
        static const char *const modes[] = { "mode 1280x720@60", "mode 1920x1080@60",
                "mode 2560x1440@60", "mode 1920x1080@60" };

        tell(s, modes[s->n_modes++ % 4]);
}

static void restart_daemon(struct soak *s)
{
        daemon_proc_kill(&s->other);
        if (daemon_proc_restart(&s->other) < 0)
                give_up(s, "the other daemon does not start again");
        s->n_daemons++;
}

/* Periods without a common divisor, so that over time everything meets everything. */
static void happen(struct soak *s, unsigned second)
{
        if (second % 7 == 3)
                change_mode(s);
        if (second % 11 == 5) {
                tell(s, "restart-producer");
                s->n_restarts++;
        }
        if (second % 13 == 9) {
                tell(s, "run-epoch");
                s->n_runs++;
        }
        if (second % 17 == 11)
                restart_daemon(s);
        if (second % 59 == 31) {
                tell(s, "reboot");
                s->n_reboots++;
        }
}

/* ---- what is seen -------------------------------------------------------------------------------------------------- */

static void take_all(struct soak *s, struct row *row)
{
        static struct watch_tally tally; /* large for a stack */

        for (int i = 0; i < N_WATCHES; i++) {
                watch_take(&s->watch[i], &tally);
                row->n_silent += tally.counts.frames == 0;
                row->counts.torn += tally.counts.torn;
                row->counts.foreign += tally.counts.foreign;
                row->counts.backwards += tally.counts.backwards;
                row->counts.visits += tally.counts.visits;
                row->counts.reconnects += tally.counts.reconnects;
                if (i != PROBER) {
                        row->counts.frames += tally.counts.frames;
                        continue;
                }
                row->p50_us = (double)latency_quantile(&tally.latency, 0.5) / 1e3;
                row->p99_us = (double)latency_quantile(&tally.latency, 0.99) / 1e3;
        }
}

static void sample_memory(struct soak *s, unsigned second)
{
        struct process_memory m;

        if (!process_memory(s->line.daemon.pid, &m))
                give_up(s, "the daemon is gone");
        bench_row_sample(s->rss, s->n_rows, (double)m.rss_bytes / (1 << 20));
        if (second > s->seconds / WARM_UP)
                trend_add(&s->rss_kib, second, (double)m.rss_bytes / 1024);
}

static double median_of_round(const struct bench_row *all, unsigned round)
{
        struct bench_row one = { 0 };
        double median;

        for (size_t i = 0; i < all->n_samples; i++)
                if (all->sample[i].round == round)
                        bench_row_sample(&one, 0, all->sample[i].value);
        median = bench_row_figures(&one).median;
        free(one.sample);
        return median;
}

static void print_heading(void)
{
        printf("%8s %8s %6s %8s %9s %7s %8s %5s %5s %9s %9s %7s %7s\n", "second", "frames", "torn",
                "foreign", "backwards", "visits", "RSS MiB", "fds", "maps", "p50 us", "p99 us",
                "reboots", "daemons");
}

static void end_row(struct soak *s, unsigned second)
{
        struct row *row = &s->row[s->n_rows];

        row->second = second;
        take_all(s, row);
        row->rss_mib = median_of_round(s->rss, s->n_rows);
        if (!process_holds(s->line.daemon.pid, &row->holds))
                give_up(s, "the daemon is gone");
        bench_row_sample(s->frames, s->n_rows, (double)row->counts.frames);
        bench_row_sample(s->silent, s->n_rows, row->n_silent);
        bench_row_sample(s->torn, s->n_rows, (double)row->counts.torn);
        bench_row_sample(s->foreign, s->n_rows, (double)row->counts.foreign);
        bench_row_sample(s->backwards, s->n_rows, (double)row->counts.backwards);
        bench_row_sample(s->fds, s->n_rows, row->holds.n_fds);
        bench_row_sample(s->maps, s->n_rows, row->holds.n_maps);
        bench_row_sample(s->p50, s->n_rows, row->p50_us);
        bench_row_sample(s->p99, s->n_rows, row->p99_us);
        s->n_rows++;
        printf("%8u %8llu %6llu %8llu %9llu %7llu %8.3f %5u %5u %9.1f %9.1f %7u %7u\n", second,
                (unsigned long long)row->counts.frames, (unsigned long long)row->counts.torn,
                (unsigned long long)row->counts.foreign, (unsigned long long)row->counts.backwards,
                (unsigned long long)row->counts.visits, row->rss_mib, row->holds.n_fds,
                row->holds.n_maps, row->p50_us, row->p99_us, s->n_reboots, s->n_daemons);
        fflush(stdout);
}

/* ---- the verdict --------------------------------------------------------------------------------------------------- */

/* How a time at the end compares with what it was after warming up, by a line that a disturbed row or two do not move. */
static double slower(const struct soak *s, double (*of)(const struct row *row))
{
        double *x = calloc(s->n_rows, 2 * sizeof(*x)), *y = x ? x + s->n_rows : NULL, ratio;
        unsigned n = 0;

        for (unsigned i = 0; x && i < s->n_rows; i++) {
                if (s->row[i].second <= s->seconds / WARM_UP || of(&s->row[i]) <= 0)
                        continue;
                x[n] = s->row[i].second;
                y[n++] = of(&s->row[i]);
        }
        ratio = n > 0 ? trend_ratio(x, y, n) : 0;
        free(x);
        return ratio;
}

static double p50_of(const struct row *row)
{
        return row->p50_us;
}

static double p99_of(const struct row *row)
{
        return row->p99_us;
}

static void judge(struct soak *s)
{
        double growth = trend_slope(&s->rss_kib) * (s->seconds - s->seconds / WARM_UP);

        if (s->seconds < LEAST_ROWS * MINUTE_S || s->n_rows < LEAST_ROWS) {
                bench_row_note(s->growth, "too short to tell");
                bench_row_note(s->slower, "too short to tell");
                bench_row_note(s->slower_tail, "too short to tell");
                return;
        }
        bench_row_sample(s->growth, 0, growth);
        bench_row_sample(s->slower, 0, slower(s, p50_of));
        bench_row_sample(s->slower_tail, 0, slower(s, p99_of));
        bench_row_at_most(s->silent, BENCH_OF_MAX, 0);
        bench_row_at_most(s->fds, BENCH_OF_MAX, s->row[1].holds.n_fds + MAX_MORE_FDS);
}

static void add_rows(struct soak *s, struct bench_report *report)
{
        struct bench_table *t = bench_table_add(
                report, "soak", "as named", "A daemon that lives through it, row by row");

        s->frames = bench_row_add(t, "", "frames whose every byte was checked");
        s->silent = bench_row_add(t, "", "clients without a frame");
        s->torn = bench_row_add(t, "", "torn frames");
        s->foreign = bench_row_add(t, "", "foreign frames");
        s->backwards = bench_row_add(t, "", "frames older than the one before");
        s->rss = bench_row_add(t, "", "RSS besides ring and guest, MiB");
        s->growth = bench_row_add(t, "", "its rise after the first third, KiB");
        s->fds = bench_row_add(t, "", "descriptors");
        s->maps = bench_row_add(t, "", "mappings");
        s->p50 = bench_row_add(t, "", "publish to a client's hold, median, us");
        s->p99 = bench_row_add(t, "", "publish to a client's hold, p99, us");
        s->slower = bench_row_add(t, "", "the median at the end by that after the first third");
        s->slower_tail = bench_row_add(t, "", "the same of p99");
        bench_row_at_most(s->torn, BENCH_OF_MAX, 0);
        bench_row_at_most(s->foreign, BENCH_OF_MAX, 0);
        bench_row_at_most(s->backwards, BENCH_OF_MAX, 0);
        bench_row_at_most(s->growth, BENCH_OF_MEDIAN, MAX_GROWTH_KIB);
        bench_row_at_most(s->slower, BENCH_OF_MEDIAN, MAX_SLOWER);
        bench_row_at_most(s->slower_tail, BENCH_OF_MEDIAN, MAX_SLOWER_TAIL);
}

/* Times waver with what else the machine does, so they are said and do not fail it. Bytes and leaks do. */
static bool sound(const struct soak *s)
{
        return bench_row_figures(s->frames).median > 0 && bench_row_holds(s->torn) == BENCH_HOLDS &&
               bench_row_holds(s->foreign) == BENCH_HOLDS &&
               bench_row_holds(s->backwards) == BENCH_HOLDS &&
               bench_row_holds(s->silent) != BENCH_MISSED &&
               bench_row_holds(s->growth) != BENCH_MISSED &&
               bench_row_holds(s->fds) != BENCH_MISSED;
}

/* ---- running it ---------------------------------------------------------------------------------------------------- */

static void set_up(struct soak *s)
{
        static const char quiet[] = "[log]\nlevel = notice\n";
        static const enum watch_kind kind[N_WATCHES] = { WATCH_VERIFIES, WATCH_VERIFIES,
                WATCH_PROBES, WATCH_VISITS };
        const struct guest_facts *facts = &s->line.guest.facts;

        line_guest(&s->line, (const char *const[]){ "--scatter", "--ram-size", "1G", "--mode",
                                     "1920x1080@60", "--stripes", STRIPES_TEXT, NULL });
        line_daemon(&s->line, quiet, NULL);
        if (daemon_proc_start(&s->other, facts->ram, facts->machine, facts->ram_size, quiet) < 0)
                give_up(s, "the other daemon does not start");
        s->watch = calloc(N_WATCHES, sizeof(*s->watch));
        s->row = calloc(s->seconds / s->row_s + 1, sizeof(*s->row));
        if (!s->watch || !s->row)
                give_up(s, "no memory");
        for (int i = 0; i < N_WATCHES; i++) {
                s->watch[i].kind = kind[i];
                s->watch[i].n_stripes = STRIPES;
                s->watch[i].socket = i == OF_THE_OTHER ? s->other.socket : s->line.daemon.socket;
                if (watch_start(&s->watch[i]) < 0)
                        give_up(s, "no thread");
        }
}

static void tear_down(struct soak *s)
{
        for (int i = 0; i < N_WATCHES; i++)
                watch_stop(&s->watch[i]);
        free(s->watch);
        free(s->row);
        daemon_proc_stop(&s->other);
        line_end(&s->line);
}

static void run(struct soak *s)
{
        struct timespec next;

        clock_gettime(CLOCK_MONOTONIC, &next);
        for (unsigned second = 1; second <= s->seconds && !interrupted; second++) {
                next.tv_sec++;
                clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
                happen(s, second);
                sample_memory(s, second);
                if (second % s->row_s == 0)
                        end_row(s, second);
        }
}

static void usage(FILE *f)
{
        fprintf(f,
                "Usage: vgpu-soak [--minutes N | --seconds N] [--csv FILE] [--svg FILE]\n\n"
                "A guest that changes its mode, restarts its producer and reboots, two daemons on "
                "it, one of\n"
                "which is killed again and again, and clients that verify every byte, come and "
                "go.\n\n"
                "  --minutes N  how long (default 10, at most %u)\n"
                "  --seconds N  likewise, for a test of the soak itself\n"
                "  --csv FILE   write the figures there, too\n"
                "  --svg FILE   and a chart of them there\n\n"
                "Exit status: 0 nothing torn, nothing foreign, nothing left behind, 1 something "
                "was, 2 wrong\nusage.\n",
                MAX_MINUTES);
}

static bool take_number(const char *text, unsigned max, unsigned *ret)
{
        char *end;
        unsigned long n = strtoul(text, &end, 10);

        if (text[0] < '0' || text[0] > '9' || *end != '\0' || n < 1 || n > max)
                return false;
        *ret = (unsigned)n;
        return true;
}

static void take_options(struct soak *s, struct bench_options *o, int argc, char **argv)
{
        static const struct option options[] = {
                { "minutes", required_argument, NULL, 'm' },
                { "seconds", required_argument, NULL, 's' },
                { "csv", required_argument, NULL, 'c' },
                { "svg", required_argument, NULL, 'v' },
                { "help", no_argument, NULL, 'h' },
                { 0 },
        };
        int option, at = 0;
        bool good = true;

        while ((option = getopt_long(argc, argv, "h", options, &at)) != -1) {
                if (option == 'h') {
                        usage(stdout);
                        exit(0);
                }
                if (option == 'm' && (good = take_number(optarg, MAX_MINUTES, &s->seconds)))
                        s->seconds *= MINUTE_S;
                else if (option == 's')
                        good = take_number(optarg, MAX_MINUTES * MINUTE_S, &s->seconds);
                else if (option == 'c')
                        o->csv = optarg;
                else if (option == 'v')
                        o->svg = optarg;
                if (option == '?')
                        exit(2);
                if (!good) {
                        fprintf(stderr, "vgpu-soak: --%s does not take '%s' (see --help)\n",
                                options[at].name, optarg);
                        exit(2);
                }
        }
        if (optind < argc) {
                fprintf(stderr, "vgpu-soak: what is '%s'? (see --help)\n", argv[optind]);
                exit(2);
        }
}

int main(int argc, char **argv)
{
        const struct sigaction interrupt = { .sa_handler = on_signal };
        struct bench_options options = { 0 };
        static struct bench_report report; /* reachable at the end: nobody frees it */
        static struct soak s = { .line = { .guest = GUEST_PROC_NULL }, .seconds = 10 * MINUTE_S };
        int status;

        take_options(&s, &options, argc, argv);
        sigaction(SIGINT, &interrupt, NULL);
        sigaction(SIGTERM, &interrupt, NULL);
        s.row_s = s.seconds / LEAST_ROWS < MINUTE_S ? s.seconds / LEAST_ROWS : MINUTE_S;
        s.row_s += s.row_s == 0;
        add_rows(&s, &report);
        bench_print_machine();
        set_up(&s);
        print_heading();
        run(&s);
        judge(&s);
        printf("%u modes, %u restarts of the producer, %u runs, %u reboots, %u daemons killed\n",
                s.n_modes, s.n_restarts, s.n_runs, s.n_reboots, s.n_daemons);
        tear_down(&s);
        status = bench_report_write(&options, &report);
        if (interrupted)
                fputs("vgpu-soak: interrupted\n", stderr);
        return status != 0 || interrupted || !sound(&s);
}
