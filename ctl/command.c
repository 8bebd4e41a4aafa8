/*
 * command.c - the table of commands: dispatch, help and usage errors come from it
 */
#include "ctl.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <glob.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "text.h"
#include "vgpu_client.h"

static const struct command commands[] = {
        {
                .name = "status",
                .arguments = "[--json]",
                .summary = "show what the daemon sees",
                .help = "  --json          print the daemon's answer as one JSON object\n",
                .run = status_run,
        },
        {
                .name = "clients",
                .arguments = "[--json] [--no-legend]",
                .summary = "list who reads the stream, and how well they keep up",
                .help = "  --json          print one JSON object\n"
                        "  --no-legend     leave the titles out\n"
                        "\n"
                        "Frames, missed, torn and leases are by the client's own account, which "
                        "it sends\n"
                        "once a second.\n",
                .run = clients_run,
        },
        {
                .name = "drop",
                .arguments = "PID",
                .summary = "disconnect every client of a process",
                .help = "Needs the right to: [access] admin_users, admin_groups. All others go "
                        "over to a new ring,\n"
                        "so what the process still maps shows nothing newer. It may connect again "
                        "if [access]\n"
                        "lets it.\n",
                .run = drop_run,
        },
        {
                .name = "watch",
                .arguments = "[--seconds N]",
                .summary = "follow the stream: state, mode, fps, latency, missed frames",
                .help = "  --seconds N     end after N seconds (default: on Ctrl-C)\n"
                        "\n"
                        "On a terminal one line is rewritten in place, else a line is printed "
                        "every second.\n"
                        "Latency runs from the daemon's publishing of a frame to this program's "
                        "seeing it.\n",
                .run = watch_run,
        },
        {
                .name = "screenshot",
                .arguments = "[--no-cursor] [--timeout S] FILE.png",
                .summary = "save the newest frame; FILE - is the standard output",
                .help = "  --no-cursor     leave the pointer out (unless the frame already holds "
                        "it)\n"
                        "  --timeout S     wait at most S seconds for a frame (default: 5)\n"
                        "\n"
                        "A file of that name is replaced when the picture is complete, and kept if "
                        "it fails.\n",
                .run = screenshot_run,
        },
        {
                .name = "probe",
                .arguments = "--ram FILE [--ram FILE]... [--machine M] [--ram-size S] [--kcr3 HEX] "
                             "[--processes] [--json]",
                .summary = "look for a region in a guest's RAM, without a daemon",
                .help = "  --ram FILE      the guest's RAM: memory-backend-file's path, or "
                        "/proc/PID/fd/N of a memfd;\n"
                        "                  once for each NUMA node's, in their order; or an image: "
                        "raw, "
                        "ELF core or\n"
                        "                  complete Windows crash dump\n"
                        "  --machine M     q35 (default), pc, microvm or flat\n"
                        "  --ram-size S    bytes, also as 0x..., or with K, M, G (default: the "
                        "file's size)\n"
                        "  --kcr3 HEX      System page-table root (default: found)\n"
                        "  --processes     list the guest's processes\n"
                        "  --json          print one JSON object at the end\n"
                        "\n"
                        "Prints each stage with its result, or the reason it failed and what to "
                        "try next.\n",
                .run = probe_run,
        },
};

#define N_COMMANDS (sizeof commands / sizeof commands[0])

static const struct command *command_named(const char *name)
{
        for (size_t i = 0; i < N_COMMANDS; i++)
                if (strcmp(commands[i].name, name) == 0)
                        return &commands[i];
        return NULL;
}

static int help(void)
{
        printf("Usage: vgpuctl [--socket PATH] COMMAND [OPTION]...\n\n"
               "Look at a running vgpud, or at a guest's memory without one.\n\n"
               "Commands:\n");
        for (size_t i = 0; i < N_COMMANDS; i++)
                printf("  %-12s %s\n", commands[i].name, commands[i].summary);
        printf("\nOptions:\n"
               "  --socket PATH   the daemon's socket (default: the only *.sock in " CTL_SOCKET_DIR
               ")\n"
               "  --help          this text; after a command, that command's\n"
               "  --version       the version\n"
               "\n"
               "Exit status: 0 done, 1 failed and said why, 2 wrong usage.\n");
        return CTL_OK;
}

static int help_on(const struct command *c)
{
        printf("Usage: vgpuctl [--socket PATH] %s %s\n\n%s.\n\n%s", c->name, c->arguments,
                c->summary, c->help);
        return CTL_OK;
}

static void complain(const char *format, va_list ap)
{
        fputs("vgpuctl: ", stderr);
        vfprintf(stderr, format, ap);
        fputc('\n', stderr);
}

int ctl_fail(const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        complain(format, ap);
        va_end(ap);
        return CTL_FAILED;
}

int ctl_usage(const char *command, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        complain(format, ap);
        va_end(ap);
        fprintf(stderr, "Try 'vgpuctl %s%s--help'.\n", command ? command : "", command ? " " : "");
        return CTL_USAGE;
}

int ctl_bad_option(char **argv, int c)
{
        const char *command = command_named(argv[0]) ? argv[0] : NULL;

        if (c == ':')
                return ctl_usage(command, "%s needs a value", argv[optind - 1]);
        if (optopt > 0 && optopt < 256 && isprint(optopt))
                return ctl_usage(command, "unknown option '-%c'", optopt);
        return ctl_usage(command, "unknown option '%s'", argv[optind - 1]);
}

const char *ctl_socket(const struct ctl *ctl, char *buf, size_t cap)
{
        char pattern[256];
        glob_t found = { 0 };
        const char *path = NULL;

        if (ctl->socket)
                return ctl->socket;
        snprintf(pattern, sizeof pattern, "%s/*.sock", ctl->socket_dir);
        glob(pattern, 0, NULL, &found);
        if (found.gl_pathc == 0) {
                ctl_fail("no socket in %s; start a daemon (systemctl start vgpud@NAME) or name one "
                         "with --socket",
                        ctl->socket_dir);
        } else if (found.gl_pathc > 1) {
                ctl_fail("%zu sockets in %s; choose one with --socket:", found.gl_pathc,
                        ctl->socket_dir);
                for (size_t i = 0; i < found.gl_pathc; i++)
                        fprintf(stderr, "  %s\n", found.gl_pathv[i]);
        } else if ((size_t)snprintf(buf, cap, "%s", found.gl_pathv[0]) < cap) {
                path = buf;
        }
        globfree(&found);
        return path;
}

/* connect() has one word for a plain file and for a daemon that died. */
static bool is_other_file(const char *path)
{
        struct stat st;

        return stat(path, &st) == 0 && !S_ISSOCK(st.st_mode);
}

/*
 * The library says what happened in a sentence; what to do next is for this program's users. The sentence may
 * be what the other end of the socket sent, so it is escaped like everything from outside.
 */
int ctl_connect_failed(const char *path, const struct vgpu_client_failure *why)
{
        static const struct {
                int error;
                const char *next;
        } advice[] = {
                { ENOENT, " Start it (systemctl start vgpud@NAME), or name its socket with "
                          "--socket." },
                { ECONNREFUSED, " Its journal may say why (journalctl -u 'vgpud@*')." },
                { ECONNRESET, " Its journal may say why (journalctl -u 'vgpud@*')." },
                { ETIMEDOUT, " Its journal may say why (journalctl -u 'vgpud@*')." },
                { EUSERS, " Close another client, or raise max_clients." },
                { EPROTO, " Name the right socket with --socket." },
                { EPROTOTYPE, " Name the right socket with --socket." },
                { EPROTONOSUPPORT, " Install vgpuctl and vgpud of one version." },
        };
        const char *next = "";
        char text[4 * sizeof why->text];

        if (is_other_file(path))
                return ctl_fail("'%s' is no socket. Name the daemon's with --socket.", path);
        for (size_t i = 0; i < sizeof advice / sizeof advice[0]; i++)
                if (advice[i].error == -why->error)
                        next = advice[i].next;
        return ctl_fail("%s%s", text_escape(text, sizeof text, why->text, sizeof why->text), next);
}

static bool wants_help(int argc, char **argv)
{
        for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
                if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
                        return true;
        return false;
}

static int dispatch(const struct ctl *ctl, int argc, char **argv)
{
        const struct command *c;

        if (argc == 0)
                return ctl_usage(NULL, "which command?");
        if (strcmp(argv[0], "help") == 0)
                return help();
        c = command_named(argv[0]);
        if (!c)
                return ctl_usage(NULL, "unknown command '%s'", argv[0]);
        if (wants_help(argc, argv))
                return help_on(c);
        /* getopt's own state must not be carried over from the options in front of the command. */
        optind = 0;
        return c->run(ctl, argc, argv);
}

int ctl_main(int argc, char **argv)
{
        static const struct option options[] = {
                { "socket", required_argument, NULL, 's' },
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, 'V' },
                { 0 },
        };
        struct ctl ctl = { .socket_dir = CTL_SOCKET_DIR };
        int c;

        opterr = 0;
        while ((c = getopt_long(argc, argv, "+:h", options, NULL)) != -1) {
                switch (c) {
                case 's':
                        ctl.socket = optarg;
                        break;
                case 'h':
                        return help();
                case 'V':
                        printf("vgpuctl %s\n", VGPUD_VERSION);
                        return CTL_OK;
                default:
                        return ctl_bad_option(argv, c);
                }
        }
        return dispatch(&ctl, argc - optind, argv + optind);
}
