/*
 * doctor_qemu.c - QEMU's process and its monitor
 *
 * A monitor talks to one client at a time, and the daemon is meant to be that one: while it answers it is the one to be asked. Only
 * without it the monitor is connected to, asked for the machine's state, and left.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "doctor.h"
#include "field.h"
#include "latency.h"
#include "text.h"

#define MONITOR_WAIT_MS 1000
#define LINE_MAX_BYTES  8192

/* The folder may be QEMU's user's: whatever is there is not waited for. Return: 0 and *ret, 0 for none; or an errno. */
static int read_pid(const char *path, long *ret)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        char text[32];
        ssize_t n;

        if (fd < 0)
                return errno;
        n = read(fd, text, sizeof text - 1);
        close(fd);
        text[n > 0 ? n : 0] = '\0';
        *ret = strtol(text, NULL, 10);
        return 0;
}

void doctor_check_process(struct doctor *d, struct doctor_finding *f)
{
        const char *pidfile = d->config.guest.pidfile;
        char path[PATH_MAX];
        struct stat st;
        long pid = 0;
        int error = read_pid(doctor_path(d, pidfile, path), &pid);

        if (error) {
                doctor_say(f, DOCTOR_FAIL, "'%s': %s", pidfile, strerror(error));
                doctor_next(f,
                        error == EACCES
                                ? "let the user vgpud read it; run this as root to look behind it"
                                : "start the virtual machine with -pidfile, or correct [guest] "
                                  "pidfile");
                return;
        }
        if (pid <= 0) {
                doctor_say(f, DOCTOR_FAIL, "'%s' holds no process id", pidfile);
                doctor_next(
                        f, "[guest] pidfile is the file that QEMU's -pidfile writes: correct it");
                return;
        }
        snprintf(path, sizeof path, "%s/proc/%ld", d->root, pid);
        if (stat(path, &st) < 0) {
                doctor_say(f, DOCTOR_FAIL,
                        "QEMU's process %ld has ended: the virtual machine is off", pid);
                doctor_next(f, "start the virtual machine");
                return;
        }
        doctor_say(f, DOCTOR_OK, "process %ld is there", pid);
}

/* ---- the monitor ----------------------------------------------------------------------------------------------------- */

static int connect_to(const char *path)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        int fd;

        if (strlen(path) >= sizeof addr.sun_path)
                return -ENAMETOOLONG;
        strcpy(addr.sun_path, path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0)
                return fd;
        if (fd >= 0) {
                int error = errno;

                close(fd);
                return -error;
        }
        return -errno;
}

/* The next line as an object, events left out; NULL: none in time, however much else was said, or it is none. */
static json_object *next_answer(int fd)
{
        uint64_t end_ns = latency_now() + MONITOR_WAIT_MS * UINT64_C(1000000);
        char line[LINE_MAX_BYTES];
        size_t len = 0;

        for (;;) {
                struct pollfd pfd = { .fd = fd, .events = POLLIN };
                uint64_t left_ns = latency_between(latency_now(), end_ns);
                json_object *o;

                if (len + 1 == sizeof line || left_ns == 0 ||
                        poll(&pfd, 1, (int)(left_ns / 1000000) + 1) != 1 ||
                        read(fd, line + len, 1) != 1)
                        return NULL;
                if (line[len++] != '\n')
                        continue;
                line[len] = '\0';
                o = json_tokener_parse(line);
                if (!field(o, "event"))
                        return o;
                json_object_put(o);
                len = 0;
        }
}

/* Return: what QEMU calls the machine's state, or "" if it does not say. */
static void ask_state(int fd, char *state, size_t cap)
{
        static const char *const commands[] = {
                "{\"execute\":\"qmp_capabilities\"}\n",
                "{\"execute\":\"query-status\"}\n",
        };
        json_object *answer = NULL;

        state[0] = '\0';
        for (size_t i = 0; i < 2; i++) {
                ssize_t len = (ssize_t)strlen(commands[i]);

                json_object_put(answer);
                answer = NULL;
                if (send(fd, commands[i], (size_t)len, MSG_NOSIGNAL) != len)
                        return;
                answer = next_answer(fd);
        }
        if (field_raw(field(answer, "return"), "status"))
                field_text(field(answer, "return"), "status", state, cap);
        json_object_put(answer);
}

static void say_unreachable(const struct doctor *d, int error, struct doctor_finding *f)
{
        const char *qmp = d->config.guest.qmp;

        doctor_say(f, DOCTOR_FAIL, "'%s': %s", qmp,
                error == ECONNREFUSED ? "nobody listens there: the virtual machine is off"
                                      : strerror(error));
        if (error == ECONNREFUSED)
                doctor_next(f, "start the virtual machine");
        else if (error == EACCES)
                doctor_next(f,
                        "run this as root; the user vgpud needs write permission on that socket");
        else
                doctor_next(f,
                        "start the virtual machine with -qmp unix:%s,server=on,wait=off, or "
                        "correct [guest] qmp",
                        qmp);
}

static void ask_monitor(const struct doctor *d, int fd, struct doctor_finding *f)
{
        json_object *greeting = next_answer(fd);
        char state[128];

        if (!field(greeting, "QMP")) {
                doctor_say(f, DOCTOR_FAIL,
                        "'%s' accepts nobody: somebody else is connected to this monitor, or QEMU "
                        "hangs",
                        d->config.guest.qmp);
                doctor_next(f, "give the daemon a monitor of its own: a second -qmp on QEMU's "
                               "command line");
        } else {
                ask_state(fd, state, sizeof state);
                if (strcmp(state, "running") == 0)
                        doctor_say(f, DOCTOR_OK, "QEMU says that the machine runs");
                else if (state[0])
                        doctor_say(
                                f, DOCTOR_WARN, "QEMU says '%s': the machine does not run", state);
                else
                        doctor_say(f, DOCTOR_WARN, "QEMU does not say whether the machine runs");
                if (f->result == DOCTOR_WARN)
                        doctor_next(f, "resume the machine (virsh resume, or cont in a monitor)");
        }
        json_object_put(greeting);
}

void doctor_check_monitor(struct doctor *d, struct doctor_finding *f)
{
        const char *reason = field_raw(d->status, "reason");
        char path[PATH_MAX], at[PATH_MAX], shown[512];
        int fd, error;

        doctor_path(d, d->config.guest.qmp, path);
        if (d->user.known && doctor_access(d, path, W_OK, at, &error) == DOCTOR_ACCESS_NO &&
                error != ENOENT) {
                doctor_say(f, DOCTOR_FAIL, "the user '%s' may not connect to '%s': '%s' is %s",
                        d->user.name, d->config.guest.qmp, at + strlen(d->root),
                        doctor_describe(at, shown, sizeof shown));
                doctor_next(f, "setfacl -m u:%s:%s '%s'", d->user.name,
                        strcmp(at, path) == 0 ? "rw" : "x", at + strlen(d->root));
                return;
        }
        if (d->status) {
                if (reason && strstr(reason, "monitor")) {
                        doctor_say(f, DOCTOR_FAIL, "%s",
                                field_text(d->status, "reason", shown, sizeof shown));
                        doctor_next(f, "give the daemon a monitor of its own: a second -qmp on "
                                       "QEMU's command line");
                } else {
                        doctor_say(f, DOCTOR_OK, "the daemon has it");
                }
                return;
        }
        fd = connect_to(path);
        if (fd < 0) {
                say_unreachable(d, -fd, f);
                return;
        }
        ask_monitor(d, fd, f);
        close(fd);
}
