/*
 * command.c - the table of commands: dispatch, help and usage errors come from it
 */
#include "ctl.h"

#include <errno.h>
#include <getopt.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pager.h"
#include "text.h"
#include "vgpu_client.h"

static const struct command commands[] = {
        {
                .name = "status",
                .arguments = "",
                .summary = "show what the daemon sees",
                .help = "",
                .run = status_run,
        },
        {
                .name = "clients",
                .arguments = "",
                .summary = "list who reads the stream, and how well they keep up",
                .help = "Frames, missed, torn and leases are by the client's own account, which "
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
                .name = "top",
                .arguments = "[--batch] [-n N] [--seconds N]",
                .summary = "watch rates, latencies, clients and states on one screen",
                .help = "  -b, --batch     as text, also on a terminal; on a dumb one and in a "
                        "pipe "
                        "always\n"
                        "  -n, --count N   N times, a second apart, as text\n"
                        "  --seconds N     end after N seconds (default: q, or Ctrl-C)\n"
                        "\n"
                        "Keys: q quit, s sort clients by another column, p pause. As JSON it is a "
                        "line for each sample.\n",
                .run = top_run,
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
                .name = "events",
                .arguments = "[--follow] [--since TIME] [-n N] [--explain]",
                .summary = "list what the daemons wrote into the journal",
                .help = "  -f, --follow    go on with what comes, until Ctrl-C\n"
                        "  -n, --lines N   the last N (default: all; 10 with --follow)\n"
                        "  -x, --explain   with what each means, and what to do about it\n"
                        "  --since TIME    '2026-11-22', '2026-11-22 20:00', '20:00', today, "
                        "yesterday, -30min, -2h\n"
                        "  --directory DIR the journal in DIR instead of the host's own\n"
                        "  --file FILE     the journal file FILE\n"
                        "\n"
                        "Of one machine with --vm, else of all. As JSON it is an object for each "
                        "event.\n",
                .run = events_run,
        },
        {
                .name = "doctor",
                .arguments = "[NAME]",
                .summary = "look for what keeps frames from flowing, and say what to do",
                .help = "NAME is the machine's, as in vgpud@NAME; without it the only one that is "
                        "configured in\n"
                        "/etc/vgpud. Nothing is changed. Root sees more than others. Exit status "
                        "1: a "
                        "check failed.\n",
                .run = doctor_run,
        },
        {
                .name = "metrics",
                .arguments = "[--output FILE]",
                .summary = "print what the daemon counts and times, as OpenMetrics text",
                .help = "  --output FILE   write FILE at one stroke, for node_exporter's textfile "
                        "collector\n"
                        "\n"
                        "In a file a daemon that does not answer is vgpud_up 0 and no failure. As "
                        "JSON it is the\n"
                        "daemon's own answer.\n",
                .run = metrics_run,
        },
        {
                .name = "probe",
                .arguments = "--ram FILE [--ram FILE]... [--machine M] [--ram-size S] [--kcr3 HEX] "
                             "[--processes]",
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

bool ctl_is_command(const char *name)
{
        return command_named(name) != NULL;
}

static int help(void)
{
        printf("Usage: vgpuctl [--vm NAME] COMMAND [OPTION]...\n\n"
               "Look at a running vgpud, or at a guest's memory without one.\n\n"
               "Commands:\n");
        for (size_t i = 0; i < N_COMMANDS; i++)
                printf("  %-12s %s\n", commands[i].name, commands[i].summary);
        printf("\nOptions, in front of the command or behind it:\n%s"
               "  --help          this text; after a command, that command's\n"
               "  --version       the version\n"
               "\n"
               "Exit status: 0 done, 1 failed and said why, 2 wrong usage.\n",
                ctl_options_help);
        return CTL_OK;
}

static int help_on(const struct command *c)
{
        printf("Usage: vgpuctl [--vm NAME] %s%s%s\n\n%s.\n\n%s%sOptions of every command "
               "(vgpuctl --help): --vm, --socket, -j, --json, --no-pager, --no-legend\n",
                c->name, c->arguments[0] ? " " : "", c->arguments, c->summary, c->help,
                c->help[0] ? "\n" : "");
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

/* --vm names a socket whether or not it is there: that it is not is said when it is connected to. */
static const char *socket_of(const struct ctl *ctl, char *buf, size_t cap)
{
        if ((size_t)snprintf(buf, cap, "%s/%s.sock", ctl->socket_dir, ctl->vm) < cap)
                return buf;
        ctl_fail("'%s' is too long a name", ctl->vm);
        return NULL;
}

/* As it would be chosen. A name may hold what a terminal would take for an order. */
static void list_socket(const char *path)
{
        const char *name = strrchr(path, '/') + 1;
        char shown[1024];

        fprintf(stderr, "  --vm %s\n",
                text_escape(shown, sizeof shown, name, strlen(name) - strlen(".sock")));
}

const char *ctl_socket(const struct ctl *ctl, char *buf, size_t cap)
{
        char pattern[256];
        glob_t found = { 0 };
        const char *path = NULL;

        if (ctl->socket)
                return ctl->socket;
        if (ctl->vm)
                return socket_of(ctl, buf, cap);
        snprintf(pattern, sizeof pattern, "%s/*.sock", ctl->socket_dir);
        glob(pattern, 0, NULL, &found);
        if (found.gl_pathc == 0) {
                ctl_fail("no socket in %s; start a daemon (systemctl start vgpud@NAME) or name one "
                         "with --socket",
                        ctl->socket_dir);
        } else if (found.gl_pathc > 1) {
                ctl_fail("%zu machines have a socket in %s; choose one:", found.gl_pathc,
                        ctl->socket_dir);
                for (size_t i = 0; i < found.gl_pathc; i++)
                        list_socket(found.gl_pathv[i]);
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

json_object *ctl_ask(const char *path, unsigned what, const char *noun)
{
        struct vgpu_client_failure why = { 0 };
        json_object *answer;
        char *reply = NULL;

        if (vgpu_client_query(path, what, 0, &reply, &why) < 0) {
                ctl_connect_failed(path, &why);
                return NULL;
        }
        answer = json_tokener_parse(reply);
        free(reply);
        if (json_object_is_type(answer, json_type_object))
                return answer;
        json_object_put(answer);
        ctl_fail("'%s' answered with something that is no %s; is it a vgpud of this version?", path,
                noun);
        return NULL;
}

void ctl_print_json(const struct ctl *ctl, json_object *o)
{
        int form = ctl->json == CTL_JSON_PRETTY ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED
                                                : JSON_C_TO_STRING_PLAIN;

        puts(json_object_to_json_string_ext(o, form | JSON_C_TO_STRING_NOSLASHESCAPE));
}

/* Who leaves the pager before the end has seen enough. */
int ctl_done(void)
{
        if (fflush(stdout) && errno != EPIPE)
                return ctl_fail("cannot write the result: %s", strerror(errno));
        return CTL_OK;
}

static int dispatch(struct ctl *ctl, int argc, char **argv)
{
        const struct command *c;
        int r;

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
        r = c->run(ctl, argc, argv);
        pager_close();
        return r;
}

int ctl_main(int argc, char **argv)
{
        enum { VERSION = CTL_OPTION_OWN };
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, VERSION },
                { 0 },
        };
        struct ctl ctl = { .socket_dir = CTL_SOCKET_DIR };
        int c;

        opterr = 0;
        while ((c = ctl_getopt(&ctl, argc, argv, "h", options)) != 0) {
                if (c < 0)
                        return CTL_USAGE;
                if (c == 'h')
                        return help();
                printf("vgpuctl %s\n", VGPUD_VERSION);
                return CTL_OK;
        }
        return dispatch(&ctl, argc - optind, argv + optind);
}
