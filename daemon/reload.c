/* reload.c - see reload.h */
#include "reload.h"

#include <signal.h>
#include <stdio.h>

#include "json.h"
#include "systemd/journal.h"
#include "systemd/notify.h"

/* Lines about one bad configuration; --check-config has them all. */
#define PROBLEMS_SAID 20
#define NAMES_MAX     900

static void say_problems(const struct config_report *report)
{
        char text[CONFIG_PROBLEM_MAX];

        for (size_t i = 0; i < report->n && i < PROBLEMS_SAID; i++) {
                config_problem_text(report, i, text, sizeof(text));
                journal_log(report->item[i].warning ? LOG_WARNING : LOG_ERR, "%s", text);
        }
}

/* The status is JSON and so UTF-8; a file may be anything. */
static void keep_first(struct reload *r)
{
        config_first_error(&r->report, r->problem, sizeof(r->problem));
        for (char *c = r->problem; *c != '\0'; c++) {
                if ((unsigned char)*c >= 0x80)
                        *c = '?';
        }
}

static void refuse(struct reload *r)
{
        r->n_refused++;
        keep_first(r);
        say_problems(&r->report);
        journal_event(EVENT_CONFIG_BAD,
                JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_CONFIG", r->path),
                        JOURNAL_TEXT("VGPU_REASON", r->problem)),
                "The configuration stays as it was: %zu problem%s, the first is %s",
                r->report.n_errors, r->report.n_errors == 1 ? "" : "s", r->problem);
}

static void say_taken(const struct reload *r)
{
        char names[NAMES_MAX];

        if (r->plan.n_live == 0)
                journal_event(EVENT_CONFIG_RELOADED,
                        JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_CONFIG", r->path)),
                        "Configuration read again: %s",
                        r->owed ? "what could not be put in force is tried again"
                                : "nothing to change while running");
        else
                journal_event(EVENT_CONFIG_RELOADED,
                        JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_CONFIG", r->path)),
                        "Configuration read again, in force now: %s",
                        reload_names(&r->plan, CONFIG_LIVE, names, sizeof(names)));
}

static void say_waiting(const struct reload *r)
{
        char names[NAMES_MAX];

        if (r->plan.n_restart != 0)
                journal_event(EVENT_CONFIG_WAITS,
                        JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_CONFIG", r->path)),
                        "Not in force before a restart: %s",
                        reload_names(&r->plan, CONFIG_RESTART, names, sizeof(names)));
}

/* What the reload itself says goes by the more talkative of both levels. */
static void take(struct reload *r)
{
        r->n_done++;
        r->problem[0] = '\0';
        reload_plan(r->config, &r->wanted, &r->plan);
        if (r->wanted.log.level > r->config->log.level)
                journal_set_level(r->wanted.log.level);
        say_problems(&r->report);
        say_taken(r);
        say_waiting(r);
        reload_take(&r->plan, &r->wanted, r->config);
        if (r->plan.n_live != 0 || r->owed)
                r->owed = r->apply(r->ctx) < 0;
        journal_set_level(r->config->log.level);
}

/* ---- on the pool, and back --------------------------------------------------------------------------------------- */

static void load(uv_work_t *work)
{
        struct reload *r = work->data;

        r->error = config_load(r->path, &r->wanted, &r->report);
}

static void on_sighup(uv_signal_t *signal, int number);

static void loaded(uv_work_t *work, int status)
{
        struct reload *r = work->data;

        r->busy = false;
        if (status == 0 && !r->stopped) {
                if (r->error < 0)
                        refuse(r);
                else
                        take(r);
                notify_ready();
        }
        config_report_free(&r->report);
        if (r->again && !r->stopped)
                on_sighup(&r->sighup, SIGHUP);
}

static void on_sighup(uv_signal_t *signal, int number)
{
        struct reload *r = signal->data;
        int error;

        (void)number;
        r->again = r->busy;
        if (r->busy)
                return;
        notify_reloading();
        error = uv_queue_work(r->loop, &r->work, load, loaded);
        r->busy = error == 0;
        if (error == 0)
                return;
        journal_log(LOG_ERR, "The configuration cannot be read again: %s", uv_strerror(error));
        notify_ready();
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

int reload_init(struct reload *r, uv_loop_t *loop, const char *path, struct vgpu_config *config,
        int (*apply)(void *ctx), void *ctx)
{
        sigset_t hup;
        int error;

        *r = (struct reload){
                .loop = loop, .path = path, .config = config, .apply = apply, .ctx = ctx
        };
        r->sighup.data = r->work.data = r;
        error = uv_signal_init(loop, &r->sighup);
        if (error < 0)
                return error;
        error = uv_signal_start(&r->sighup, on_sighup, SIGHUP);
        if (error < 0)
                uv_close((uv_handle_t *)&r->sighup, NULL);
        sigemptyset(&hup);
        sigaddset(&hup, SIGHUP);
        pthread_sigmask(SIG_UNBLOCK, &hup, NULL);
        return error;
}

void reload_stop(struct reload *r)
{
        r->stopped = true;
        if (r->busy)
                uv_cancel((uv_req_t *)&r->work);
        uv_close((uv_handle_t *)&r->sighup, NULL);
}

struct json_object *reload_json(const struct reload *r)
{
        struct json_object *o = json_new(), *waiting = json_array();
        char name[96];

        for (size_t i = 0; i < config_n_keys; i++) {
                if (r->plan.differs[i] != CONFIG_RESTART)
                        continue;
                snprintf(
                        name, sizeof(name), "[%s] %s", config_keys[i].section, config_keys[i].name);
                json_append(waiting, json_text(name));
        }
        json_add(o, "done", json_u64(r->n_done));
        json_add(o, "refused", json_u64(r->n_refused));
        json_add(o, "problem", json_text(r->problem[0] ? r->problem : NULL));
        json_add(o, "waiting", waiting);
        return o;
}
