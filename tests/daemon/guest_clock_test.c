/* guest_clock_test.c - pause, jump and starvation as readings of the guest's clock */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "guest_clock.h"

#define MS UINT64_C(1000000)

struct reading {
        uint64_t guest_ms, host_ms;
        enum guest_clock_verdict verdict;
};

static void check(const struct reading *readings, size_t n)
{
        struct guest_clock clock;

        guest_clock_reset(&clock);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(guest_clock_update(&clock, readings[i].guest_ms * MS,
                                         readings[i].host_ms * MS),
                        readings[i].verdict);
}

#define CHECK(...)                                                                                 \
        do {                                                                                       \
                const struct reading readings[] = { __VA_ARGS__ };                                 \
                check(readings, sizeof(readings) / sizeof(readings[0]));                           \
        } while (0)

static void one_reading_says_nothing(void **state)
{
        (void)state;
        CHECK({ 500, 1000, GUEST_CLOCK_UNKNOWN }, { 500, 1100, GUEST_CLOCK_UNKNOWN });
}

static void a_clock_that_moves_runs(void **state)
{
        (void)state;
        CHECK({ 500, 1000, GUEST_CLOCK_UNKNOWN }, { 515, 1016, GUEST_CLOCK_RUNNING });
}

static void a_skipped_tick_is_not_a_pause(void **state)
{
        (void)state;
        CHECK({ 500, 1000, GUEST_CLOCK_UNKNOWN }, { 515, 1016, GUEST_CLOCK_RUNNING },
                { 515, 1200, GUEST_CLOCK_RUNNING }, { 700, 1201, GUEST_CLOCK_RUNNING });
}

static void a_clock_that_stood_for_a_quarter_second_stands(void **state)
{
        (void)state;
        CHECK({ 500, 1000, GUEST_CLOCK_UNKNOWN }, { 515, 1016, GUEST_CLOCK_RUNNING },
                { 515, 1265, GUEST_CLOCK_RUNNING }, { 515, 1266, GUEST_CLOCK_STANDING });
}

static void a_clock_that_never_moved_stands_too(void **state)
{
        (void)state;
        CHECK({ 500, 1000, GUEST_CLOCK_UNKNOWN }, { 500, 1250, GUEST_CLOCK_STANDING });
}

static void a_resumed_machine_runs_again(void **state)
{
        (void)state;
        CHECK({ 500, 1000, GUEST_CLOCK_UNKNOWN }, { 515, 1016, GUEST_CLOCK_RUNNING },
                { 515, 9000, GUEST_CLOCK_STANDING }, { 530, 9100, GUEST_CLOCK_RUNNING });
}

static void a_clock_that_runs_backwards_has_jumped(void **state)
{
        (void)state;
        CHECK({ 500, 1000, GUEST_CLOCK_UNKNOWN }, { 499, 1100, GUEST_CLOCK_JUMPED });
}

static void a_clock_that_gets_ahead_of_the_hosts_has_jumped(void **state)
{
        (void)state;
        CHECK({ 500, 1000, GUEST_CLOCK_UNKNOWN }, { 2600, 1100, GUEST_CLOCK_RUNNING },
                { 5000, 1200, GUEST_CLOCK_JUMPED });
}

static void a_starved_guest_that_lags_and_catches_up_has_not_jumped(void **state)
{
        (void)state;
        CHECK({ 500, 1000, GUEST_CLOCK_UNKNOWN }, { 510, 60000, GUEST_CLOCK_RUNNING },
                { 59600, 60100, GUEST_CLOCK_RUNNING });
}

static void a_machine_restored_while_it_stood_has_jumped(void **state)
{
        (void)state;
        CHECK({ 500, 1000, GUEST_CLOCK_UNKNOWN }, { 515, 1016, GUEST_CLOCK_RUNNING },
                { 515, 60000, GUEST_CLOCK_STANDING }, { 3000, 60100, GUEST_CLOCK_JUMPED });
}

/* It is a guest's to write, and both ends of the range are a distance apart that does not fit. */
static void a_clock_at_either_end_of_its_range_is_judged_too(void **state)
{
        struct guest_clock clock;

        (void)state;
        guest_clock_reset(&clock);
        guest_clock_update(&clock, INT64_MAX, 0);
        assert_int_equal(guest_clock_update(&clock, (uint64_t)INT64_MAX + 1000 * MS, 100 * MS),
                GUEST_CLOCK_RUNNING);
        assert_int_equal(guest_clock_update(&clock, UINT64_MAX, 200 * MS), GUEST_CLOCK_JUMPED);
}

/* It stood for an hour of the host's, and nobody looked; then it is restored to a minute later, or to one earlier. */
static void a_machine_that_was_not_looked_at_may_be_behind_but_not_elsewhere(void **state)
{
        const uint64_t before = 500000 * MS, halted = 1000 * MS, resumed = 3601000 * MS;
        struct guest_clock clock;

        (void)state;
        for (int later = -1; later <= 1; later++) {
                guest_clock_reset(&clock);
                guest_clock_update(&clock, before, halted);
                guest_clock_resume(&clock, resumed);
                assert_int_equal(
                        guest_clock_update(&clock, before + (uint64_t)later * 60000 * MS + 15 * MS,
                                resumed + 15 * MS),
                        later ? GUEST_CLOCK_JUMPED : GUEST_CLOCK_RUNNING);
        }
}

static void a_reset_forgets_what_was_seen(void **state)
{
        struct guest_clock clock;

        (void)state;
        guest_clock_reset(&clock);
        guest_clock_update(&clock, 900 * MS, 1000 * MS);
        guest_clock_reset(&clock);
        assert_int_equal(guest_clock_update(&clock, 100 * MS, 1100 * MS), GUEST_CLOCK_UNKNOWN);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(one_reading_says_nothing),
                cmocka_unit_test(a_clock_that_moves_runs),
                cmocka_unit_test(a_skipped_tick_is_not_a_pause),
                cmocka_unit_test(a_clock_that_stood_for_a_quarter_second_stands),
                cmocka_unit_test(a_clock_that_never_moved_stands_too),
                cmocka_unit_test(a_resumed_machine_runs_again),
                cmocka_unit_test(a_clock_that_runs_backwards_has_jumped),
                cmocka_unit_test(a_clock_that_gets_ahead_of_the_hosts_has_jumped),
                cmocka_unit_test(a_starved_guest_that_lags_and_catches_up_has_not_jumped),
                cmocka_unit_test(a_machine_restored_while_it_stood_has_jumped),
                cmocka_unit_test(a_clock_at_either_end_of_its_range_is_judged_too),
                cmocka_unit_test(a_machine_that_was_not_looked_at_may_be_behind_but_not_elsewhere),
                cmocka_unit_test(a_reset_forgets_what_was_seen),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
