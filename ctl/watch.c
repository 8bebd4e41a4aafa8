/*
 * watch.c - the stream as a live line
 *
 * Frames are looked at, never copied: what a frame costs here is its descriptor, so watching a 4K stream
 * disturbs nobody.
 */
#include "ctl.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "latency.h"
#include "text.h"
#include "vgpu_client.h"

#define TERMINAL_PERIOD_NS UINT64_C(250000000)
#define PLAIN_PERIOD_NS    UINT64_C(1000000000)
#define LINE_MAX_BYTES     256

struct watch {
        const struct ctl *ctl;
        struct vgpu_client *client;
        bool terminal;
        uint64_t period_ns;
        uint64_t period_began_ns;
        uint64_t last_serial;
        uint64_t n_period;              /* frames published in this period */
        uint64_t n_missed;              /* published between two looks, in all */
        struct latency latency;         /* of this period */
        struct vgpu_client_frame frame; /* the newest seen */
};

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
        (void)signal;
        stop = 1;
}

/* Without SA_RESTART, so that a blocking wait returns. */
static void catch_signals(void)
{
        struct sigaction sa = { .sa_handler = on_signal };

        sigaction(SIGINT, &sa, NULL);
        sigaction(SIGTERM, &sa, NULL);
}

static void look(struct watch *w)
{
        struct vgpu_client_frame frame;

        if (vgpu_client_peek(w->client, &frame) != 1 || frame.serial == w->last_serial)
                return;
        /* The first frame may be from before we came: its age is no latency. */
        if (w->last_serial)
                latency_add(&w->latency, latency_between(frame.publish_ns, latency_now()));
        if (w->last_serial && frame.serial > w->last_serial) {
                w->n_period += frame.serial - w->last_serial;
                w->n_missed += frame.serial - w->last_serial - 1;
        } else {
                w->n_period++;
        }
        w->last_serial = frame.serial;
        w->frame = frame;
}

static void format_line(struct watch *w, uint64_t now_ns, char *buf, size_t cap)
{
        struct vgpu_client_state state;
        double seconds = (double)latency_between(w->period_began_ns, now_ns) / 1e9;
        char fourcc[20];

        vgpu_client_state(w->client, &state);
        if (!state.connected) {
                snprintf(buf, cap, "the daemon is gone, trying to reach it again");
        } else if (state.tick_overdue) {
                snprintf(buf, cap, "the daemon does not answer, what is shown may be old");
        } else {
                text_escape(fourcc, sizeof fourcc, (const char *)&w->frame.fourcc,
                        sizeof w->frame.fourcc);
                snprintf(buf, cap,
                        "%-10s %ux%u %s  %5.1f fps  missed %" PRIu64
                        "  latency p50 %.3f ms p99 %.3f ms",
                        vgpu_client_state_name(state.stream.state), w->frame.width, w->frame.height,
                        w->last_serial ? fourcc : "-",
                        seconds > 0 ? (double)w->n_period / seconds : 0.0, w->n_missed,
                        (double)latency_quantile(&w->latency, 0.5) / 1e6,
                        (double)latency_quantile(&w->latency, 0.99) / 1e6);
        }
}

/* One object a line, whatever form was asked for: it is a stream. */
static void print_object(struct watch *w, uint64_t now_ns)
{
        const struct ctl line = { .json = CTL_JSON_SHORT };
        double seconds = (double)latency_between(w->period_began_ns, now_ns) / 1e9;
        json_object *o = json_object_new_object();
        struct vgpu_client_state state;
        char fourcc[20];

        vgpu_client_state(w->client, &state);
        json_object_object_add(o, "schema", json_object_new_int(1));
        json_object_object_add(o, "connected", json_object_new_boolean(state.connected));
        json_object_object_add(
                o, "state", json_object_new_string(vgpu_client_state_name(state.stream.state)));
        json_object_object_add(o, "width", json_object_new_uint64(w->frame.width));
        json_object_object_add(o, "height", json_object_new_uint64(w->frame.height));
        json_object_object_add(o, "format",
                w->last_serial ? json_object_new_string(text_escape(fourcc, sizeof fourcc,
                                         (const char *)&w->frame.fourcc, sizeof w->frame.fourcc))
                               : NULL);
        json_object_object_add(o, "fps",
                json_object_new_double(seconds > 0 ? (double)w->n_period / seconds : 0.0));
        json_object_object_add(o, "missed", json_object_new_uint64(w->n_missed));
        json_object_object_add(
                o, "latency_p50_ns", json_object_new_uint64(latency_quantile(&w->latency, 0.5)));
        json_object_object_add(
                o, "latency_p99_ns", json_object_new_uint64(latency_quantile(&w->latency, 0.99)));
        ctl_print_json(&line, o);
        json_object_put(o);
}

/* A line that wraps could not be rewritten in place. */
static int terminal_columns(void)
{
        struct winsize size;

        return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1
                                                                               : 79;
}

static void print(struct watch *w, uint64_t now_ns)
{
        char buf[LINE_MAX_BYTES];

        format_line(w, now_ns, buf, sizeof buf);
        if (w->ctl->json)
                print_object(w, now_ns);
        else if (w->terminal)
                printf("\r%.*s\033[K", terminal_columns(), buf);
        else
                puts(buf);
        fflush(stdout);
        latency_reset(&w->latency);
        w->n_period = 0;
        w->period_began_ns = now_ns;
}

static int milliseconds_until(uint64_t deadline_ns, uint64_t now_ns)
{
        return (int)(latency_between(now_ns, deadline_ns) / 1000000 + 1);
}

/* @ms: 0: until a signal. Return: 0 when it was to end, or what the library refused to go on with. */
static int follow(struct watch *w, uint64_t ms)
{
        uint64_t now_ns = latency_now(), print_ns = now_ns + w->period_ns;
        uint64_t end_ns = ms ? now_ns + ms * 1000000 : UINT64_MAX;
        int events;

        w->period_began_ns = now_ns;
        while (!stop && now_ns < end_ns && !ferror(stdout)) {
                events = vgpu_client_wait(w->client,
                        milliseconds_until(print_ns < end_ns ? print_ns : end_ns, now_ns));
                if (events < 0)
                        return events;
                if (events & VGPU_CLIENT_INSTANCE)
                        w->last_serial = 0;
                look(w);
                now_ns = latency_now();
                if (now_ns >= print_ns) {
                        print(w, now_ns);
                        print_ns += w->period_ns;
                }
        }
        return 0;
}

static int watch(const struct ctl *ctl, const char *path, uint64_t ms)
{
        struct vgpu_client_options options = {
                .name = "vgpuctl watch",
                .interest = VGPU_CLIENT_FRAME | VGPU_CLIENT_STATE,
        };
        struct vgpu_client_failure why = { 0 };
        struct watch w = { .ctl = ctl, .terminal = !ctl->json && isatty(STDOUT_FILENO) };
        int r = vgpu_client_connect(path, &options, &w.client, &why);

        if (r < 0)
                return ctl_connect_failed(path, &why);
        w.period_ns = w.terminal ? TERMINAL_PERIOD_NS : PLAIN_PERIOD_NS;
        catch_signals();
        r = follow(&w, ms);
        if (w.terminal)
                putchar('\n');
        vgpu_client_close(w.client);
        if (r < 0)
                return ctl_fail("'%s': the connection is lost: %s", path, strerror(-r));
        return CTL_OK;
}

int watch_run(struct ctl *ctl, int argc, char **argv)
{
        enum { SECONDS = CTL_OPTION_OWN };
        static const struct option options[] = {
                { "seconds", required_argument, NULL, SECONDS },
                { 0 },
        };
        uint64_t ms = 0;
        char buf[256];
        const char *path;
        int c;

        while ((c = ctl_getopt(ctl, argc, argv, "", options)) != 0) {
                if (c < 0)
                        return CTL_USAGE;
                if (text_to_ms(optarg, &ms) < 0 || ms == 0)
                        return ctl_usage(argv[0], "'%s' is no number of seconds", optarg);
        }
        if (optind < argc)
                return ctl_usage(argv[0], "what is '%s'?", argv[optind]);
        path = ctl_socket(ctl, buf, sizeof buf);
        return path ? watch(ctl, path, ms) : CTL_FAILED;
}
