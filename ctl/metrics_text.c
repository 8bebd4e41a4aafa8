/*
 * metrics_text.c - see metrics.h
 *
 * Names are data: a table has what each of the daemon's numbers is called outside, its unit and what it means. Times are seconds
 * and sizes bytes, as OpenMetrics wants its base units.
 */
#include "metrics.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "field.h"
#include "text.h"

#define LABEL_MAX 512
#define PREFIX    "vgpud_"

enum scale { PLAIN, MILLISECONDS, NANOSECONDS };

struct row {
        const char *key; /* the daemon's */
        const char
                *name; /* outside, without prefix and suffix; ends in _UNIT where there is a unit */
        const char *unit;  /* or NULL */
        const char *label; /* the key's members are told apart by this; NULL: it is a number */
        const char *help;
        enum scale scale;
};

/* clang-format off */
static const struct row counters[] = {
        { "looks", "looks", NULL, NULL, "Looks at the guest, with a frame or without.", PLAIN },
        { "frames", "frames", NULL, NULL, "Frames published.", PLAIN },
        { "patched", "frames_patched", NULL, NULL, "Frames that were brought up to date out of an older one.", PLAIN },
        { "copied_bytes", "copied_bytes", "bytes", NULL, "Copied out of the guest's RAM, frames that were thrown away included.", PLAIN },
        { "spared_bytes", "spared_bytes", "bytes", NULL, "Of frames that were brought up to date, what did not have to be copied again.", PLAIN },
        { "torn_retries", "torn_retries", NULL, NULL, "Headers that changed while they were read, and were read again.", PLAIN },
        { "skips", "skips", NULL, "reason", "Looks that saw a frame and published none.", PLAIN },
        { "searches", "searches", NULL, NULL, "Scans for a kernel or for regions.", PLAIN },
        { "epochs", "epochs", NULL, NULL, "Lives of the guest that were seen.", PLAIN },
        { "restarts", "producer_restarts", NULL, NULL, "Producers that were bound after the first.", PLAIN },
        { "wakes", "wakes", NULL, NULL, "Clients woken by a byte in their wake socket.", PLAIN },
        { "wakes_full", "wakes_full", NULL, NULL, "Wake sockets that took no byte.", PLAIN },
        { "wake_batches", "wake_batches", NULL, NULL, "Submissions that woke many clients at once.", PLAIN },
        { "clients_accepted", "clients_accepted", NULL, NULL, "Clients that were let in.", PLAIN },
        { "clients_left", "clients_left", NULL, NULL, "Clients that closed their end themselves.", PLAIN },
        { "clients_refused", "clients_refused", NULL, "reason", "Clients told to go instead of being accepted.", PLAIN },
        { "clients_dropped", "clients_dropped", NULL, "reason", "Clients told to go after they were accepted.", PLAIN },
        { "clients_dropped_by_admin", "drop_requests", NULL, NULL, "Requests of administrators that dropped somebody.", PLAIN },
        { "frame_requests", "frame_requests", NULL, NULL, "Intents of clients that ask for a whole frame.", PLAIN },
        { "rings", "rings", NULL, NULL, "Rings made, the first included.", PLAIN },
        { "rings_deferred", "rings_deferred", NULL, NULL, "Rings sent later because the client had not read the message before.", PLAIN },
        { "leases_ended", "leases_ended", NULL, NULL, "Holds that were ended before they were let go.", PLAIN },
        { "reloads", "reloads", NULL, NULL, "Configurations taken while it ran.", PLAIN },
        { "reloads_refused", "reloads_refused", NULL, NULL, "Configurations that were bad, and not taken.", PLAIN },
        { "journal_swallowed", "journal_swallowed", NULL, NULL, "Lines that a rate limit kept out of the journal.", PLAIN },
};

static const struct row gauges[] = {
        { "clients", "clients", NULL, NULL, "Who reads the ring now.", PLAIN },
        { "max_clients", "max_clients", NULL, NULL, "As many clients as may be.", PLAIN },
        { "fps", "frame_rate", NULL, NULL, "Frames published in the last full second.", PLAIN },
        { "ring_bytes", "ring_bytes", "bytes", NULL, "Of the ring in use.", PLAIN },
        { "old_rings", "old_rings", NULL, NULL, "Rings of the past that clients still have.", PLAIN },
        { "old_ring_bytes", "old_ring_bytes", "bytes", NULL, "Of rings of the past.", PLAIN },
        { "held", "held_slots", NULL, NULL, "Slots that zero-copy readers keep.", PLAIN },
        { "epoch", "epoch", NULL, NULL, "Of the kernel that is open; 0: none.", PLAIN },
        { "fds", "open_fds", NULL, NULL, "Open descriptors of the daemon.", PLAIN },
        { "rss_bytes", "resident_bytes", "bytes", NULL, "Resident memory of the daemon; guest RAM and ring are mapped and count.", PLAIN },
};

/* Beside those of the daemon's three groups. */
static const struct row uptime = { "uptime_ms", "uptime_seconds", "seconds", NULL, "Since the daemon started.", MILLISECONDS };
static const struct row since = { "since_ms", "state_age_seconds", "seconds", NULL, "Since the present state began.", MILLISECONDS };
static const struct row states = { "states_ms", "state_seconds", "seconds", "state", "Time spent in each state, the present one included.", MILLISECONDS };

static const struct row histograms[] = {
        { "look", "look_seconds", "seconds", NULL, "One look at the guest, with a frame or without.", NANOSECONDS },
        { "sample", "sample_seconds", "seconds", NULL, "A look that copied a frame, from its begin to the proof that the copy is whole.", NANOSECONDS },
        { "publish", "publish_seconds", "seconds", NULL, "From a proven frame to the moment readers can see it.", NANOSECONDS },
        { "wake", "wake_seconds", "seconds", NULL, "Waking the clients that sleep, after a frame.", NANOSECONDS },
        { "poll_gap", "poll_gap_seconds", "seconds", NULL, "From the end of one look to the end of the next, while streaming.", NANOSECONDS },
        { "frame_interval", "frame_interval_seconds", "seconds", NULL, "From one published frame to the next, outages included.", NANOSECONDS },
};
/* clang-format on */

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* A label's value: what is not printable ASCII goes through text_escape(), whose backslashes are doubled here like any other. */
static void label_value(char *dst, size_t cap, const char *value)
{
        char shown[LABEL_MAX / 2];
        size_t at = 0;

        text_escape_rest(shown, sizeof shown, value, strlen(value));
        for (const char *p = shown; *p && at + 3 < cap; p++) {
                if (*p == '\\' || *p == '"')
                        dst[at++] = '\\';
                dst[at++] = *p;
        }
        dst[at] = '\0';
}

/* Exact: a double would lose the last digits of a counter. */
static void number(FILE *f, uint64_t value, enum scale scale)
{
        uint64_t unit = scale == NANOSECONDS ? 1000000000 : scale == MILLISECONDS ? 1000 : 1;
        int digits = scale == NANOSECONDS ? 9 : 3;

        if (unit == 1)
                fprintf(f, "%" PRIu64, value);
        else
                fprintf(f, "%" PRIu64 ".%0*" PRIu64, value / unit, digits, value % unit);
}

static void head(FILE *f, const struct row *row, const char *type)
{
        fprintf(f, "# TYPE " PREFIX "%s %s\n", row->name, type);
        if (row->unit)
                fprintf(f, "# UNIT " PREFIX "%s %s\n", row->name, row->unit);
        fprintf(f, "# HELP " PREFIX "%s %s\n", row->name, row->help);
}

static bool has_members(json_object *o)
{
        return json_object_is_type(o, json_type_object) && json_object_object_length(o) > 0;
}

/* A number of the daemon's. JSON has two kinds. */
static void value(FILE *f, json_object *v, enum scale scale)
{
        if (json_object_is_type(v, json_type_double))
                fprintf(f, "%.9g", json_object_get_double(v));
        else
                number(f, json_object_get_uint64(v), scale);
}

static void print_row(
        FILE *f, const struct row *row, const char *vm, const char *type, json_object *group)
{
        const char *suffix = strcmp(type, "counter") == 0 ? "_total" : "";
        json_object *v = field(group, row->key);

        if (!v || (row->label && !has_members(v)))
                return;
        head(f, row, type);
        if (!row->label) {
                fprintf(f, PREFIX "%s%s{vm=\"%s\"} ", row->name, suffix, vm);
                value(f, v, row->scale);
                fputc('\n', f);
                return;
        }
        json_object_object_foreach(v, key, member)
        {
                char label[LABEL_MAX];

                label_value(label, sizeof label, key);
                fprintf(f, PREFIX "%s%s{vm=\"%s\",%s=\"%s\"} ", row->name, suffix, vm, row->label,
                        label);
                value(f, member, row->scale);
                fputc('\n', f);
        }
}

/* As printf's %g has it, but that a whole number has a point: bounds are compared as text. */
static void bound(FILE *f, const char *name, const char *vm, uint64_t le_ns)
{
        char text[32];

        snprintf(text, sizeof text, "%.12g", (double)le_ns / 1e9);
        fprintf(f, PREFIX "%s_bucket{vm=\"%s\",le=\"%s%s\"} ", name, vm, text,
                strpbrk(text, ".e") ? "" : ".0");
}

static void print_histogram(FILE *f, const struct row *row, const char *vm, json_object *group)
{
        json_object *h = field(group, row->key), *buckets = field(h, "buckets");
        size_t n = field_count(h, "buckets");
        const char *unit = field_raw(h, "unit");

        if (n == 0 || !unit || strcmp(unit, "ns") != 0)
                return;
        head(f, row, "histogram");
        for (size_t i = 0; i < n; i++) {
                json_object *b = json_object_array_get_idx(buckets, i);

                bound(f, row->name, vm, field_u64(b, "le"));
                fprintf(f, "%" PRIu64 "\n", field_u64(b, "count"));
        }
        fprintf(f, PREFIX "%s_bucket{vm=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", row->name, vm,
                field_u64(h, "count"));
        fprintf(f, PREFIX "%s_count{vm=\"%s\"} %" PRIu64 "\n", row->name, vm,
                field_u64(h, "count"));
        fprintf(f, PREFIX "%s_sum{vm=\"%s\"} ", row->name, vm);
        number(f, field_u64(h, "sum"), NANOSECONDS);
        fputc('\n', f);
}

/* One of them is 1. A state set would say the same, but the textfile collector does not know it. */
static void print_state(FILE *f, const char *vm, json_object *metrics)
{
        static const struct row row = { "state", "state", NULL, "state",
                "1 for the state that the daemon is in, 0 for the others.", PLAIN };
        json_object *times = field(metrics, "states_ms");
        const char *now = field_raw(metrics, "state");

        if (!now || !has_members(times))
                return;
        head(f, &row, "gauge");
        json_object_object_foreach(times, name, spent)
        {
                char label[LABEL_MAX];

                (void)spent;
                label_value(label, sizeof label, name);
                fprintf(f, PREFIX "state{vm=\"%s\",state=\"%s\"} %d\n", vm, label,
                        strcmp(name, now) == 0);
        }
}

void metrics_print(FILE *f, const char *vm, json_object *metrics)
{
        static const struct row up = { NULL, "up", NULL, NULL, "1: the daemon answers.", PLAIN };
        const char *name = field_raw(metrics, "name");
        char label[LABEL_MAX];

        label_value(label, sizeof label, name ? name : vm);
        head(f, &up, "gauge");
        fprintf(f, PREFIX "up{vm=\"%s\"} %d\n", label, metrics != NULL);
        print_row(f, &uptime, label, "gauge", metrics);
        print_state(f, label, metrics);
        print_row(f, &since, label, "gauge", metrics);
        print_row(f, &states, label, "counter", metrics);
        for (size_t i = 0; i < N_OF(counters); i++)
                print_row(f, &counters[i], label, "counter", field(metrics, "counters"));
        for (size_t i = 0; i < N_OF(gauges); i++)
                print_row(f, &gauges[i], label, "gauge", field(metrics, "gauges"));
        for (size_t i = 0; i < N_OF(histograms); i++)
                print_histogram(f, &histograms[i], label, field(metrics, "histograms"));
        fputs("# EOF\n", f);
}
