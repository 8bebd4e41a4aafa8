/*
 * doctor_unit.c - what the service manager says of the daemon's unit
 *
 * Over the system bus; root reaches the manager also where there is no bus, by its private socket, as systemctl does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "doctor.h"

#define MANAGER         "org.freedesktop.systemd1"
#define PRIVATE_ADDRESS "unix:path=/run/systemd/private"
#define TIMEOUT_USEC    UINT64_C(3000000)

/* ---- asking ---------------------------------------------------------------------------------------------------------- */

static int open_private(sd_bus **ret)
{
        sd_bus *bus = NULL;
        int r = sd_bus_new(&bus);

        if (r >= 0)
                r = sd_bus_set_address(bus, PRIVATE_ADDRESS);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r < 0)
                return sd_bus_unref(bus), r;
        *ret = bus;
        return 0;
}

static int open_manager(sd_bus **ret)
{
        int r = sd_bus_open_system(ret);

        return r < 0 && geteuid() == 0 ? open_private(ret) : r;
}

static void text_property(sd_bus *bus, const char *path, const char *interface, const char *name,
        char *dst, size_t cap)
{
        char *value = NULL;

        if (sd_bus_get_property_string(bus, MANAGER, path, interface, name, NULL, &value) >= 0)
                snprintf(dst, cap, "%s", value);
        free(value);
}

static void number_property(sd_bus *bus, const char *path, const char *name, char type, void *ret)
{
        sd_bus_get_property_trivial(bus, MANAGER, path, MANAGER ".Service", name, NULL, type, ret);
}

static void read_unit(sd_bus *bus, const char *path, struct doctor_unit *ret)
{
        text_property(bus, path, MANAGER ".Unit", "LoadState", ret->load, sizeof ret->load);
        text_property(bus, path, MANAGER ".Unit", "ActiveState", ret->active, sizeof ret->active);
        text_property(bus, path, MANAGER ".Unit", "SubState", ret->sub, sizeof ret->sub);
        text_property(bus, path, MANAGER ".Service", "Result", ret->result, sizeof ret->result);
        text_property(bus, path, MANAGER ".Service", "User", ret->user, sizeof ret->user);
        number_property(bus, path, "NRestarts", 'u', &ret->restarts);
        number_property(bus, path, "ExecMainStatus", 'i', &ret->status);
        number_property(bus, path, "MainPID", 'u', &ret->pid);
}

int doctor_ask_unit(
        struct doctor *d, const char *unit, struct doctor_unit *ret, char *why, size_t cap)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        sd_bus *bus = NULL;
        const char *path;
        int r = open_manager(&bus);

        (void)d;
        if (r < 0) {
                snprintf(why, cap, "the service manager cannot be asked: %s", strerror(-r));
                return r;
        }
        sd_bus_set_method_call_timeout(bus, TIMEOUT_USEC);
        r = sd_bus_call_method(bus, MANAGER, "/org/freedesktop/systemd1", MANAGER ".Manager",
                "LoadUnit", &error, &reply, "s", unit);
        if (r >= 0)
                r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                snprintf(why, cap, "the service manager does not tell of %s: %s", unit,
                        error.message ? error.message : strerror(-r));
        else
                read_unit(bus, path, ret);
        sd_bus_error_free(&error);
        sd_bus_message_unref(reply);
        sd_bus_flush_close_unref(bus);
        return r < 0 ? r : 0;
}

/* ---- what it means --------------------------------------------------------------------------------------------------- */

struct outcome {
        const char *result; /* of the unit; NULL: any */
        int status;         /* of its process; -1: any */
        const char *means;
        const char *next; /* with the machine's name in it twice, at most */
};

/* systemd.exec(5) has the numbers from 200 on. The first row that fits counts. */
static const struct outcome outcomes[] = {
        { "exit-code", 78, "the configuration is refused",
                "see 'configuration' above, then systemctl restart vgpud@%s" },
        { "exit-code", 203, "the program could not be started",
                "install the package again (apt-get install --reinstall vgpud)" },
        { "exit-code", 217, "its user does not exist",
                "systemd-sysusers, then systemctl restart vgpud@%s" },
        { "exit-code", 226, "its sandbox could not be set up", "journalctl -b -u vgpud@%s -n 20" },
        { "exit-code", -1, "it ended with an error", "journalctl -b -u vgpud@%s -x -n 20" },
        { "watchdog", -1, "it hung, and was ended for it",
                "journalctl -b -u vgpud@%s -n 50, and report it" },
        { "core-dump", -1, "it crashed", "coredumpctl info vgpud, and report it" },
        { "signal", -1, "it was killed", "journalctl -b -u vgpud@%s -n 50: who did it?" },
        { "oom-kill", -1, "the host ran out of memory",
                "give the host more memory, or lower [ring] max_bytes" },
        { "timeout", -1, "it did not start or stop in time", "journalctl -b -u vgpud@%s -n 50" },
        { "start-limit-hit", -1, "it was started too often in a short time",
                "mend the cause in journalctl -b -u vgpud@%s, then systemctl "
                "reset-failed 'vgpud@%s.*' && systemctl start vgpud@%s" },
        { NULL, -1, "it failed", "journalctl -b -u vgpud@%s -x -n 20" },
};

static const struct outcome *outcome_of(const struct doctor_unit *u)
{
        for (size_t i = 0;; i++) {
                const struct outcome *o = &outcomes[i];

                if (!o->result || (strcmp(o->result, u->result) == 0 &&
                                          (o->status < 0 || o->status == u->status)))
                        return o;
        }
}

/* Puts the machine's name wherever @format has a %s. */
static void next_with_name(struct doctor_finding *f, const char *format, const char *name)
{
        size_t at = 0;

        for (const char *p = format; *p && at + 1 < sizeof f->next;) {
                if (p[0] == '%' && p[1] == 's') {
                        at += (size_t)snprintf(f->next + at, sizeof f->next - at, "%s", name);
                        p += 2;
                } else {
                        f->next[at++] = *p++;
                }
                if (at >= sizeof f->next)
                        at = sizeof f->next - 1;
        }
        f->next[at] = '\0';
}

static void judge(const struct doctor *d, const struct doctor_unit *u, struct doctor_finding *f)
{
        const struct outcome *o = outcome_of(u);

        if (strcmp(u->load, "not-found") == 0) {
                doctor_say(f, DOCTOR_FAIL, "there is no unit vgpud@.service");
                doctor_next(f, "install the package vgpud, or systemctl daemon-reload after "
                               "installing it by hand");
        } else if (strcmp(u->active, "failed") == 0 || strcmp(u->sub, "auto-restart") == 0) {
                doctor_say(f, DOCTOR_FAIL, "vgpud@%s is %s: %s (%s, status %d)", d->name, u->active,
                        o->means, u->result, u->status);
                next_with_name(f, o->next, d->name);
        } else if (strcmp(u->active, "active") != 0) {
                doctor_say(f, DOCTOR_FAIL, "vgpud@%s is %s", d->name, u->active);
                doctor_next(f, "systemctl start vgpud@%s", d->name);
        } else if (u->restarts > 0) {
                doctor_say(f, DOCTOR_WARN,
                        "vgpud@%s runs, and was started again %u time%s after it failed (%s)",
                        d->name, u->restarts, u->restarts == 1 ? "" : "s", u->result);
                doctor_next(f, "journalctl -b -u vgpud@%s -x", d->name);
        } else {
                doctor_say(f, DOCTOR_OK, "vgpud@%s runs, process %u", d->name, u->pid);
        }
}

void doctor_check_service(struct doctor *d, struct doctor_finding *f)
{
        char unit[128], why[256] = "";

        snprintf(unit, sizeof unit, "vgpud@%s.service", d->name);
        if (d->ask_unit(d, unit, &d->unit, why, sizeof why) < 0) {
                doctor_say(f, DOCTOR_SKIPPED, "%s", why);
                return;
        }
        d->has_unit = true;
        judge(d, &d->unit, f);
}
