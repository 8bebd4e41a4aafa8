/* pacer_test.c - when the daemon looks, without a clock */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "pacer.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

static const struct pacer_config config = {
        .poll_ns = 1 * MS, .idle_ns = 16 * MS, .min_frame_ns = 4 * MS
};

static void looks_come_every_poll_while_frames_come(void **state)
{
        struct pacer p;

        (void)state;
        pacer_init(&p, &config, 0);
        assert_int_equal(pacer_next(&p, PACER_SAW_NOTHING, 100 * MS), 101 * MS);
}

static void an_idle_desktop_is_looked_at_rarely(void **state)
{
        struct pacer p;

        (void)state;
        pacer_init(&p, &config, 0);
        assert_int_equal(pacer_next(&p, PACER_SAW_NOTHING, 999 * MS), 1000 * MS);
        assert_int_equal(pacer_next(&p, PACER_SAW_NOTHING, 1000 * MS), 1016 * MS);
}

static void one_frame_ends_the_idleness(void **state)
{
        struct pacer p;

        (void)state;
        pacer_init(&p, &config, 0);
        pacer_next(&p, PACER_SAW_NOTHING, 5000 * MS);
        pacer_next(&p, PACER_SAW_FRAME, 5016 * MS);
        assert_int_equal(pacer_next(&p, PACER_SAW_NOTHING, 5020 * MS), 5021 * MS);
}

static void no_look_comes_sooner_after_a_copy_than_max_fps_allows(void **state)
{
        struct pacer p;

        (void)state;
        pacer_init(&p, &config, 0);
        assert_int_equal(pacer_next(&p, PACER_SAW_FRAME, 10 * MS), 14 * MS);
}

static void a_guest_that_makes_us_copy_every_time_is_held_to_max_fps(void **state)
{
        struct pacer p;
        uint64_t now = 0;
        int looks = 0;

        (void)state;
        pacer_init(&p, &config, now);
        while (now < 1000 * MS) {
                now = pacer_next(&p, PACER_SAW_FRAME, now);
                looks++;
        }
        assert_int_equal(looks, 250);
}

static void the_next_look_is_always_later_than_this_one(void **state)
{
        struct pacer_config fast = { .poll_ns = 50 * US, .idle_ns = 1 * MS, .min_frame_ns = 1 };
        struct pacer p;
        uint64_t now = 7;

        (void)state;
        pacer_init(&p, &fast, now);
        for (int i = 0; i < 100000; i++) {
                uint64_t next = pacer_next(&p, i % 3 ? PACER_SAW_NOTHING : PACER_SAW_FRAME, now);

                assert_true(next > now);
                now = next;
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(looks_come_every_poll_while_frames_come),
                cmocka_unit_test(an_idle_desktop_is_looked_at_rarely),
                cmocka_unit_test(one_frame_ends_the_idleness),
                cmocka_unit_test(no_look_comes_sooner_after_a_copy_than_max_fps_allows),
                cmocka_unit_test(a_guest_that_makes_us_copy_every_time_is_held_to_max_fps),
                cmocka_unit_test(the_next_look_is_always_later_than_this_one),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
