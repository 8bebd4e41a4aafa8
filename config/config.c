/*
 * config.c - a configuration file and its drop-ins become a checked value, or a list of what is wrong with them
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#include "files.h"
#include "keys.h"
#include "reader.h"
#include "report.h"

#define SOCKET_PATH "/run/vgpud/%s.sock"

struct load {
        struct config_reader reader;
        struct vgpu_config cfg;
        struct config_place *said; /* where each key of the table stands last; line 0: nowhere */
        struct config_report *report;
        char *text;  /* of the file that is being read */
        bool untold; /* a value could not be judged now */
};

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static void list_keys(const char *section, char *text, size_t cap)
{
        size_t len = 0;

        text[0] = '\0';
        for (size_t i = 0; i < config_n_keys; i++) {
                if (strcmp(config_keys[i].section, section) == 0 && len < cap)
                        len += (size_t)snprintf(text + len, cap - len, "%s%s", len != 0 ? ", " : "",
                                config_keys[i].name);
        }
}

static void reset_key(struct load *l, const struct config_key *key)
{
        void *field = config_key_field(key, &l->cfg);
        struct config_why why = { .error = 0 };

        memset(field, 0, key->size);
        if (key->preset != NULL && !key->kind->parse(key, key->preset, field, &why))
                abort(); /* the table contradicts itself; the tests load it */
}

/* An empty value takes back what an earlier file said. */
static void set_key(struct load *l, const struct config_key *key, const char *value)
{
        struct config_place *said = &l->said[key - config_keys];
        struct config_place here = { l->reader.file, l->reader.line };
        struct config_why why = { .error = 0 };

        if (said->line != 0 && said->file == here.file) {
                config_report_error(
                        l->report, here, "%s was set in line %u already", key->name, said->line);
                return;
        }
        *said = here;
        reset_key(l, key);
        l->report->set[key - config_keys] = (struct config_place){ 0 };
        if (value[0] == '\0')
                return;
        l->report->set[key - config_keys] = here;
        memset(config_key_field(key, &l->cfg), 0, key->size);
        if (key->kind->parse(key, value, config_key_field(key, &l->cfg), &why))
                return;
        config_report_error(l->report, here, "%s = %s: must be %s", key->name, value, why.text);
        l->untold |= why.error < 0;
}

/* An ini_handler. What it is given has passed the reader, so sections are known ones. */
static int on_key(void *user, const char *section, const char *name, const char *value)
{
        struct load *l = user;
        struct config_place here = { l->reader.file, l->reader.line };
        const struct config_key *key;
        char keys[128];

        if (name == NULL) /* a new section, in builds of inih that tell */
                return 1;
        key = config_key_find(section, name);
        if (key != NULL) {
                set_key(l, key, value);
        } else if (section[0] == '\0') {
                config_report_error(l->report, here, "%s is in no section", name);
        } else {
                list_keys(section, keys, sizeof(keys));
                config_report_error(l->report, here, "unknown key %s in [%s] (there are %s)", name,
                        section, keys);
        }
        return 1; /* 0 would make some builds of inih stop */
}

/* ---- what no single line can tell -------------------------------------------------------------------------------- */

static struct config_place place_of(const struct load *l, const char *section, const char *name)
{
        return l->said[config_key_find(section, name) - config_keys];
}

/* A name that could not be written into a configuration file cannot be part of a default that is printed as one. */
static bool name_is_plain(const char *name)
{
        for (const char *c = name; *c != '\0'; c++) {
                if ((unsigned char)*c <= ' ' || *c == 0x7f || *c == ';')
                        return false;
        }
        return name[0] != '\0';
}

static void default_socket(struct load *l)
{
        char path[sizeof(SOCKET_PATH) + CONFIG_TEXT_MAX];
        int len = snprintf(path, sizeof(path), SOCKET_PATH, l->cfg.name);

        if (!name_is_plain(l->cfg.name) || len >= CONFIG_SOCKET_MAX)
                config_report_error(l->report, (struct config_place){ 0 },
                        "no socket can be named after this file (" SOCKET_PATH
                        "); set [ring] socket",
                        "NAME");
        else
                memcpy(l->cfg.ring.socket, path, (size_t)len + 1);
}

/* What belongs to a socket that there is not. */
static void check_without_control(struct load *l)
{
        static const char *const idle[][2] = { { "access", "intent_users" },
                { "access", "intent_groups" }, { "control", "mode" }, { "control", "group" },
                { "control", "user" } };

        for (size_t i = 0; i < sizeof(idle) / sizeof(idle[0]); i++) {
                const struct config_key *key = config_key_find(idle[i][0], idle[i][1]);
                struct config_place set = l->report->set[key - config_keys];

                if (set.line != 0)
                        config_report_warning(l->report, set,
                                "[%s] %s is without effect: there is no [control] socket",
                                key->section, key->name);
        }
}

static void check_control(struct load *l)
{
        const struct vgpu_config *cfg = &l->cfg;
        const char *socket = cfg->control.socket;

        if (socket[0] == '\0') {
                check_without_control(l);
                return;
        }
        if (strcmp(socket, cfg->ring.socket) == 0)
                config_report_error(l->report, place_of(l, "control", "socket"),
                        "[control] socket is the same path as [ring] socket");
        if (strcmp(socket, cfg->guest.qmp) == 0)
                config_report_error(l->report, place_of(l, "control", "socket"),
                        "[control] socket is the same path as [guest] qmp");
}

static void check_required(struct load *l)
{
        for (size_t i = 0; i < config_n_keys; i++) {
                const struct config_key *key = &config_keys[i];

                if (key->preset == NULL && key->unset == NULL && l->report->set[i].line == 0)
                        config_report_error(l->report, l->said[i],
                                "[%s] %s is missing, and has no default", key->section, key->name);
        }
}

static void check_whole(struct load *l)
{
        const struct vgpu_config *cfg = &l->cfg;

        check_required(l);
        if (l->report->set[config_key_find("ring", "socket") - config_keys].line == 0)
                default_socket(l);
        if (cfg->guest.qmp[0] != '\0' && strcmp(cfg->guest.qmp, cfg->ring.socket) == 0)
                config_report_error(l->report, place_of(l, "guest", "qmp"),
                        "qmp is the same path as [ring] socket");
        check_control(l);
        if (config_ram_is_auto(cfg) && cfg->guest.qmp[0] == '\0' && cfg->guest.pidfile[0] == '\0')
                config_report_error(l->report, place_of(l, "guest", "ram"),
                        "ram = auto needs qmp or pidfile: there is nobody to ask");
}

/* ---- load -------------------------------------------------------------------------------------------------------- */

static void say_unread(struct load *l, struct config_place at, int error)
{
        if (error == -EFBIG)
                config_report_error(l->report, at, "larger than %u bytes", CONFIG_FILE_MAX - 1);
        else if (error == -EINVAL)
                config_report_error(l->report, at, "not a regular file");
        else if (error == -E2BIG)
                config_report_error(l->report, at, "more than %d drop-ins", CONFIG_DROPINS_MAX);
        else
                config_report_error(l->report, at, "cannot be read: %s", strerror(-error));
}

static int load_file(struct load *l, const char *path, bool dropin)
{
        struct config_place whole = { .file = (unsigned)l->report->n_files };
        size_t n_errors = l->report->n_errors;
        int r;

        if (!config_report_file(l->report, path))
                return -ENOMEM;
        l->reader =
                (struct config_reader){ .text = l->text, .file = whole.file, .report = l->report };
        r = config_read_file(path, dropin, l->text, &l->reader.len);
        if (r < 0) {
                say_unread(l, whole, r);
                return r;
        }
        r = ini_parse_stream(config_reader_next, &l->reader, on_key, l);
        if (r != 0 && l->report->n_errors == n_errors) {
                whole.line = r > 0 ? (unsigned)r : 0;
                config_report_error(l->report, whole, "the INI parser does not understand this");
        }
        return r == -2 ? -ENOMEM : 0; /* it found no memory; mistakes are in the report */
}

/* Return: 0, whatever is wrong with them, or what the machine lacked. */
static int load_dropins(struct load *l, const char *path)
{
        struct config_dropins dropins;
        int r = config_dropins_find(path, &dropins);

        if (r < 0 && config_error_is_final(r)) {
                struct config_place whole = { .file = (unsigned)l->report->n_files };

                if (config_report_file(l->report, dropins.folder))
                        say_unread(l, whole, r);
                else
                        r = -ENOMEM;
        }
        for (size_t i = 0; i < dropins.n && r == 0; i++) {
                r = load_file(l, dropins.path[i], true);
                r = config_error_is_final(r) ? 0 : r;
        }
        config_dropins_free(&dropins);
        return config_error_is_final(r) ? 0 : r;
}

bool config_error_is_final(int error)
{
        switch (-error) {
        case ENOMEM:
        case EMFILE:
        case ENFILE:
        case EIO:
        case EAGAIN:
        case EINTR:
                return false;
        default:
                return error < 0;
        }
}

static int load_all(struct load *l, const char *path)
{
        int r;

        config_name_from_path(path, l->cfg.name, sizeof(l->cfg.name));
        for (size_t i = 0; i < config_n_keys; i++)
                reset_key(l, &config_keys[i]);
        r = load_file(l, path, false);
        if (r == 0)
                r = load_dropins(l, path);
        if (r < 0)
                return r;
        check_whole(l);
        if (l->untold)
                return -EAGAIN;
        return l->report->n_errors != 0 ? -EINVAL : 0;
}

void config_machine(const char *path, char ret_name[CONFIG_TEXT_MAX])
{
        config_name_from_path(path, ret_name, CONFIG_TEXT_MAX);
}

int config_load(const char *path, struct vgpu_config *ret_cfg, struct config_report *ret_report)
{
        struct load *l = calloc(1, sizeof(*l));
        struct config_place *said = calloc(config_n_keys, sizeof(*said));
        char *text = malloc(CONFIG_FILE_MAX);
        int r = -ENOMEM;

        *ret_report = (struct config_report){ 0 };
        ret_report->set = calloc(config_n_keys, sizeof(*ret_report->set));
        if (l != NULL && said != NULL && text != NULL && ret_report->set != NULL) {
                l->said = said;
                l->text = text;
                l->report = ret_report;
                r = load_all(l, path);
        }
        if (r < 0 && ret_report->n_errors == 0)
                config_report_error(ret_report, (struct config_place){ 0 }, "%s", strerror(-r));
        if (r == 0)
                *ret_cfg = l->cfg;
        free(text);
        free(said);
        free(l);
        return r;
}
