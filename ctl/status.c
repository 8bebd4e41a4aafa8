/*
 * status.c - ask the daemon, print the answer
 *
 * The answer is JSON and the daemon may be newer or older than this program: each line is printed when its
 * values are there. Names in it come from a guest and are escaped once more, whatever the daemon did.
 */
#include "status.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "text.h"
#include "vgpu_client.h"
#include "vgpu_protocol.h"

#define KEY_WIDTH 12
#define TEXT_MAX  512

__attribute__((format(printf, 3, 4))) static void line(
        FILE *f, const char *key, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        fprintf(f, "%*s: ", KEY_WIDTH, key);
        vfprintf(f, format, ap);
        fputc('\n', f);
        va_end(ap);
}

static json_object *member(json_object *o, const char *key)
{
        return json_object_is_type(o, json_type_object) ? json_object_object_get(o, key) : NULL;
}

static uint64_t number(json_object *o, const char *key)
{
        return json_object_get_uint64(member(o, key));
}

/* "-" when it is not there, so that a line keeps its shape. */
static const char *text(json_object *o, const char *key, char *buf)
{
        const char *s = json_object_get_string(member(o, key));

        return s ? text_escape_rest(buf, TEXT_MAX, s, strlen(s)) : "-";
}

static void print_state(FILE *f, json_object *s)
{
        char state[TEXT_MAX], since[32], reason[TEXT_MAX];

        line(f, "State", "%s since %s", text(s, "state", state),
                text_duration(since, sizeof since, number(s, "since_ms")));
        if (member(s, "reason"))
                line(f, "Reason", "%s", text(s, "reason", reason));
}

static void print_guest(FILE *f, json_object *s)
{
        json_object *kernel = member(s, "kernel"), *process = member(s, "process");
        char ram[TEXT_MAX], a[TEXT_MAX], b[TEXT_MAX];

        if (member(s, "ram"))
                line(f, "RAM", "%s", text(s, "ram", ram));
        line(f, "Epoch", "%" PRIu64 " (run %" PRIu64 ")", number(s, "epoch"),
                number(s, "run_epoch"));
        if (kernel)
                line(f, "Kernel", "build %" PRIu64 " at %s, kcr3 %s", number(kernel, "build"),
                        text(kernel, "base", a), text(kernel, "kcr3", b));
        if (process)
                line(f, "Producer", "'%s' pid %" PRIu64 " cr3 %s", text(process, "name", a),
                        number(process, "pid"), text(process, "cr3", b));
        if (member(s, "region"))
                line(f, "Region", "%s", text(s, "region", a));
}

static void print_stream(FILE *f, json_object *s)
{
        json_object *mode = member(s, "mode"), *skips = member(s, "skips");
        char format[TEXT_MAX];

        if (mode)
                line(f, "Mode", "%" PRIu64 "x%" PRIu64 " %s, stride %" PRIu64,
                        number(mode, "width"), number(mode, "height"), text(mode, "format", format),
                        number(mode, "stride"));
        line(f, "Frames", "%" PRIu64 ", %.1f fps", number(s, "frames"),
                json_object_get_double(member(s, "fps")));
        line(f, "Skips",
                "%" PRIu64 " busy, %" PRIu64 " remapped, %" PRIu64 " too big, %" PRIu64
                " malformed, %" PRIu64 " late",
                number(skips, "busy"), number(skips, "remapped"), number(skips, "too_big"),
                number(skips, "malformed"), number(skips, "late"));
        line(f, "Torn retries", "%" PRIu64, number(s, "torn_retries"));
        line(f, "Restarts", "%" PRIu64, number(s, "restarts"));
}

static void print_daemon(FILE *f, json_object *s)
{
        json_object *ring = member(s, "ring");
        char version[TEXT_MAX], bytes[32], uptime[32];

        line(f, "Clients", "%" PRIu64, number(s, "clients"));
        if (ring)
                line(f, "Ring", "generation %" PRIu64 ", %" PRIu64 " slots of %s",
                        number(ring, "generation"), number(ring, "slots"),
                        text_bytes(bytes, sizeof bytes, number(ring, "slot_bytes")));
        if (member(ring, "held"))
                line(f, "Leases", "%" PRIu64 " held, %" PRIu64 " lost", number(ring, "held"),
                        number(ring, "lost"));
        if (number(ring, "retired"))
                line(f, "Old rings", "%" PRIu64 " that clients still have, %s",
                        number(ring, "retired"),
                        text_bytes(bytes, sizeof bytes, number(ring, "retired_bytes")));
        line(f, "Daemon", "vgpud %s, pid %" PRIu64 ", up %s", text(s, "version", version),
                number(s, "pid"), text_duration(uptime, sizeof uptime, number(s, "uptime_ms")));
}

/* "applied; 2 clients ask: run, 30 fps, cursor drawn" */
static void print_control(FILE *f, json_object *s)
{
        json_object *control = member(s, "control"), *asked = member(control, "requested");
        const char *alone =
                json_object_get_boolean(member(control, "writer")) ? "" : ", no writer is there";
        char state[TEXT_MAX], command[TEXT_MAX], fps[32] = "default fps";

        if (!control)
                return;
        if (!asked) {
                line(f, "Control", "%s%s; nobody asks", text(control, "state", state), alone);
                return;
        }
        if (number(asked, "fps"))
                snprintf(fps, sizeof(fps), "%" PRIu64 " fps", number(asked, "fps"));
        line(f, "Control", "%s%s; %" PRIu64 " client%s: %s, %s%s", text(control, "state", state),
                alone, number(asked, "clients"), number(asked, "clients") == 1 ? " asks" : "s ask",
                text(asked, "state", command), fps,
                json_object_get_boolean(member(asked, "draw_cursor")) ? ", cursor drawn" : "");
}

void status_print(FILE *f, json_object *status)
{
        print_state(f, status);
        print_guest(f, status);
        print_stream(f, status);
        print_control(f, status);
        print_daemon(f, status);
}

static int show(const char *path, const char *reply, bool json)
{
        json_object *status = json_tokener_parse(reply);

        if (!json_object_is_type(status, json_type_object)) {
                json_object_put(status);
                return ctl_fail("'%s' answered with something that is no status; is it a vgpud of "
                                "this version?",
                        path);
        }
        if (json)
                puts(json_object_to_json_string_ext(
                        status, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                        JSON_C_TO_STRING_NOSLASHESCAPE));
        else
                status_print(stdout, status);
        json_object_put(status);
        return fflush(stdout) ? ctl_fail("cannot write the result: %s", strerror(errno)) : CTL_OK;
}

int status_run(const struct ctl *ctl, int argc, char **argv)
{
        static const struct option options[] = { { "json", no_argument, NULL, 'j' }, { 0 } };
        struct vgpu_client_failure why = { 0 };
        char buf[256], *reply = NULL;
        const char *path;
        bool json = false;
        int c, r;

        while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
                if (c != 'j')
                        return ctl_bad_option(argv, c);
                json = true;
        }
        if (optind < argc)
                return ctl_usage(argv[0], "what is '%s'?", argv[optind]);
        path = ctl_socket(ctl, buf, sizeof buf);
        if (!path)
                return CTL_FAILED;
        if (vgpu_client_query(path, VGPU_QUERY_STATUS, 0, &reply, &why) < 0)
                return ctl_connect_failed(path, &why);
        r = show(path, reply, json);
        free(reply);
        return r;
}
