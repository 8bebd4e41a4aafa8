/*
 * config.c - a configuration file becomes a checked value, or a list of what is wrong with it
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ini.h>

#include "keys.h"
#include "problems.h"
#include "reader.h"

#define FILE_MAX    65536u
#define SOCKET_PATH "/run/vgpud/%s.sock"

struct load {
        struct config_reader reader;
        struct vgpu_config cfg;
        unsigned *seen; /* line in which each key of the table was set; 0: not yet */
        struct config_problems *problems;
};

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static int read_file(const char *path, char text[FILE_MAX], size_t *ret_len)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        struct stat st;
        size_t len = 0;
        ssize_t n = fd < 0 ? -1 : fstat(fd, &st);

        if (n == 0 && !S_ISREG(st.st_mode)) {
                errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
                n = -1;
        }
        while (n >= 0 && len < FILE_MAX) {
                n = read(fd, text + len, FILE_MAX - len);
                if (n == 0)
                        break;
                if (n > 0)
                        len += (size_t)n;
                else if (errno == EINTR)
                        n = 0;
        }
        if (n >= 0 && len == FILE_MAX) {
                errno = EFBIG;
                n = -1;
        }
        n = n < 0 ? -errno : 0;
        if (fd >= 0)
                close(fd);
        *ret_len = len;
        return (int)n;
}

/* "/etc/vgpud/win11.conf" is the configuration of win11. */
static void name_from_path(const char *path, char name[CONFIG_TEXT_MAX])
{
        const char *base = strrchr(path, '/');
        size_t len;

        base = base != NULL ? base + 1 : path;
        len = strlen(base);
        if (len > 5 && strcmp(base + len - 5, ".conf") == 0)
                len -= 5;
        if (len >= CONFIG_TEXT_MAX)
                len = CONFIG_TEXT_MAX - 1;
        memcpy(name, base, len);
        name[len] = '\0';
}

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

static void set_key(struct load *l, const struct config_key *key, const char *value)
{
        unsigned *seen = &l->seen[key - config_keys];
        unsigned line = l->reader.line;
        char why[CONFIG_WHY_MAX] = "";

        if (*seen != 0) {
                config_problems_add(
                        l->problems, line, "%s was set in line %u already", key->name, *seen);
                return;
        }
        *seen = line;
        if (value[0] == '\0')
                config_problems_add(l->problems, line,
                        "%s has no value; leave the line out for its default", key->name);
        else if (!key->kind->parse(key, value, config_key_field(key, &l->cfg), why))
                config_problems_add(
                        l->problems, line, "%s = %s: must be %s", key->name, value, why);
}

/* An ini_handler. What it is given has passed the reader, so sections are known ones. */
static int on_key(void *user, const char *section, const char *name, const char *value)
{
        struct load *l = user;
        const struct config_key *key;
        char keys[128];

        if (name == NULL) /* a new section, in builds of inih that tell */
                return 1;
        key = config_key_find(section, name);
        if (key != NULL) {
                set_key(l, key, value);
        } else if (section[0] == '\0') {
                config_problems_add(l->problems, l->reader.line, "%s is in no section", name);
        } else {
                list_keys(section, keys, sizeof(keys));
                config_problems_add(l->problems, l->reader.line,
                        "unknown key %s in [%s] (there are %s)", name, section, keys);
        }
        return 1; /* 0 would make some builds of inih stop */
}

/* ---- what no single line can tell -------------------------------------------------------------------------------- */

static void set_defaults(struct vgpu_config *cfg)
{
        char why[CONFIG_WHY_MAX];

        for (size_t i = 0; i < config_n_keys; i++) {
                const struct config_key *key = &config_keys[i];

                if (key->preset != NULL &&
                        !key->kind->parse(key, key->preset, config_key_field(key, cfg), why))
                        abort(); /* the table contradicts itself; the tests load it */
        }
}

static unsigned line_of(const struct load *l, const char *section, const char *name)
{
        return l->seen[config_key_find(section, name) - config_keys];
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
                config_problems_add(l->problems, 0,
                        "no socket can be named after this file (" SOCKET_PATH
                        "); set [ring] socket",
                        "NAME");
        else
                memcpy(l->cfg.ring.socket, path, (size_t)len + 1);
}

static void check_control(struct load *l)
{
        const struct vgpu_config *cfg = &l->cfg;
        const char *socket = cfg->control.socket;

        if (socket[0] == '\0')
                return;
        if (strcmp(socket, cfg->ring.socket) == 0)
                config_problems_add(l->problems, line_of(l, "control", "socket"),
                        "[control] socket is the same path as [ring] socket");
        if (strcmp(socket, cfg->guest.qmp) == 0)
                config_problems_add(l->problems, line_of(l, "control", "socket"),
                        "[control] socket is the same path as [guest] qmp");
}

static void check_whole(struct load *l)
{
        const struct vgpu_config *cfg = &l->cfg;

        for (size_t i = 0; i < config_n_keys; i++) {
                if (config_keys[i].preset == NULL && config_keys[i].unset == NULL &&
                        l->seen[i] == 0)
                        config_problems_add(l->problems, 0,
                                "[%s] %s is missing, and has no default", config_keys[i].section,
                                config_keys[i].name);
        }
        if (line_of(l, "ring", "socket") == 0)
                default_socket(l);
        if (cfg->guest.qmp[0] != '\0' && strcmp(cfg->guest.qmp, cfg->ring.socket) == 0)
                config_problems_add(l->problems, line_of(l, "guest", "qmp"),
                        "qmp is the same path as [ring] socket");
        check_control(l);
        if (config_ram_is_auto(cfg) && cfg->guest.qmp[0] == '\0' && cfg->guest.pidfile[0] == '\0')
                config_problems_add(l->problems, line_of(l, "guest", "ram"),
                        "ram = auto needs qmp or pidfile: there is nobody to ask");
        if (cfg->pace.poll_us > cfg->pace.idle_poll_ms * UINT64_C(1000)) {
                unsigned poll = line_of(l, "pace", "poll_us"),
                         idle = line_of(l, "pace", "idle_poll_ms");

                config_problems_add(l->problems, poll > idle ? poll : idle,
                        "poll_us (%u us) is longer than idle_poll_ms (%u ms): idle would be looked "
                        "at more often",
                        cfg->pace.poll_us, cfg->pace.idle_poll_ms);
        }
}

/* ---- load and print ---------------------------------------------------------------------------------------------- */

static int load_text(struct load *l, const char *path, char *text)
{
        int r = read_file(path, text, &l->reader.len);

        if (r == -EFBIG)
                config_problems_add(l->problems, 0, "larger than %u bytes", FILE_MAX - 1);
        else if (r == -EINVAL)
                config_problems_add(l->problems, 0, "not a regular file");
        else if (r < 0)
                config_problems_add(l->problems, 0, "cannot be read: %s", strerror(-r));
        if (r < 0)
                return r;

        name_from_path(path, l->cfg.name);
        set_defaults(&l->cfg);
        l->reader.text = text;
        r = ini_parse_stream(config_reader_next, &l->reader, on_key, l);
        if (r != 0 && l->problems->n == 0)
                config_problems_add(l->problems, r > 0 ? (unsigned)r : 0,
                        "the INI parser does not understand this");
        check_whole(l);
        return l->problems->n != 0 || l->problems->n_lost != 0 ? -EINVAL : 0;
}

int config_load(const char *path, struct vgpu_config *ret_cfg, struct config_problems *ret_problems)
{
        struct load *l = calloc(1, sizeof(*l));
        unsigned *seen = calloc(config_n_keys, sizeof(*seen));
        char *text = malloc(FILE_MAX);
        int r = -ENOMEM;

        *ret_problems = (struct config_problems){ 0 };
        if (l != NULL && seen != NULL && text != NULL) {
                l->seen = seen;
                l->problems = ret_problems;
                l->reader.problems = ret_problems;
                r = load_text(l, path, text);
        } else {
                config_problems_add(ret_problems, 0, "out of memory");
        }
        if (r == 0)
                *ret_cfg = l->cfg;
        free(text);
        free(seen);
        free(l);
        return r;
}

/* A line that was as long as one can be had no room for blanks, and must be read again. */
static const char *sign_for(const struct config_key *key, const char *text)
{
        return strlen(key->name) + strlen(" = ") + strlen(text) < INI_MAX_LINE ? " = " : "=";
}

void config_print(FILE *f, const struct vgpu_config *cfg)
{
        const char *section = "";

        for (size_t i = 0; i < config_n_keys; i++) {
                const struct config_key *key = &config_keys[i];
                char text[CONFIG_TEXT_MAX];

                if (strcmp(key->section, section) != 0)
                        fprintf(f, "%s[%s]\n", i != 0 ? "\n" : "", key->section);
                section = key->section;
                if (key->kind->print(key, (const char *)cfg + key->offset, text))
                        fprintf(f, "%s%s%s\n", key->name, sign_for(key, text), text);
                else
                        fprintf(f, "# %s is not set: %s\n", key->name, key->unset);
        }
}
