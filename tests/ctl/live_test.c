/*
 * live_test.c - what a real daemon answers is what the schemas say, and the doctor names what happens to its guest
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon_proc.h"
#include "guest_proc.h"
#include "schema.h"
#include "tool.h"

/* Only reached by a test that has failed. */
#define PATIENCE_S 100

static struct guest_proc guest = GUEST_PROC_NULL;
static struct daemon_proc vgpud;

/* ---- asking ---------------------------------------------------------------------------------------------------------- */

/* NULL: it failed. The caller puts it. */
static json_object *ask(const char *a, const char *b)
{
        const char *argv[] = { VGPUCTL, "--socket", vgpud.socket, "-j", a, b, NULL };
        struct tool_result r;
        json_object *o;

        tool_run(argv, NULL, &r);
        o = json_tokener_parse(r.out);
        tool_result_deinit(&r);
        return o;
}

static void assert_matches(const char *name, json_object *value)
{
        char path[512], why[256];
        json_object *schema;

        snprintf(path, sizeof path, "%s/%s.schema.json", SCHEMAS, name);
        schema = json_object_from_file(path);
        assert_non_null(schema);
        assert_non_null(value);
        if (!schema_matches(schema, value, why, sizeof why))
                fail_msg("%s: %s in %s", name, why, json_object_to_json_string(value));
        json_object_put(schema);
}

static const char *text(json_object *o, const char *key)
{
        const char *s = json_object_get_string(json_object_object_get(o, key));

        return s ? s : "";
}

/* Every answer on the way is held against the schema too. */
static void until_state(const char *state)
{
        bool there;

        do {
                json_object *status = ask("status", NULL);

                there = strcmp(text(status, "state"), state) == 0;
                if (status)
                        assert_matches("status", status);
                json_object_put(status);
        } while (!there);
}

/* Until the doctor says so of the stream: the daemon's reason may come a moment after its state. */
static void until_doctor(const char *result, const char *cause, const char *next)
{
        const time_t until = time(NULL) + PATIENCE_S;
        bool there = false;

        while (!there) {
                json_object *report = ask("doctor", "live"), *checks;

                assert_matches("doctor", report);
                checks = json_object_object_get(report, "checks");
                for (size_t i = 0; i < json_object_array_length(checks); i++) {
                        json_object *c = json_object_array_get_idx(checks, i);

                        there = there || (strcmp(text(c, "check"), "stream") == 0 &&
                                                 strcmp(text(c, "result"), result) == 0 &&
                                                 strstr(text(c, "text"), cause) &&
                                                 strstr(text(c, "next"), next));
                }
                if (!there && time(NULL) > until)
                        fail_msg("the doctor does not say '%s', but %s", cause,
                                json_object_to_json_string(report));
                json_object_put(report);
        }
}

static void tell(const char *command)
{
        if (guest_proc_command(&guest, command) < 0)
                fail_msg("%s: %s", command, guest.line);
}

static int begin(void **state)
{
        static const char *const argv[] = { "--memfd", "--ram-size", "64M", "--machine", "flat",
                "--mode", "320x200@60", NULL };

        (void)state;
        if (guest_proc_spawn(&guest, argv) < 0)
                return -1;
        return daemon_proc_start(
                &vgpud, guest.facts.ram, guest.facts.machine, guest.facts.ram_size, NULL);
}

static int end(void **state)
{
        (void)state;
        guest_proc_stop(&guest);
        guest = (struct guest_proc)GUEST_PROC_NULL;
        return daemon_proc_stop(&vgpud);
}

/* ---- tests ----------------------------------------------------------------------------------------------------------- */

static void every_report_of_a_daemon_is_as_its_schema_says(void **state)
{
        json_object *o, *first = NULL;
        pid_t reader;

        (void)state;
        until_state("streaming");
        reader = fork();
        if (reader == 0) {
                execl(VGPUCTL, VGPUCTL, "--socket", vgpud.socket, "watch", "--json", (char *)NULL);
                _exit(127);
        }
        while (!first) {
                o = ask("clients", NULL);
                assert_matches("clients", o);
                first = json_object_array_get_idx(json_object_object_get(o, "clients"), 0);
                json_object_put(o);
        }
        o = ask("metrics", NULL);
        assert_matches("metrics", o);
        json_object_put(o);
        o = ask("top", "--count=1");
        assert_matches("status", json_object_object_get(o, "status"));
        assert_matches("metrics", json_object_object_get(o, "metrics"));
        json_object_put(o);
        kill(reader, SIGTERM);
        waitpid(reader, NULL, 0);
}

static void the_doctor_names_what_happens_to_the_guest_and_the_next_step(void **state)
{
        (void)state;
        until_doctor("ok", "streaming", "");
        tell("pause");
        until_doctor("fail", "the machine is paused", "resume");
        tell("resume");
        until_doctor("ok", "streaming", "");
        tell("stop-heartbeat");
        until_doctor("fail", "it hangs", "restart the capture program");
        tell("start-heartbeat");
        until_doctor("ok", "streaming", "");
        tell("kill");
        until_doctor("fail", "No process in the guest has a region", "start the capture program");
        tell("restart-producer");
        until_doctor("ok", "streaming", "");
        tell("reboot");
        until_doctor("ok", "the guest has restarted 1 time", "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(
                        every_report_of_a_daemon_is_as_its_schema_says, begin, end),
                cmocka_unit_test_setup_teardown(
                        the_doctor_names_what_happens_to_the_guest_and_the_next_step, begin, end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
