/* cli_test.c - the command line as a person meets it: vgpuctl itself is run */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl.h"
#include "tool.h"

#define MAX_ARGS 8

struct usage_case {
        const char *args[MAX_ARGS];
        const char *says; /* somewhere on stderr */
};

static struct tool_result run(const char *const *args)
{
        const char *argv[MAX_ARGS + 2] = { VGPUCTL };
        struct tool_result result;

        for (size_t i = 0; i < MAX_ARGS && args[i]; i++)
                argv[i + 1] = args[i];
        tool_run(argv, NULL, &result);
        return result;
}

static void a_wrong_command_line_ends_with_2_and_says_what_is_wrong(void **state)
{
        static const struct usage_case cases[] = {
                { { NULL }, "which command?" },
                { { "bogus" }, "unknown command 'bogus'" },
                { { "--bogus" }, "unknown option '--bogus'" },
                { { "-x", "status" }, "unknown option '-x'" },
                { { "--socket" }, "--socket needs a value" },
                { { "status", "--bogus" }, "unknown option '--bogus'" },
                { { "status", "extra" }, "what is 'extra'?" },
                { { "--json=yaml", "status" }, "unknown form of JSON 'yaml'" },
                { { "status", "--json=" }, "unknown form of JSON ''" },
                { { "--vm", "../etc", "status" }, "'../etc' is no name of a machine" },
                { { "status", "--vm", "" }, "'' is no name of a machine" },
                { { "watch", "--seconds" }, "--seconds needs a value" },
                { { "watch", "--seconds", "soon" }, "'soon' is no number of seconds" },
                { { "watch", "--seconds", "-1" }, "'-1' is no number of seconds" },
                { { "watch", "extra" }, "what is 'extra'?" },
                { { "clients", "extra" }, "what is 'extra'?" },
                { { "clients", "--bogus" }, "unknown option '--bogus'" },
                { { "drop" }, "which process?" },
                { { "drop", "all" }, "'all' is no process id" },
                { { "drop", "0" }, "'0' is no process id" },
                { { "drop", "-1" }, "unknown option '-1'" },
                { { "drop", "4294967296" }, "'4294967296' is no process id" },
                { { "drop", "1", "2" }, "what is '2'?" },
                { { "screenshot" }, "which file?" },
                { { "screenshot", "a.png", "b.png" }, "one file, not 2" },
                { { "screenshot", "--timeout", "x", "a.png" }, "'x' is no number of seconds" },
                { { "probe" }, "--ram FILE is missing" },
                { { "probe", "--ram", "/x", "--machine", "vax" }, "unknown machine 'vax'" },
                { { "probe", "--ram", "/x", "--ram-size", "4X" }, "'4X' is no size" },
                { { "probe", "--ram", "/x", "--ram-size", "0" }, "'0' is no size" },
                { { "probe", "--ram", "/x", "--kcr3", "zz" }, "'zz' is no page-table root" },
                { { "probe", "--ram", "/x", "extra" }, "what is 'extra'?" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct tool_result r = run(cases[i].args);

                if (r.exit_code != 2 || !strstr(r.err, cases[i].says) ||
                        strncmp(r.err, "vgpuctl: ", 9) != 0 || !strstr(r.err, "--help"))
                        fail_msg("case %zu: exit %d, said: %s", i, r.exit_code, r.err);
                assert_int_equal(r.out_len, 0);
                tool_result_deinit(&r);
        }
}

static void help_and_version_are_answers_not_errors(void **state)
{
        static const struct usage_case cases[] = {
                { { "--help" }, "Usage: vgpuctl" },
                { { "-h" }, "screenshot" },
                { { "help" }, "probe" },
                { { "--version" }, "vgpuctl " },
                { { "status", "--help" }, "Usage: vgpuctl [--vm NAME] status" },
                { { "clients", "--help" }, "--no-legend" },
                { { "drop", "--help" }, "admin_users" },
                { { "watch", "--help" }, "--seconds" },
                { { "screenshot", "--help" }, "--no-cursor" },
                { { "probe", "--help" }, "--ram-size" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct tool_result r = run(cases[i].args);

                assert_int_equal(r.exit_code, 0);
                assert_non_null(strstr(r.out, cases[i].says));
                assert_int_equal(r.err_len, 0);
                tool_result_deinit(&r);
        }
}

static void without_a_daemon_every_client_command_ends_with_1_and_says_what_to_do(void **state)
{
        static const char *const commands[][MAX_ARGS] = {
                { "--socket", "/nonexistent/vgpud.sock", "status" },
                { "--socket", "/nonexistent/vgpud.sock", "clients" },
                { "--socket", "/nonexistent/vgpud.sock", "drop", "1" },
                { "--socket", "/nonexistent/vgpud.sock", "watch" },
                { "--socket", "/nonexistent/vgpud.sock", "screenshot", "/tmp/never.png" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
                struct tool_result r = run(commands[i]);

                assert_int_equal(r.exit_code, 1);
                assert_non_null(strstr(r.err, "'/nonexistent/vgpud.sock'"));
                assert_non_null(strstr(r.err, "systemctl start vgpud@"));
                tool_result_deinit(&r);
        }
        assert_int_equal(access("/tmp/never.png", F_OK), -1);
}

static void a_path_that_is_no_socket_is_told_from_a_dead_daemon(void **state)
{
        static const char *const paths[] = { "/etc/passwd", "/tmp" };

        (void)state;
        for (size_t i = 0; i < 2; i++) {
                const char *args[MAX_ARGS] = { "--socket", paths[i], "status" };
                struct tool_result r = run(args);

                assert_int_equal(r.exit_code, 1);
                assert_non_null(strstr(r.err, paths[i]));
                assert_non_null(strstr(r.err, "is no socket"));
                assert_null(strstr(r.err, "died"));
                tool_result_deinit(&r);
        }
}

/* A folder with @n sockets, by name only. */
static struct ctl folder(char *dir, unsigned n)
{
        char path[64];

        strcpy(dir, "/tmp/cli_test.XXXXXX");
        assert_non_null(mkdtemp(dir));
        for (unsigned i = 0; i < n; i++) {
                snprintf(path, sizeof path, "%s/vm%u.sock", dir, i);
                fclose(fopen(path, "w"));
        }
        return (struct ctl){ .socket_dir = dir };
}

static void the_only_socket_is_found_and_two_are_a_question(void **state)
{
        for (unsigned n = 0; n < 3; n++) {
                char dir[32], buf[64], expected[64], command[64];
                struct ctl ctl = folder(dir, n);
                const char *path = ctl_socket(&ctl, buf, sizeof buf);

                snprintf(expected, sizeof expected, "%s/vm0.sock", dir);
                if (n == 1)
                        assert_string_equal(path, expected);
                else
                        assert_null(path);
                ctl.vm = "win11";
                snprintf(expected, sizeof expected, "%s/win11.sock", dir);
                assert_string_equal(ctl_socket(&ctl, buf, sizeof buf), expected);
                ctl.socket = "/given";
                assert_string_equal(ctl_socket(&ctl, buf, sizeof buf), "/given");
                snprintf(command, sizeof command, "rm -rf '%s'", dir);
                assert_int_equal(system(command), 0);
        }
        (void)state;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_wrong_command_line_ends_with_2_and_says_what_is_wrong),
                cmocka_unit_test(help_and_version_are_answers_not_errors),
                cmocka_unit_test(
                        without_a_daemon_every_client_command_ends_with_1_and_says_what_to_do),
                cmocka_unit_test(a_path_that_is_no_socket_is_told_from_a_dead_daemon),
                cmocka_unit_test(the_only_socket_is_found_and_two_are_a_question),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
