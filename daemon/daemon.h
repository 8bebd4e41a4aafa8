/*
 * daemon.h - vgpud as a whole: one loop, one guest, one outlet, and the service manager's view of them
 */
#ifndef VGPUD_DAEMON_H
#define VGPUD_DAEMON_H

#include <time.h>
#include <uv.h>

#include "config/config.h"
#include "control.h"
#include "guest.h"
#include "log_room.h"
#include "outlet.h"
#include "reload.h"
#include "watchdog.h"

struct daemon {
        uv_loop_t loop;
        struct vgpu_config config;      /* in force: a reload writes to it */
        char socket[CONFIG_SOCKET_MAX]; /* where clients connect: systemd goes before [ring] */
        struct outlet outlet;
        struct guest guest;
        struct reload reload;
        struct control control;    /* where a control socket is configured */
        uint64_t n_frame_requests; /* of clients, when last looked at */
        uv_signal_t sigterm, sigint;
        struct watchdog watchdog;
        uv_timer_t status;
        uint64_t started_ns;
        uint64_t line_phase_ns; /* the guest's phase_ns that the status line was last about, */
        struct log_room log_room;
        unsigned n_status; /* times the status was told on the clock */
        time_t line_since; /* and what the clock on the wall said then */
        bool stopping;
        bool misconfigured;
};

enum daemon_end {
        DAEMON_STOPPED,       /* in order, as told */
        DAEMON_FAILED,        /* it could not start, and may when it is tried again */
        DAEMON_MISCONFIGURED, /* it could not start, and will not before somebody changes something */
};

/**
 * daemon_run() - serve until told to stop
 * @path:   where @config was loaded from; read again on SIGHUP
 * @config: copied
 *
 * Failures are logged, with what to do about them.
 */
enum daemon_end daemon_run(const char *path, const struct vgpu_config *config);

/* The answer to `vgpuctl status`: JSON text, schema 1 (docs/vgpuctl.md). Return: bytes, or negative errno. */
int daemon_status_json(struct daemon *d, char *buf, size_t cap);

/* The answer to `vgpuctl clients`, likewise. */
int daemon_clients_json(struct daemon *d, char *buf, size_t cap);

/* The answer to `vgpuctl metrics`: JSON text, schema 1 (docs/metrics.schema.json); likewise. */
int daemon_metrics_json(struct daemon *d, char *buf, size_t cap);

/* The line for `systemctl status`: 511 bytes are enough. */
void daemon_status_line(struct daemon *d, char *buf, size_t cap);

#endif /* VGPUD_DAEMON_H */
