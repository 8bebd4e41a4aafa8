/* monitor.c - see monitor.h */
#include "monitor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

#define AGAIN_MS   1000
#define MAX_RANGES 256

/* ---- small JSON ---------------------------------------------------------------------------------------------------- */

/* The text of a member, or "". Borrowed from @object. */
static const char *member_text(struct json_object *object, const char *name)
{
        struct json_object *member;

        if (!json_object_object_get_ex(object, name, &member) ||
                !json_object_is_type(member, json_type_string))
                return "";
        return json_object_get_string(member);
}

static bool member_true(struct json_object *object, const char *name)
{
        struct json_object *member;

        return json_object_object_get_ex(object, name, &member) &&
               json_object_is_type(member, json_type_boolean) && json_object_get_boolean(member);
}

static void copy_text(char *dst, size_t cap, const char *src)
{
        snprintf(dst, cap, "%s", src);
        /* It ends up in sentences and log lines. */
        for (char *c = dst; *c; c++)
                if ((unsigned char)*c < ' ' || *c == 0x7f)
                        *c = '?';
}

static void ask_person(struct qmp *q, const char *line, qmp_reply reply)
{
        struct json_object *arguments = json_new();

        json_add(arguments, "command-line", json_text(line));
        qmp_execute(q, "human-monitor-command", arguments, reply);
}

/* ---- one round of questions ---------------------------------------------------------------------------------------- */

static void ask(struct monitor *m);
static void on_again(uv_timer_t *timer);
static void ask_backend(struct monitor *m);

static void set_says(struct monitor *m, bool runs)
{
        enum monitor_says before = m->says;

        m->says = runs ? MONITOR_RUNS : MONITOR_HALTED;
        if (!runs)
                uv_timer_start(&m->again, on_again, AGAIN_MS, AGAIN_MS);
        else
                uv_timer_stop(&m->again);
        if (m->says != before)
                m->news(m, runs ? MONITOR_NEWS_RUNS : MONITOR_NEWS_HALTED);
}

static bool same_ram(const struct monitor_view *a, const struct monitor_view *b)
{
        if (a->n_backends != b->n_backends || !vgpu_layout_equal(&a->layout, &b->layout))
                return false;
        for (size_t i = 0; i < a->n_backends; i++) {
                const struct monitor_backend *p = &a->backend[i], *q = &b->backend[i];

                if (strcmp(p->id, q->id) != 0 || strcmp(p->path, q->path) != 0 || p->hva != q->hva)
                        return false;
        }
        return true;
}

static void round_ended(struct monitor *m)
{
        bool moved = m->view.layout.n_pieces > 0 && !same_ram(&m->view, &m->fresh);
        bool renamed = m->says == MONITOR_HALTED && !m->fresh.running &&
                       strcmp(m->view.status, m->fresh.status) != 0;

        m->asking = false;
        if (m->stale) {
                ask(m);
                return;
        }
        m->view = m->fresh;
        if (moved)
                m->news(m, MONITOR_NEWS_LAYOUT);
        set_says(m, m->view.running);
        if (renamed)
                m->news(m, MONITOR_NEWS_HALTED);
}

static void on_hva(struct qmp *q, struct json_object *ret, const char *error)
{
        struct monitor *m = q->ctx;
        struct monitor_backend *b = &m->fresh.backend[m->next_backend];
        const char *at;

        (void)error;
        /* "Host virtual address for 0x0 (ram0) is 0x7f0b5ffff000" */
        at = json_object_is_type(ret, json_type_string)
                     ? strstr(json_object_get_string(ret), " is 0x")
                     : NULL;
        b->hva = at ? strtoull(at + 4, NULL, 16) : 0;
        m->next_backend++;
        ask_backend(m);
}

static void on_path(struct qmp *q, struct json_object *ret, const char *error)
{
        struct monitor *m = q->ctx;
        struct monitor_backend *b = &m->fresh.backend[m->next_backend];
        char line[64];

        (void)error;
        if (json_object_is_type(ret, json_type_string) &&
                strlen(json_object_get_string(ret)) < sizeof(b->path))
                copy_text(b->path, sizeof(b->path), json_object_get_string(ret));
        snprintf(line, sizeof(line), "gpa2hva 0x%" PRIx64, b->gpa);
        ask_person(q, line, on_hva);
}

static void ask_backend(struct monitor *m)
{
        struct json_object *arguments;
        char path[MTREE_NAME_MAX + 16];

        if (m->next_backend == m->fresh.n_backends) {
                round_ended(m);
                return;
        }
        snprintf(path, sizeof(path), "/objects/%s", m->fresh.backend[m->next_backend].id);
        arguments = json_new();
        json_add(arguments, "path", json_text(path));
        json_add(arguments, "property", json_text("mem-path"));
        qmp_execute(&m->qmp, "qom-get", arguments, on_path);
}

/* Keep the backends that are mapped, in the order of their addresses. */
static void sort_backends(struct monitor_view *v)
{
        struct monitor_backend sorted[VGPU_SOURCE_FILES_MAX];
        size_t place[VGPU_SOURCE_FILES_MAX], n = 0;
        bool seen[VGPU_SOURCE_FILES_MAX] = { false };

        for (size_t i = 0; i < v->layout.n_pieces; i++) {
                struct vgpu_layout_piece *p = &v->layout.piece[i];

                if (!seen[p->file]) {
                        seen[p->file] = true;
                        place[p->file] = n;
                        sorted[n] = v->backend[p->file];
                        sorted[n].offset = p->offset;
                        sorted[n++].gpa = p->gpa;
                }
                p->file = (uint32_t)place[p->file];
        }
        memcpy(v->backend, sorted, n * sizeof(sorted[0]));
        v->n_backends = n;
}

static void on_mtree(struct qmp *q, struct json_object *ret, const char *error)
{
        struct monitor *m = q->ctx;
        struct monitor_view *v = &m->fresh;
        const char *ids[VGPU_SOURCE_FILES_MAX];
        struct mtree_range *ranges = calloc(MAX_RANGES, sizeof(*ranges));
        size_t n = 0;

        (void)error;
        for (size_t i = 0; i < v->n_backends; i++)
                ids[i] = v->backend[i].id;
        v->layout.n_pieces = 0;
        if (ranges && json_object_is_type(ret, json_type_string) &&
                mtree_parse(json_object_get_string(ret), (size_t)json_object_get_string_len(ret),
                        ranges, MAX_RANGES, &n) == 0)
                mtree_layout(ranges, n, ids, v->n_backends, &v->layout);
        free(ranges);
        sort_backends(v);
        m->next_backend = 0;
        ask_backend(m);
}

static void on_memdev(struct qmp *q, struct json_object *ret, const char *error)
{
        struct monitor *m = q->ctx;
        struct monitor_view *v = &m->fresh;
        size_t n = json_object_is_type(ret, json_type_array) ? json_object_array_length(ret) : 0;

        (void)error;
        v->n_backends = 0;
        for (size_t i = 0; i < n && v->n_backends < VGPU_SOURCE_FILES_MAX; i++) {
                struct json_object *memdev = json_object_array_get_idx(ret, i);
                const char *id = member_text(memdev, "id");
                struct monitor_backend *b = &v->backend[v->n_backends];

                if (!id[0] || strlen(id) >= sizeof(b->id))
                        continue;
                *b = (struct monitor_backend){ .shared = member_true(memdev, "share") };
                copy_text(b->id, sizeof(b->id), id);
                v->n_backends++;
        }
        ask_person(q, "info mtree -f", on_mtree);
}

/* A machine that runs while the rest of its RAM is still on its way has pages nobody may look at. */
static void on_migrate(struct qmp *q, struct json_object *ret, const char *error)
{
        struct monitor *m = q->ctx;
        const char *status = ret ? member_text(ret, "status") : "";

        (void)error;
        if (strncmp(status, "postcopy-", 9) == 0) {
                m->fresh.running = false;
                copy_text(m->fresh.status, sizeof(m->fresh.status), status);
        }
        qmp_execute(q, "query-memdev", NULL, on_memdev);
}

static void on_status(struct qmp *q, struct json_object *ret, const char *error)
{
        struct monitor *m = q->ctx;

        (void)error;
        copy_text(m->fresh.status, sizeof(m->fresh.status),
                ret ? member_text(ret, "status") : "unknown");
        m->fresh.running =
                ret && member_true(ret, "running") && strcmp(m->fresh.status, "running") == 0;
        qmp_execute(q, "query-migrate", NULL, on_migrate);
}

static void ask(struct monitor *m)
{
        m->stale = m->asking;
        if (m->asking || m->qmp.state != QMP_TALKING)
                return;
        m->asking = true;
        m->fresh = (struct monitor_view){ .n_backends = 0 };
        qmp_execute(&m->qmp, "query-status", NULL, on_status);
}

static void on_again(uv_timer_t *timer)
{
        struct monitor *m = timer->data;

        if (!m->asking)
                ask(m);
}

/* ---- what the connection brings ------------------------------------------------------------------------------------ */

static void on_up(struct qmp *q)
{
        struct monitor *m = q->ctx;

        bool back = m->why[0];

        m->refused = false;
        m->why[0] = '\0';
        if (back)
                m->news(m, MONITOR_NEWS_BACK);
        ask(m);
}

static void on_down(struct qmp *q, int error, const char *why)
{
        struct monitor *m = q->ctx;
        bool refused = error == -ECONNREFUSED || error == -ENOENT;
        bool news = refused ? !m->refused : !m->why[0];

        m->asking = m->stale = false;
        m->refused = refused;
        copy_text(m->why, sizeof(m->why), why);
        if (news)
                m->news(m, refused ? MONITOR_NEWS_REFUSED : MONITOR_NEWS_LOST);
}

static void halt(struct monitor *m, const char *status)
{
        copy_text(m->view.status, sizeof(m->view.status), status);
        set_says(m, false);
}

static void on_stop(struct monitor *m)
{
        halt(m, "paused");
}

static void on_reset(struct monitor *m)
{
        m->news(m, MONITOR_NEWS_RESET);
}

static void on_shutdown(struct monitor *m)
{
        halt(m, "shutdown");
        m->news(m, MONITOR_NEWS_OFF);
}

/* Whatever may change an answer has them all asked for again; some mean something at once. */
static const struct {
        const char *name;
        void (*at_once)(struct monitor *m);
} events[] = {
        { "STOP", on_stop },
        { "RESUME", NULL },
        { "RESET", on_reset },
        { "SHUTDOWN", on_shutdown },
        { "SUSPEND", on_stop },
        { "WAKEUP", NULL },
        { "GUEST_PANICKED", NULL },
        { "MIGRATION", NULL },
        { "ACPI_DEVICE_OST", NULL },
        { "DEVICE_DELETED", NULL },
        { "MEMORY_DEVICE_SIZE_CHANGE", NULL },
};

static void on_event(struct qmp *q, const char *name, struct json_object *data)
{
        struct monitor *m = q->ctx;

        (void)data;
        for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
                if (strcmp(events[i].name, name) != 0)
                        continue;
                /* Before the handler: what it leads to must not believe a round that began earlier. */
                ask(m);
                if (events[i].at_once)
                        events[i].at_once(m);
                return;
        }
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

static const struct qmp_handlers handlers = { .up = on_up, .down = on_down, .event = on_event };

int monitor_init(
        struct monitor *m, uv_loop_t *loop, const char *path, monitor_news_fn news, void *ctx)
{
        *m = (struct monitor){ .news = news, .ctx = ctx };
        uv_timer_init(loop, &m->again);
        m->again.data = m;
        return qmp_init(&m->qmp, loop, path, &handlers, m);
}

void monitor_stop(struct monitor *m)
{
        qmp_stop(&m->qmp);
        uv_close((uv_handle_t *)&m->again, NULL);
}

bool monitor_quiet(const struct monitor *m)
{
        return qmp_quiet(&m->qmp);
}
