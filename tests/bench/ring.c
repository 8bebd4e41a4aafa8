/*
 * ring.c - vgpu-bench-ring: how long after publishing a client holds a frame, beside what else could carry it
 *
 * `script/bench ring` builds and runs it; docs/performance.md says what the figures mean.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "options.h"
#include "plan.h"
#include "report.h"
#include "worker.h"

#define DEFAULT_ROUNDS  3u
#define DEFAULT_SECONDS 2u

static volatile int interrupted;

static void on_signal(int signal_number)
{
        (void)signal_number;
        interrupted = 1;
}

static void usage(FILE *f)
{
        fputs("Usage: vgpu-bench-ring [--quick] [--rounds N] [--seconds N | --frames N] [--clients "
              "LIST]\n"
              "                       [--only ring|peers|cost] [--csv FILE] [--svg FILE]\n"
              "                       [--log FILE]\n"
              "\n"
              "Measures at 60 fps how long after a frame is published a client is awake and holds "
              "it, what\n"
              "publishing costs the daemon, and the same hand-off by GStreamer's shmsink and by "
              "PipeWire.\n"
              "\n"
              "  --quick         one round of one second\n"
              "  --rounds N      how often everything is measured, in turn (default 3, at most 9)\n"
              "  --seconds N     for each row in each round (default 2, at most 60)\n"
              "  --frames N      the same in frames\n"
              "  --clients LIST  numbers of clients, at 1080p only, for example 1,8\n"
              "                  (default 1,4,64,256, then 4K and one of four clients stopped)\n"
              "  --only WHICH    ring, peers, or cost: what publishing costs the daemon, without "
              "hand-offs\n"
              "  --csv FILE      write the figures there, too\n"
              "  --svg FILE      and a chart of each table there\n"
              "  --log FILE      what the programs that are measured say (default: nowhere)\n"
              "\n"
              "Exit status: 0 measured, whatever came of it, 1 it could not be, 2 wrong usage.\n",
                f);
}

/* Return: whether @text is a number from 1 to @max and nothing else. */
static bool take_number(const char *text, unsigned max, unsigned *ret)
{
        char *end;
        unsigned long n = strtoul(text, &end, 10);

        if (text[0] < '0' || text[0] > '9' || *end != '\0' || n < 1 || n > max)
                return false;
        *ret = (unsigned)n;
        return true;
}

static bool take_counts(char *text, struct plan_options *o)
{
        char *rest = text;

        o->n_counts = 0;
        o->default_counts = false;
        for (char *item = strsep(&rest, ","); item; item = strsep(&rest, ",")) {
                if (o->n_counts == MAX_COUNTS ||
                        !take_number(item, MAX_CLIENTS, &o->count[o->n_counts]))
                        return false;
                o->n_counts++;
        }
        return true;
}

struct files {
        struct bench_options report;
        const char *log;
};

/* Return: whether the value makes sense. */
static bool take_option(int option, char *value, struct plan_options *o, struct files *files)
{
        unsigned seconds;

        switch (option) {
        case 'q':
                o->n_rounds = 1;
                o->n_frames = BENCH_FPS;
                return true;
        case 'r':
                return take_number(value, MAX_ROUNDS, &o->n_rounds);
        case 's':
                if (!take_number(value, 60, &seconds))
                        return false;
                o->n_frames = seconds * BENCH_FPS;
                return true;
        case 'f':
                return take_number(value, BENCH_MAX_SAMPLES, &o->n_frames);
        case 'c':
                return take_counts(value, o);
        case 'o':
                o->ring = strcmp(value, "ring") == 0;
                o->peers = strcmp(value, "peers") == 0;
                o->cost = o->ring || strcmp(value, "cost") == 0;
                return o->cost || o->peers;
        case 'C':
                files->report.csv = value;
                return true;
        case 'S':
                files->report.svg = value;
                return true;
        default:
                files->log = value;
                return true;
        }
}

static void take_options(int argc, char **argv, struct plan_options *o, struct files *files)
{
        static const struct option options[] = {
                { "quick", no_argument, NULL, 'q' },
                { "rounds", required_argument, NULL, 'r' },
                { "seconds", required_argument, NULL, 's' },
                { "frames", required_argument, NULL, 'f' },
                { "clients", required_argument, NULL, 'c' },
                { "only", required_argument, NULL, 'o' },
                { "csv", required_argument, NULL, 'C' },
                { "svg", required_argument, NULL, 'S' },
                { "log", required_argument, NULL, 'l' },
                { "help", no_argument, NULL, 'h' },
                { 0 },
        };
        int option, at = 0;

        while ((option = getopt_long(argc, argv, "h", options, &at)) != -1) {
                if (option == 'h') {
                        usage(stdout);
                        exit(0);
                }
                if (option == '?')
                        exit(2);
                if (!take_option(option, optarg, o, files)) {
                        fprintf(stderr, "vgpu-bench-ring: --%s does not take '%s' (see --help)\n",
                                options[at].name, optarg);
                        exit(2);
                }
        }
        if (optind < argc) {
                fprintf(stderr, "vgpu-bench-ring: what is '%s'? (see --help)\n", argv[optind]);
                exit(2);
        }
}

static void show_progress(
        const struct plan *p, unsigned round, unsigned done, const struct row *row)
{
        bench_progress("Round %u of %u, %u of %u: %u x %u, %u clients, %s", round + 1,
                p->options.n_rounds, done + 1, p->n_rows, row->scene.width, row->scene.height,
                row->scene.n_clients, ways[row->way].name);
}

/* Where the programs are that take part: beside this one. */
static void find_programs(char *folder, size_t size)
{
        ssize_t n = readlink("/proc/self/exe", folder, size - 1);
        char *slash;

        folder[n > 0 ? n : 0] = '\0';
        slash = strrchr(folder, '/');
        if (slash)
                *slash = '\0';
}

static void prepare_process(void)
{
        const struct sigaction interrupt = { .sa_handler = on_signal };
        struct rlimit files;

        sigaction(SIGINT, &interrupt, NULL);
        sigaction(SIGTERM, &interrupt, NULL);
        /* a descriptor per process */
        if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
                files.rlim_cur = files.rlim_max;
                setrlimit(RLIMIT_NOFILE, &files);
        }
}

int main(int argc, char **argv)
{
        struct plan_options options = { .n_rounds = DEFAULT_ROUNDS,
                .n_frames = DEFAULT_SECONDS * BENCH_FPS,
                .count = { 1, 4, 64, 256 },
                .n_counts = 4,
                .default_counts = true,
                .ring = true,
                .peers = true,
                .cost = true };
        struct files files = { .log = "/dev/null" };
        struct scene_options scene = { .interrupted = &interrupted };
        static struct bench_report report; /* reachable at the end: nobody frees it */
        static struct plan plan;
        char programs[400];
        bool done;

        take_options(argc, argv, &options, &files);
        find_programs(programs, sizeof(programs));
        scene.programs = programs;
        scene.n_frames = options.n_frames;
        scene.log_fd = open(files.log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
        if (scene.log_fd < 0) {
                fprintf(stderr, "vgpu-bench-ring: %s: %s\n", files.log, strerror(errno));
                return 1;
        }
        prepare_process();
        plan_init(&plan, &options);
        bench_print_machine();
        printf("%u fps, %u rounds of %u frames per row\n", BENCH_FPS, options.n_rounds,
                options.n_frames);
        fflush(stdout);
        done = plan_run(&plan, &scene, show_progress);
        bench_progress(NULL);
        if (!done) {
                fputs("vgpu-bench-ring: interrupted\n", stderr);
                return 1;
        }
        report_fill(&report, &plan);
        return bench_report_write(&files.report, &report);
}
