/*
 * keys.c - see keys.h
 */
#include <string.h>

#include "keys.h"

#define FIELD(member)                                                                              \
        offsetof(struct vgpu_config, member), sizeof(((struct vgpu_config *)NULL)->member)

#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

/* clang-format off */
const struct config_key config_keys[] = {
        { "guest", "ram",          &config_kind_ram,     FIELD(guest.ram),         CONFIG_RESTART, 0, 0, NULL, NULL },
        { "guest", "machine",      &config_kind_machine, FIELD(guest.machine),     CONFIG_RESTART, 0, 0, "q35", NULL },
        { "guest", "ram_size",     &config_kind_size,    FIELD(guest.ram_size),    CONFIG_RESTART, 4 * KIB, 64 * TIB, NULL, "the file's size" },
        { "guest", "kcr3",         &config_kind_root,    FIELD(guest.kcr3),        CONFIG_RESTART, 0, 0, NULL, "found in the guest" },
        { "guest", "qmp",          &config_kind_path,    FIELD(guest.qmp),         CONFIG_RESTART, 0, 0, NULL, "QEMU is not asked" },
        { "guest", "pidfile",      &config_kind_path,    FIELD(guest.pidfile),     CONFIG_RESTART, 0, 0, NULL, "QEMU's process is not watched" },
        { "guest", "ram_helper",   &config_kind_path,    FIELD(guest.ram_helper),  CONFIG_RESTART, 0, 0, NULL, "/run/vgpud-ram/NAME.sock, if there is one" },
        { "guest", "producer",     &config_kind_text,    FIELD(guest.producer),    CONFIG_LIVE,    0, 0, NULL, "the newest process wins" },

        { "ring",  "slots",        &config_kind_number,  FIELD(ring.slots),        CONFIG_RESTART, 3, 16, "4", NULL },
        { "ring",  "socket",       &config_kind_path,    FIELD(ring.socket),       CONFIG_RESTART, 0, 0, NULL, "/run/vgpud/NAME.sock" },
        { "ring",  "mode",         &config_kind_mode,    FIELD(ring.mode),         CONFIG_RESTART, 0, 0777, "0660", NULL },
        { "ring",  "group",        &config_kind_group,   FIELD(ring.group),        CONFIG_RESTART, 0, 0, NULL, "the daemon's own" },
        { "ring",  "max_clients",  &config_kind_number,  FIELD(ring.max_clients),  CONFIG_LIVE,    1, CONFIG_CLIENTS_MAX, "64", NULL },
        { "ring",  "max_clients_user", &config_kind_number, FIELD(ring.max_clients_user), CONFIG_LIVE,    0, CONFIG_CLIENTS_MAX, "0", NULL },
        { "ring",  "max_bytes",    &config_kind_size,    FIELD(ring.max_bytes),    CONFIG_LIVE,    64 * MIB, 16 * GIB, "2G", NULL },
        { "ring",  "lease_ms",     &config_kind_number,  FIELD(ring.lease_ms),     CONFIG_RESTART, 0, 60000, "500", NULL },
        { "ring",  "wake_batch",   &config_kind_batch,   FIELD(ring.wake_batch),   CONFIG_RESTART, 1, 1024, "auto", NULL },
        { "ring",  "staging",      &config_kind_bool,    FIELD(ring.staging),      CONFIG_RESTART, 0, 0, "no", NULL },

        { "access", "users",         &config_kind_users,  FIELD(access.users),         CONFIG_LIVE,    0, 0, NULL, "whoever can open the socket" },
        { "access", "groups",        &config_kind_groups, FIELD(access.groups),        CONFIG_LIVE,    0, 0, NULL, "whoever can open the socket" },
        { "access", "intent_users",  &config_kind_users,  FIELD(access.intent_users),  CONFIG_LIVE,    0, 0, NULL, "root and the daemon's own user" },
        { "access", "intent_groups", &config_kind_groups, FIELD(access.intent_groups), CONFIG_LIVE,    0, 0, NULL, "none" },
        { "access", "admin_users",   &config_kind_users,  FIELD(access.admin_users),   CONFIG_LIVE,    0, 0, NULL, "root and the daemon's own user" },
        { "access", "admin_groups",  &config_kind_groups, FIELD(access.admin_groups),  CONFIG_LIVE,    0, 0, NULL, "none" },

        { "control", "socket",     &config_kind_path,    FIELD(control.socket),    CONFIG_RESTART, 0, 0, NULL, "nothing is written into the guest" },
        { "control", "mode",       &config_kind_mode,    FIELD(control.mode),      CONFIG_RESTART, 0, 0777, "0600", NULL },
        { "control", "group",      &config_kind_group,   FIELD(control.group),     CONFIG_RESTART, 0, 0, NULL, "the daemon's own" },
        { "control", "user",       &config_kind_user,    FIELD(control.user),      CONFIG_RESTART, 0, 0, NULL, "root and the daemon's own user" },

        { "pace",  "max_fps",      &config_kind_number,  FIELD(pace.max_fps),      CONFIG_LIVE,    1, 1000, "240", NULL },
        { "pace",  "latency",      &config_kind_latency, FIELD(pace.latency),      CONFIG_LIVE,    0, 0, "balanced", NULL },
        { "pace",  "copy",         &config_kind_copy,    FIELD(pace.copy),         CONFIG_RESTART, 0, 0, "auto", NULL },
        { "pace",  "copy_threads", &config_kind_number,  FIELD(pace.copy_threads), CONFIG_RESTART, 1, 2, "1", NULL },

        { "log",   "level",        &config_kind_level,   FIELD(log.level),         CONFIG_LIVE,    0, 0, "info", NULL },
};
/* clang-format on */

const size_t config_n_keys = sizeof(config_keys) / sizeof(config_keys[0]);
_Static_assert(sizeof(config_keys) / sizeof(config_keys[0]) <= CONFIG_KEYS_MAX,
        "a set of keys holds them all");

bool config_key_equal(
        const struct config_key *key, const struct vgpu_config *a, const struct vgpu_config *b)
{
        /* A field is cleared before it is set, so what is behind a text's end is the same too. */
        return memcmp((const char *)a + key->offset, (const char *)b + key->offset, key->size) == 0;
}

bool config_section_known(const char *name, size_t len)
{
        for (size_t i = 0; i < config_n_keys; i++) {
                if (strlen(config_keys[i].section) == len &&
                        memcmp(config_keys[i].section, name, len) == 0)
                        return true;
        }
        return false;
}

const struct config_key *config_key_find(const char *section, const char *name)
{
        for (size_t i = 0; i < config_n_keys; i++) {
                if (strcmp(config_keys[i].section, section) == 0 &&
                        strcmp(config_keys[i].name, name) == 0)
                        return &config_keys[i];
        }
        return NULL;
}
