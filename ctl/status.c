/*
 * status.c - ask the daemon, print the answer
 *
 * The answer is JSON and the daemon may be newer or older than this program: each line is printed when its
 * values are there. Names in it come from a guest and are escaped once more, whatever the daemon did.
 */
#include "status.h"

#include <inttypes.h>
#include <stdarg.h>

#include "ctl.h"
#include "field.h"
#include "pager.h"
#include "text.h"
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

/* "-" when it is not there, so that a line keeps its shape. */
static const char *text(json_object *o, const char *key, char *buf)
{
        return field_text(o, key, buf, TEXT_MAX);
}

static void print_state(FILE *f, json_object *s)
{
        char state[TEXT_MAX], since[32], reason[TEXT_MAX];

        line(f, "State", "%s since %s", text(s, "state", state),
                text_duration(since, sizeof since, field_u64(s, "since_ms")));
        if (field(s, "reason"))
                line(f, "Reason", "%s", text(s, "reason", reason));
}

static void print_guest(FILE *f, json_object *s)
{
        json_object *kernel = field(s, "kernel"), *process = field(s, "process");
        char ram[TEXT_MAX], a[TEXT_MAX], b[TEXT_MAX];

        if (field(s, "ram"))
                line(f, "RAM", "%s", text(s, "ram", ram));
        line(f, "Epoch", "%" PRIu64 " (run %" PRIu64 ")", field_u64(s, "epoch"),
                field_u64(s, "run_epoch"));
        if (kernel)
                line(f, "Kernel", "build %" PRIu64 " at %s, kcr3 %s", field_u64(kernel, "build"),
                        text(kernel, "base", a), text(kernel, "kcr3", b));
        if (process)
                line(f, "Producer", "'%s' pid %" PRIu64 " cr3 %s", text(process, "name", a),
                        field_u64(process, "pid"), text(process, "cr3", b));
        if (field(s, "region"))
                line(f, "Region", "%s", text(s, "region", a));
}

static void print_stream(FILE *f, json_object *s)
{
        json_object *mode = field(s, "mode"), *skips = field(s, "skips");
        char format[TEXT_MAX];

        if (mode)
                line(f, "Mode", "%" PRIu64 "x%" PRIu64 " %s, stride %" PRIu64,
                        field_u64(mode, "width"), field_u64(mode, "height"),
                        text(mode, "format", format), field_u64(mode, "stride"));
        line(f, "Frames", "%" PRIu64 ", %.1f fps", field_u64(s, "frames"), field_double(s, "fps"));
        line(f, "Skips",
                "%" PRIu64 " busy, %" PRIu64 " remapped, %" PRIu64 " too big, %" PRIu64
                " malformed, %" PRIu64 " late",
                field_u64(skips, "busy"), field_u64(skips, "remapped"), field_u64(skips, "too_big"),
                field_u64(skips, "malformed"), field_u64(skips, "late"));
        line(f, "Torn retries", "%" PRIu64, field_u64(s, "torn_retries"));
        line(f, "Restarts", "%" PRIu64, field_u64(s, "restarts"));
}

static void print_daemon(FILE *f, json_object *s)
{
        json_object *ring = field(s, "ring");
        char version[TEXT_MAX], bytes[32], uptime[32];

        line(f, "Clients", "%" PRIu64, field_u64(s, "clients"));
        if (ring)
                line(f, "Ring", "generation %" PRIu64 ", %" PRIu64 " slots of %s",
                        field_u64(ring, "generation"), field_u64(ring, "slots"),
                        text_bytes(bytes, sizeof bytes, field_u64(ring, "slot_bytes")));
        if (field(ring, "held"))
                line(f, "Leases", "%" PRIu64 " held, %" PRIu64 " lost", field_u64(ring, "held"),
                        field_u64(ring, "lost"));
        if (field_u64(ring, "retired"))
                line(f, "Old rings", "%" PRIu64 " that clients still have, %s",
                        field_u64(ring, "retired"),
                        text_bytes(bytes, sizeof bytes, field_u64(ring, "retired_bytes")));
        line(f, "Daemon", "vgpud %s, pid %" PRIu64 ", up %s", text(s, "version", version),
                field_u64(s, "pid"),
                text_duration(uptime, sizeof uptime, field_u64(s, "uptime_ms")));
}

/* "applied; 2 clients ask: run, 30 fps, cursor drawn" */
static void print_control(FILE *f, json_object *s)
{
        json_object *control = field(s, "control"), *asked = field(control, "requested");
        const char *alone = field_bool(control, "writer") ? "" : ", no writer is there";
        char state[TEXT_MAX], command[TEXT_MAX], fps[32] = "default fps";

        if (!control)
                return;
        if (!asked) {
                line(f, "Control", "%s%s; nobody asks", text(control, "state", state), alone);
                return;
        }
        if (field_u64(asked, "fps"))
                snprintf(fps, sizeof(fps), "%" PRIu64 " fps", field_u64(asked, "fps"));
        line(f, "Control", "%s%s; %" PRIu64 " client%s: %s, %s%s", text(control, "state", state),
                alone, field_u64(asked, "clients"),
                field_u64(asked, "clients") == 1 ? " asks" : "s ask", text(asked, "state", command),
                fps, field_bool(asked, "draw_cursor") ? ", cursor drawn" : "");
}

/* Nothing while what runs is what the file says. */
static void print_reload(FILE *f, json_object *s)
{
        json_object *reload = field(s, "reload"), *waiting = field(reload, "waiting");
        char problem[TEXT_MAX];

        if (field(reload, "problem"))
                line(f, "Reload", "refused, %s", text(reload, "problem", problem));
        for (size_t i = 0; waiting && i < json_object_array_length(waiting); i++)
                line(f, i == 0 ? "At restart" : "", "%s",
                        json_object_get_string(json_object_array_get_idx(waiting, i)));
}

void status_print(FILE *f, json_object *status)
{
        print_state(f, status);
        print_guest(f, status);
        print_stream(f, status);
        print_control(f, status);
        print_daemon(f, status);
        print_reload(f, status);
}

int status_run(struct ctl *ctl, int argc, char **argv)
{
        int r = ctl_no_arguments(ctl, argc, argv);
        json_object *status;
        const char *path;
        char buf[256];

        if (r)
                return r;
        path = ctl_socket(ctl, buf, sizeof buf);
        status = path ? ctl_ask(path, VGPU_QUERY_STATUS, "status") : NULL;
        if (!status)
                return CTL_FAILED;
        if (ctl->json) {
                ctl_print_json(ctl, status);
        } else {
                pager_open(ctl);
                status_print(stdout, status);
        }
        json_object_put(status);
        return ctl_done();
}
