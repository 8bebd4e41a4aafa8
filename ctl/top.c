/*
 * top.c - the command: a live screen, or the same as text, sample by sample
 */
#include "top.h"

#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "latency.h"
#include "text.h"
#include "vgpu_client.h"
#include "vgpu_protocol.h"

/* A daemon that hangs must not hold up the keys for long. */
#define ASK_TIMEOUT_MS 500
#define PERIOD_MS      1000
#define BATCH_WIDTH    80
#define BATCH_HEIGHT   1024 /* all that an answer's clients take */

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
        (void)signal;
        stop = 1;
}

/* Without SA_RESTART, so that waiting ends. */
static void catch_signals(void)
{
        static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
        struct sigaction sa = { .sa_handler = on_signal };

        for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
                sigaction(signals[i], &sa, NULL);
}

static json_object *ask_for(const char *path, uint32_t what, struct vgpu_client_failure *why)
{
        json_object *o;
        char *reply = NULL;

        if (vgpu_client_query(path, what, ASK_TIMEOUT_MS, &reply, why) < 0)
                return NULL;
        o = json_tokener_parse(reply);
        free(reply);
        if (json_object_is_type(o, json_type_object))
                return o;
        json_object_put(o);
        return NULL;
}

/* An older daemon may lack the last two; what they are for is left out then. */
static void ask(void *path, struct top_reports *ret)
{
        struct vgpu_client_failure why;

        ret->status = ask_for(path, VGPU_QUERY_STATUS, &why);
        if (!ret->status)
                return;
        ret->clients = ask_for(path, VGPU_QUERY_CLIENTS, &why);
        ret->metrics = ask_for(path, VGPU_QUERY_METRICS, &why);
}

static void print_text(const struct top *t)
{
        struct canvas c;

        if (canvas_init(&c, BATCH_WIDTH, BATCH_HEIGHT) < 0)
                return;
        top_draw_batch(t, &c);
        canvas_print(stdout, &c);
        putchar('\n');
        canvas_deinit(&c);
}

static void print_object(const struct top *t)
{
        const struct ctl line = { .json = CTL_JSON_SHORT };
        json_object *o = json_object_new_object();

        json_object_object_add(o, "schema", json_object_new_int(1));
        json_object_object_add(o, "answers", json_object_new_boolean(!t->away_ns));
        json_object_object_add(o, "status", json_object_get(t->now.status));
        json_object_object_add(o, "clients", json_object_get(t->now.clients));
        json_object_object_add(o, "metrics", json_object_get(t->now.metrics));
        ctl_print_json(&line, o);
        json_object_put(o);
}

static int batch(const struct ctl *ctl, struct top *t, char *path, uint64_t n, uint64_t end_ns)
{
        for (uint64_t i = 0; i < n && !stop && !ferror(stdout); i++) {
                struct top_reports reports = { .at_ns = latency_now() };

                if (reports.at_ns >= end_ns)
                        break;
                ask(path, &reports);
                top_take(t, &reports);
                if (ctl->json)
                        print_object(t);
                else
                        print_text(t);
                fflush(stdout);
                if (i + 1 < n)
                        poll(NULL, 0, PERIOD_MS);
        }
        return ctl_done();
}

static bool has_screen(void)
{
        const char *term = getenv("TERM");

        return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

static int top(const struct ctl *ctl, char *path, bool as_text, uint64_t n, uint64_t ms)
{
        uint64_t end_ns = ms ? latency_now() + ms * 1000000 : UINT64_MAX;
        struct vgpu_client_failure why = { 0 };
        json_object *first = ask_for(path, VGPU_QUERY_STATUS, &why);
        struct top t;
        int r = CTL_OK;

        /* Later it may come and go; who names a wrong socket is told at once. */
        if (!first)
                return why.error ? ctl_connect_failed(path, &why)
                                 : ctl_fail("'%s' answered with something that is no status", path);
        json_object_put(first);
        catch_signals();
        top_init(&t);
        if (as_text || ctl->json || !has_screen() || top_screen(&t, ask, path, &stop, end_ns) < 0)
                r = batch(ctl, &t, path, n, end_ns);
        top_deinit(&t);
        return r;
}

int top_run(struct ctl *ctl, int argc, char **argv)
{
        enum { SECONDS = CTL_OPTION_OWN };
        static const struct option options[] = {
                { "batch", no_argument, NULL, 'b' },
                { "count", required_argument, NULL, 'n' },
                { "seconds", required_argument, NULL, SECONDS },
                { 0 },
        };
        uint64_t n = UINT64_MAX, ms = 0;
        char buf[256], path[256];
        bool as_text = false;
        const char *found;
        int c;

        while ((c = ctl_getopt(ctl, argc, argv, "bn:", options)) != 0) {
                if (c < 0)
                        return CTL_USAGE;
                if (c == 'b')
                        as_text = true;
                else if (c == 'n' && (text_to_u64(optarg, &n) < 0 || n == 0))
                        return ctl_usage(argv[0], "'%s' is no number of samples", optarg);
                else if (c == SECONDS && (text_to_ms(optarg, &ms) < 0 || ms == 0))
                        return ctl_usage(argv[0], "'%s' is no number of seconds", optarg);
        }
        if (optind < argc)
                return ctl_usage(argv[0], "what is '%s'?", argv[optind]);
        found = ctl_socket(ctl, buf, sizeof buf);
        if (!found)
                return CTL_FAILED;
        snprintf(path, sizeof path, "%s", found);
        return top(ctl, path, as_text || n != UINT64_MAX, n, ms);
}
