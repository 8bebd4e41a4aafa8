/* choose_test.c - which of several live producers is taken, as a table */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "choose.h"

#define N 3

static const struct {
        const char *says;
        const char *names[N]; /* newest first */
        bool left[N];
        const char *preferred;
        size_t chosen;
} cases[] = {
        { "without a name the newest", { "a", "b", "a" }, { true, true, true }, "", 0 },
        { "without a name the newest alive", { "a", "b", "a" }, { false, true, true }, "", 1 },
        { "the named one before a newer one", { "a", "b", "c" }, { true, true, true }, "b", 1 },
        { "of two named the newest", { "a", "b", "a" }, { true, true, true }, "a", 0 },
        { "of two named the newest alive", { "a", "b", "a" }, { false, true, true }, "a", 2 },
        { "a named one that is dead is none", { "a", "b", "c" }, { true, false, true }, "b", 0 },
        { "a name nobody has", { "a", "b", "c" }, { true, true, true }, "d", 0 },
        { "fifteen bytes are all a guest shows", { "a", "fifteen-bytes-l", "c" },
                { true, true, true }, "fifteen-bytes-long.exe", 1 },
        { "none is left", { "a", "b", "c" }, { false, false, false }, "a", N },
};

static void the_table_holds(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct vgpup_candidate c[N] = { 0 };
                size_t chosen;

                for (size_t k = 0; k < N; k++)
                        snprintf(c[k].proc.name, sizeof(c[k].proc.name), "%s", cases[i].names[k]);
                chosen = choose_next(c, cases[i].left, N, cases[i].preferred);
                if (chosen != cases[i].chosen)
                        fail_msg("%s: %zu was chosen", cases[i].says, chosen);
        }
}

static void nobody_is_chosen_of_nobody(void **state)
{
        (void)state;
        assert_int_equal(choose_next(NULL, NULL, 0, "a"), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_table_holds),
                cmocka_unit_test(nobody_is_chosen_of_nobody),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
