/*
 * main.c - vgpu-verify, the checking client of the demo and of the tests
 *
 * Connects as any reader does, copies every frame it is given and checks all of its bytes. Ends with a summary
 * when it has seen what it was to see, when its time is up, or on SIGINT and SIGTERM.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "latency.h"
#include "report.h"
#include "text.h"
#include "verify.h"

/* Also bounds how late a signal between the look at `stop` and the wait is noticed. */
#define LIVE_TERMINAL_NS UINT64_C(250000000)
#define LIVE_PLAIN_NS    UINT64_C(1000000000)

enum { EXIT_PASSED = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct options {
        const char *socket;
        uint64_t ms;     /* 0: no limit */
        uint64_t frames; /* 0: not asked for */
        uint64_t epoch;  /* 0: not asked for */
        uint64_t n_stripes;
        uint32_t client_flags;
        bool json, quiet, live, events;
};

static const char usage_text[] =
        "Usage: vgpu-verify --socket PATH [OPTION]...\n"
        "\n"
        "Copy every frame a vgpud delivers and check all its bytes against the pattern of the\n"
        "simulated guests.\n"
        "\n"
        "  --seconds N       end after N seconds\n"
        "  --frames N        end after N frames\n"
        "  --until-epoch E   end with the first frame of epoch E or later\n"
        "  --stripes N       the guest draws with --stripes N\n"
        "  --wait MEANS      fd (default) or futex: how to wait for the next frame\n"
        "  --wait-daemon     start before the daemon does\n"
        "  --events          print a line whenever state, epoch, producer, mode or ring change\n"
        "  --live            show a live line on the standard error\n"
        "  --json            print the summary as one JSON object\n"
        "  --quiet           print no summary\n"
        "  --help            this text\n"
        "\n"
        "Exit status: 0 every byte was right, 1 something was torn or foreign, no frame came or "
        "what\n"
        "was to be reached was not, 2 wrong usage.\n";

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
        (void)signal;
        stop = 1;
}

static void catch_signals(void)
{
        struct sigaction sa = { .sa_handler = on_signal };

        sigaction(SIGINT, &sa, NULL);
        sigaction(SIGTERM, &sa, NULL);
}

__attribute__((format(printf, 1, 2))) static int usage(const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        fputs("vgpu-verify: ", stderr);
        vfprintf(stderr, format, ap);
        fputs("\nTry 'vgpu-verify --help'.\n", stderr);
        va_end(ap);
        return EXIT_USAGE;
}

static bool reached(const struct verify *v, const struct options *o)
{
        if (o->frames && v->tally.frames >= o->frames)
                return true;
        return o->epoch && v->tally.frames && v->frame.epoch >= o->epoch;
}

static int wait_ms(uint64_t now_ns, uint64_t end_ns)
{
        uint64_t ns = latency_between(now_ns, end_ns);

        return (int)((ns < LIVE_TERMINAL_NS ? ns : LIVE_TERMINAL_NS) / 1000000 + 1);
}

struct live {
        bool wanted, in_place;
        uint64_t next_ns;
};

static void show_live(struct live *live, struct verify *v, uint64_t now_ns)
{
        if (!live->wanted || now_ns < live->next_ns)
                return;
        report_live(stderr, v, live->in_place);
        live->next_ns = now_ns + (live->in_place ? LIVE_TERMINAL_NS : LIVE_PLAIN_NS);
}

/* Return: 0 when it is over, or what the library refused to go on with. */
static int follow(struct verify *v, const struct options *o, struct live *live, uint64_t end_ns)
{
        struct report_view said;
        uint64_t now_ns = latency_now();
        int r;

        memset(&said, 0xff, sizeof said);
        while (!stop && now_ns < end_ns && !reached(v, o)) {
                r = vgpu_client_wait(v->client, wait_ms(now_ns, end_ns));
                if (r < 0)
                        return r;
                verify_dispatched(v, r);
                r = verify_take(v, now_ns);
                if (r < 0)
                        return r;
                if (r && (v->last.torn || v->last.foreign))
                        report_bad_frame(stderr, v);
                if (o->events)
                        report_event(stdout, v, &said);
                now_ns = latency_now();
                show_live(live, v, now_ns);
        }
        return 0;
}

static int finish(struct verify *v, const struct options *o, uint64_t elapsed_ns)
{
        if (o->json)
                report_json(stdout, v, elapsed_ns);
        else if (!o->quiet)
                report_summary(stdout, v, elapsed_ns);
        if ((o->frames || o->epoch) && !reached(v, o)) {
                fprintf(stderr, "vgpu-verify: ended before what was to be reached\n");
                return EXIT_FAILED;
        }
        if (!v->tally.frames)
                fprintf(stderr, "vgpu-verify: no frame came\n");
        return verify_passed(&v->tally) ? EXIT_PASSED : EXIT_FAILED;
}

static int run(const struct options *o)
{
        struct vgpu_client_options options = { .flags = o->client_flags, .name = "vgpu-verify" };
        struct vgpu_client_failure why = { 0 };
        struct live live = { .wanted = o->live, .in_place = isatty(STDERR_FILENO) };
        static struct verify v; /* its histograms are large for a stack */
        uint64_t began_ns;
        int r = vgpu_client_connect(o->socket, &options, &v.client, &why), verdict;

        if (r < 0) {
                fprintf(stderr, "vgpu-verify: %s\n", why.text);
                return EXIT_FAILED;
        }
        v.n_stripes = (uint32_t)o->n_stripes;
        verify_dispatched(&v, VGPU_CLIENT_RECONNECTED);
        catch_signals();
        began_ns = latency_now();
        r = follow(&v, o, &live, o->ms ? began_ns + o->ms * 1000000 : UINT64_MAX);
        if (live.wanted && live.in_place)
                fputc('\n', stderr);
        if (r < 0)
                fprintf(stderr, "vgpu-verify: '%s': %s\n", o->socket, strerror(-r));
        verdict = finish(&v, o, latency_between(began_ns, latency_now()));
        verify_deinit(&v);
        return r < 0 ? EXIT_FAILED : verdict;
}

/* Return: -1 to go on, or an exit code. */
static int parse(int argc, char **argv, struct options *o)
{
        enum {
                SOCKET,
                SECONDS,
                FRAMES,
                EPOCH,
                STRIPES,
                WAIT,
                WAIT_DAEMON,
                EVENTS,
                LIVE,
                JSON,
                QUIET,
                HELP
        };
        static const struct option options[] = {
                { "socket", required_argument, NULL, SOCKET },
                { "seconds", required_argument, NULL, SECONDS },
                { "frames", required_argument, NULL, FRAMES },
                { "until-epoch", required_argument, NULL, EPOCH },
                { "stripes", required_argument, NULL, STRIPES },
                { "wait", required_argument, NULL, WAIT },
                { "wait-daemon", no_argument, NULL, WAIT_DAEMON },
                { "events", no_argument, NULL, EVENTS },
                { "live", no_argument, NULL, LIVE },
                { "json", no_argument, NULL, JSON },
                { "quiet", no_argument, NULL, QUIET },
                { "help", no_argument, NULL, HELP },
                { 0 },
        };
        int c;

        opterr = 0;
        while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
                switch (c) {
                case SOCKET:
                        o->socket = optarg;
                        break;
                case SECONDS:
                        if (text_to_ms(optarg, &o->ms) < 0 || !o->ms)
                                return usage("'%s' is no number of seconds", optarg);
                        break;
                case FRAMES:
                        if (text_to_u64(optarg, &o->frames) < 0 || !o->frames)
                                return usage("'%s' is no number of frames", optarg);
                        break;
                case EPOCH:
                        if (text_to_u64(optarg, &o->epoch) < 0 || !o->epoch)
                                return usage("'%s' is no epoch", optarg);
                        break;
                case STRIPES:
                        if (text_to_u64(optarg, &o->n_stripes) < 0 || !o->n_stripes ||
                                o->n_stripes > MAX_STRIPES)
                                return usage("'%s' is no number of stripes", optarg);
                        break;
                case WAIT:
                        if (strcmp(optarg, "fd") != 0 && strcmp(optarg, "futex") != 0)
                                return usage("'%s' is neither fd nor futex", optarg);
                        if (strcmp(optarg, "futex") == 0)
                                o->client_flags |= VGPU_CLIENT_NO_WAKE_FD;
                        break;
                case WAIT_DAEMON:
                        o->client_flags |= VGPU_CLIENT_WAIT_DAEMON;
                        break;
                case EVENTS:
                        o->events = true;
                        break;
                case LIVE:
                        o->live = true;
                        break;
                case JSON:
                        o->json = true;
                        break;
                case QUIET:
                        o->quiet = true;
                        break;
                case HELP:
                        fputs(usage_text, stdout);
                        return EXIT_PASSED;
                default:
                        return usage("%s '%s'", c == ':' ? "no value for" : "unknown option",
                                argv[optind - 1]);
                }
        }
        if (optind < argc)
                return usage("what is '%s'?", argv[optind]);
        return o->socket ? -1 : usage("--socket PATH is missing");
}

int main(int argc, char **argv)
{
        struct options o = { 0 };
        int r = parse(argc, argv, &o);

        return r >= 0 ? r : run(&o);
}
