/* doctor_report.c - the command: which machine, and the list of findings as lines or as JSON (docs/doctor.schema.json) */
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ctl.h"
#include "doctor.h"
#include "pager.h"
#include "text.h"

#define CONFIG_DIR "/etc/vgpud"
#define WIDTH      13 /* of a check's name */

static const struct {
        const char *word;
        enum colour colour;
} results[] = {
        [DOCTOR_OK] = { "ok", COLOUR_GOOD },
        [DOCTOR_WARN] = { "warn", COLOUR_WARN },
        [DOCTOR_FAIL] = { "fail", COLOUR_BAD },
        [DOCTOR_SKIPPED] = { "skipped", COLOUR_DIM },
};

struct sheet {
        bool no_next;
        int width; /* of the terminal; 0: there is none, and lines are as long as they are */
};

/* A pager that cuts long lines off would keep the half that matters to itself. */
static void print_wrapped(const char *text, int indent, int width)
{
        int room = width > indent + 20 ? width - indent : 0;
        size_t len = strlen(text);

        while (room && len > (size_t)room) {
                size_t n = (size_t)room;

                while (n > 0 && text[n] != ' ')
                        n--;
                /* A word that is longer than a line. */
                if (n == 0)
                        n = (size_t)room;
                printf("%.*s\n%*s", (int)n, text, indent, "");
                text += n;
                text += *text == ' ';
                len = strlen(text);
        }
        puts(text);
}

static void print(void *ctx, const struct doctor_check *check, const struct doctor_finding *f)
{
        const struct sheet *sheet = ctx;
        const int indent = 7 + 2 + WIDTH + 2;

        printf("%s%-7s%s  %-*s  ", colour(results[f->result].colour), results[f->result].word,
                colour(COLOUR_OFF), WIDTH, check->name);
        print_wrapped(f->text, indent, sheet->width);
        if (f->next[0] && !sheet->no_next) {
                printf("%*s-> ", indent, "");
                print_wrapped(f->next, indent + 3, sheet->width);
        }
}

static void add(void *ctx, const struct doctor_check *check, const struct doctor_finding *f)
{
        json_object *o = json_object_new_object();

        json_object_object_add(o, "check", json_object_new_string(check->name));
        json_object_object_add(o, "result", json_object_new_string(results[f->result].word));
        json_object_object_add(o, "text", json_object_new_string(f->text));
        json_object_object_add(o, "next", f->next[0] ? json_object_new_string(f->next) : NULL);
        json_object_array_add(ctx, o);
}

static bool examine_json(struct ctl *ctl, struct doctor *d)
{
        json_object *o = json_object_new_object(), *list = json_object_new_array();
        bool sound = doctor_examine(d, add, list);

        json_object_object_add(o, "schema", json_object_new_int(1));
        json_object_object_add(o, "name", json_object_new_string(d->name));
        json_object_object_add(o, "ok", json_object_new_boolean(sound));
        json_object_object_add(o, "checks", list);
        ctl_print_json(ctl, o);
        json_object_put(o);
        return sound;
}

/* "/etc/vgpud/win11.conf" as "win11". */
static char *name_in(const char *path)
{
        const char *base = strrchr(path, '/') + 1;

        return strndup(base, strlen(base) - strlen(".conf"));
}

/* The only machine that is configured; NULL after having said why there is none or more. The caller frees it. */
static char *only_name(void)
{
        glob_t found = { 0 };
        char *name = NULL, shown[512];

        glob(CONFIG_DIR "/*.conf", 0, NULL, &found);
        if (found.gl_pathc == 1) {
                name = name_in(found.gl_pathv[0]);
        } else if (found.gl_pathc == 0) {
                ctl_fail("no machine is configured in " CONFIG_DIR "; write " CONFIG_DIR
                         "/NAME.conf (vgpud.conf(5))");
        } else {
                ctl_fail("%zu machines are configured in " CONFIG_DIR "; choose one:",
                        found.gl_pathc);
                for (size_t i = 0; i < found.gl_pathc; i++) {
                        char *each = name_in(found.gl_pathv[i]);

                        fprintf(stderr, "  %s\n",
                                text_escape(shown, sizeof shown, each, strlen(each)));
                        free(each);
                }
        }
        globfree(&found);
        return name;
}

static int terminal_width(void)
{
        struct winsize size;

        return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static int examine(struct ctl *ctl, const char *name)
{
        char path[512];
        struct doctor d = {
                .root = "",
                .name = name,
                .socket = ctl->socket ? ctl->socket : path,
                .ask = doctor_ask_daemon,
                .ask_unit = doctor_ask_unit,
        };
        bool sound;

        snprintf(path, sizeof path, "%s/%s.sock", ctl->socket_dir, name);
        if (ctl->json) {
                sound = examine_json(ctl, &d);
        } else {
                struct sheet sheet = { .no_next = ctl->no_legend, .width = terminal_width() };

                pager_open(ctl);
                sound = doctor_examine(&d, print, &sheet);
        }
        doctor_deinit(&d);
        return ctl_done() == CTL_OK && sound ? CTL_OK : CTL_FAILED;
}

int doctor_run(struct ctl *ctl, int argc, char **argv)
{
        static const struct option none[] = { { 0 } };
        const char *name = NULL;
        char *found = NULL;
        int r;

        if (ctl_getopt(ctl, argc, argv, "", none) < 0)
                return CTL_USAGE;
        name = optind < argc ? argv[optind] : ctl->vm;
        if (optind + 1 < argc)
                return ctl_usage(argv[0], "what is '%s'?", argv[optind + 1]);
        if (name && !ctl_is_name(name))
                return ctl_usage(argv[0], "'%s' is no name of a machine", name);
        if (!name)
                name = found = only_name();
        if (!name)
                return CTL_FAILED;
        r = examine(ctl, name);
        free(found);
        return r;
}
