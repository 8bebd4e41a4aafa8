/*
 * reload_plan.h - what of another configuration counts at once, and what waits
 *
 * Pure: two configurations in, two sets of keys out, by what the table of keys says of each (config/keys.h). The running
 * configuration takes over live keys only, so what waits for a restart keeps showing up against it until there was one, or until
 * the file says again what runs. Keys that are checked together (the sockets' paths) are of one kind:
 * a mixture of both configurations is as sound as each of them.
 */
#ifndef VGPUD_RELOAD_PLAN_H
#define VGPUD_RELOAD_PLAN_H

#include "config/keys.h"

struct reload_plan {
        enum config_takes differs[CONFIG_KEYS_MAX]; /* by row of config_keys; 0: it does not */
        size_t n_live, n_restart;
};

/**
 * reload_plan() - compare
 * @running: in force
 * @wanted:  as loaded
 *
 * A user or group of the same name with another id differs.
 */
void reload_plan(const struct vgpu_config *running, const struct vgpu_config *wanted,
        struct reload_plan *ret);

/* Copies what differs and is live. */
void reload_take(const struct reload_plan *plan, const struct vgpu_config *wanted,
        struct vgpu_config *running);

/* "[ring] slots, [log] level": the keys of one kind, cut to fit. Return: @buf. */
const char *reload_names(
        const struct reload_plan *plan, enum config_takes kind, char *buf, size_t cap);

#endif /* VGPUD_RELOAD_PLAN_H */
