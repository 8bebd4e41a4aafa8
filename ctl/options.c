/*
 * options.c - the options that every command has, and those of one beside them
 *
 * As with systemd's tools they mean the same everywhere and may stand in front of the command or behind it. A command
 * that prints nothing they apply to ignores them, so that a script may always give them.
 */
#include "ctl.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SOCKET = 0x100, VM, JSON, NO_PAGER, NO_LEGEND };

static const struct option common[] = {
        { "socket", required_argument, NULL, SOCKET },
        { "vm", required_argument, NULL, VM },
        { "json", optional_argument, NULL, JSON },
        { "no-pager", no_argument, NULL, NO_PAGER },
        { "no-legend", no_argument, NULL, NO_LEGEND },
};

#define N_COMMON (sizeof common / sizeof common[0])
#define OWN_MAX  16

const char ctl_options_help[] =
        "  --vm NAME       the machine: socket " CTL_SOCKET_DIR "/NAME.sock, unit vgpud@NAME\n"
        "  --socket PATH   the daemon's socket (default: the only *.sock in " CTL_SOCKET_DIR ")\n"
        "  -j              JSON: pretty on a terminal, else short\n"
        "  --json[=MODE]   JSON: pretty, short (one line) or off; without MODE as -j\n"
        "  --no-pager      long output straight to the terminal\n"
        "  --no-legend     without titles and hints\n";

static enum ctl_json json_for_stdout(void)
{
        return isatty(STDOUT_FILENO) ? CTL_JSON_PRETTY : CTL_JSON_SHORT;
}

static int take_json(struct ctl *ctl, const char *mode)
{
        static const struct {
                const char *name;
                enum ctl_json json;
        } modes[] = {
                { "off", CTL_JSON_OFF },
                { "short", CTL_JSON_SHORT },
                { "pretty", CTL_JSON_PRETTY },
        };

        if (!mode) {
                ctl->json = json_for_stdout();
                return 0;
        }
        for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
                if (strcmp(modes[i].name, mode) == 0) {
                        ctl->json = modes[i].json;
                        return 0;
                }
        }
        ctl_usage(NULL, "unknown form of JSON '%s'; there are pretty, short and off", mode);
        return -1;
}

bool ctl_is_name(const char *name)
{
        return name[0] && name[0] != '.' && !strchr(name, '/') && strlen(name) <= 64;
}

static int take_vm(struct ctl *ctl, const char *name)
{
        if (!ctl_is_name(name)) {
                ctl_usage(NULL, "'%s' is no name of a machine", name);
                return -1;
        }
        ctl->vm = name;
        return 0;
}

/* Return: 1 (it is one of the common ones), 0 (it is not), -1 after having said what is wrong. */
static int take(struct ctl *ctl, int c)
{
        switch (c) {
        case SOCKET:
                ctl->socket = optarg;
                return 1;
        case VM:
                return take_vm(ctl, optarg) < 0 ? -1 : 1;
        case 'j':
                ctl->json = json_for_stdout();
                return 1;
        case JSON:
                return take_json(ctl, optarg) < 0 ? -1 : 1;
        case NO_PAGER:
                ctl->no_pager = true;
                return 1;
        case NO_LEGEND:
                ctl->no_legend = true;
                return 1;
        default:
                return 0;
        }
}

static void refuse(const char *command, char **argv, int c)
{
        if (c == ':')
                ctl_usage(command, "%s needs a value", argv[optind - 1]);
        else if (optopt > 0 && optopt < 256 && isprint(optopt))
                ctl_usage(command, "unknown option '-%c'", optopt);
        else
                ctl_usage(command, "unknown option '%s'", argv[optind - 1]);
}

int ctl_getopt(struct ctl *ctl, int argc, char **argv, const char *shorts, const struct option *own)
{
        struct option all[N_COMMON + OWN_MAX + 1] = { 0 };
        /* In front of the command nothing behind it is looked at. */
        const char *command = ctl_is_command(argv[0]) ? argv[0] : NULL;
        char letters[64];
        size_t n = 0;
        int c, taken;

        for (; own[n].name && n < OWN_MAX; n++)
                all[n] = own[n];
        memcpy(all + n, common, sizeof common);
        snprintf(letters, sizeof letters, "%s:j%s", command ? "" : "+", shorts);
        for (;;) {
                c = getopt_long(argc, argv, letters, all, NULL);
                if (c == -1)
                        return 0;
                if (c == '?' || c == ':') {
                        refuse(command, argv, c);
                        return -1;
                }
                taken = take(ctl, c);
                if (taken <= 0)
                        return taken < 0 ? -1 : c;
        }
}

int ctl_no_arguments(struct ctl *ctl, int argc, char **argv)
{
        static const struct option none[] = { { 0 } };

        if (ctl_getopt(ctl, argc, argv, "", none) < 0)
                return CTL_USAGE;
        return optind < argc ? ctl_usage(argv[0], "what is '%s'?", argv[optind]) : 0;
}
