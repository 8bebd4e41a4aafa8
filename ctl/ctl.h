/*
 * ctl.h - what every command of vgpuctl is given and how it says that something went wrong
 *
 * One table (command.c) drives dispatch, help and usage errors. A command prints its result on stdout and
 * everything else on stderr as `vgpuctl: what failed; what to do next`, so that stdout can be piped.
 */
#ifndef CTL_H
#define CTL_H

#include <stddef.h>

/* Exit codes of every command. */
enum {
        CTL_OK = 0,
        CTL_FAILED = 1, /* it failed and stderr says why */
        CTL_USAGE = 2,  /* the command line was wrong; nothing was done */
};

/* Options in front of the command. */
struct ctl {
        const char *socket; /* --socket; NULL: the only *.sock in socket_dir */
        const char *socket_dir;
};

#define CTL_SOCKET_DIR "/run/vgpud"

struct command {
        const char *name;
        const char *arguments; /* for the usage line */
        const char *summary;   /* one line */
        const char *help;      /* the options, one line each, and what is worth knowing */
        /* argv[0] is the name. Returns an exit code. */
        int (*run)(const struct ctl *ctl, int argc, char **argv);
};

int status_run(const struct ctl *ctl, int argc, char **argv);
int clients_run(const struct ctl *ctl, int argc, char **argv);
int drop_run(const struct ctl *ctl, int argc, char **argv);
int watch_run(const struct ctl *ctl, int argc, char **argv);
int screenshot_run(const struct ctl *ctl, int argc, char **argv);
int probe_run(const struct ctl *ctl, int argc, char **argv);

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

/*
 * For what getopt_long() refused: @c is '?' or ':'. Needs opterr = 0 and an option string that begins with "+:"
 * or ":".
 */
int ctl_bad_option(char **argv, int c);

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

#endif /* CTL_H */
