/*
 * dropins_test.c - a configuration and the folder beside it: who goes before whom, what is odd there, and whose line it was
 */
#include <errno.h>
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
#include "files.h"
#include "keys.h"

#define MINIMAL "[guest]\nram = /dev/shm/ram\n"

static char dir[128];
static char main_path[192];

static int make_dir(void **state)
{
        const char *base = getenv("TMPDIR");

        (void)state;
        snprintf(dir, sizeof(dir), "%s/vgpu-dropins-XXXXXX", base != NULL ? base : "/tmp");
        if (mkdtemp(dir) == NULL)
                return -1;
        snprintf(main_path, sizeof(main_path), "%s/win11.conf", dir);
        return 0;
}

static int remove_dir(void **state)
{
        char command[256];

        (void)state;
        snprintf(command, sizeof(command), "rm -rf '%s'", dir);
        return system(command);
}

static const char *in_folder(const char *name)
{
        static char path[512];

        snprintf(path, sizeof(path), "%s.d/%s", main_path, name);
        return path;
}

static void write_text(const char *path, const char *text)
{
        FILE *f = fopen(path, "we");

        assert_non_null(f);
        fputs(text, f);
        assert_int_equal(fclose(f), 0);
}

static void dropin(const char *name, const char *text)
{
        write_text(in_folder(name), text);
}

/* Before each test: the minimal file and an empty folder. */
static int begin(void **state)
{
        char command[512];

        (void)state;
        snprintf(command, sizeof(command), "rm -rf '%s.d' && mkdir '%s.d'", main_path, main_path);
        if (system(command) != 0)
                return -1;
        write_text(main_path, MINIMAL);
        return 0;
}

/* What a person sees, names without folders. Freed by the caller. */
static char *said(const struct config_report *report)
{
        char *text = NULL;
        size_t len = 0;
        FILE *f = open_memstream(&text, &len);

        for (size_t i = 0; i < report->n; i++) {
                char line[CONFIG_PROBLEM_MAX];

                config_problem_text(report, i, line, sizeof(line));
                assert_memory_equal(line, dir, strlen(dir));
                if (strncmp(line, in_folder(""), strlen(in_folder(""))) == 0)
                        fprintf(f, "%s\n", line + strlen(in_folder("")));
                else
                        fprintf(f, "%s\n", line + strlen(dir) + 1);
        }
        fclose(f);
        return text;
}

static void must_say(int want_result, const char *want)
{
        struct config_report report;
        struct vgpu_config cfg;
        int r = config_load(main_path, &cfg, &report);
        char *words = said(&report);

        assert_string_equal(words, want);
        assert_int_equal(r, want_result);
        config_report_free(&report);
        free(words);
}

static struct vgpu_config must_load(void)
{
        struct config_report report;
        struct vgpu_config cfg;
        int r = config_load(main_path, &cfg, &report);

        if (r != 0)
                fail_msg("%s", said(&report));
        config_report_free(&report);
        return cfg;
}

/* ---- who goes before whom ---------------------------------------------------------------------------------------- */

static void a_later_name_goes_before_an_earlier_one_key_by_key(void **state)
{
        struct vgpu_config cfg;

        (void)state;
        write_text(main_path, MINIMAL "[ring]\nslots = 5\nmax_clients = 5\nlease_ms = 5\n");
        dropin("90-late.conf", "[ring]\nslots = 9\n");
        dropin("10-early.conf", "[ring]\nslots = 6\nmax_clients = 6\n");
        cfg = must_load();
        assert_int_equal(cfg.ring.slots, 9);
        assert_int_equal(cfg.ring.max_clients, 6);
        assert_int_equal(cfg.ring.lease_ms, 5);
        assert_string_equal(cfg.name, "win11");
}

static void names_are_compared_byte_by_byte(void **state)
{
        (void)state;
        dropin("9.conf", "[ring]\nslots = 9\n");
        dropin("10.conf", "[ring]\nslots = 10\n");
        assert_int_equal(must_load().ring.slots, 9);
        dropin("a.conf", "[ring]\nslots = 11\n");
        dropin("B.conf", "[ring]\nslots = 12\n");
        assert_int_equal(must_load().ring.slots, 11);
}

static void a_list_is_replaced_and_not_added_to(void **state)
{
        struct vgpu_config cfg;

        (void)state;
        write_text(main_path, MINIMAL "[access]\nusers = 1, 2, 3\n");
        dropin("a.conf", "[access]\nusers = 7\n");
        cfg = must_load();
        assert_int_equal(cfg.access.users.n, 1);
        assert_int_equal(cfg.access.users.id[0], 7);
        assert_string_equal(cfg.access.users.text, "7");
}

static void an_empty_value_goes_back_to_the_default(void **state)
{
        struct vgpu_config cfg, defaults = must_load();

        (void)state;
        write_text(main_path, MINIMAL "qmp = /run/q\n[ring]\nslots = 5\nsocket = /run/x\n"
                                      "[access]\nusers = 1, 2\n[log]\nlevel = debug\n");
        dropin("a.conf", "[guest]\nqmp =\n[ring]\nslots =\nsocket = ; as named\n[access]\nusers=\n"
                         "[log]\nlevel =\n");
        cfg = must_load();
        assert_memory_equal(&cfg, &defaults, sizeof(cfg));
        dropin("b.conf", "[ring]\nslots = 7\n");
        assert_int_equal(must_load().ring.slots, 7);
}

static void what_has_no_default_cannot_be_taken_back(void **state)
{
        (void)state;
        dropin("a.conf", "[log]\nlevel = err\n[guest]\nram =\n");
        must_say(-EINVAL, "a.conf:4: [guest] ram is missing, and has no default\n");
        dropin("b.conf", "[guest]\nram = /dev/shm/other\n");
        assert_string_equal(must_load().guest.ram, "/dev/shm/other");
}

static void one_value_leaves_nothing_of_a_longer_one(void **state)
{
        struct vgpu_config once, twice;

        (void)state;
        dropin("b.conf", "[guest]\nproducer = a.exe\n");
        once = must_load();
        dropin("a.conf", "[guest]\nproducer = another-one.exe\n");
        twice = must_load();
        assert_memory_equal(&once, &twice, sizeof(once));
}

static void the_required_key_may_be_in_a_dropin(void **state)
{
        (void)state;
        write_text(main_path, "");
        dropin("a.conf", MINIMAL);
        assert_string_equal(must_load().guest.ram, "/dev/shm/ram");
}

/* ---- what is wrong is said, and where ---------------------------------------------------------------------------- */

static void each_problem_names_its_own_file_and_line(void **state)
{
        (void)state;
        write_text(main_path, MINIMAL "[ring]\nslots = 99\n");
        dropin("a.conf", "[ring]\nslots = 5\nslots = 6\n[colour]\n");
        dropin("b.conf", "max_fps = 1\n\n[control]\nsocket = /run/c\n");
        dropin("c.conf", "[ring]\nsocket = /run/c\n");
        must_say(-EINVAL, "win11.conf:4: slots = 99: must be a number from 3 to 16\n"
                          "a.conf:3: slots was set in line 2 already\n"
                          "a.conf:4: unknown section [colour] (there are [guest], [ring], "
                          "[access], [control], [pace] and [log])\n"
                          "b.conf:1: max_fps is in no section\n"
                          "b.conf:4: [control] socket is the same path as [ring] socket\n");
}

static void a_section_of_one_file_does_not_go_on_in_the_next(void **state)
{
        (void)state;
        write_text(main_path, MINIMAL "[ring]\n");
        dropin("a.conf", "slots = 5\n");
        must_say(-EINVAL, "a.conf:1: slots is in no section\n");
}

static void what_is_without_effect_is_a_warning(void **state)
{
        (void)state;
        dropin("a.conf", "[control]\nuser = 0\nmode = 0600\n[access]\nintent_users = 0\n");
        must_say(0, "a.conf:2: warning: [control] user is without effect: there is no [control] "
                    "socket\n"
                    "a.conf:3: warning: [control] mode is without effect: there is no [control] "
                    "socket\n"
                    "a.conf:5: warning: [access] intent_users is without effect: there is no "
                    "[control] socket\n");
        dropin("b.conf", "[control]\nsocket = /run/c\n");
        must_say(0, "");
}

/* ---- what is nobody's mistake ------------------------------------------------------------------------------------ */

static int lookups_fail; /* errno */

int __real_getpwnam_r(
        const char *name, struct passwd *pwd, char *buf, size_t len, struct passwd **ret);
int __wrap_getpwnam_r(
        const char *name, struct passwd *pwd, char *buf, size_t len, struct passwd **ret);

int __wrap_getpwnam_r(
        const char *name, struct passwd *pwd, char *buf, size_t len, struct passwd **ret)
{
        *ret = NULL;
        return lookups_fail != 0 ? lookups_fail : __real_getpwnam_r(name, pwd, buf, len, ret);
}

/* Who starts the daemon again may then find it well. */
static void a_user_that_cannot_be_looked_up_now_is_no_mistake(void **state)
{
        (void)state;
        dropin("a.conf", "[access]\nusers = root\n");
        lookups_fail = EIO;
        must_say(-EAGAIN, "a.conf:2: users = root: must be users of this host; 'root' cannot be "
                          "looked up: Input/output error\n");
        assert_false(config_error_is_final(-EAGAIN));
        assert_true(config_error_is_final(-EINVAL));
        lookups_fail = 0;
        must_say(0, "");
}

/* ---- what else lies in such a folder ----------------------------------------------------------------------------- */

static void other_names_are_nobodys_business(void **state)
{
        static const char *const names[] = { "a.conf~", ".a.conf", ".a.conf.swp", "#a.conf#",
                "a.conf.dpkg-new", "a.conf.bak", "README", ".conf", "a.CONF", "conf" };

        (void)state;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                dropin(names[i], "nonsense\n");
        must_say(0, "");
}

static void what_cannot_be_read_is_a_mistake(void **state)
{
        char path[512];

        (void)state;
        assert_int_equal(mkdir(in_folder("a.conf"), 0755), 0);
        assert_int_equal(symlink("nowhere", in_folder("b.conf")), 0);
        assert_int_equal(mkfifo(in_folder("c.conf"), 0600), 0);
        assert_int_equal(symlink("d.conf", in_folder("d.conf")), 0);
        assert_int_equal(symlink("/dev/zero", in_folder("e.conf")), 0);
        must_say(-EINVAL, "a.conf: cannot be read: Is a directory\n"
                          "b.conf: cannot be read: No such file or directory\n"
                          "c.conf: not a regular file\n"
                          "d.conf: cannot be read: Too many levels of symbolic links\n"
                          "e.conf: not a regular file\n");
        begin(state);
        snprintf(path, sizeof(path), "%s.d", main_path);
        assert_int_equal(rmdir(path), 0);
        write_text(path, "");
        must_say(-EINVAL, "win11.conf.d: cannot be read: Not a directory\n");
        assert_int_equal(unlink(path), 0);
        must_say(0, "");
}

static void a_link_to_dev_null_takes_a_file_away(void **state)
{
        (void)state;
        assert_int_equal(symlink("/dev/null", in_folder("a.conf")), 0);
        must_say(0, "");
}

static void a_link_to_a_file_is_that_file(void **state)
{
        (void)state;
        dropin("shared", "[ring]\nslots = 8\n");
        assert_int_equal(symlink("shared", in_folder("a.conf")), 0);
        assert_int_equal(must_load().ring.slots, 8);
}

/* Settings that nobody sees are worse than none: who may not look into the folder says so. */
static void a_folder_we_may_not_read_is_a_mistake(void **state)
{
        int status = 0;
        pid_t child;

        (void)state;
        assert_int_equal(chmod(dir, 0755), 0);
        assert_int_equal(chmod(in_folder(""), 0), 0);
        child = fork();
        if (child == 0) {
                struct config_report report;
                struct vgpu_config cfg;
                int r;

                if (getuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
                        _exit(2);
                r = config_load(main_path, &cfg, &report);
                _exit(r == -EINVAL && report.n == 1 && strstr(report.item[0].text, "denied") ? 0
                                                                                             : 3);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        assert_int_equal(chmod(in_folder(""), 0755), 0);
}

static void more_files_than_anybody_means_are_refused(void **state)
{
        char name[32];

        (void)state;
        for (int i = 0; i <= CONFIG_DROPINS_MAX; i++) {
                snprintf(name, sizeof(name), "%03d.conf", i);
                dropin(name, "[ring]\nslots = 7\n");
        }
        must_say(-EINVAL, "win11.conf.d: more than 128 drop-ins\n");
        assert_int_equal(unlink(in_folder("000.conf")), 0);
        assert_int_equal(must_load().ring.slots, 7);
}

/* ---- what is in force -------------------------------------------------------------------------------------------- */

static char *printed(const struct vgpu_config *cfg, const struct config_report *report)
{
        char *text = NULL;
        size_t len = 0;
        FILE *f = open_memstream(&text, &len);

        config_print(f, cfg, report);
        fclose(f);
        return text;
}

static void must_contain(const char *text, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));

static void must_contain(const char *text, const char *fmt, ...)
{
        char want[1024];
        va_list args;

        va_start(args, fmt);
        vsnprintf(want, sizeof(want), fmt, args);
        va_end(args);
        if (strstr(text, want) == NULL)
                fail_msg("\"%s\" is not in:\n%s", want, text);
}

static void who_set_a_value_is_printed_above_it_and_loads_again(void **state)
{
        struct config_report report;
        struct vgpu_config cfg, again;
        char *text;

        (void)state;
        write_text(main_path, MINIMAL "[ring]\nslots = 5\nlease_ms = 9\n");
        dropin("a b\t.conf", "\n[ring]\nslots = 6\nlease_ms =\n");
        assert_int_equal(config_load(main_path, &cfg, &report), 0);
        text = printed(&cfg, &report);
        must_contain(text, "# read %s\n", main_path);
        must_contain(text, "# read %s\n", in_folder("a b?.conf"));
        must_contain(text, "\n# %s:2\nram = /dev/shm/ram\n", main_path);
        must_contain(text, "\n# %s:3\nslots = 6\n", in_folder("a b?.conf"));
        assert_null(strstr(text, ":5\nlease_ms"));
        must_contain(text, "\nlease_ms = 500\n");

        begin(state);
        write_text(main_path, text);
        again = must_load();
        assert_memory_equal(&cfg, &again, sizeof(cfg));
        config_report_free(&report);
        free(text);
}

static void every_key_changes_live_or_waits_for_a_restart(void **state)
{
        (void)state;
        for (size_t i = 0; i < config_n_keys; i++) {
                const struct config_key *key = &config_keys[i];

                if (key->takes != CONFIG_LIVE && key->takes != CONFIG_RESTART)
                        fail_msg("[%s] %s does neither", key->section, key->name);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(a_later_name_goes_before_an_earlier_one_key_by_key, begin),
                cmocka_unit_test_setup(names_are_compared_byte_by_byte, begin),
                cmocka_unit_test_setup(a_list_is_replaced_and_not_added_to, begin),
                cmocka_unit_test_setup(an_empty_value_goes_back_to_the_default, begin),
                cmocka_unit_test_setup(what_has_no_default_cannot_be_taken_back, begin),
                cmocka_unit_test_setup(one_value_leaves_nothing_of_a_longer_one, begin),
                cmocka_unit_test_setup(the_required_key_may_be_in_a_dropin, begin),
                cmocka_unit_test_setup(each_problem_names_its_own_file_and_line, begin),
                cmocka_unit_test_setup(a_section_of_one_file_does_not_go_on_in_the_next, begin),
                cmocka_unit_test_setup(what_is_without_effect_is_a_warning, begin),
                cmocka_unit_test_setup(a_user_that_cannot_be_looked_up_now_is_no_mistake, begin),
                cmocka_unit_test_setup(other_names_are_nobodys_business, begin),
                cmocka_unit_test_setup(what_cannot_be_read_is_a_mistake, begin),
                cmocka_unit_test_setup(a_link_to_dev_null_takes_a_file_away, begin),
                cmocka_unit_test_setup(a_link_to_a_file_is_that_file, begin),
                cmocka_unit_test_setup(a_folder_we_may_not_read_is_a_mistake, begin),
                cmocka_unit_test_setup(more_files_than_anybody_means_are_refused, begin),
                cmocka_unit_test_setup(who_set_a_value_is_printed_above_it_and_loads_again, begin),
                cmocka_unit_test(every_key_changes_live_or_waits_for_a_restart),
        };

        return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
