/*
 * ctl.h - what every command of vgpuctl is given and how it says that something went wrong
 *
 * One table (command.c) drives dispatch, help and usage errors. A command prints its result on stdout and
 * everything else on stderr as `vgpuctl: what failed; what to do next`, so that stdout can be piped.
 */
#ifndef CTL_H
#define CTL_H

#include <getopt.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

/* Exit codes of every command. */
enum {
        CTL_OK = 0,
        CTL_FAILED = 1, /* it failed and stderr says why */
        CTL_USAGE = 2,  /* the command line was wrong; nothing was done */
};

enum ctl_json {
        CTL_JSON_OFF,
        CTL_JSON_SHORT, /* one line, no blanks */
        CTL_JSON_PRETTY,
};

/* Options of every command, in front of it or behind. */
struct ctl {
        const char *socket; /* --socket; NULL: by @vm, or the only *.sock in socket_dir */
        const char *vm;     /* --vm, a name without slashes; NULL: none was given */
        const char *socket_dir;
        enum ctl_json json;
        bool no_pager;
        bool no_legend;
};

#define CTL_SOCKET_DIR "/run/vgpud"

struct command {
        const char *name;
        const char *arguments; /* for the usage line */
        const char *summary;   /* one line */
        const char *help;      /* the options, one line each, and what is worth knowing */
        /* argv[0] is the name. Returns an exit code. */
        int (*run)(struct ctl *ctl, int argc, char **argv);
};

int status_run(struct ctl *ctl, int argc, char **argv);
int clients_run(struct ctl *ctl, int argc, char **argv);
int drop_run(struct ctl *ctl, int argc, char **argv);
int watch_run(struct ctl *ctl, int argc, char **argv);
int screenshot_run(struct ctl *ctl, int argc, char **argv);
int doctor_run(struct ctl *ctl, int argc, char **argv);
int events_run(struct ctl *ctl, int argc, char **argv);
int top_run(struct ctl *ctl, int argc, char **argv);
int metrics_run(struct ctl *ctl, int argc, char **argv);
int probe_run(struct ctl *ctl, int argc, char **argv);

/**
 * ctl_main() - the whole program
 *
 * Return: the exit code.
 */
int ctl_main(int argc, char **argv);

/* Says `vgpuctl: ...` on stderr. Return: CTL_FAILED. */
int ctl_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same for a wrong command line, with where to read more; @command may be NULL. Return: CTL_USAGE. */
int ctl_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Can it be a machine's? It becomes part of paths and of a unit's name. */
bool ctl_is_name(const char *name);

/* Is there a command of this name? */
bool ctl_is_command(const char *name);

/* Values of a command's own long options begin here; those of short ones are the letter. */
#define CTL_OPTION_OWN 0x200

/**
 * ctl_getopt() - the next option of a command
 * @ctl:    the options of every command go in here
 * @argv:   the command's; argv[0] is its name
 * @shorts: its own short options, as getopt() has them; "" for none
 * @own:    its own long options, ended by an empty one, at most 16
 *
 * Return: its own option, of which optarg is the value; 0: no more, optind is where the arguments begin; -1: the
 * line is wrong, which was said.
 */
int ctl_getopt(
        struct ctl *ctl, int argc, char **argv, const char *shorts, const struct option *own);

/* For a command that takes options only: ctl_getopt() to the end. Return: 0, or CTL_USAGE after having said why. */
int ctl_no_arguments(struct ctl *ctl, int argc, char **argv);

/* The options of every command as lines of help. */
extern const char ctl_options_help[];

/**
 * ctl_socket() - the socket to talk to
 * @buf: room for a path, used when one has to be found
 *
 * Return: the path, or NULL after having said why there is none (nothing there, or several to choose from).
 */
const char *ctl_socket(const struct ctl *ctl, char *buf, size_t cap);

struct vgpu_client_failure;

/* Says why the daemon at @path could not be talked to and what to do about it. Return: CTL_FAILED. */
int ctl_connect_failed(const char *path, const struct vgpu_client_failure *why);

/**
 * ctl_ask() - one of the daemon's reports
 * @path: socket
 * @what: VGPU_QUERY_* of vgpu_protocol.h
 * @noun: what is expected, for the sentence when something else comes: "status"
 *
 * Return: the object, the caller's to put; NULL after having said what went wrong.
 */
json_object *ctl_ask(const char *path, unsigned what, const char *noun);

/* Prints @o in the form asked for, with a newline. */
void ctl_print_json(const struct ctl *ctl, json_object *o);

/* All of a result has been printed. Return: CTL_OK, or CTL_FAILED after having said that it could not be written. */
int ctl_done(void);

#endif /* CTL_H */
