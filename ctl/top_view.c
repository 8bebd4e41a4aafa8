/*
 * top_view.c - a screen out of what is known
 *
 * From top to bottom by importance: where the stream stands, what it costs, how long things take, who reads. A small screen has less
 * of the lower parts, a narrow one fewer columns; a large one has nothing stretched, only more.
 */
#include "top.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "field.h"
#include "text.h"

#define TEXT_MAX    256
#define NS_PER_S    1e9
#define CELL        26 /* of a histogram */
#define BAR         10
#define N_BANDS     8
#define FULL_HEIGHT 18 /* from here on there are histograms */

/* ---- rates ----------------------------------------------------------------------------------------------------------- */

static double seconds_between(const struct top *t)
{
        return t->before.status ? (double)(t->now.at_ns - t->before.at_ns) / NS_PER_S : 0;
}

/* A second, of a counter of the metrics; of all the daemon's time where there is nothing to compare with. */
static double rate(const struct top *t, const char *key)
{
        json_object *now = field(t->now.metrics, "counters"),
                    *before = field(t->before.metrics, "counters");
        double seconds =
                before ? seconds_between(t) : (double)field_u64(t->now.metrics, "uptime_ms") / 1e3;
        uint64_t n = field_u64(now, key), n_before = field_u64(before, key);

        return seconds > 0 && n >= n_before ? (double)(n - n_before) / seconds : 0;
}

/* "1.2 Gbit/s" */
static char *bit_rate(char *buf, size_t cap, double bytes)
{
        static const char *const units[] = { "bit/s", "kbit/s", "Mbit/s", "Gbit/s" };
        double bits = bytes * 8;
        int u = 0;

        for (; bits >= 1000 && u < 3; u++)
                bits /= 1000;
        snprintf(buf, cap, bits < 10 && u ? "%.1f %s" : "%.0f %s", bits, units[u]);
        return buf;
}

/* ---- head ------------------------------------------------------------------------------------------------------------ */

static enum canvas_look look_of(const char *state)
{
        if (state && strcmp(state, "streaming") == 0)
                return CANVAS_GOOD;
        return state && (strcmp(state, "attaching") == 0 || strcmp(state, "confirming") == 0)
                       ? CANVAS_WARN
                       : CANVAS_BAD;
}

static void draw_title(const struct top *t, struct canvas *c)
{
        json_object *s = t->now.status, *mode = field(s, "mode");
        char vm[TEXT_MAX], state[TEXT_MAX], since[32], format[TEXT_MAX], away[32];
        int x;

        canvas_put(c, 0, 0, CANVAS_TITLE, "vgpuctl top  %s",
                field_text(t->now.metrics, "name", vm, sizeof vm));
        if (t->paused)
                canvas_put(c, 0, c->width - 8, CANVAS_TITLE, "[paused]");
        canvas_row(c, 0, CANVAS_TITLE);
        if (t->away_ns) {
                text_duration(away, sizeof away, (t->now.at_ns - t->away_ns) / 1000000);
                canvas_put(c, 1, 0, CANVAS_BAD,
                        "the daemon is away since %s; trying to reach it again", away);
                return;
        }
        x = canvas_put(c, 1, 0, look_of(field_raw(s, "state")), "%s",
                field_text(s, "state", state, sizeof state));
        x = canvas_put(c, 1, x, CANVAS_PLAIN, " since %s",
                text_duration(since, sizeof since, field_u64(s, "since_ms")));
        if (mode)
                canvas_put(c, 1, x, CANVAS_PLAIN, "  %" PRIu64 "x%" PRIu64 " %s  %.1f fps",
                        field_u64(mode, "width"), field_u64(mode, "height"),
                        field_text(mode, "format", format, sizeof format), field_double(s, "fps"));
}

static void draw_numbers(const struct top *t, struct canvas *c)
{
        json_object *s = t->now.status, *skips = field(s, "skips"), *process = field(s, "process");
        char text[TEXT_MAX], bits[32];
        int x = 0;

        if (field(s, "reason")) {
                canvas_put(c, 2, 0, CANVAS_WARN, "%s", field_text(s, "reason", text, sizeof text));
        } else {
                x = canvas_put(c, 2, 0, CANVAS_PLAIN, "%s copied",
                        bit_rate(bits, sizeof bits, rate(t, "copied_bytes")));
                x = canvas_put(c, 2, x, CANVAS_PLAIN, "  %.0f looks/s", rate(t, "looks"));
                if (process)
                        canvas_put(c, 2, x, CANVAS_PLAIN, "  '%s' pid %" PRIu64,
                                field_text(process, "name", text, sizeof text),
                                field_u64(process, "pid"));
        }
        x = canvas_put(c, 3, 0, CANVAS_PLAIN,
                "skips: %" PRIu64 " busy, %" PRIu64 " remapped, %" PRIu64 " late",
                field_u64(skips, "busy"), field_u64(skips, "remapped"), field_u64(skips, "late"));
        canvas_put(c, 3, x, CANVAS_PLAIN,
                "  torn %" PRIu64 "  restarts %" PRIu64 "  epoch %" PRIu64,
                field_u64(s, "torn_retries"), field_u64(s, "restarts"), field_u64(s, "epoch"));
}

/* Each column stands for some seconds, and shows the state in which no frames flowed if there was one. */
static void draw_history(const struct top *t, struct canvas *c, int row)
{
        static const char title[] = "states -5min ", end[] = " now";
        int columns = c->width - (int)(strlen(title) + strlen(end)), x;

        if (columns > TOP_HISTORY)
                columns = TOP_HISTORY;
        x = canvas_put(c, row, 0, CANVAS_DIM, "%s", title);
        for (int i = 0; i < columns; i++) {
                int from = i * TOP_HISTORY / columns, to = (i + 1) * TOP_HISTORY / columns;
                char letter = t->history[to - 1];

                for (int s = from; s < to; s++)
                        if (t->history[s] != '#' && t->history[s] != ' ')
                                letter = t->history[s];
                x = canvas_put(c, row, x, letter == '#' ? CANVAS_GOOD : CANVAS_BAD, "%c", letter);
        }
        canvas_put(c, row, x, CANVAS_DIM, "%s", end);
}

/* ---- histograms ------------------------------------------------------------------------------------------------------ */

struct bands {
        uint64_t n[N_BANDS], total;
};

static const struct {
        uint64_t below_ns;
        const char *title;
} bands[N_BANDS] = {
        { 4096, "<4us" },
        { 16384, "<16us" },
        { 65536, "<64us" },
        { 262144, "<256us" },
        { 1048576, "<1ms" },
        { 4194304, "<4ms" },
        { 16777216, "<16ms" },
        { UINT64_MAX, ">16ms" },
};

/* The daemon's buckets are cumulative and their bounds are its own: each count goes where its bound belongs. */
static struct bands bands_of(json_object *metrics, const char *name)
{
        json_object *h = field(field(metrics, "histograms"), name), *buckets = field(h, "buckets");
        struct bands b = { .total = field_u64(h, "count") };
        uint64_t below = 0;
        int band = 0;

        for (size_t i = 0; i < field_count(h, "buckets"); i++) {
                json_object *bucket = json_object_array_get_idx(buckets, i);
                uint64_t le = field_u64(bucket, "le"), n = field_u64(bucket, "count");

                while (band < N_BANDS - 1 && le > bands[band].below_ns)
                        band++;
                if (n > below)
                        b.n[band] += n - below;
                below = n > below ? n : below;
        }
        b.n[N_BANDS - 1] += b.total > below ? b.total - below : 0;
        return b;
}

/* Of what came since the last look at it, or, when nothing did, of all. */
static struct bands recent(const struct top *t, const char *name)
{
        struct bands now = bands_of(t->now.metrics, name),
                     before = bands_of(t->before.metrics, name);

        if (now.total <= before.total)
                return now;
        now.total -= before.total;
        for (int i = 0; i < N_BANDS; i++)
                now.n[i] -= before.n[i] <= now.n[i] ? before.n[i] : now.n[i];
        return now;
}

static void draw_histogram(const struct top *t, struct canvas *c, int row, int column,
        const char *name, const char *title)
{
        struct bands b = recent(t, name);

        canvas_put(c, row, column, CANVAS_DIM, "%s", title);
        for (int i = 0; i < N_BANDS; i++) {
                int percent = b.total ? (int)((double)b.n[i] * 100 / (double)b.total + 0.5) : 0;
                int bar = b.n[i] ? 1 + percent * (BAR - 1) / 100 : 0;

                canvas_put(c, row + 1 + i, column, CANVAS_PLAIN, "%6s %-*.*s", bands[i].title, BAR,
                        bar, "##########");
                if (b.n[i])
                        canvas_put(c, row + 1 + i, column + 7 + BAR, CANVAS_DIM, "%4d%%", percent);
        }
}

/* Return: the row below. */
static int draw_histograms(const struct top *t, struct canvas *c, int row)
{
        static const struct {
                const char *name, *title;
        } all[] = {
                { "sample", "copying a frame" },
                { "publish", "publishing it" },
                { "look", "a look at the guest" },
                { "wake", "waking clients" },
                { "poll_gap", "between two looks" },
                { "frame_interval", "between two frames" },
        };
        int n = c->width / CELL;

        for (int i = 0; i < n && i < (int)(sizeof all / sizeof all[0]); i++)
                draw_histogram(t, c, row, i * CELL, all[i].name, all[i].title);
        return row + 1 + N_BANDS + 1;
}

/* ---- clients --------------------------------------------------------------------------------------------------------- */

struct reader {
        json_object *o;
        double fps;
        char name[TEXT_MAX];
};

/* The same client as before: a process may have several, so its start is part of who it is. */
static json_object *earlier(const struct top *t, json_object *o)
{
        json_object *list = field(t->before.clients, "clients");
        uint64_t elapsed_ms = (uint64_t)(seconds_between(t) * 1e3),
                 since = field_u64(o, "since_ms");

        for (size_t i = 0; i < field_count(t->before.clients, "clients"); i++) {
                json_object *b = json_object_array_get_idx(list, i);
                uint64_t then = field_u64(b, "since_ms") + elapsed_ms;

                if (field_u64(b, "pid") == field_u64(o, "pid") &&
                        (then > since ? then - since : since - then) < elapsed_ms / 2 + 100)
                        return b;
        }
        return NULL;
}

static double fps_of(const struct top *t, json_object *o)
{
        json_object *b = seconds_between(t) > 0 ? earlier(t, o) : NULL;
        uint64_t n = field_u64(o, "frames"), since = field_u64(o, "since_ms");

        if (!b)
                return since >= 1000 ? (double)n * 1e3 / (double)since : 0;
        return n >= field_u64(b, "frames")
                       ? (double)(n - field_u64(b, "frames")) / seconds_between(t)
                       : 0;
}

static int compare(const void *a, const void *b, void *ctx)
{
        const struct reader *x = a, *y = b;
        const char *key = *(const enum top_sort *)ctx == TOP_BY_LAG ? "lag" : "missed";
        uint64_t m = field_u64(x->o, key), n = field_u64(y->o, key);

        switch (*(const enum top_sort *)ctx) {
        case TOP_BY_FPS:
                if (x->fps != y->fps)
                        return x->fps < y->fps ? 1 : -1;
                break;
        case TOP_BY_NAME:
                if (strcmp(x->name, y->name) != 0)
                        return strcmp(x->name, y->name);
                break;
        default:
                if (m != n)
                        return m < n ? 1 : -1;
        }
        /* Equal ones stay where they are from one look to the next. */
        return field_u64(x->o, "pid") < field_u64(y->o, "pid") ? -1 : 1;
}

/* Who has had no frame yet is not behind. */
static const char *lag_text(json_object *o, char buf[24])
{
        if (!field(o, "lag"))
                return "-";
        snprintf(buf, 24, "%" PRIu64, field_u64(o, "lag"));
        return buf;
}

static void draw_reader(struct canvas *c, int row, const struct reader *r)
{
        char lag[24];
        int x = 0;

        if (c->width >= 60)
                x = canvas_put(c, row, x, CANVAS_PLAIN, "%6" PRIu64 " ", field_u64(r->o, "uid"));
        x = canvas_put(c, row, x, CANVAS_PLAIN, "%7" PRIu64 " %-*.*s", field_u64(r->o, "pid"),
                c->width >= 60 ? 20 : 11, c->width >= 60 ? 20 : 11, r->name);
        x = canvas_put(c, row, x, CANVAS_PLAIN, " %6.1f", r->fps);
        x = canvas_put(c, row, x, field_u64(r->o, "missed") ? CANVAS_WARN : CANVAS_PLAIN,
                " %7" PRIu64, field_u64(r->o, "missed"));
        x = canvas_put(c, row, x, CANVAS_PLAIN, " %4s", lag_text(r->o, lag));
        if (c->width >= 60)
                canvas_put(c, row, x, CANVAS_PLAIN, " %5" PRIu64 " %4" PRIu64,
                        field_u64(r->o, "torn"), field_u64(r->o, "held"));
}

static void draw_clients(const struct top *t, struct canvas *c, int row, int end)
{
        json_object *list = field(t->now.clients, "clients");
        size_t n = field_count(t->now.clients, "clients");
        struct reader *readers = calloc(n + 1, sizeof *readers);
        enum top_sort sort = t->sort;

        if (c->width >= 60)
                canvas_put(c, row, 0, CANVAS_TITLE, "%6s %7s %-20s %6s %7s %4s %5s %4s", "UID",
                        "PID", "NAME", "FPS", "MISSED", "LAG", "TORN", "HELD");
        else
                canvas_put(c, row, 0, CANVAS_TITLE, "%7s %-11s %6s %7s %4s", "PID", "NAME", "FPS",
                        "MISSED", "LAG");
        canvas_row(c, row, CANVAS_TITLE);
        for (size_t i = 0; readers && i < n; i++) {
                readers[i].o = json_object_array_get_idx(list, i);
                readers[i].fps = fps_of(t, readers[i].o);
                field_text(readers[i].o, "name", readers[i].name, sizeof readers[i].name);
        }
        if (readers)
                qsort_r(readers, n, sizeof *readers, compare, &sort);
        for (size_t i = 0; readers && i < n && row + 1 + (int)i < end; i++)
                draw_reader(c, row + 1 + (int)i, &readers[i]);
        if (n == 0)
                canvas_put(c, row + 1, 0, CANVAS_DIM, "no clients");
        free(readers);
}

/* ---- all ------------------------------------------------------------------------------------------------------------- */

static void draw(const struct top *t, struct canvas *c, bool full, int end)
{
        int row = 4;

        draw_title(t, c);
        draw_numbers(t, c);
        draw_history(t, c, row++);
        if (full)
                row = draw_histograms(t, c, row + 1);
        draw_clients(t, c, row, end);
}

void top_draw_batch(const struct top *t, struct canvas *c)
{
        draw(t, c, true, c->height);
}

void top_draw(const struct top *t, struct canvas *c)
{
        bool full = c->height >= FULL_HEIGHT;

        draw(t, c, full, full ? c->height - 1 : c->height);
        if (full)
                canvas_put(c, c->height - 1, 0, CANVAS_DIM, "q quit  s sort (by %s)  p pause",
                        top_sort_name(t->sort));
}
