/* doctor_config.c - is the configuration what the daemon would take? */
#include <errno.h>
#include <glob.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"

/* The drop-ins beside the file count, and are easily forgotten. */
static void say_good(
        const struct doctor *d, const struct config_report *report, struct doctor_finding *f)
{
        size_t n = report->n_files > 1 ? report->n_files - 1 : 0;

        if (n == 0)
                doctor_say(f, DOCTOR_OK, "%s", d->config_path);
        else
                doctor_say(f, DOCTOR_OK, "%s and %zu drop-in%s, the last %s", d->config_path, n,
                        n == 1 ? "" : "s", report->file[n]);
}

static const char *first_problem(
        const struct config_report *report, bool error, char *buf, size_t cap)
{
        for (size_t i = 0; i < report->n; i++) {
                if (report->item[i].warning == error)
                        continue;
                config_problem_text(report, i, buf, cap);
                return buf;
        }
        return NULL;
}

static void say_bad(const struct doctor *d, int error, const struct config_report *report,
        struct doctor_finding *f)
{
        const char *problem;
        char text[640], more[48] = "";

        problem = first_problem(report, true, text, sizeof text);
        if (report->n_errors > 1)
                snprintf(more, sizeof more, ", and %zu more", report->n_errors - 1);
        doctor_say(f, DOCTOR_FAIL, "%s%s", problem ? problem : strerror(-error), more);
        if (error == -ENOENT && access(d->config_path, F_OK) < 0)
                doctor_next(f, "write %s; vgpud.conf(5) explains every key", d->config_path);
        else if (error == -EACCES && geteuid() != 0)
                doctor_next(f, "run this as root");
        else
                doctor_next(f,
                        "correct it, check it with 'vgpud --config %s --check-config', then "
                        "systemctl "
                        "restart vgpud@%s",
                        d->config_path, d->name);
}

void doctor_check_configuration(struct doctor *d, struct doctor_finding *f)
{
        struct config_report report = { 0 };
        char odd[640];
        int r;

        snprintf(d->config_path, sizeof d->config_path, "%s/etc/vgpud/%s.conf", d->root, d->name);
        r = config_load(d->config_path, &d->config, &report);
        d->has_config = r == 0;
        if (r < 0) {
                say_bad(d, r, &report, f);
        } else if (first_problem(&report, false, odd, sizeof odd)) {
                doctor_say(f, DOCTOR_WARN, "%s", odd);
                doctor_next(f, "'vgpud --config %s --check-config' shows what is in force",
                        d->config_path);
        } else {
                say_good(d, &report, f);
        }
        config_report_free(&report);
}
