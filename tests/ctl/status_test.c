/* status_test.c - the daemon's report as lines */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "status.h"

static const char streaming[] =
        "{\"schema\":1,\"version\":\"0.1.0\",\"pid\":77,\"state\":\"streaming\",\"since_ms\":4200,"
        "\"reason\":null,\"ram\":\"/dev/shm/win11\",\"epoch\":2,\"run_epoch\":3,"
        "\"kernel\":{\"base\":\"0xfffff80312200000\",\"build\":19045,\"kcr3\":\"0x1ad000\"},"
        "\"process\":{\"name\":\"producer.exe\",\"pid\":4321,\"cr3\":\"0x7e5c3000\"},"
        "\"region\":\"0x1f0000000\","
        "\"mode\":{\"width\":1920,\"height\":1080,\"stride\":7680,\"format\":\"BGRA8888\"},"
        "\"fps\":59.94,\"frames\":12345,"
        "\"skips\":{\"busy\":1,\"remapped\":2,\"too_big\":3,\"malformed\":4,\"late\":5},"
        "\"torn_retries\":6,\"restarts\":7,\"clients\":8,"
        "\"ring\":{\"generation\":9,\"slots\":4,\"slot_bytes\":8388608},\"uptime_ms\":200000}";

/* The lines for a report; the caller frees them. */
static char *render(const char *json)
{
        json_object *status = json_tokener_parse(json);
        char *text = NULL;
        size_t len;
        FILE *f = open_memstream(&text, &len);

        assert_non_null(status);
        assert_non_null(f);
        status_print(f, status);
        fclose(f);
        json_object_put(status);
        return text;
}

static void a_streaming_daemon_shows_all_it_knows(void **state)
{
        static const char expected[] =
                "       State: streaming since 4.2 s\n"
                "         RAM: /dev/shm/win11\n"
                "       Epoch: 2 (run 3)\n"
                "      Kernel: build 19045 at 0xfffff80312200000, kcr3 0x1ad000\n"
                "    Producer: 'producer.exe' pid 4321 cr3 0x7e5c3000\n"
                "      Region: 0x1f0000000\n"
                "        Mode: 1920x1080 BGRA8888, stride 7680\n"
                "      Frames: 12345, 59.9 fps\n"
                "       Skips: 1 busy, 2 remapped, 3 too big, 4 malformed, 5 late\n"
                "Torn retries: 6\n"
                "    Restarts: 7\n"
                "     Clients: 8\n"
                "        Ring: generation 9, 4 slots of 8 MiB\n"
                "      Daemon: vgpud 0.1.0, pid 77, up 3 min 20 s\n";
        char *text = render(streaming);

        (void)state;
        assert_string_equal(text, expected);
        free(text);
}

static void a_searching_daemon_shows_its_reason_and_leaves_out_what_is_not_there(void **state)
{
        char *text = render(
                "{\"state\":\"searching\",\"since_ms\":100,\"reason\":\"no process holds a "
                "region\","
                "\"kernel\":null,\"process\":null,\"region\":null,\"mode\":null,\"ring\":null}");

        (void)state;
        assert_non_null(strstr(text, "State: searching since 0.1 s\n"));
        assert_non_null(strstr(text, "Reason: no process holds a region\n"));
        assert_null(strstr(text, "Kernel"));
        assert_null(strstr(text, "Producer"));
        assert_null(strstr(text, "Region"));
        assert_null(strstr(text, "Mode"));
        assert_null(strstr(text, "Ring"));
        free(text);
}

static void what_a_reload_left_undone_is_shown(void **state)
{
        char *text =
                render("{\"reload\":{\"done\":1,\"refused\":0,\"problem\":null,\"waiting\":[]}}");

        (void)state;
        assert_null(strstr(text, "Reload"));
        assert_null(strstr(text, "At restart"));
        free(text);
        text = render("{\"reload\":{\"done\":1,\"refused\":1,\"problem\":\"/x.conf:3: no\","
                      "\"waiting\":[\"[ring] slots\",\"[guest] ram\"]}}");
        assert_non_null(strstr(text, "Reload: refused, /x.conf:3: no\n"));
        assert_non_null(strstr(text, "At restart: [ring] slots\n"));
        assert_non_null(strstr(text, ": [guest] ram\n"));
        free(text);
}

static void what_clients_ask_for_is_one_line(void **state)
{
        char *text = render("{\"control\":{\"writer\":true,\"state\":\"applied\",\"requested\":"
                            "{\"clients\":2,\"state\":\"run\",\"fps\":30,\"draw_cursor\":true}}}");

        (void)state;
        assert_non_null(
                strstr(text, "Control: applied; 2 clients ask: run, 30 fps, cursor drawn\n"));
        free(text);
        text = render("{\"control\":{\"writer\":false,\"state\":\"waiting\",\"requested\":"
                      "{\"clients\":1,\"state\":\"pause\",\"fps\":0,\"draw_cursor\":false}}}");
        assert_non_null(strstr(
                text, "Control: waiting, no writer is there; 1 client asks: pause, default fps\n"));
        free(text);
        text = render("{\"control\":{\"writer\":true,\"state\":\"idle\",\"requested\":null}}");
        assert_non_null(strstr(text, "Control: idle; nobody asks\n"));
        free(text);
        text = render("{\"control\":null}");
        assert_null(strstr(text, "Control"));
        free(text);
}

static void names_from_the_guest_cannot_steer_the_terminal(void **state)
{
        char *text = render("{\"state\":\"streaming\",\"process\":{\"name\":\"a\\u001b[2J\\n\","
                            "\"pid\":1,\"cr3\":\"0x1\"}}");

        (void)state;
        assert_non_null(strstr(text, "'a\\x1b[2J\\x0a'"));
        free(text);
}

static void values_of_another_type_and_new_keys_do_no_harm(void **state)
{
        char *text = render("{\"state\":7,\"since_ms\":\"x\",\"kernel\":[1],\"mode\":\"big\","
                            "\"skips\":3,\"ring\":true,"
                            "\"fps\":{},\"news\":{\"a\":[1,2]}}");

        (void)state;
        assert_non_null(strstr(text, "State: 7 since"));
        free(text);
        free(render("{}"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_streaming_daemon_shows_all_it_knows),
                cmocka_unit_test(
                        a_searching_daemon_shows_its_reason_and_leaves_out_what_is_not_there),
                cmocka_unit_test(what_a_reload_left_undone_is_shown),
                cmocka_unit_test(what_clients_ask_for_is_one_line),
                cmocka_unit_test(names_from_the_guest_cannot_steer_the_terminal),
                cmocka_unit_test(values_of_another_type_and_new_keys_do_no_harm),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
