/* daemon.c - see daemon.h */
#include "daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "control_clients.h"
#include "json.h"
#include "systemd/journal.h"
#include "systemd/notify.h"
#include "systemd/passed.h"
#include "version.h"

#define STATUS_LINE_MS    1000
#define STATUS_A_LOG_ROOM 10 /* status lines for each look at the journal's disk */

static int build_reply(struct daemon *d, uint32_t what, char *buf, size_t cap)
{
        switch (what) {
        case VGPU_QUERY_STATUS:
                return daemon_status_json(d, buf, cap);
        case VGPU_QUERY_CLIENTS:
                return daemon_clients_json(d, buf, cap);
        case VGPU_QUERY_METRICS:
                return daemon_metrics_json(d, buf, cap);
        default:
                return -EOPNOTSUPP;
        }
}

static int on_query(void *ctx, uint32_t what, char *buf, size_t cap)
{
        int r = build_reply(ctx, what, buf, cap);

        /* Half a reply would be believed. */
        return json_was_short() ? -ENOMEM : r;
}

static void on_intents(void *ctx)
{
        struct daemon *d = ctx;
        struct control_merge merge = control_clients_merge(d->outlet.server);
        uint64_t n = server_counters(d->outlet.server)->frame_requests;

        if (!d->stopping)
                control_intents(&d->control, &merge, n != d->n_frame_requests);
        d->n_frame_requests = n;
}

static void on_progress(void *ctx)
{
        struct daemon *d = ctx;
        struct control_progress progress;

        if (control_progress(&d->control, &progress))
                control_clients_tell(d->outlet.server, &progress);
}

static void tell_status(void *ctx)
{
        struct daemon *d = ctx;
        char line[512];

        daemon_status_line(d, line, sizeof(line));
        notify_status("%s", line);
}

static void on_status(uv_timer_t *timer)
{
        struct daemon *d = timer->data;

        if (d->n_status++ % STATUS_A_LOG_ROOM == 0)
                log_room_ask(&d->log_room, &d->loop);
        tell_status(d);
        journal_flush();
}

static void stop(struct daemon *d)
{
        uint32_t n_clients;

        if (d->stopping)
                return;
        d->stopping = true;
        notify_stopping();
        n_clients = outlet_n_clients(&d->outlet);
        journal_event(EVENT_DAEMON_STOPPING,
                JOURNAL_FIELDS(JOURNAL_U64("VGPU_FRAMES", d->guest.stream.counters.frames),
                        JOURNAL_U64("VGPU_CLIENTS", n_clients)),
                "Stopping after %llu frames; %u client%s told",
                (unsigned long long)d->guest.stream.counters.frames, n_clients,
                n_clients == 1 ? "" : "s");
        guest_stop(&d->guest);
        control_stop(&d->control);
        reload_stop(&d->reload);
        uv_close((uv_handle_t *)&d->sigterm, NULL);
        uv_close((uv_handle_t *)&d->sigint, NULL);
        watchdog_stop(&d->watchdog);
        uv_close((uv_handle_t *)&d->status, NULL);
}

static void on_signal(uv_signal_t *signal, int number)
{
        (void)number;
        stop(signal->data);
}

static int on_reload(void *ctx)
{
        struct daemon *d = ctx;
        int r;

        guest_reload(&d->guest);
        r = outlet_reload(&d->outlet);
        if (r < 0)
                journal_log(
                        LOG_ERR, "Who may connect stays as it was: %s; reload again", strerror(-r));
        return r;
}

static void start_handles(struct daemon *d)
{
        uv_signal_init(&d->loop, &d->sigterm);
        uv_signal_init(&d->loop, &d->sigint);
        uv_timer_init(&d->loop, &d->status);
        d->sigterm.data = d->sigint.data = d->status.data = d;
        uv_signal_start(&d->sigterm, on_signal, SIGTERM);
        uv_signal_start(&d->sigint, on_signal, SIGINT);
        watchdog_start(&d->watchdog, &d->loop, &d->outlet, &d->guest);
        uv_timer_start(&d->status, on_status, STATUS_LINE_MS, STATUS_LINE_MS);
}

/* Who passed the socket also said where it is, and who may connect. */
static void name_passed_socket(struct daemon *d, int fd)
{
        struct sockaddr_un addr = { 0 };
        socklen_t len = sizeof(addr);

        if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
                return;
        snprintf(d->socket, sizeof(d->socket), "%.*s", (int)sizeof(addr.sun_path) - 1,
                addr.sun_path);
        if (strcmp(d->socket, d->config.ring.socket) != 0)
                journal_log(LOG_WARNING,
                        "Clients connect to %s, which was passed in, and not to [ring] socket = "
                        "%s; name it in the socket unit, or mask that unit",
                        d->socket, d->config.ring.socket);
}

static int take_passed(struct daemon *d, struct passed *ret)
{
        int r = passed_take(ret);

        snprintf(d->socket, sizeof(d->socket), "%s", d->config.ring.socket);
        d->misconfigured = r == -EINVAL;
        if (r == -EINVAL)
                journal_log(LOG_ERR,
                        "The passed socket is not one listening SOCK_SEQPACKET socket; "
                        "check ListenSequentialPacket= in the socket unit");
        else if (r < 0)
                journal_log(
                        LOG_ERR, "Cannot take what the service manager passed: %s", strerror(-r));
        if (ret->n_strange)
                journal_log(LOG_WARNING,
                        "%zu passed descriptors are neither a socket nor called ram, and were "
                        "closed; check OpenFile= of the unit",
                        ret->n_strange);
        if (ret->socket >= 0)
                name_passed_socket(d, ret->socket);
        return r;
}

/* What no second attempt changes: a folder that is missing, or another daemon, may come and go. */
static bool is_final(enum server_reason reason)
{
        return reason == SERVER_PATH_TOO_LONG || reason == SERVER_FOLDER_DENIED ||
               reason == SERVER_NOT_A_SOCKET || reason == SERVER_GROUP_DENIED ||
               reason == SERVER_BAD_LISTEN_FD;
}

static void say_no_socket(
        struct daemon *d, const char *path, const struct server_failure *why, int error)
{
        d->misconfigured = is_final(why->reason);
        journal_log(LOG_ERR, "Cannot listen on %s: %s (%s)", path, server_reason_text(why->reason),
                strerror(-error));
}

/* @fd: the listening socket, which is the outlet's on success; -1: make one. */
static int open_outlet(struct daemon *d, int fd)
{
        const struct outlet_hooks hooks = {
                .query = on_query,
                .intents_changed = d->config.control.socket[0] ? on_intents : NULL,
                .ctx = d,
        };
        struct server_failure why;
        int r;

        r = outlet_init(&d->outlet, &d->loop, &d->config, fd, &hooks, &why);
        if (r < 0 && why.reason != SERVER_OK)
                say_no_socket(d, d->socket, &why, r);
        else if (r < 0)
                journal_log(LOG_ERR, "Cannot make the ring: %s", strerror(-r));
        return r;
}

static int open_control(struct daemon *d)
{
        struct server_failure why;
        int r;

        if (!d->config.control.socket[0])
                return 0;
        r = control_init(
                &d->control, &d->loop, &d->config, d->outlet.rings.instance, on_progress, d, &why);
        if (r < 0)
                say_no_socket(d, d->config.control.socket, &why, r);
        else
                d->guest.control = &d->control;
        return r;
}

static int start(struct daemon *d, const char *path)
{
        struct passed passed;
        int r;

        r = take_passed(d, &passed);
        if (r < 0)
                return r;
        r = open_outlet(d, passed.socket);
        if (r < 0) {
                passed_close(&passed);
                return r;
        }
        passed.socket = -1;
        r = guest_init(&d->guest, &d->loop, &d->config, &d->outlet);
        if (r < 0) {
                journal_log(LOG_ERR, "Cannot start looking at the guest: %s", strerror(-r));
                passed_close(&passed);
                return r;
        }
        d->guest.changed = tell_status;
        d->guest.changed_ctx = d;
        guest_take_passed(&d->guest, &passed);
        r = open_control(d);
        if (r == 0)
                r = reload_init(&d->reload, &d->loop, path, &d->config, on_reload, d);
        if (r < 0) {
                guest_stop(&d->guest);
                control_stop(&d->control);
                return r;
        }
        start_handles(d);
        journal_event(EVENT_DAEMON_STARTED,
                JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_VERSION", VGPUD_VERSION),
                        JOURNAL_TEXT("VGPU_SOCKET", d->socket)),
                "vgpud %s serves '%s' on %s", VGPUD_VERSION, d->config.name, d->socket);
        tell_status(d);
        notify_ready();
        return 0;
}

enum daemon_end daemon_run(const char *path, const struct vgpu_config *config)
{
        struct daemon d = { .config = *config, .started_ns = uv_hrtime() };
        int r, closed;

        r = uv_loop_init(&d.loop);
        if (r < 0) {
                journal_log(LOG_ERR, "Cannot make an event loop: %s", strerror(-r));
                return DAEMON_FAILED;
        }
        r = start(&d, path);
        uv_run(&d.loop, UV_RUN_DEFAULT);
        guest_deinit(&d.guest);
        outlet_deinit(&d.outlet);
        closed = uv_loop_close(&d.loop);
        if (closed < 0)
                journal_log(LOG_ERR, "The event loop still has handles: %s", strerror(-closed));
        journal_finish();
        if (r == 0)
                return DAEMON_STOPPED;
        return d.misconfigured ? DAEMON_MISCONFIGURED : DAEMON_FAILED;
}
