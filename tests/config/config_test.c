/*
 * config_test.c - files become values, or a list of everything that is wrong with them
 *
 * A file is a string here; what config_load() says about it is compared as the lines that a person sees.
 */
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"
#include "keys.h"

#define MINIMAL "[guest]\nram = /dev/shm/ram\n"

static char dir[128];
static char path[192];

static int make_dir(void **state)
{
        const char *base = getenv("TMPDIR");

        (void)state;
        snprintf(dir, sizeof(dir), "%s/vgpu-config-XXXXXX", base != NULL ? base : "/tmp");
        if (mkdtemp(dir) == NULL)
                return -1;
        snprintf(path, sizeof(path), "%s/win11.conf", dir);
        return 0;
}

static int remove_dir(void **state)
{
        (void)state;
        unlink(path);
        return rmdir(dir);
}

static void write_file(const void *text, size_t len)
{
        FILE *f = fopen(path, "we");

        assert_non_null(f);
        assert_int_equal(fwrite(text, 1, len, f), len);
        assert_int_equal(fclose(f), 0);
}

/* What a person sees, with "FILE" for the path and names alone for its drop-ins. Freed by the caller. */
static char *said(const struct config_report *report)
{
        char *text = NULL;
        size_t len = 0;
        FILE *f = open_memstream(&text, &len);

        for (size_t i = 0; i < report->n; i++) {
                unsigned n = report->item[i].at.file;
                const char *name = strrchr(report->file[n], '/');
                char line[CONFIG_PROBLEM_MAX];

                config_problem_text(report, i, line, sizeof(line));
                assert_memory_equal(line, report->file[n], strlen(report->file[n]));
                fprintf(f, "%s%s\n", n == 0 ? "FILE" : name + 1, line + strlen(report->file[n]));
        }
        fclose(f);
        return text;
}

/* Loads @len bytes; the caller gets the result, and @cfg when it is 0. */
static int load_bytes(const void *text, size_t len, struct vgpu_config *cfg, char **ret_said)
{
        struct config_report report;
        int r;

        write_file(text, len);
        r = config_load(path, cfg, &report);
        *ret_said = said(&report);
        assert_int_equal(r == 0, report.n_errors == 0);
        for (size_t i = 1; i < report.n; i++)
                assert_true(report.item[i - 1].at.line <= report.item[i].at.line);
        config_report_free(&report);
        return r;
}

static struct vgpu_config must_load(const char *text)
{
        struct vgpu_config cfg;
        char *words;

        if (load_bytes(text, strlen(text), &cfg, &words) != 0)
                fail_msg("%s", words);
        free(words);
        return cfg;
}

static void must_say(const char *text, size_t len, const char *want)
{
        struct vgpu_config cfg, untouched;
        char *words;

        memset(&cfg, 0x5a, sizeof(cfg));
        untouched = cfg;
        assert_int_equal(load_bytes(text, len, &cfg, &words), -EINVAL);
        assert_string_equal(words, want);
        assert_memory_equal(&cfg, &untouched, sizeof(cfg));
        free(words);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static void a_minimal_file_gets_every_default(void **state)
{
        struct vgpu_config cfg = must_load(MINIMAL);

        (void)state;
        assert_string_equal(cfg.name, "win11");
        assert_string_equal(cfg.guest.ram, "/dev/shm/ram");
        assert_int_equal(cfg.guest.machine, VGPU_MACHINE_Q35);
        assert_int_equal(cfg.guest.ram_size, 0);
        assert_int_equal(cfg.guest.kcr3, 0);
        assert_string_equal(cfg.guest.qmp, "");
        assert_string_equal(cfg.guest.producer, "");
        assert_int_equal(cfg.ring.slots, 4);
        assert_string_equal(cfg.ring.socket, "/run/vgpud/win11.sock");
        assert_int_equal(cfg.ring.mode, 0660);
        assert_string_equal(cfg.ring.group.name, "");
        assert_int_equal(cfg.ring.max_clients, 64);
        assert_int_equal(cfg.ring.max_clients_user, 0);
        assert_int_equal(cfg.ring.max_bytes, UINT64_C(2) << 30);
        assert_int_equal(cfg.ring.lease_ms, 500);
        assert_int_equal(cfg.ring.wake_batch, CONFIG_WAKE_AUTO);
        assert_false(cfg.ring.staging);
        assert_int_equal(cfg.access.users.n, 0);
        assert_int_equal(cfg.access.groups.n, 0);
        assert_int_equal(cfg.access.intent_users.n, 0);
        assert_int_equal(cfg.access.intent_groups.n, 0);
        assert_int_equal(cfg.access.admin_users.n, 0);
        assert_int_equal(cfg.access.admin_groups.n, 0);
        assert_string_equal(cfg.control.socket, "");
        assert_int_equal(cfg.control.mode, 0600);
        assert_string_equal(cfg.control.group.name, "");
        assert_string_equal(cfg.control.user.name, "");
        assert_int_equal(cfg.pace.max_fps, 240);
        assert_int_equal(cfg.pace.latency, CONFIG_LATENCY_BALANCED);
        assert_int_equal(cfg.pace.copy, VGPU_COPY_AUTO);
        assert_int_equal(cfg.pace.copy_threads, 1);
        assert_int_equal(cfg.log.level, LOG_INFO);
}

#define FULL                                                                                       \
        "[guest]\nram = /proc/12/fd/9\nmachine = pc\nram_size = 4G\nkcr3 = 0x1ae002\nqmp = "       \
        "/run/q.sock\n"                                                                            \
        "producer = My Capture.exe\n[ring]\nslots = 16\nsocket = /run/x.sock\nmode = 0600\ngroup " \
        "= root\n"                                                                                 \
        "max_clients = 1024\nstaging = on\nmax_clients_user = 7\nmax_bytes = 16G\nlease_ms = "     \
        "60000\nwake_batch = 1024\n[access]\nusers = root, 12,daemon\ngroups = 5 root\n"           \
        "intent_users = 1\nintent_groups = 2\nadmin_users = 3\nadmin_groups = 4294967294\n"        \
        "[control]\nsocket = /run/c.sock\nmode = 0660\ngroup = daemon\nuser = "                    \
        "12\n[pace]\nmax_fps = 1\nlatency = powersave\ncopy = movsb\ncopy_threads = "              \
        "2\n[log]\nlevel = debug\n"

static void ram_is_a_list_of_paths_or_is_asked_for(void **state)
{
        static const struct {
                const char *text;
                const char *path[3];
        } lists[] = {
                { "/dev/shm/a", { "/dev/shm/a" } },
                { "/a,/b", { "/a", "/b" } },
                { "/a b ,  /c,d", { "/a b", "/c,d" } },
        };
        struct vgpu_config cfg;
        char text[128];

        (void)state;
        for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
                const char *rest;
                char item[CONFIG_TEXT_MAX];

                snprintf(text, sizeof(text), "[guest]\nram = %s\n", lists[i].text);
                cfg = must_load(text);
                rest = cfg.guest.ram;
                assert_false(config_ram_is_auto(&cfg));
                for (size_t k = 0; lists[i].path[k] != NULL; k++) {
                        assert_true(config_next_path(&rest, item));
                        assert_string_equal(item, lists[i].path[k]);
                }
                assert_false(config_next_path(&rest, item));
        }
        cfg = must_load("[guest]\nram = auto\npidfile = /run/q.pid\n");
        assert_true(config_ram_is_auto(&cfg));
        assert_string_equal(cfg.guest.pidfile, "/run/q.pid");
        must_say("[guest]\nram = auto\n", 19,
                "FILE:2: ram = auto needs qmp or pidfile: there is nobody to ask\n");
        must_say("[guest]\nram = /a, /b/\n", 22,
                "FILE:2: ram = /a, /b/: must be a file's path from the root on, without quotes\n");
}

static void every_key_is_read(void **state)
{
        struct vgpu_config cfg = must_load(FULL);

        (void)state;
        assert_string_equal(cfg.guest.ram, "/proc/12/fd/9");
        assert_int_equal(cfg.guest.machine, VGPU_MACHINE_PC);
        assert_int_equal(cfg.guest.ram_size, UINT64_C(4) << 30);
        assert_int_equal(cfg.guest.kcr3, 0x1ae000);
        assert_string_equal(cfg.guest.qmp, "/run/q.sock");
        assert_string_equal(cfg.guest.producer, "My Capture.exe");
        assert_int_equal(cfg.ring.slots, 16);
        assert_string_equal(cfg.ring.socket, "/run/x.sock");
        assert_int_equal(cfg.ring.mode, 0600);
        assert_string_equal(cfg.ring.group.name, "root");
        assert_int_equal(cfg.ring.group.gid, 0);
        assert_int_equal(cfg.ring.max_clients, 1024);
        assert_true(cfg.ring.staging);
        assert_int_equal(cfg.ring.max_clients_user, 7);
        assert_int_equal(cfg.ring.max_bytes, UINT64_C(16) << 30);
        assert_int_equal(cfg.ring.lease_ms, 60000);
        assert_int_equal(cfg.ring.wake_batch, 1024);
        assert_int_equal(cfg.access.users.n, 3);
        assert_int_equal(cfg.access.users.id[0], 0);
        assert_int_equal(cfg.access.users.id[1], 12);
        assert_int_equal(cfg.access.users.id[2], getpwnam("daemon")->pw_uid);
        assert_int_equal(cfg.access.groups.n, 2);
        assert_int_equal(cfg.access.groups.id[0], 5);
        assert_int_equal(cfg.access.groups.id[1], 0);
        assert_int_equal(cfg.access.intent_users.id[0], 1);
        assert_int_equal(cfg.access.intent_groups.id[0], 2);
        assert_int_equal(cfg.access.admin_users.id[0], 3);
        assert_int_equal(cfg.access.admin_groups.id[0], 4294967294);
        assert_string_equal(cfg.control.socket, "/run/c.sock");
        assert_int_equal(cfg.control.mode, 0660);
        assert_int_equal(cfg.control.group.gid, getgrnam("daemon")->gr_gid);
        assert_int_equal(cfg.control.user.uid, 12);
        assert_int_equal(cfg.pace.max_fps, 1);
        assert_int_equal(cfg.pace.latency, CONFIG_LATENCY_POWERSAVE);
        assert_int_equal(cfg.pace.copy, VGPU_COPY_MOVSB);
        assert_int_equal(cfg.pace.copy_threads, 2);
        assert_int_equal(cfg.log.level, LOG_DEBUG);
}

static void print_to_file(const struct vgpu_config *cfg)
{
        FILE *f = fopen(path, "we");

        assert_non_null(f);
        config_print(f, cfg, NULL);
        fclose(f);
}

static void what_is_printed_loads_as_the_same(void **state)
{
        static const char *const texts[] = {
                MINIMAL, FULL, MINIMAL "ram_size = 12288\n",
                MINIMAL
                "ram_size=1536M\nmachine=microvm\n[log]\nlevel=err\n[ring]\nmode=0\nstaging=false\n"
        };

        (void)state;
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                struct vgpu_config first = must_load(texts[i]), second;
                struct config_report report;

                memset(&second, 0, sizeof(second));
                print_to_file(&first);
                assert_int_equal(config_load(path, &second, &report), 0);
                assert_memory_equal(&first, &second, sizeof(first));
                config_report_free(&report);
        }
}

static void the_effective_configuration_names_every_key(void **state)
{
        struct vgpu_config cfg = must_load(MINIMAL);
        char text[8192];
        size_t len;
        FILE *f;

        (void)state;
        print_to_file(&cfg);
        f = fopen(path, "re");
        len = fread(text, 1, sizeof(text) - 1, f);
        fclose(f);
        text[len] = '\0';
        for (size_t i = 0; i < config_n_keys; i++) {
                char section[64], set[64], unset[64], part[8192];

                snprintf(section, sizeof(section), "[%s]\n", config_keys[i].section);
                snprintf(part, sizeof(part), "%s", strstr(text, section) + strlen(section) - 1);
                *(strstr(part, "\n[") ? strstr(part, "\n[") : part + strlen(part)) = '\0';
                snprintf(set, sizeof(set), "\n%s = ", config_keys[i].name);
                snprintf(unset, sizeof(unset), "\n# %s is not set: ", config_keys[i].name);
                assert_true((strstr(part, set) != NULL) != (strstr(part, unset) != NULL));
        }
}

struct value_case {
        const char *section, *key, *value;
        bool good;
};

static const struct value_case values[] = {
        { "ring", "slots", "3", true },
        { "ring", "slots", "16", true },
        { "ring", "slots", "016", true },
        { "ring", "slots", "2", false },
        { "ring", "slots", "17", false },
        { "ring", "slots", "-4", false },
        { "ring", "slots", "+4", false },
        { "ring", "slots", "4x", false },
        { "ring", "slots", "0x4", false },
        { "ring", "slots", "4 4", false },
        { "ring", "slots", "4.0", false },
        { "ring", "slots", "four", false },
        { "ring", "slots", "4294967300", false },
        { "ring", "slots", "18446744073709551620", false },
        { "ring", "max_clients", "0", false },
        { "ring", "max_clients", "1", true },
        { "ring", "max_clients", "1025", false },
        { "pace", "max_fps", "0", false },
        { "pace", "max_fps", "1000", true },
        { "pace", "max_fps", "1001", false },
        { "pace", "latency", "low", true },
        { "pace", "latency", "Low", false },
        { "pace", "latency", "0", false },
        { "pace", "copy", "plain", true },
        { "pace", "copy", "stream", true },
        { "pace", "copy", "movsb", true },
        { "pace", "copy", "auto", true },
        { "pace", "copy", "memcpy", false },
        { "pace", "copy", "Plain", false },
        { "pace", "copy_threads", "0", false },
        { "pace", "copy_threads", "3", false },
        { "guest", "ram_size", "4096", true },
        { "guest", "ram_size", "4K", true },
        { "guest", "ram_size", "65536G", true },
        { "guest", "ram_size", "65537G", false },
        { "guest", "ram_size", "0", false },
        { "guest", "ram_size", "4097", false },
        { "guest", "ram_size", "1K", false },
        { "guest", "ram_size", "4k", false },
        { "guest", "ram_size", "4 G", false },
        { "guest", "ram_size", "4GB", false },
        { "guest", "ram_size", "4T", false },
        { "guest", "ram_size", "G", false },
        { "guest", "ram_size", "1.5G", false },
        { "guest", "ram_size", "17179869184G", false },
        { "guest", "ram_size", "17179869185G", false },
        { "guest", "kcr3", "0x1ad000", true },
        { "guest", "kcr3", "1AD000", true },
        { "guest", "kcr3", "0xfffffffff0000", true },
        { "guest", "kcr3", "0", false },
        { "guest", "kcr3", "0xfff", false },
        { "guest", "kcr3", "0x10000000000000", false },
        { "guest", "kcr3", "0x10000000000001ad000", false },
        { "guest", "kcr3", "0x", false },
        { "guest", "kcr3", "0x1adg00", false },
        { "guest", "machine", "microvm", true },
        { "guest", "machine", "flat", true },
        { "guest", "machine", "Q35", false },
        { "guest", "machine", "pc-q35-7.2", false },
        { "guest", "qmp", "run/q", false },
        { "guest", "qmp", "/run/", false },
        { "guest", "qmp", "/", false },
        { "guest", "qmp", "\"/run/q\"", false },
        { "ring", "mode", "0777", true },
        { "ring", "mode", "0", true },
        { "ring", "mode", "660", true },
        { "ring", "mode", "1777", false },
        { "ring", "mode", "0680", false },
        { "ring", "mode", "rw-rw----", false },
        { "ring", "group", "root", true },
        { "ring", "group", "no such group", false },
        { "ring", "max_clients_user", "0", true },
        { "ring", "max_clients_user", "1025", false },
        { "ring", "max_bytes", "64M", true },
        { "ring", "max_bytes", "16G", true },
        { "ring", "max_bytes", "65532K", false },
        { "ring", "max_bytes", "17G", false },
        { "ring", "max_bytes", "0", false },
        { "ring", "lease_ms", "0", true },
        { "ring", "lease_ms", "60001", false },
        { "ring", "wake_batch", "auto", true },
        { "ring", "wake_batch", "never", true },
        { "ring", "wake_batch", "1", true },
        { "ring", "wake_batch", "0", false },
        { "ring", "wake_batch", "1025", false },
        { "ring", "wake_batch", "Auto", false },
        { "ring", "wake_batch", "4294967295", false },
        { "access", "users", "root", true },
        { "access", "users", "0", true },
        { "access", "users", "00", true },
        { "access", "users", "0,root, daemon\t7", true },
        { "access", "users", ",root,,0,", true },
        { "access", "users", ",", false },
        { "access", "users", "root, no-such-user", false },
        { "access", "users", "4294967294", true },
        { "access", "users", "4294967295", false },
        { "access", "users", "18446744073709551616", false },
        { "access", "users", "-1", false },
        { "access", "users", "0x0", false },
        { "access", "groups", "no-such-group", false },
        { "access", "intent_users", "no-such-user", false },
        { "access", "intent_groups", "no-such-group", false },
        { "access", "admin_users", "no-such-user", false },
        { "access", "admin_groups", "no-such-group", false },
        { "control", "socket", "run/c", false },
        { "control", "mode", "0888", false },
        { "control", "group", "no-such-group", false },
        { "control", "user", "root", true },
        { "control", "user", "77", true },
        { "control", "user", "no-such-user", false },
        { "control", "user", "root, daemon", false },
        { "ring", "staging", "yes", true },
        { "ring", "staging", "no", true },
        { "ring", "staging", "true", true },
        { "ring", "staging", "false", true },
        { "ring", "staging", "on", true },
        { "ring", "staging", "off", true },
        { "ring", "staging", "1", true },
        { "ring", "staging", "0", true },
        { "ring", "staging", "2", false },
        { "ring", "staging", "Yes", false },
        { "log", "level", "warning", true },
        { "log", "level", "notice", true },
        { "log", "level", "6", false },
        { "log", "level", "warn", false },
};

static void each_kind_of_value_has_its_limits(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
                const struct value_case *c = &values[i];
                char text[512], want[64], *words;
                struct vgpu_config cfg;
                int r;

                snprintf(text, sizeof(text), MINIMAL "[%s]\n%s = %s\n", c->section, c->key,
                        c->value);
                r = load_bytes(text, strlen(text), &cfg, &words);
                snprintf(want, sizeof(want), "FILE:4: %s = ", c->key);
                if ((r == 0) != c->good || (r != 0 && strncmp(words, want, strlen(want)) != 0))
                        fail_msg("%s = %s: %d %s", c->key, c->value, r, words);
                free(words);
        }
}

static void a_socket_path_fits_the_kernels_address(void **state)
{
        char text[512], name[108];

        (void)state;
        memset(name, 'a', sizeof(name));
        name[0] = '/';
        name[107] = '\0';
        snprintf(text, sizeof(text), MINIMAL "[ring]\nsocket = %s\n", name);
        assert_string_equal(must_load(text).ring.socket, name);

        snprintf(text, sizeof(text), MINIMAL "[ring]\nsocket = %sa\n[guest]\nqmp = %sb\n", name,
                name);
        {
                struct vgpu_config cfg;
                char *words;

                assert_int_equal(load_bytes(text, strlen(text), &cfg, &words), -EINVAL);
                assert_non_null(strstr(words, "FILE:4: socket = /aaa"));
                assert_non_null(strstr(words, "FILE:6: qmp = /aaa"));
                assert_non_null(strstr(words, "must be at most 107 bytes long, and is 108"));
                free(words);
        }
}

/* ---- what is wrong is said --------------------------------------------------------------------------------------- */

static void everything_wrong_is_said_at_once_and_in_order(void **state)
{
        static const char text[] = "stray = 1\n"
                                   "[guest]\n"
                                   "machine = amiga\n"
                                   "machine = q35\n"
                                   "colour = red\n"
                                   "[rings]\n"
                                   "slots = 99\n"
                                   "[ring]\n"
                                   "slots = 99\n"
                                   "  continued = 1\n"
                                   "mode\n"
                                   "socket: /run/x\n"
                                   "group =\n"
                                   "= 5\n"
                                   "[pace\n"
                                   "max_fps = 9999\n"
                                   "[log] level = debug\n"
                                   "[log]\n"
                                   "level = loud ; too loud\n";

        (void)state;
        must_say(text, sizeof(text) - 1,
                "FILE: [guest] ram is missing, and has no default\n"
                "FILE:1: stray is in no section\n"
                "FILE:3: machine = amiga: must be q35, pc, microvm or flat\n"
                "FILE:4: machine was set in line 3 already\n"
                "FILE:5: unknown key colour in [guest] (there are ram, machine, ram_size, kcr3, "
                "qmp, pidfile, ram_helper, producer)\n"
                "FILE:6: unknown section [rings] (there are [guest], [ring], [access], "
                "[control], [pace] and [log])\n"
                "FILE:9: slots = 99: must be a number from 3 to 16\n"
                "FILE:10: the line is indented; values do not go on in a second line\n"
                "FILE:11: neither a section nor \"key = value\"\n"
                "FILE:12: neither a section nor \"key = value\"\n"
                "FILE:14: no key before the '='\n"
                "FILE:15: the section's name does not end in ']'\n"
                "FILE:17: something follows the ']' of a section's name\n"
                "FILE:19: level = loud: must be err, warning, notice, info or debug\n");
}

static void a_line_that_the_parser_would_cut_is_refused(void **state)
{
        char text[1024];
        int len;

        (void)state;
        /* 199 bytes are the longest that inih takes whole. */
        len = snprintf(text, sizeof(text), "[guest]\nram = /%0192d\n", 7);
        assert_int_equal(strlen(must_load(text).guest.ram), 193);
        len = snprintf(text, sizeof(text), "[guest]\nram = /%0193d\n", 7);
        must_say(text, (size_t)len,
                "FILE: [guest] ram is missing, and has no default\n"
                "FILE:2: the line has 200 bytes, more than 199\n");
        /* A comment is nobody's business, however long. */
        snprintf(text, sizeof(text), "# %0500d\n" MINIMAL "; %0300d\n", 1, 1);
        must_load(text);
}

static void bytes_that_are_no_text_are_refused(void **state)
{
        static const char nul[] = "[guest]\nram = /dev/shm/a\0b\n";
        static const char escape[] = MINIMAL "producer = \x1b[31m\n";
        static const char lone_cr[] = MINIMAL "producer = a\rslots = 9\n";
        static const char del[] = MINIMAL "# \x7f\n";

        (void)state;
        must_say(nul, sizeof(nul) - 1,
                "FILE: [guest] ram is missing, and has no default\n"
                "FILE:2: a control character (0x00) is in this line\n");
        must_say(
                escape, sizeof(escape) - 1, "FILE:3: a control character (0x1b) is in this line\n");
        must_say(lone_cr, sizeof(lone_cr) - 1,
                "FILE:3: a control character (0x0d) is in this line\n");
        must_say(del, sizeof(del) - 1, "FILE:3: a control character (0x7f) is in this line\n");
}

static void harmless_forms_are_read_as_meant(void **state)
{
        static const char *const texts[] = {
                "\xef\xbb\xbf[guest]\r\nram=/a b\r\n\r\n",
                "; c\n # indented\n\t;x\n   \n\n[guest] ; guest\nram\t=\t/a b\t; c\n[guest]\n",
                "[guest] # guest\nram = /a b",
                "[log]\n[guest]\nram = /a b ;\n[log]",
        };

        (void)state;
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                assert_string_equal(must_load(texts[i]).guest.ram, "/a b");
        assert_string_equal(must_load("[guest]\nram = /a=b:c;d#e\n").guest.ram, "/a=b:c;d#e");
}

static void one_path_for_two_sockets_is_refused(void **state)
{
        static const char text[] = MINIMAL "qmp = /run/vgpud/win11.sock\n";
        static const char control[] = MINIMAL "[control]\nsocket = /run/vgpud/win11.sock\n";
        static const char monitor[] = MINIMAL "qmp = /run/q\n[control]\nsocket = /run/q\n";

        (void)state;
        must_say(text, sizeof(text) - 1, "FILE:3: qmp is the same path as [ring] socket\n");
        must_say(control, sizeof(control) - 1,
                "FILE:4: [control] socket is the same path as [ring] socket\n");
        must_say(monitor, sizeof(monitor) - 1,
                "FILE:5: [control] socket is the same path as [guest] qmp\n");
}

static void a_list_of_users_is_bounded_and_names_the_one_it_does_not_know(void **state)
{
        static const char unknown[] = MINIMAL "[access]\nusers = root no-such-user\n"
                                              "groups = root,no-such-group\nadmin_users = ,\n";
        char text[512];
        int len;

        (void)state;
        must_say(unknown, sizeof(unknown) - 1,
                "FILE:4: users = root no-such-user: must be users of this host, by name or number; "
                "'no-such-user' is none\n"
                "FILE:5: groups = root,no-such-group: must be groups of this host, by name or "
                "number; 'no-such-group' is none\n"
                "FILE:6: admin_users = ,: must be users of this host, with commas between them\n");

        len = snprintf(text, sizeof(text), MINIMAL "[access]\nusers = ");
        for (int i = 0; i < CONFIG_IDS_MAX; i++)
                len += snprintf(text + len, sizeof(text) - (size_t)len, "%d ", i % 10);
        assert_int_equal(must_load(text).access.users.n, CONFIG_IDS_MAX);
        strcpy(text + len, "1\n");
        {
                struct vgpu_config cfg;
                char *words;

                assert_int_equal(load_bytes(text, strlen(text), &cfg, &words), -EINVAL);
                assert_non_null(strstr(words, ": must be at most 64 users\n"));
                free(words);
        }
}

static void thousands_of_problems_are_all_said(void **state)
{
        static char text[65000];
        struct config_report report;
        struct vgpu_config cfg;

        (void)state;
        for (size_t i = 0; i + 1 < sizeof(text); i += 2)
                memcpy(text + i, "x\n", 2);
        write_file(text, sizeof(text));
        assert_int_equal(config_load(path, &cfg, &report), -EINVAL);
        assert_int_equal(report.n, sizeof(text) / 2 + 1);
        assert_int_equal(report.item[0].at.line, 0);
        assert_int_equal(report.item[report.n - 1].at.line, sizeof(text) / 2);
        config_report_free(&report);
        assert_null(report.item);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static void load_of(const char *file, int want, const char *want_said)
{
        struct config_report report;
        struct vgpu_config cfg;
        char *words;

        assert_int_equal(config_load(file, &cfg, &report), want);
        words = said(&report);
        assert_string_equal(words, want_said);
        config_report_free(&report);
        free(words);
}

static void a_file_that_cannot_be_read_says_why(void **state)
{
        static char big[70000];

        (void)state;
        load_of("/nowhere/x.conf", -ENOENT, "FILE: cannot be read: No such file or directory\n");
        load_of(dir, -EISDIR, "FILE: cannot be read: Is a directory\n");
        load_of("/dev/null", -EINVAL, "FILE: not a regular file\n");
        memset(big, '\n', sizeof(big));
        write_file(big, sizeof(big));
        load_of(path, -EFBIG, "FILE: larger than 65535 bytes\n");
        write_file("", 0);
        load_of(path, -EINVAL, "FILE: [guest] ram is missing, and has no default\n");
}

static void a_file_we_may_not_read_says_so(void **state)
{
        int status = 0;
        pid_t child;

        (void)state;
        write_file(MINIMAL, strlen(MINIMAL));
        assert_int_equal(chmod(path, 0), 0);
        assert_int_equal(chmod(dir, 0755), 0);
        child = fork();
        if (child == 0) {
                struct config_report report;
                struct vgpu_config cfg;
                int r;

                if (getuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
                        _exit(2);
                r = config_load(path, &cfg, &report);
                _exit(r == -EACCES && report.n == 1 ? 0 : 3);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        assert_int_equal(chmod(path, 0600), 0);
}

static void a_name_that_cannot_be_a_socket_needs_one_configured(void **state)
{
        char odd[256];
        struct config_report report;
        struct vgpu_config cfg;

        (void)state;
        snprintf(odd, sizeof(odd), "%s/my vm.conf", dir);
        write_file(MINIMAL, strlen(MINIMAL));
        assert_int_equal(rename(path, odd), 0);
        assert_int_equal(config_load(odd, &cfg, &report), -EINVAL);
        assert_int_equal(report.n, 1);
        assert_non_null(strstr(report.item[0].text, "set [ring] socket"));
        config_report_free(&report);

        write_file(
                MINIMAL "[ring]\nsocket = /run/x\n", strlen(MINIMAL "[ring]\nsocket = /run/x\n"));
        assert_int_equal(rename(path, odd), 0);
        assert_int_equal(config_load(odd, &cfg, &report), 0);
        assert_string_equal(cfg.name, "my vm");
        config_report_free(&report);
        assert_int_equal(unlink(odd), 0);
}

static int count_fds(void)
{
        DIR *d = opendir("/proc/self/fd");
        int n = 0;

        while (readdir(d) != NULL)
                n++;
        closedir(d);
        return n;
}

static void loading_leaves_no_descriptor_open(void **state)
{
        int before = count_fds();

        (void)state;
        a_file_that_cannot_be_read_says_why(state);
        must_load(FULL);
        assert_int_equal(count_fds(), before);
}

/* ---- the example ------------------------------------------------------------------------------------------------- */

/* The example with every "#key = value" line made real. */
static void write_example_with_all_keys(void)
{
        FILE *in = fopen(EXAMPLE_CONF, "re"), *out = fopen(path, "we");
        char line[512];

        assert_non_null(in);
        assert_non_null(out);
        while (fgets(line, sizeof(line), in) != NULL)
                fputs(line[0] == '#' && line[1] >= 'a' && line[1] <= 'z' ? line + 1 : line, out);
        fclose(in);
        fclose(out);
}

/* The comment lines right above "key =" or "#key =". */
static void find_documentation(const struct config_key *key, char *ret, size_t cap)
{
        FILE *in = fopen(EXAMPLE_CONF, "re");
        char line[512], section[64] = "", assigns[64];
        size_t len = 0;

        assert_non_null(in);
        snprintf(assigns, sizeof(assigns), "%s = ", key->name);
        ret[0] = '\0';
        while (fgets(line, sizeof(line), in) != NULL) {
                const char *text = line[0] == '#' ? line + 1 : line;

                if (line[0] == '[') {
                        snprintf(section, sizeof(section), "%.*s", (int)strcspn(line + 1, "]"),
                                line + 1);
                } else if (strcmp(section, key->section) == 0 &&
                           strncmp(text, assigns, strlen(assigns)) == 0) {
                        fclose(in);
                        return;
                } else if (line[0] == '#') {
                        len += (size_t)snprintf(ret + len, cap - len, "%s", line);
                        assert_true(len < cap);
                        continue;
                }
                len = 0;
                ret[0] = '\0';
        }
        fail_msg("the example does not document [%s] %s", key->section, key->name);
}

static void the_example_loads_as_it_is(void **state)
{
        struct config_report report;
        struct vgpu_config cfg;

        (void)state;
        assert_int_equal(config_load(EXAMPLE_CONF, &cfg, &report), 0);
        assert_string_equal(cfg.name, "vgpud");
        config_report_free(&report);
}

static void the_example_shows_every_key_with_its_default(void **state)
{
        struct vgpu_config shown, defaults = must_load(MINIMAL);
        struct config_report report;
        char *words;

        (void)state;
        write_example_with_all_keys();
        if (config_load(path, &shown, &report) != 0) {
                words = said(&report);
                fail_msg("%s", words);
        }
        config_report_free(&report);

        for (size_t i = 0; i < config_n_keys; i++) {
                const struct config_key *key = &config_keys[i];
                char text[4096], a[CONFIG_TEXT_MAX], b[CONFIG_TEXT_MAX];

                find_documentation(key, text, sizeof(text));
                assert_true(strlen(text) > 10);
                if (key->preset != NULL) {
                        key->kind->print(key, config_key_field(key, &shown), a);
                        key->kind->print(key, config_key_field(key, &defaults), b);
                        assert_string_equal(a, b);
                }
                if (key->kind == &config_kind_number) {
                        snprintf(a, sizeof(a), "%" PRIu64 " to %" PRIu64, key->min, key->max);
                        assert_non_null(strstr(text, a));
                }
                if (key->unset != NULL)
                        assert_non_null(strstr(text, "Default: "));
        }
}

static void every_row_of_the_table_is_sound(void **state)
{
        (void)state;
        for (size_t i = 0; i < config_n_keys; i++) {
                assert_ptr_equal(config_key_find(config_keys[i].section, config_keys[i].name),
                        &config_keys[i]);
                assert_true(config_keys[i].min <= config_keys[i].max);
                assert_true(config_keys[i].preset == NULL || config_keys[i].unset == NULL);
                assert_true(config_section_known(
                        config_keys[i].section, strlen(config_keys[i].section)));
                assert_non_null(strstr(CONFIG_SECTIONS, config_keys[i].section));
        }
        assert_null(config_key_find("ring", "ram"));
        assert_false(config_section_known("ring ", 5));
        assert_false(config_section_known("", 0));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_minimal_file_gets_every_default),
                cmocka_unit_test(ram_is_a_list_of_paths_or_is_asked_for),
                cmocka_unit_test(every_key_is_read),
                cmocka_unit_test(what_is_printed_loads_as_the_same),
                cmocka_unit_test(the_effective_configuration_names_every_key),
                cmocka_unit_test(each_kind_of_value_has_its_limits),
                cmocka_unit_test(a_socket_path_fits_the_kernels_address),
                cmocka_unit_test(everything_wrong_is_said_at_once_and_in_order),
                cmocka_unit_test(a_line_that_the_parser_would_cut_is_refused),
                cmocka_unit_test(bytes_that_are_no_text_are_refused),
                cmocka_unit_test(harmless_forms_are_read_as_meant),
                cmocka_unit_test(one_path_for_two_sockets_is_refused),
                cmocka_unit_test(a_list_of_users_is_bounded_and_names_the_one_it_does_not_know),
                cmocka_unit_test(thousands_of_problems_are_all_said),
                cmocka_unit_test(a_file_that_cannot_be_read_says_why),
                cmocka_unit_test(a_file_we_may_not_read_says_so),
                cmocka_unit_test(a_name_that_cannot_be_a_socket_needs_one_configured),
                cmocka_unit_test(loading_leaves_no_descriptor_open),
                cmocka_unit_test(the_example_loads_as_it_is),
                cmocka_unit_test(the_example_shows_every_key_with_its_default),
                cmocka_unit_test(every_row_of_the_table_is_sound),
        };

        return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
