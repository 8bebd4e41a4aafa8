/*
 * reload.h - the configuration read again while the daemon runs
 *
 * SIGHUP asks for it. Files are read, and users and groups looked up anew, on libuv's pool: a directory server that takes its
 * time must not cost a frame. What comes back is checked as a whole: a bad configuration changes nothing, and the journal says
 * what is wrong by file and line; of a good one the live keys count at once, and the journal names them and what waits for a
 * restart. A signal that comes meanwhile makes another pass when this one is done, so the last word always counts.
 */
#ifndef VGPUD_RELOAD_H
#define VGPUD_RELOAD_H

#include <json-c/json.h>
#include <uv.h>

#include "config/config.h"
#include "reload_plan.h"

struct reload {
        uv_loop_t *loop;
        const char *path;
        struct vgpu_config *config; /* in force */
        int (*apply)(void *ctx);
        void *ctx;

        uv_signal_t sighup;
        uv_work_t work;
        bool busy; /* the pool has it */
        bool again;
        bool stopped;
        bool owed; /* @config has what @apply could not put in force */

        /* the pool's, then the loop's */
        struct vgpu_config wanted;
        struct config_report report;
        int error;

        struct reload_plan plan; /* of the last good one */
        uint64_t n_done, n_refused;
        char problem[CONFIG_PROBLEM_MAX]; /* the first of the last one, "": that was good */
};

/**
 * reload_init() - wait for SIGHUP
 * @path:   of the configuration, borrowed
 * @config: in force, borrowed; live keys are written to before @apply
 * @apply:  called on the loop when live keys have changed; negative: it is called again with the next good configuration
 *
 * A SIGHUP that was blocked until now comes in.
 *
 * Return: 0, or what libuv said; then there is nothing to stop.
 */
int reload_init(struct reload *r, uv_loop_t *loop, const char *path, struct vgpu_config *config,
        int (*apply)(void *ctx), void *ctx);

/* Let go of the loop, which has to run until what the pool has of it is done. */
void reload_stop(struct reload *r);

/* For the status: docs/vgpuctl.md. */
struct json_object *reload_json(const struct reload *r);

#endif /* VGPUD_RELOAD_H */
