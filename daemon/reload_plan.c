/* reload_plan.c - see reload_plan.h */
#include "reload_plan.h"

#include <stdio.h>
#include <string.h>

void reload_plan(const struct vgpu_config *running, const struct vgpu_config *wanted,
        struct reload_plan *ret)
{
        *ret = (struct reload_plan){ 0 };
        for (size_t i = 0; i < config_n_keys; i++) {
                const struct config_key *key = &config_keys[i];

                if (config_key_equal(key, running, wanted))
                        continue;
                ret->differs[i] = key->takes;
                ret->n_live += key->takes == CONFIG_LIVE;
                ret->n_restart += key->takes == CONFIG_RESTART;
        }
}

void reload_take(const struct reload_plan *plan, const struct vgpu_config *wanted,
        struct vgpu_config *running)
{
        for (size_t i = 0; i < config_n_keys; i++) {
                const struct config_key *key = &config_keys[i];

                if (plan->differs[i] == CONFIG_LIVE)
                        memcpy(config_key_field(key, running), (const char *)wanted + key->offset,
                                key->size);
        }
}

const char *reload_names(
        const struct reload_plan *plan, enum config_takes kind, char *buf, size_t cap)
{
        size_t len = 0;

        buf[0] = '\0';
        for (size_t i = 0; i < config_n_keys && len < cap; i++) {
                if (plan->differs[i] == kind)
                        len += (size_t)snprintf(buf + len, cap - len, "%s[%s] %s",
                                len != 0 ? ", " : "", config_keys[i].section, config_keys[i].name);
        }
        return buf;
}
