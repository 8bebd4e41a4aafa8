/*
 * status_test.c - where the daemon stands, in a line and in JSON: for people, for programs, and whatever the guest calls itself
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <json-c/json.h>
#include <regex.h>

#include "daemon.h"
#include "schema.h"
#include "stream_rig.h"

/* Control characters, an escape sequence, quotes, both halves of a UTF-8 character apart; 15 bytes are all a guest can show. */
#define HOSTILE "a'\n\x1b[2J\"\xe2\\\x82\x7f\x01"

static struct rig rig;
static struct daemon d;
static char line[512];

/* As the daemon has it; nothing here is run, so a copy of the outlet is as good. */
static void begin(const char *producer)
{
        rig_open_named(&rig, false, producer);
        memset(&d, 0, sizeof(d));
        d.outlet = rig.outlet;
        d.started_ns = d.guest.since_ns = d.guest.phase_ns = uv_hrtime();
        snprintf(d.guest.ram_name, sizeof(d.guest.ram_name), "/dev/shm/win11");
}

static int end(void **state)
{
        (void)state;
        rig_close(&rig);
        return 0;
}

static void stream(void)
{
        look_until_published(&rig, 1);
        d.guest.state = GUEST_STREAMING;
        d.guest.region = rig.view.region;
        d.guest.n_epochs = 2;
        d.guest.stream = rig.stream;
        d.guest.stream.fps = 59.94;
        d.guest.stream.fps_since_ns = uv_hrtime();
}

static const char *status_line(void)
{
        daemon_status_line(&d, line, sizeof(line));
        return line;
}

static void assert_line_like(const char *pattern)
{
        regex_t re;

        assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
        if (regexec(&re, status_line(), 0, NULL, 0) != 0)
                fail_msg("\"%s\" is not like %s", line, pattern);
        regfree(&re);
}

static json_object *status_json(void)
{
        static char buf[VGPU_REPLY_MAX + 1];
        json_object *o, *schema = json_object_from_file(STATUS_SCHEMA);
        int len = daemon_status_json(&d, buf, VGPU_REPLY_MAX);
        char why[256] = "";

        assert_in_range(len, 1, VGPU_REPLY_MAX);
        buf[len] = '\0';
        o = json_tokener_parse(buf);
        assert_non_null(o);
        assert_non_null(schema);
        if (!schema_matches(schema, o, why, sizeof(why)))
                fail_msg("%s", why);
        json_object_put(schema);
        return o;
}

static void a_stream_is_what_from_whom_and_to_how_many(void **state)
{
        (void)state;
        begin("producer.exe");
        stream();
        assert_string_equal(status_line(), "Streaming 32x16 BGRA 59.9 fps from 'producer.exe' "
                                           "(pid 4242), epoch 2, 0 clients");
        json_object_put(status_json());
}

static void a_stream_without_a_frame_yet_claims_no_mode(void **state)
{
        (void)state;
        begin("producer.exe");
        stream();
        d.guest.stream.mode.width = 0;
        assert_string_equal(
                status_line(), "Streaming from 'producer.exe' (pid 4242), epoch 2, 0 clients");
}

static void whatever_is_waited_for_is_said_with_since_when_and_why(void **state)
{
        static const struct {
                enum guest_state at;
                const char *says;
        } cases[] = {
                { GUEST_ABSENT, "No guest RAM" },
                { GUEST_ATTACHING, "Attaching" },
                { GUEST_SEARCHING, "Looking for a producer" },
                { GUEST_CONFIRMING, "Looking for a producer" },
                { GUEST_STALLED, "Stalled, keeping the last frame" },
        };

        (void)state;
        begin("producer.exe");
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                char pattern[160];

                d.guest.state = cases[i].at;
                d.guest.reason[0] = '\0';
                snprintf(pattern, sizeof(pattern),
                        "^%s since [0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$",
                        cases[i].says);
                assert_line_like(pattern);
                guest_set_reason(&d.guest, "Because of %d", 7);
                snprintf(pattern, sizeof(pattern), "^%s since [0-9: -]+: Because of 7$",
                        cases[i].says);
                assert_line_like(pattern);
                json_object_put(status_json());
        }
        d.guest.state = GUEST_STOPPING;
        assert_string_equal(status_line(), "Stopping; 0 clients told");
}

static void a_line_changes_only_when_something_does(void **state)
{
        char before[512];

        (void)state;
        begin("producer.exe");
        snprintf(before, sizeof(before), "%s", status_line());
        d.line_since -= 3600;
        assert_string_not_equal(status_line(), before);
        snprintf(before, sizeof(before), "%s", status_line());
        for (int i = 0; i < 1000; i++)
                assert_string_equal(status_line(), before);
        d.guest.phase_ns++;
        assert_string_not_equal(status_line(), before);
}

static void assert_printable(const char *text)
{
        for (; *text; text++)
                assert_in_range((unsigned char)*text, 0x20, 0x7e);
}

static void a_hostile_name_is_shown_and_does_nothing(void **state)
{
        const char *escaped = "a\\x27\\x0a\\x1b[2J\\x22\\xe2\\x5c\\x82\\x7f\\x01";
        json_object *o, *member, *name;

        (void)state;
        begin(HOSTILE);
        stream();
        assert_non_null(strstr(status_line(), escaped));
        assert_printable(line);
        o = status_json();
        assert_true(json_object_object_get_ex(o, "process", &member));
        assert_true(json_object_object_get_ex(member, "name", &name));
        assert_string_equal(json_object_get_string(name), escaped);
        json_object_put(o);
}

static void a_reason_with_foreign_bytes_is_one_line_of_utf8(void **state)
{
        json_object *o, *reason;

        (void)state;
        begin("producer.exe");
        guest_set_reason(&d.guest, "QEMU says '%s'", "a\n\xff\xc3\xbc\xe2\x82");
        assert_string_equal(d.guest.reason, "QEMU says 'a?"
                                            "?\xc3\xbc?"
                                            "?'");
        o = status_json();
        assert_true(json_object_object_get_ex(o, "reason", &reason));
        assert_string_equal(json_object_get_string(reason), d.guest.reason);
        json_object_put(o);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(a_stream_is_what_from_whom_and_to_how_many, end),
                cmocka_unit_test_teardown(a_stream_without_a_frame_yet_claims_no_mode, end),
                cmocka_unit_test_teardown(
                        whatever_is_waited_for_is_said_with_since_when_and_why, end),
                cmocka_unit_test_teardown(a_line_changes_only_when_something_does, end),
                cmocka_unit_test_teardown(a_hostile_name_is_shown_and_does_nothing, end),
                cmocka_unit_test_teardown(a_reason_with_foreign_bytes_is_one_line_of_utf8, end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
