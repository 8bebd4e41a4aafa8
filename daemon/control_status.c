/* control_status.c - the control seam in `vgpuctl status --json` (schema 1, docs/vgpuctl.md) */
#include "control.h"
#include "json.h"

static void add_u64(struct json_object *o, const char *key, uint64_t value)
{
        json_add(o, key, json_u64(value));
}

static struct json_object *requested_json(const struct control *c)
{
        static const char *const command[] = {
                [VGPU_CMD_NONE] = "none",
                [VGPU_CMD_RUN] = "run",
                [VGPU_CMD_PAUSE] = "pause",
                [VGPU_CMD_STOP] = "stop",
        };
        struct json_object *o;

        if (c->merge.n_asking == 0)
                return NULL;
        o = json_new();
        add_u64(o, "clients", c->merge.n_asking);
        json_add(o, "state", json_text(command[c->merge.state]));
        add_u64(o, "fps", c->merge.fps);
        json_add(o, "draw_cursor", json_flag(c->merge.draw_cursor));
        return o;
}

static struct json_object *counters_json(const struct control *c)
{
        struct json_object *o = json_new();

        add_u64(o, "writes", c->counters.writes);
        add_u64(o, "done", c->counters.results[VGPU_CONTROL_DONE]);
        add_u64(o, "stale", c->counters.results[VGPU_CONTROL_STALE]);
        add_u64(o, "late", c->counters.results[VGPU_CONTROL_LATE]);
        add_u64(o, "failed", c->counters.results[VGPU_CONTROL_FAILED]);
        add_u64(o, "unanswered", c->counters.unanswered);
        add_u64(o, "unreadable", c->counters.unreadable);
        add_u64(o, "answers_stale", c->counters.answers[CONTROL_STALE]);
        add_u64(o, "answers_late", c->counters.answers[CONTROL_LATE]);
        add_u64(o, "answers_forged", c->counters.answers[CONTROL_FORGED]);
        add_u64(o, "refused", c->link.counters.denied + c->link.counters.full);
        add_u64(o, "broken", c->link.counters.broken);
        return o;
}

struct json_object *control_json(const struct control *c)
{
        struct json_object *o;

        if (!c)
                return NULL;
        o = json_new();
        json_add(o, "writer", json_flag(control_has_writer(c)));
        json_add(o, "state", json_text(control_state_name(c->state)));
        json_add(o, "requested", requested_json(c));
        add_u64(o, "ctrl_gen", control_ctrl_gen(c));
        add_u64(o, "ctrl_ack", c->ctrl_ack);
        add_u64(o, "full_frame_req", c->frame_req);
        add_u64(o, "full_frame_ack", c->full_frame_ack);
        json_add(o, "counters", counters_json(c));
        return o;
}
