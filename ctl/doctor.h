/*
 * doctor.h - everything between a machine and its picture, looked at one by one
 *
 * A check looks at one thing and says what it found, why that is so and what to do next. It changes nothing. Each stands alone, so that
 * whoever reads the list sees all that is wrong at once; what cannot be looked at because of an earlier failure is skipped and says so.
 * Whatever a check asks is in struct doctor, so that tests put another host there.
 */
#ifndef CTL_DOCTOR_H
#define CTL_DOCTOR_H

#include <json-c/json.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "config/config.h"

enum doctor_result {
        DOCTOR_OK,
        DOCTOR_WARN,    /* frames may flow nevertheless */
        DOCTOR_FAIL,    /* this is why there are none, or will be */
        DOCTOR_SKIPPED, /* could not be looked at */
};

struct doctor_finding {
        enum doctor_result result;
        char text[768]; /* what there is, or what is wrong; names from outside escaped */
        char next[512]; /* what to do about it; "": nothing */
};

#define DOCTOR_GROUPS_MAX 64

/* The user that the daemon runs as. */
struct doctor_user {
        bool known;
        char name[64];
        uid_t uid;
        gid_t gid[DOCTOR_GROUPS_MAX]; /* all of its groups, the first is its own */
        int n_gid;
};

/* What the service manager says of a unit. */
struct doctor_unit {
        char load[32], active[32], sub[32], result[32], user[64];
        uint32_t restarts;
        int32_t status; /* the main process' exit status or signal */
        uint32_t pid;   /* of the main process, 0: none */
};

struct doctor {
        const char *root;   /* in front of every path of the host: "" */
        const char *name;   /* of the machine */
        const char *socket; /* the daemon's */

        /**
         * @ask:      a report of the daemon's; VGPU_QUERY_*
         * @ask_unit: a unit, "vgpud@win11.service"
         *
         * Return: 0, or a negative errno with a sentence in @why.
         */
        int (*ask)(struct doctor *d, uint32_t what, json_object **ret, char *why, size_t cap);
        int (*ask_unit)(
                struct doctor *d, const char *unit, struct doctor_unit *ret, char *why, size_t cap);
        void *ctx; /* of a test */

        /* What checks found out, for those after them. */
        char config_path[PATH_MAX];
        bool has_config;
        struct vgpu_config config;
        struct doctor_user user;
        bool has_unit;
        struct doctor_unit unit;
        json_object *status; /* NULL: the daemon does not answer; owned */
};

struct doctor_check {
        const char *name;
        /* NULL: always. Return: NULL, or why it is not looked at. */
        const char *(*skipped)(const struct doctor *d);
        void (*run)(struct doctor *d, struct doctor_finding *ret);
};

/* In the order of the list that people see. */
extern const struct doctor_check doctor_checks[];
extern const size_t doctor_n_checks;

/**
 * doctor_examine() - all checks
 * @d:    root, name, socket and the two functions are set
 * @each: called with each finding as it is there
 *
 * Return: did none fail?
 */
bool doctor_examine(struct doctor *d,
        void (*each)(void *ctx, const struct doctor_check *check, const struct doctor_finding *f),
        void *ctx);

/* Frees what was found out. */
void doctor_deinit(struct doctor *d);

/* The real ones of struct doctor. */
int doctor_ask_daemon(struct doctor *d, uint32_t what, json_object **ret, char *why, size_t cap);
int doctor_ask_unit(
        struct doctor *d, const char *unit, struct doctor_unit *ret, char *why, size_t cap);

/* ---- for checks ------------------------------------------------------------------------------------------------------ */

void doctor_say(struct doctor_finding *f, enum doctor_result result, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
void doctor_next(struct doctor_finding *f, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* @path of the host, below d->root. Return: @buf. */
const char *doctor_path(const struct doctor *d, const char *path, char buf[PATH_MAX]);

/* Is the daemon's user known, and the frames' way free? */
bool doctor_streams(const struct doctor *d);

enum doctor_access {
        DOCTOR_ACCESS_YES,
        DOCTOR_ACCESS_NO,
        DOCTOR_ACCESS_UNKNOWN, /* an ACL decides, and only root can try */
};

/**
 * doctor_access() - may the daemon's user reach a file?
 * @path:    below d->root already
 * @how:     R_OK or W_OK
 * @ret_at:  what is in the way: @path or one of its folders
 * @ret_errno: why
 *
 * As root by trying it in a child with that user's ids; else by modes and owners.
 */
enum doctor_access doctor_access(
        const struct doctor *d, const char *path, int how, char ret_at[PATH_MAX], int *ret_errno);

/* "-rw-r----- root:kvm". Return: @buf. */
char *doctor_describe(const char *path, char *buf, size_t cap);

/* The checks, in the files that are named in front of them. */
void doctor_check_configuration(struct doctor *d, struct doctor_finding *f); /* doctor_config.c */
void doctor_check_user(struct doctor *d, struct doctor_finding *f);          /* doctor_person.c */
void doctor_check_ram(struct doctor *d, struct doctor_finding *f);           /* doctor_ram.c */
void doctor_check_permission(struct doctor *d, struct doctor_finding *f);
void doctor_check_shared(struct doctor *d, struct doctor_finding *f);
void doctor_check_process(struct doctor *d, struct doctor_finding *f); /* doctor_qemu.c */
void doctor_check_monitor(struct doctor *d, struct doctor_finding *f);
void doctor_check_service(struct doctor *d, struct doctor_finding *f); /* doctor_unit.c */
void doctor_check_socket(struct doctor *d, struct doctor_finding *f);  /* doctor_daemon.c */
void doctor_check_daemon(struct doctor *d, struct doctor_finding *f);
void doctor_check_stream(struct doctor *d, struct doctor_finding *f);
void doctor_check_clients(struct doctor *d, struct doctor_finding *f);
void doctor_check_kernel(struct doctor *d, struct doctor_finding *f); /* doctor_host.c */
void doctor_check_limits(struct doctor *d, struct doctor_finding *f);
void doctor_check_logs(struct doctor *d, struct doctor_finding *f);

#endif /* CTL_DOCTOR_H */
