/* probe_guest_test.c - a probe of a simulated guest that runs, stands still, hangs or is read wrongly */
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest_proc.h"
#include "tool.h"

static struct guest_proc guest = GUEST_PROC_NULL;

static int start_guest(void **state)
{
        static const char *const argv[] = { "--memfd", "--scatter", "--ram-size", "4G", NULL };

        (void)state;
        return guest_proc_spawn(&guest, argv);
}

static int stop_guest(void **state)
{
        (void)state;
        guest_proc_stop(&guest);
        guest = (struct guest_proc)GUEST_PROC_NULL;
        return 0;
}

static void command(const char *text)
{
        if (guest_proc_command(&guest, text) < 0)
                fail_msg("%s: %s", text, guest.line);
}

static struct tool_result run_probe(const char *a, const char *b)
{
        const char *argv[] = { VGPUCTL, "probe", "--ram", guest.facts.ram, a, b, NULL };
        struct tool_result r;

        tool_run(argv, NULL, &r);
        return r;
}

static void assert_fails(const char *a, const char *b, const char *reason)
{
        struct tool_result r = run_probe(a, b);

        if (r.exit_code != 1 || !strstr(r.out, reason))
                fail_msg("exit %d\n%s%s", r.exit_code, r.out, r.err);
        tool_result_deinit(&r);
}

/* The value at a path of keys. */
static json_object *at(json_object *o, const char *key, const char *inner)
{
        json_object *member = json_object_object_get(o, key);

        return inner ? json_object_object_get(member, inner) : member;
}

static void assert_hex(json_object *value, uint64_t expected)
{
        char text[24];

        snprintf(text, sizeof text, "0x%llx", (unsigned long long)expected);
        assert_string_equal(json_object_get_string(value), text);
}

static void a_live_guest_is_found_with_all_its_addresses(void **state)
{
        struct tool_result r = run_probe("--json", NULL);
        json_object *o = json_tokener_parse(r.out), *candidate;

        (void)state;
        if (r.exit_code != 0)
                fail_msg("%s%s", r.out, r.err);
        assert_true(json_object_get_boolean(at(o, "ok", NULL)));
        assert_hex(at(o, "kernel", "kcr3"), guest.facts.kcr3);
        assert_hex(at(o, "kernel", "base"), guest.facts.kernel);
        assert_int_equal(json_object_get_int(at(o, "kernel", "build")), guest.facts.build);
        assert_true(json_object_get_int(at(o, "processes", NULL)) >= 40);
        candidate = json_object_array_get_idx(at(o, "candidates", NULL), 0);
        assert_int_equal(json_object_get_int(at(candidate, "pid", NULL)), guest.facts.pid);
        assert_hex(at(candidate, "cr3", NULL), guest.facts.cr3);
        assert_hex(at(candidate, "region", NULL), guest.facts.region);
        assert_true(json_object_get_boolean(at(candidate, "alive", NULL)));
        json_object_put(o);
        tool_result_deinit(&r);
}

static void the_processes_are_listed_for_people_and_for_programs(void **state)
{
        struct tool_result r = run_probe("--processes", "--json");
        json_object *o = json_tokener_parse(r.out), *list = at(o, "process_list", NULL), *system;
        char line[64];

        (void)state;
        assert_int_equal(r.exit_code, 0);
        assert_int_equal(
                json_object_array_length(list), json_object_get_int(at(o, "processes", NULL)));
        system = json_object_array_get_idx(list, 0);
        assert_int_equal(json_object_get_int(at(system, "pid", NULL)), 4);
        assert_string_equal(json_object_get_string(at(system, "name", NULL)), "System");
        assert_hex(at(system, "cr3", NULL), guest.facts.kcr3);
        json_object_put(o);
        tool_result_deinit(&r);

        r = run_probe("--processes", NULL);
        assert_int_equal(r.exit_code, 0);
        assert_non_null(strstr(r.out, "       PID       PPID  NAME "));
        snprintf(line, sizeof line, "\n%10u ", guest.facts.pid);
        assert_non_null(strstr(r.out, line));
        tool_result_deinit(&r);
        r = run_probe(NULL, NULL);
        assert_null(strstr(r.out, "PPID"));
        tool_result_deinit(&r);
}

static void a_given_root_leads_to_the_same_guest(void **state)
{
        char kcr3[24];
        struct tool_result r;

        (void)state;
        snprintf(kcr3, sizeof kcr3, "%llx", (unsigned long long)guest.facts.kcr3);
        r = run_probe("--kcr3", kcr3);
        assert_int_equal(r.exit_code, 0);
        assert_non_null(strstr(r.out, "as given"));
        tool_result_deinit(&r);
}

static void a_hanging_producer_is_told_from_a_paused_guest(void **state)
{
        (void)state;
        command("stop-heartbeat");
        assert_fails(NULL, NULL, "the producer has ended or hangs");
        command("start-heartbeat");
        command("pause");
        assert_fails(NULL, NULL, "the VM is paused or off");
}

static void a_live_producer_is_found_among_many_dead_ones(void **state)
{
        struct tool_result r;

        (void)state;
        command("decoys 1000");
        r = run_probe(NULL, NULL);
        if (r.exit_code != 0)
                fail_msg("%s%s", r.out, r.err);
        assert_non_null(strstr(r.out, ": alive\n"));
        assert_non_null(strstr(r.out, "more that are silent"));
        tool_result_deinit(&r);
}

static void a_guest_without_a_producer_says_so(void **state)
{
        (void)state;
        command("kill");
        assert_fails(NULL, NULL, "no process holds a region");
}

static void a_wrong_machine_fails_at_a_stage_and_is_suspected(void **state)
{
        (void)state;
        assert_fails("--machine", "pc", "check --machine");
        assert_fails("--machine", "flat", "check --machine");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, start_guest, stop_guest)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(a_live_guest_is_found_with_all_its_addresses),
                CASE(the_processes_are_listed_for_people_and_for_programs),
                CASE(a_given_root_leads_to_the_same_guest),
                CASE(a_hanging_producer_is_told_from_a_paused_guest),
                CASE(a_live_producer_is_found_among_many_dead_ones),
                CASE(a_guest_without_a_producer_says_so),
                CASE(a_wrong_machine_fails_at_a_stage_and_is_suspected),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
