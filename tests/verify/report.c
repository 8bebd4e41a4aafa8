/* report.c - see report.h */
#include "report.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>

#include "text.h"

#define FOURCC_TEXT 20

static const char *fourcc_text(uint32_t fourcc, char *buf)
{
        char bytes[4];

        memcpy(bytes, &fourcc, sizeof bytes);
        return fourcc ? text_escape(buf, FOURCC_TEXT, bytes, sizeof bytes) : "-";
}

/* Field by field into zeroed memory: the views are compared as bytes, padding included. */
static void view(struct verify *v, struct report_view *ret)
{
        struct vgpu_client_state state;
        struct vgpu_client_stats stats;

        vgpu_client_state(v->client, &state);
        vgpu_client_stats(v->client, &stats);
        memset(ret, 0, sizeof *ret);
        ret->state = state.stream.state;
        ret->connected = state.connected;
        ret->tick_overdue = state.tick_overdue;
        ret->epoch = state.stream.epoch;
        ret->run_epoch = state.stream.run_epoch;
        ret->producer_pid = state.stream.producer_pid;
        ret->generation = state.generation;
        ret->reconnects = stats.reconnects;
        if (v->tally.frames) {
                ret->width = v->frame.width;
                ret->height = v->frame.height;
                ret->fourcc = v->frame.fourcc;
                ret->frame_epoch = v->frame.epoch;
                ret->frame_run_epoch = v->frame.run_epoch;
                ret->frame_pid = v->frame.producer_pid;
        }
}

void report_event(FILE *f, struct verify *v, struct report_view *last)
{
        struct report_view now;
        char fourcc[FOURCC_TEXT];

        view(v, &now);
        if (memcmp(&now, last, sizeof now) == 0)
                return;
        *last = now;
        fprintf(f,
                "event state=%s epoch=%" PRIu64 " run_epoch=%" PRIu32 " pid=%" PRIu32
                " generation=%" PRIu64 " frames=%" PRIu64 " connected=%d overdue=%d"
                " reconnects=%" PRIu64 " mode=%" PRIu32 "x%" PRIu32 " format=%s"
                " frame_epoch=%" PRIu64 " frame_run_epoch=%" PRIu32 " frame_pid=%" PRIu32 "\n",
                vgpu_client_state_name(now.state), now.epoch, now.run_epoch, now.producer_pid,
                now.generation, v->tally.frames, now.connected, now.tick_overdue, now.reconnects,
                now.width, now.height, fourcc_text(now.fourcc, fourcc), now.frame_epoch,
                now.frame_run_epoch, now.frame_pid);
        fflush(f);
}

void report_live(FILE *f, struct verify *v, bool in_place)
{
        const struct verify_tally *t = &v->tally;
        struct vgpu_client_state state;

        vgpu_client_state(v->client, &state);
        fprintf(f,
                "%s%-10s %" PRIu32 "x%" PRIu32 "  %" PRIu64 " frames  %.1f fps  missed %" PRIu64
                "  torn %" PRIu64 "  foreign %" PRIu64 "  p50 %.0f us%s",
                in_place ? "\r" : "",
                state.connected ? vgpu_client_state_name(state.stream.state) : "gone",
                v->frame.width, v->frame.height, t->frames, verify_fps(t), t->missed, t->torn,
                t->foreign, (double)latency_quantile(&t->latency, 0.5) / 1e3,
                in_place ? "\033[K" : "\n");
        fflush(f);
}

void report_bad_frame(FILE *f, const struct verify *v)
{
        const struct vgpu_client_frame *frame = &v->frame;

        fprintf(f,
                "vgpu-verify: frame %" PRIu64 " (serial %" PRIu64 ", epoch %" PRIu64
                ", pid %" PRIu32 ", %" PRIu32 "x%" PRIu32 "): %" PRIu64 " blocks good, %" PRIu64
                " torn, %" PRIu64 " foreign; the first at byte %" PRIu64,
                frame->frame_id, frame->serial, frame->epoch, frame->producer_pid, frame->width,
                frame->height, v->last.good, v->last.torn, v->last.foreign, v->last.first_bad);
        if (v->last.torn)
                fprintf(f, ", of frame %" PRIu32, v->last.first_torn_id);
        fputc('\n', f);
}

static double us(const struct latency *l, double q)
{
        return (double)latency_quantile(l, q) / 1e3;
}

void report_summary(FILE *f, const struct verify *v, uint64_t elapsed_ns)
{
        const struct verify_tally *t = &v->tally;
        struct vgpu_client_stats stats;
        char fourcc[FOURCC_TEXT], bytes[32];

        vgpu_client_stats(v->client, &stats);
        fprintf(f, "%" PRIu64 " frames in %.1f s, %.1f fps, %" PRIu32 "x%" PRIu32 " %s\n",
                t->frames, (double)elapsed_ns / 1e9, verify_fps(t), v->frame.width, v->frame.height,
                fourcc_text(v->frame.fourcc, fourcc));
        fprintf(f,
                "torn %" PRIu64 ", foreign %" PRIu64 ", missed %" PRIu64 ", stale %" PRIu64
                "; all of %s checked\n",
                t->torn, t->foreign, t->missed, t->stale,
                text_bytes(bytes, sizeof bytes, t->bytes_checked));
        fprintf(f,
                "publish to held: p50 %.0f us, p99 %.0f us; when waited for: p50 %.0f us, p99 %.0f "
                "us\n",
                us(&t->latency, 0.5), us(&t->latency, 0.99), us(&t->awaited, 0.5),
                us(&t->awaited, 0.99));
        if (stats.reconnects || stats.generations > 1)
                fprintf(f, "reconnected %" PRIu64 " times, %" PRIu64 " rings\n", stats.reconnects,
                        stats.generations);
        if (t->missed_checking)
                fprintf(f,
                        "%" PRIu64 " of the missed came while a frame was checked (%.1f ms each): "
                        "the newest wins, "
                        "and this check is slower than the stream\n",
                        t->missed_checking, (double)t->check_ns / 1e6 / (double)t->frames);
        if (!t->frames)
                fprintf(f, "no frame came\n");
}

static void add_u64(json_object *o, const char *key, uint64_t value)
{
        json_object_object_add(o, key, json_object_new_uint64(value));
}

/* One digit behind the point is what the histogram is good for. */
static void add_double(json_object *o, const char *key, double value)
{
        char text[40];

        snprintf(text, sizeof text, "%.1f", value);
        json_object_object_add(o, key, json_object_new_double_s(value, text));
}

static void add_latency(json_object *o, const char *key, const struct latency *l)
{
        json_object *q = json_object_new_object();

        add_double(q, "p50", us(l, 0.5));
        add_double(q, "p99", us(l, 0.99));
        add_double(q, "max", (double)l->max_ns / 1e3);
        json_object_object_add(o, key, q);
}

void report_json(FILE *f, const struct verify *v, uint64_t elapsed_ns)
{
        const struct verify_tally *t = &v->tally;
        json_object *o = json_object_new_object();
        struct vgpu_client_stats stats;
        char fourcc[FOURCC_TEXT];

        vgpu_client_stats(v->client, &stats);
        add_u64(o, "frames", t->frames);
        add_u64(o, "missed", t->missed);
        add_u64(o, "missed_while_checking", t->missed_checking);
        add_u64(o, "torn", t->torn);
        add_u64(o, "foreign", t->foreign);
        add_u64(o, "backwards", t->backwards);
        add_u64(o, "stale", t->stale);
        add_u64(o, "torn_retries", stats.torn_retries);
        add_u64(o, "reconnects", stats.reconnects);
        add_u64(o, "generations", stats.generations);
        add_double(o, "fps", verify_fps(t));
        add_latency(o, "latency_us", &t->latency);
        add_latency(o, "awaited_latency_us", &t->awaited);
        add_u64(o, "bytes_checked", t->bytes_checked);
        add_double(o, "seconds", (double)elapsed_ns / 1e9);
        add_u64(o, "width", v->frame.width);
        add_u64(o, "height", v->frame.height);
        json_object_object_add(
                o, "format", json_object_new_string(fourcc_text(v->frame.fourcc, fourcc)));
        add_u64(o, "epoch", v->frame.epoch);
        add_u64(o, "run_epoch", v->frame.run_epoch);
        fprintf(f, "%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_SPACED));
        json_object_put(o);
        fflush(f);
}
