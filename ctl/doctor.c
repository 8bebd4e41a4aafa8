/* doctor.c - the table of checks, and running it */
#include "doctor.h"

#include <stdarg.h>
#include <string.h>

#include "field.h"

static const char *without_config(const struct doctor *d)
{
        return d->has_config ? NULL : "the configuration cannot be read";
}

static const char *without_ram(const struct doctor *d)
{
        if (!d->has_config)
                return without_config(d);
        return config_ram_is_auto(&d->config) ? "[guest] ram is auto: QEMU says where it is" : NULL;
}

static const char *without_pidfile(const struct doctor *d)
{
        if (!d->has_config)
                return without_config(d);
        return d->config.guest.pidfile[0] ? NULL : "no [guest] pidfile is set";
}

static const char *without_monitor(const struct doctor *d)
{
        if (!d->has_config)
                return without_config(d);
        return d->config.guest.qmp[0] ? NULL : "no [guest] qmp is set";
}

static const char *without_daemon(const struct doctor *d)
{
        return d->status ? NULL : "the daemon does not answer";
}

/* What later ones build on comes first: the daemon's answer before what QEMU may be asked, people before files. */
const struct doctor_check doctor_checks[] = {
        { "configuration", NULL, doctor_check_configuration },
        { "service", NULL, doctor_check_service },
        { "user", NULL, doctor_check_user },
        { "socket", NULL, doctor_check_socket },
        { "daemon", NULL, doctor_check_daemon },
        { "ram", without_ram, doctor_check_ram },
        { "permission", without_ram, doctor_check_permission },
        { "shared", without_ram, doctor_check_shared },
        { "process", without_pidfile, doctor_check_process },
        { "monitor", without_monitor, doctor_check_monitor },
        { "stream", without_daemon, doctor_check_stream },
        { "clients", without_daemon, doctor_check_clients },
        { "kernel", NULL, doctor_check_kernel },
        { "limits", without_daemon, doctor_check_limits },
        { "logs", NULL, doctor_check_logs },
};

const size_t doctor_n_checks = sizeof doctor_checks / sizeof doctor_checks[0];

bool doctor_examine(struct doctor *d,
        void (*each)(void *ctx, const struct doctor_check *check, const struct doctor_finding *f),
        void *ctx)
{
        bool sound = true;

        for (size_t i = 0; i < doctor_n_checks; i++) {
                const struct doctor_check *check = &doctor_checks[i];
                const char *why = check->skipped ? check->skipped(d) : NULL;
                struct doctor_finding f = { .result = DOCTOR_OK };

                if (why)
                        doctor_say(&f, DOCTOR_SKIPPED, "%s", why);
                else
                        check->run(d, &f);
                sound = sound && f.result != DOCTOR_FAIL;
                each(ctx, check, &f);
        }
        return sound;
}

void doctor_deinit(struct doctor *d)
{
        json_object_put(d->status);
        d->status = NULL;
}

void doctor_say(struct doctor_finding *f, enum doctor_result result, const char *format, ...)
{
        va_list ap;

        f->result = result;
        va_start(ap, format);
        vsnprintf(f->text, sizeof f->text, format, ap);
        va_end(ap);
}

void doctor_next(struct doctor_finding *f, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        vsnprintf(f->next, sizeof f->next, format, ap);
        va_end(ap);
}

const char *doctor_path(const struct doctor *d, const char *path, char buf[PATH_MAX])
{
        snprintf(buf, PATH_MAX, "%s%s", d->root, path);
        return buf;
}

bool doctor_streams(const struct doctor *d)
{
        const char *state = field_raw(d->status, "state");

        return state && strcmp(state, "streaming") == 0;
}
