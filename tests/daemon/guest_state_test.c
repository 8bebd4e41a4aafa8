/* guest_state_test.c - the table over every state and event, and the story of each outage */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "guest_state.h"

#define FOR_EVERY_PAIR(s, e)                                                                       \
        for (int s = 0; s < GUEST_N_STATES; s++)                                                   \
                for (int e = 0; e < GUEST_N_EVENTS; e++)

/* Which of RAM, context and region are held in a state: what the actions must keep true. */
static const struct held {
        int ram, context, region, looking;
} held[GUEST_N_STATES] = {
        [GUEST_ABSENT] = { 0, 0, 0, 0 },
        [GUEST_ATTACHING] = { 1, 0, 0, 0 },
        [GUEST_SEARCHING] = { 1, 1, 0, 0 },
        [GUEST_CONFIRMING] = { 1, 1, 0, 0 },
        [GUEST_STREAMING] = { 1, 1, 1, 1 },
        [GUEST_STALLED] = { 1, 1, 1, 0 },
        [GUEST_STOPPING] = { 0, 0, 0, 0 },
};

/* Run the actions on what is held, as the daemon does; events bring RAM themselves. */
static struct held run(struct held h, enum guest_event event, unsigned actions)
{
        if (event == GUEST_EV_RAM_APPEARED)
                h.ram = 1;
        if (actions & GUEST_DO_STOP_LOOKING)
                h.looking = 0;
        if (actions & GUEST_DO_UNBIND)
                h.region = 0;
        if (actions & GUEST_DO_DROP_CONTEXT) {
                assert_int_equal(h.region, 0);
                h.context = 0;
        }
        if (actions & GUEST_DO_CLOSE_RAM) {
                assert_int_equal(h.context, 0);
                h.ram = 0;
        }
        if (actions & GUEST_DO_TAKE_CONTEXT) {
                assert_int_equal(h.ram, 1);
                assert_int_equal(h.context, 0);
                h.context = 1;
        }
        if (actions & GUEST_DO_TAKE_REGION) {
                assert_int_equal(h.context, 1);
                h.region = 1;
        }
        if (actions & GUEST_DO_LOOK) {
                assert_int_equal(h.region, 1);
                h.looking = 1;
        }
        return h;
}

static void every_pair_leaves_held_what_the_new_state_says(void **state)
{
        (void)state;
        FOR_EVERY_PAIR(s, e)
        {
                struct guest_step step = guest_next(s, e);
                struct held h;

                if (s == GUEST_ABSENT && e != GUEST_EV_RAM_APPEARED)
                        assert_true(step.state == GUEST_ABSENT || step.state == GUEST_STOPPING);
                h = run(held[s],
                        step.actions || step.state != (enum guest_state)s ? e : GUEST_EV_RETRY,
                        step.actions);
                assert_memory_equal(&h, &held[step.state], sizeof(h));
        }
}

static void a_scan_never_outlives_the_state_that_sent_it(void **state)
{
        (void)state;
        FOR_EVERY_PAIR(s, e)
        {
                struct guest_step step = guest_next(s, e);
                int scans = s == GUEST_ATTACHING || s == GUEST_SEARCHING || s == GUEST_STALLED;
                int by_its_result = e == GUEST_EV_ATTACHED || e == GUEST_EV_CANDIDATES;

                if (scans && step.state != (enum guest_state)s && !by_its_result)
                        assert_true(step.actions & GUEST_DO_CANCEL_SCAN);
        }
}

static void an_undefined_pair_keeps_the_state_and_does_nothing(void **state)
{
        struct guest_step step = guest_next(GUEST_ABSENT, GUEST_EV_CONFIRMED);

        (void)state;
        assert_int_equal(step.state, GUEST_ABSENT);
        assert_int_equal(step.actions, 0);
}

static void nothing_leaves_stopping(void **state)
{
        (void)state;
        for (int e = 0; e < GUEST_N_EVENTS; e++) {
                struct guest_step step = guest_next(GUEST_STOPPING, e);

                assert_int_equal(step.state, GUEST_STOPPING);
                assert_int_equal(step.actions, 0);
        }
}

static void a_stop_ends_every_state_and_closes_the_ring(void **state)
{
        (void)state;
        for (int s = 0; s < GUEST_STOPPING; s++) {
                struct guest_step step = guest_next(s, GUEST_EV_STOP);

                assert_int_equal(step.state, GUEST_STOPPING);
                assert_true(step.actions & GUEST_DO_CLOSE_RING);
        }
}

static void lost_ram_leads_to_absent_from_wherever_ram_is_held(void **state)
{
        (void)state;
        for (int s = 0; s < GUEST_STOPPING; s++)
                if (held[s].ram)
                        assert_int_equal(guest_next(s, GUEST_EV_RAM_GONE).state, GUEST_ABSENT);
}

static void an_ended_epoch_leads_to_attaching_from_wherever_one_is_open(void **state)
{
        (void)state;
        for (int s = 0; s < GUEST_STOPPING; s++) {
                if (!held[s].context)
                        continue;
                assert_int_equal(guest_next(s, GUEST_EV_EPOCH_ENDED).state, GUEST_ATTACHING);
                assert_true(guest_next(s, GUEST_EV_EPOCH_ENDED).actions & GUEST_DO_ATTACH);
        }
}

static void a_halted_machine_is_not_read_in_any_state(void **state)
{
        const unsigned reads = GUEST_DO_ATTACH | GUEST_DO_DISCOVER | GUEST_DO_LOOK_AROUND |
                               GUEST_DO_WAIT_HEARTBEAT | GUEST_DO_LOOK;

        (void)state;
        for (int s = 0; s < GUEST_STOPPING; s++) {
                struct guest_step step = guest_next(s, GUEST_EV_HALTED);

                assert_false(step.actions & reads);
                assert_int_not_equal(step.state, GUEST_CONFIRMING);
                assert_int_not_equal(step.state, GUEST_STREAMING);
                if (held[s].ram && s != GUEST_STREAMING)
                        assert_true(step.actions & GUEST_DO_CANCEL_SCAN);
        }
}

static void every_state_but_the_last_waits_for_something(void **state)
{
        /* Each way of coming into a state that has no timer of its own sends out or arms what will lead on. */
        const unsigned leads_on = GUEST_DO_ATTACH | GUEST_DO_DISCOVER | GUEST_DO_LOOK_AROUND |
                                  GUEST_DO_OPEN_RAM | GUEST_DO_RETRY | GUEST_DO_RETRY_LATER |
                                  GUEST_DO_WAIT_HEARTBEAT | GUEST_DO_LOOK;

        (void)state;
        FOR_EVERY_PAIR(s, e)
        {
                struct guest_step step = guest_next(s, e);

                if (step.actions && step.state != GUEST_STOPPING &&
                        step.actions != GUEST_DO_REPORT_RUN)
                        assert_true(step.actions & leads_on);
        }
}

static void a_region_that_stays_silent_changes_no_state_and_is_asked_for_later(void **state)
{
        static const enum guest_state in[] = { GUEST_SEARCHING, GUEST_STALLED };

        (void)state;
        for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
                struct guest_step step = guest_next(in[i], GUEST_EV_STILL_SILENT);

                assert_int_equal(step.state, in[i]);
                assert_int_equal(step.actions, GUEST_DO_RETRY_LATER);
        }
        assert_true(guest_next(GUEST_CONFIRMING, GUEST_EV_NOT_CONFIRMED).actions &
                    GUEST_DO_RETRY_LATER);
}

static void a_clock_that_goes_on_ends_every_long_wait_for_it(void **state)
{
        const unsigned soon = GUEST_DO_DISCOVER | GUEST_DO_WAIT_HEARTBEAT | GUEST_DO_RETRY;

        (void)state;
        for (int s = 0; s < GUEST_STOPPING; s++) {
                struct guest_step step = guest_next(s, GUEST_EV_CLOCK_RUNS);

                assert_int_equal(step.state, s);
                if (s == GUEST_SEARCHING || s == GUEST_CONFIRMING || s == GUEST_STALLED) {
                        assert_true(step.actions & GUEST_DO_RESET_BACKOFF);
                        assert_true(step.actions & soon);
                } else {
                        assert_int_equal(step.actions, 0);
                }
        }
}

struct story {
        const char *name;
        struct {
                enum guest_event event;
                enum guest_state leads_to;
        } step[8];
};

#define END                                                                                        \
        {                                                                                          \
                GUEST_N_EVENTS, GUEST_N_STATES                                                     \
        }

static const struct story stories[] = {
        { "from nothing to frames",
                { { GUEST_EV_RETRY, GUEST_ABSENT }, { GUEST_EV_RAM_APPEARED, GUEST_ATTACHING },
                        { GUEST_EV_ATTACH_FAILED, GUEST_ATTACHING },
                        { GUEST_EV_RETRY, GUEST_ATTACHING }, { GUEST_EV_ATTACHED, GUEST_SEARCHING },
                        { GUEST_EV_CANDIDATES, GUEST_CONFIRMING },
                        { GUEST_EV_CONFIRMED, GUEST_STREAMING }, END } },
        { "a candidate that is dead", { { GUEST_EV_RAM_APPEARED, GUEST_ATTACHING },
                                              { GUEST_EV_ATTACHED, GUEST_SEARCHING },
                                              { GUEST_EV_CANDIDATES, GUEST_CONFIRMING },
                                              { GUEST_EV_NOT_CONFIRMED, GUEST_SEARCHING },
                                              { GUEST_EV_RETRY, GUEST_SEARCHING }, END } },
        { "a machine that stands when it is found, and goes on",
                { { GUEST_EV_RAM_APPEARED, GUEST_ATTACHING },
                        { GUEST_EV_ATTACHED, GUEST_SEARCHING },
                        { GUEST_EV_CANDIDATES, GUEST_CONFIRMING },
                        { GUEST_EV_NOT_CONFIRMED, GUEST_SEARCHING },
                        { GUEST_EV_CLOCK_STOPPED, GUEST_SEARCHING },
                        { GUEST_EV_STILL_SILENT, GUEST_SEARCHING },
                        { GUEST_EV_CLOCK_RUNS, GUEST_SEARCHING }, END } },
        { "a paused machine that goes on",
                { { GUEST_EV_RAM_APPEARED, GUEST_ATTACHING },
                        { GUEST_EV_ATTACHED, GUEST_SEARCHING },
                        { GUEST_EV_CANDIDATES, GUEST_CONFIRMING },
                        { GUEST_EV_CONFIRMED, GUEST_STREAMING },
                        { GUEST_EV_CLOCK_STOPPED, GUEST_STALLED },
                        { GUEST_EV_RETRY, GUEST_STALLED },
                        { GUEST_EV_HEARTBEAT_RETURNED, GUEST_STREAMING }, END } },
        { "a producer that restarts", { { GUEST_EV_RAM_APPEARED, GUEST_ATTACHING },
                                              { GUEST_EV_ATTACHED, GUEST_SEARCHING },
                                              { GUEST_EV_CANDIDATES, GUEST_CONFIRMING },
                                              { GUEST_EV_CONFIRMED, GUEST_STREAMING },
                                              { GUEST_EV_READ_FAILED, GUEST_SEARCHING },
                                              { GUEST_EV_CANDIDATES, GUEST_CONFIRMING },
                                              { GUEST_EV_CONFIRMED, GUEST_STREAMING }, END } },
        { "a reset into other pages while the old ones stand",
                { { GUEST_EV_RAM_APPEARED, GUEST_ATTACHING },
                        { GUEST_EV_ATTACHED, GUEST_SEARCHING },
                        { GUEST_EV_CANDIDATES, GUEST_CONFIRMING },
                        { GUEST_EV_CONFIRMED, GUEST_STREAMING },
                        { GUEST_EV_CLOCK_STOPPED, GUEST_STALLED },
                        { GUEST_EV_RETRY, GUEST_STALLED }, { GUEST_EV_ATTACHED, GUEST_SEARCHING },
                        END } },
        { "a machine that QEMU pauses and resets",
                { { GUEST_EV_RAM_APPEARED, GUEST_ATTACHING }, { GUEST_EV_HALTED, GUEST_ATTACHING },
                        { GUEST_EV_RETRY, GUEST_ATTACHING }, { GUEST_EV_ATTACHED, GUEST_SEARCHING },
                        { GUEST_EV_HALTED, GUEST_SEARCHING },
                        { GUEST_EV_EPOCH_ENDED, GUEST_ATTACHING },
                        { GUEST_EV_EPOCH_ENDED, GUEST_ATTACHING }, END } },
        { "a silent producer beside one that lives",
                { { GUEST_EV_RAM_APPEARED, GUEST_ATTACHING },
                        { GUEST_EV_ATTACHED, GUEST_SEARCHING },
                        { GUEST_EV_CANDIDATES, GUEST_CONFIRMING },
                        { GUEST_EV_CONFIRMED, GUEST_STREAMING },
                        { GUEST_EV_HEARTBEAT_LOST, GUEST_STALLED },
                        { GUEST_EV_CANDIDATES, GUEST_STALLED },
                        { GUEST_EV_CONFIRMED, GUEST_STREAMING }, END } },
};

static void each_outage_reads_as_its_story(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
                enum guest_state now = GUEST_ABSENT;
                struct held h = held[now];

                for (size_t k = 0; stories[i].step[k].event != GUEST_N_EVENTS; k++) {
                        enum guest_event event = stories[i].step[k].event;
                        struct guest_step step = guest_next(now, event);

                        if (step.state != stories[i].step[k].leads_to)
                                fail_msg("%s: %s on %s leads to %s", stories[i].name,
                                        guest_state_name(now), guest_event_name(event),
                                        guest_state_name(step.state));
                        h = run(h, event, step.actions);
                        now = step.state;
                }
                assert_memory_equal(&h, &held[now], sizeof(h));
        }
}

static void every_state_and_event_has_a_name_of_its_own(void **state)
{
        (void)state;
        for (int i = 0; i < GUEST_N_STATES; i++)
                for (int k = 0; k < i; k++)
                        assert_string_not_equal(guest_state_name(i), guest_state_name(k));
        for (int i = 0; i < GUEST_N_EVENTS; i++)
                for (int k = 0; k < i; k++)
                        assert_string_not_equal(guest_event_name(i), guest_event_name(k));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_pair_leaves_held_what_the_new_state_says),
                cmocka_unit_test(a_scan_never_outlives_the_state_that_sent_it),
                cmocka_unit_test(an_undefined_pair_keeps_the_state_and_does_nothing),
                cmocka_unit_test(nothing_leaves_stopping),
                cmocka_unit_test(a_stop_ends_every_state_and_closes_the_ring),
                cmocka_unit_test(lost_ram_leads_to_absent_from_wherever_ram_is_held),
                cmocka_unit_test(an_ended_epoch_leads_to_attaching_from_wherever_one_is_open),
                cmocka_unit_test(a_halted_machine_is_not_read_in_any_state),
                cmocka_unit_test(every_state_but_the_last_waits_for_something),
                cmocka_unit_test(
                        a_region_that_stays_silent_changes_no_state_and_is_asked_for_later),
                cmocka_unit_test(a_clock_that_goes_on_ends_every_long_wait_for_it),
                cmocka_unit_test(each_outage_reads_as_its_story),
                cmocka_unit_test(every_state_and_event_has_a_name_of_its_own),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
