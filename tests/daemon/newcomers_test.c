/* newcomers_test.c - who came lately, as a table */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "newcomers.h"

#define NOW   UINT64_C(133000000000000000)
#define YOUNG (NOW - NEWCOMERS_YOUNG + 1)
#define OLD   (NOW - NEWCOMERS_YOUNG)

static const struct {
        const char *says;
        process one;
        const char *name;
        bool picked;
} cases[] = {
        { "the young are", { .create_time = YOUNG, .name = "a.exe" }, "", true },
        { "the old are not", { .create_time = OLD, .name = "a.exe" }, "", false },
        { "the old are when they have the name", { .create_time = OLD, .name = "a.exe" }, "a.exe",
                true },
        { "another name is none", { .create_time = OLD, .name = "a.exe" }, "b.exe", false },
        { "fifteen bytes are all a guest shows", { .create_time = OLD, .name = "fifteen-bytes-l" },
                "fifteen-bytes-long.exe", true },
        { "the dead are not", { .create_time = YOUNG, .flags = PROCESS_EXITED }, "", false },
        { "a clock that was set back", { .create_time = NOW + 1 }, "", true },
};

static void the_table_holds(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                process out[NEWCOMERS_MAX];
                size_t n = newcomers_pick(&cases[i].one, 1, cases[i].name, NOW, out);

                if (n != (size_t)cases[i].picked)
                        fail_msg("%s", cases[i].says);
        }
}

static void the_order_stays_and_no_more_than_there_is_room_for_are_picked(void **state)
{
        process list[NEWCOMERS_MAX + 2] = { 0 }, out[NEWCOMERS_MAX];

        (void)state;
        for (uint32_t i = 0; i < NEWCOMERS_MAX + 2; i++)
                list[i] = (process){ .pid = i, .create_time = i == 1 ? OLD : YOUNG };
        assert_int_equal(newcomers_pick(list, NEWCOMERS_MAX + 2, "", NOW, out), NEWCOMERS_MAX - 1);
        assert_int_equal(out[0].pid, 0);
        assert_int_equal(out[1].pid, 2);
        assert_int_equal(out[NEWCOMERS_MAX - 2].pid, NEWCOMERS_MAX - 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_table_holds),
                cmocka_unit_test(the_order_stays_and_no_more_than_there_is_room_for_are_picked),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
