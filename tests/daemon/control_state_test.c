/* control_state_test.c - the table over every state and event, and its stories */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "control_state.h"

#define FOR_EVERY_PAIR(s, e)                                                                       \
        for (int s = 0; s < CONTROL_N_STATES; s++)                                                 \
                for (int e = 0; e < CONTROL_N_EVENTS; e++)

/* What is under way in a state: an answer awaited, a back-off running, a region there. */
static const struct held {
        int answer, backoff, region;
} held[CONTROL_N_STATES] = {
        [CONTROL_AWAY] = { 0, 0, 0 },
        [CONTROL_IDLE] = { 0, 0, 1 },
        [CONTROL_WAITING] = { 0, 0, 1 },
        [CONTROL_SENT] = { 1, 0, 1 },
        [CONTROL_OUTDATED] = { 1, 0, 1 },
        [CONTROL_RESTING] = { 0, 1, 1 },
        [CONTROL_WRITTEN] = { 0, 0, 1 },
        [CONTROL_APPLIED] = { 0, 0, 1 },
        [CONTROL_GIVEN_UP] = { 0, 0, 1 },
};

/* Can the daemon post it there at all? A timer that does not run, an answer nobody waits for, cannot come. */
static int can_come(int s, int e)
{
        switch (e) {
        case CONTROL_EV_BOUND:
                return !held[s].region;
        case CONTROL_EV_DONE:
        case CONTROL_EV_FAILED:
        case CONTROL_EV_EXHAUSTED:
                return held[s].answer;
        case CONTROL_EV_HELD_BACK:
                return s == CONTROL_SENT;
        case CONTROL_EV_RETRY:
                return held[s].backoff;
        default:
                return 1;
        }
}

static struct held run(struct held h, int event, unsigned actions)
{
        if (event == CONTROL_EV_BOUND)
                h.region = 1;
        if (event == CONTROL_EV_UNBOUND)
                h.region = 0;
        if (event == CONTROL_EV_DONE || event == CONTROL_EV_FAILED ||
                event == CONTROL_EV_EXHAUSTED || event == CONTROL_EV_HELD_BACK)
                h.answer = 0;
        if (event == CONTROL_EV_RETRY)
                h.backoff = 0;
        if (actions & CONTROL_DO_FORGET)
                h.answer = h.backoff = 0;
        if (actions & CONTROL_DO_ARM_RETRY) {
                assert_int_equal(h.answer, 0);
                h.backoff = 1;
        }
        if (actions & CONTROL_DO_SEND) {
                /* one at a time, and only where there is something to write to */
                assert_int_equal(h.answer, 0);
                assert_int_equal(h.backoff, 0);
                assert_int_equal(h.region, 1);
                h.answer = 1;
        }
        return h;
}

static void every_pair_leaves_under_way_what_the_new_state_says(void **state)
{
        (void)state;
        FOR_EVERY_PAIR(s, e)
        {
                struct control_step step = control_next(s, e);
                struct held h;

                assert_true(step.state < CONTROL_N_STATES);
                if (!can_come(s, e))
                        continue;
                h = run(held[s], e, step.actions);
                if (memcmp(&h, &held[step.state], sizeof(h)) != 0)
                        fail_msg("%s in %s leads to %s", control_event_name(e),
                                control_state_name(s), control_state_name(step.state));
        }
}

static void what_cannot_come_changes_nothing(void **state)
{
        (void)state;
        FOR_EVERY_PAIR(s, e)
        {
                struct control_step step = control_next(s, e);

                if (can_come(s, e) || e == CONTROL_EV_HELD_BACK)
                        continue;
                assert_int_equal(step.state, s);
                assert_int_equal(step.actions, 0);
        }
}

static void a_region_that_goes_ends_everything_in_every_state(void **state)
{
        (void)state;
        for (int s = CONTROL_IDLE; s < CONTROL_N_STATES; s++) {
                struct control_step step = control_next(s, CONTROL_EV_UNBOUND);

                assert_int_equal(step.state, CONTROL_AWAY);
                assert_true(step.actions & CONTROL_DO_FORGET);
                assert_false(step.actions & CONTROL_DO_SEND);
        }
}

static void what_was_sent_is_kept_when_it_is_done_and_only_then(void **state)
{
        (void)state;
        FOR_EVERY_PAIR(s, e)
        {
                unsigned keeps = control_next(s, e).actions & CONTROL_DO_KEEP;

                assert_int_equal(keeps != 0, held[s].answer && e == CONTROL_EV_DONE);
        }
}

static void nothing_is_tried_again_without_a_change_or_a_back_off(void **state)
{
        (void)state;
        for (int s = 0; s < CONTROL_N_STATES; s++) {
                assert_false(control_next(s, CONTROL_EV_FAILED).actions & CONTROL_DO_SEND);
                assert_false(control_next(s, CONTROL_EV_EXHAUSTED).actions & CONTROL_DO_SEND);
                assert_false(control_next(s, CONTROL_EV_HELD_BACK).actions & CONTROL_DO_SEND);
                assert_false(control_next(s, CONTROL_EV_WRITER_GONE).actions & CONTROL_DO_SEND);
        }
}

static void tries_are_counted_on_from_one_to_the_next(void **state)
{
        (void)state;
        assert_false(control_next(CONTROL_SENT, CONTROL_EV_FAILED).actions & CONTROL_DO_FORGIVE);
        assert_false(control_next(CONTROL_RESTING, CONTROL_EV_RETRY).actions & CONTROL_DO_FORGIVE);
        assert_true(control_next(CONTROL_SENT, CONTROL_EV_DONE).actions & CONTROL_DO_FORGIVE);
        assert_true(control_next(CONTROL_GIVEN_UP, CONTROL_EV_WANTED).actions & CONTROL_DO_FORGIVE);
}

/* Follow events from a state; each must lead where it is said to. */
struct turn {
        enum control_event event;
        enum control_state to;
};

static void follow(enum control_state from, const struct turn *turns, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                from = control_next(from, turns[i].event).state;
                assert_string_equal(control_state_name(from), control_state_name(turns[i].to));
        }
}

#define FOLLOW(from, ...)                                                                          \
        do {                                                                                       \
                const struct turn turns[] = { __VA_ARGS__ };                                       \
                follow((from), turns, sizeof(turns) / sizeof(turns[0]));                           \
        } while (0)

static void the_story_of_an_intent(void **state)
{
        (void)state;
        FOLLOW(CONTROL_AWAY, { CONTROL_EV_WANTED, CONTROL_AWAY },
                { CONTROL_EV_BOUND, CONTROL_IDLE }, { CONTROL_EV_WANTED, CONTROL_SENT },
                { CONTROL_EV_DONE, CONTROL_WRITTEN }, { CONTROL_EV_ACKED, CONTROL_APPLIED },
                { CONTROL_EV_SETTLED, CONTROL_IDLE });
}

static void the_story_of_a_mind_that_changes(void **state)
{
        (void)state;
        FOLLOW(CONTROL_SENT, { CONTROL_EV_WANTED, CONTROL_OUTDATED },
                { CONTROL_EV_WANTED, CONTROL_OUTDATED }, { CONTROL_EV_DONE, CONTROL_SENT },
                { CONTROL_EV_DONE, CONTROL_WRITTEN }, { CONTROL_EV_WANTED, CONTROL_SENT });
}

static void the_story_of_a_writer_that_dies(void **state)
{
        (void)state;
        FOLLOW(CONTROL_SENT, { CONTROL_EV_WRITER_GONE, CONTROL_WAITING },
                { CONTROL_EV_WANTED, CONTROL_WAITING }, { CONTROL_EV_WRITER_CAME, CONTROL_SENT },
                { CONTROL_EV_HELD_BACK, CONTROL_WAITING }, { CONTROL_EV_WRITER_CAME, CONTROL_SENT },
                { CONTROL_EV_DONE, CONTROL_WRITTEN }, { CONTROL_EV_WRITER_GONE, CONTROL_WRITTEN },
                { CONTROL_EV_WRITER_CAME, CONTROL_SENT });
}

static void the_story_of_a_guest_that_stands_still(void **state)
{
        (void)state;
        FOLLOW(CONTROL_SENT, { CONTROL_EV_HELD_BACK, CONTROL_WAITING },
                { CONTROL_EV_RESUMED, CONTROL_SENT }, { CONTROL_EV_RESUMED, CONTROL_SENT },
                { CONTROL_EV_DONE, CONTROL_WRITTEN }, { CONTROL_EV_RESUMED, CONTROL_WRITTEN });
}

static void the_story_of_a_writer_that_cannot(void **state)
{
        (void)state;
        FOLLOW(CONTROL_SENT, { CONTROL_EV_FAILED, CONTROL_RESTING },
                { CONTROL_EV_WANTED, CONTROL_RESTING }, { CONTROL_EV_RETRY, CONTROL_SENT },
                { CONTROL_EV_EXHAUSTED, CONTROL_GIVEN_UP }, { CONTROL_EV_RETRY, CONTROL_GIVEN_UP },
                { CONTROL_EV_WANTED, CONTROL_SENT });
}

static void every_state_and_event_has_a_name(void **state)
{
        (void)state;
        for (int s = 0; s < CONTROL_N_STATES; s++)
                assert_non_null(control_state_name(s));
        for (int e = 0; e < CONTROL_N_EVENTS; e++)
                assert_non_null(control_event_name(e));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_pair_leaves_under_way_what_the_new_state_says),
                cmocka_unit_test(what_cannot_come_changes_nothing),
                cmocka_unit_test(a_region_that_goes_ends_everything_in_every_state),
                cmocka_unit_test(what_was_sent_is_kept_when_it_is_done_and_only_then),
                cmocka_unit_test(nothing_is_tried_again_without_a_change_or_a_back_off),
                cmocka_unit_test(tries_are_counted_on_from_one_to_the_next),
                cmocka_unit_test(the_story_of_an_intent),
                cmocka_unit_test(the_story_of_a_mind_that_changes),
                cmocka_unit_test(the_story_of_a_writer_that_dies),
                cmocka_unit_test(the_story_of_a_guest_that_stands_still),
                cmocka_unit_test(the_story_of_a_writer_that_cannot),
                cmocka_unit_test(every_state_and_event_has_a_name),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
