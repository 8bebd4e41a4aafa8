/* clients_test.c - the daemon's list of clients as a table */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clients.h"

static const char two[] =
        "{\"schema\":1,\"total\":2,\"generation\":3,\"serial\":900,\"clients\":["
        "{\"uid\":0,\"pid\":4321,\"name\":\"viewer\",\"frames\":600,\"missed\":3,\"torn\":1,"
        "\"leases\":500,\"lost\":2,\"held\":1,\"ended\":2,\"lag\":null,\"since_ms\":10000,"
        "\"generation\":3,\"armed\":true,\"behind\":false},"
        "{\"uid\":65534,\"pid\":7,\"name\":\"\\\\x1b\\u001b\",\"frames\":0,\"lag\":12,"
        "\"since_ms\":999,\"generation\":2,\"armed\":false,\"behind\":true,\"new\":[]}"
        "],\"listed\":2}";

/* The table of a list; the caller frees it. */
static char *render(const char *json, bool legend, int want)
{
        json_object *clients = json_tokener_parse(json);
        char *text = NULL;
        size_t len;
        FILE *f = open_memstream(&text, &len);

        assert_non_null(f);
        clients_add_users(clients);
        assert_int_equal(clients_print(f, clients, legend), want);
        fclose(f);
        json_object_put(clients);
        return text;
}

static void columns_are_aligned_and_what_is_not_there_is_a_dash(void **state)
{
        static const char expected[] =
                "  UID  USER     PID  NAME       SINCE  FRAMES   FPS  MISSED  TORN  LEASES  HELD  "
                "LOST  LAG  GEN  ARMED  BEHIND\n"
                "    0  root    4321  viewer    10.0 s     600  60.0       3     1     500     1  "
                "   2    -    3  yes    no\n"
                "65534  nobody     7  \\x1b\\x1b   0.9 s       0     -       -     -       -     "
                "-  "
                "   -   12    2  no     yes\n";
        char *text = render(two, true, 0);

        (void)state;
        assert_string_equal(text, expected);
        free(text);
}

static void without_a_legend_there_are_clients_only(void **state)
{
        char *text = render(two, false, 0);

        (void)state;
        assert_null(strstr(text, "USER"));
        assert_int_equal(strncmp(text, "    0  root", 11), 0);
        free(text);
        text = render("{\"clients\":[]}", false, 0);
        assert_string_equal(text, "");
        free(text);
        text = render("{\"clients\":[]}", true, 0);
        assert_string_equal(text, "No clients.\n");
        free(text);
}

static void what_is_no_list_is_refused_and_odd_entries_do_no_harm(void **state)
{
        static const char *const none[] = { "{}", "[]", "7", "{\"clients\":{}}",
                "{\"clients\":null}" };
        char *text;

        (void)state;
        for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
                text = render(none[i], true, -EINVAL);
                assert_string_equal(text, "");
                free(text);
        }
        text = render("{\"clients\":[1,null,\"x\",[],{\"uid\":\"a\",\"name\":[1],\"armed\":7}]}",
                false, 0);
        assert_non_null(strstr(text, "-  -"));
        free(text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(columns_are_aligned_and_what_is_not_there_is_a_dash),
                cmocka_unit_test(without_a_legend_there_are_clients_only),
                cmocka_unit_test(what_is_no_list_is_refused_and_odd_entries_do_no_harm),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
