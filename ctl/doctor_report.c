/* doctor_report.c - the command: which machine, and the list of findings as lines or as JSON (docs/doctor.schema.json) */
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

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

static void print(void *ctx, const struct doctor_check *check, const struct doctor_finding *f)
{
        const struct ctl *ctl = ctx;

        printf("%s%-7s%s  %-*s  %s\n", colour(results[f->result].colour), results[f->result].word,
                colour(COLOUR_OFF), WIDTH, check->name, f->text);
        if (f->next[0] && !ctl->no_legend)
                printf("%*s-> %s\n", 7 + 2 + WIDTH + 2, "", f->next);
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
                pager_open(ctl);
                sound = doctor_examine(&d, print, ctl);
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
