/*
 * config.h - one daemon's configuration as a checked value
 *
 * A configuration file is an INI file (config/vgpud.conf documents every key), and the drop-ins beside it are more of it:
 * of /etc/vgpud/win11.conf what is named *.conf in /etc/vgpud/win11.conf.d, in the order of their names. A later file
 * goes before an earlier one, key by key; "key =" goes back to the default. What comes out of config_load() is complete:
 * every field has its value or its default, is in range, and was checked together with the others, so the daemon never
 * asks again. Everything that is wrong is reported at once, by file and line: nobody should have to start a service five
 * times to find five typing errors.
 *
 * Whether the files and sockets named here exist is not asked: they come and go while the daemon runs.
 */
#ifndef VGPU_CONFIG_H
#define VGPU_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "vgpu_source.h"

#define CONFIG_TEXT_MAX   256 /* any text value with its NUL: longer than a line can be */
#define CONFIG_SOCKET_MAX 108 /* sun_path with its NUL */
#define CONFIG_PROBLEM_MAX                                                                         \
        (PATH_MAX + 512) /* a problem as a person reads it, with its NUL: what is longer is cut */

struct config_group {
        char name[64]; /* "": leave the socket's group alone */
        gid_t gid;     /* valid when there is a name */
};

struct config_user {
        char name[64]; /* or number, as written; "": nobody is named */
        uid_t uid;     /* valid when there is a name */
};

#define CONFIG_CLIENTS_MAX 1024 /* that [ring] max_clients may be */
#define CONFIG_IDS_MAX     64

/* Users or groups. */
struct config_ids {
        char text[CONFIG_TEXT_MAX]; /* as written, "": none */
        uint32_t n;
        uint32_t id[CONFIG_IDS_MAX]; /* uid_t or gid_t */
};

/* ring.wake_batch: a number of clients, or one of these. */
#define CONFIG_WAKE_AUTO  UINT32_MAX       /* measured when the daemon starts */
#define CONFIG_WAKE_NEVER (UINT32_MAX - 1) /* a write for each client, however many */

/* pace.latency: what is bought with processor time. */
enum config_latency { CONFIG_LATENCY_LOW, CONFIG_LATENCY_BALANCED, CONFIG_LATENCY_POWERSAVE };

struct vgpu_config {
        char name[CONFIG_TEXT_MAX]; /* base name of the file without ".conf": the machine's name */

        struct {
                char ram[CONFIG_TEXT_MAX]; /* absolute paths, see config_next_path(), or "auto" */
                enum vgpu_machine machine;
                uint64_t ram_size;             /* bytes, whole pages; 0: the file's size */
                uint64_t kcr3;                 /* page aligned; 0: find it */
                char qmp[CONFIG_SOCKET_MAX];   /* absolute path, "": none */
                char pidfile[CONFIG_TEXT_MAX]; /* absolute path, "": none */
                char ram_helper
                        [CONFIG_SOCKET_MAX]; /* absolute path, "": the usual one, if it is there */
                char producer
                        [CONFIG_TEXT_MAX]; /* preferred process name, "": none; a guest shows its first 15 bytes */
        } guest;

        struct {
                uint32_t slots;
                char socket[CONFIG_SOCKET_MAX]; /* absolute path */
                mode_t mode;                    /* of the socket */
                struct config_group group;      /* of the socket */
                uint32_t max_clients;
                uint32_t max_clients_user; /* of one uid; 0: as max_clients */
                uint64_t max_bytes;        /* of all rings that exist, replaced ones too */
                uint32_t lease_ms;         /* 0: no leases */
                uint32_t wake_batch;       /* clients from which on one submission wakes them all */
                bool staging;              /* frames go through a private buffer into the ring */
        } ring;

        /* Who may do what on the ring's socket; root and the daemon's own user may everything. */
        struct {
                struct config_ids users,
                        groups; /* connect; both empty: whoever can open the socket */
                struct config_ids intent_users, intent_groups; /* ask the producer for something */
                struct config_ids admin_users, admin_groups;   /* drop clients */
        } access;

        /* Where the program connects that writes intents into the guest. */
        struct {
                char socket[CONFIG_SOCKET_MAX]; /* absolute path, "": none */
                mode_t mode;                    /* of the socket */
                struct config_group group;      /* of the socket */
                struct config_user user; /* who it must run as, beside root and the daemon's own */
        } control;

        struct {
                uint32_t max_fps;
                enum config_latency latency;
                enum vgpu_copy copy;   /* how frames are stored */
                uint32_t copy_threads; /* that copy large ones */
        } pace;

        struct {
                int level; /* LOG_ERR..LOG_DEBUG of syslog.h: what is less important is not logged */
        } log;
};

/* Where something is written. */
struct config_place {
        unsigned file; /* of config_report.file */
        unsigned line; /* from 1; 0: the file as a whole, or nowhere */
};

struct config_problem {
        struct config_place at;
        bool warning;   /* the configuration counts nevertheless */
        char text[320]; /* a sentence without its full stop; never with a control character */
};

/* What loading a configuration found out besides its value. */
struct config_report {
        char **file; /* as shown to people: [0] as given to config_load(), then its drop-ins as they were read */
        size_t n_files; /* 0 only where memory ran out */
        struct config_place *
                set; /* for each row of config_keys (keys.h) what gave it the value in force; line 0: its default */
        struct config_problem *item; /* sorted by file and line */
        size_t n;
        size_t cap;
        size_t n_errors; /* items that are no warnings, and those that were lost */
        size_t n_lost;   /* further ones for which memory ran out */
};

/**
 * config_load() - read and check a configuration file and its drop-ins
 * @path:       the file; its drop-ins are in the folder @path with ".d" behind it, if there is one
 * @ret_cfg:    written on success only
 * @ret_report: emptied, then filled with all that is wrong or odd; the caller frees it with config_report_free() whatever
 *              the outcome
 *
 * What is named *.conf in that folder must be a readable file, or a link to one or to /dev/null; other names, and those
 * that begin with a dot, are nobody's business.
 *
 * Return: 0 (there may be warnings), -EINVAL (see @ret_report), -EAGAIN (a user or group could not be looked up: where they come
 * from does not answer), or what opening or reading @path said (@ret_report says
 * it in words).
 */
int config_load(const char *path, struct vgpu_config *ret_cfg, struct config_report *ret_report);

/* The machine's name, as struct vgpu_config has it; for who has to say which configuration does not load. */
void config_machine(const char *path, char ret_name[CONFIG_TEXT_MAX]);

/**
 * config_error_is_final() - will a configuration that failed to load still fail when nobody touches it?
 * @error: as config_load() returned it, negative
 *
 * Return: false for what the machine lacked at that moment: memory, descriptors, a directory of users that answers.
 */
bool config_error_is_final(int error);

/**
 * config_problem_text() - one problem as a person reads it: "FILE:LINE: sentence"
 * @report: as filled by config_load()
 * @i:      below report->n
 */
void config_problem_text(const struct config_report *report, size_t i, char *buf, size_t cap);

/* The first that is no warning, likewise; there is at least one error. */
void config_first_error(const struct config_report *report, char *buf, size_t cap);

/* Writes them all to @f, one to a line; nothing when there is none. */
void config_report_print(FILE *f, const struct config_report *report);

/* Empties @report and frees what it held; an all-zero value is fine. */
void config_report_free(struct config_report *report);

/* Is RAM to be found by asking QEMU or its process? */
bool config_ram_is_auto(const struct vgpu_config *cfg);

/**
 * config_next_path() - take the next path off a list
 * @list:     as [guest] ram has it: paths, each but the first behind a comma; moves on
 * @ret_path: written when there is one
 *
 * A comma is part of a path unless a slash follows it, blanks aside.
 *
 * Return: was there another one?
 */
bool config_next_path(const char **list, char ret_path[CONFIG_TEXT_MAX]);

/**
 * config_print() - write the effective configuration as a file that config_load() takes
 * @f:      stream, owned by the caller
 * @cfg:    as loaded
 * @report: of the same load: its files and what each of them set become comments; NULL: no such comments
 *
 * Every key is there, defaults too; one that is not set is there as a comment.
 */
void config_print(FILE *f, const struct vgpu_config *cfg, const struct config_report *report);

#endif /* VGPU_CONFIG_H */
