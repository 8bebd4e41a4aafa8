/*
 * progress_test.c - who is stuck, by what counts and times say
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "progress.h"

#define S UINT64_C(1000000000)

/* One check of one actor, @after_s behind the one before. */
struct check {
        unsigned after_s;
        uint64_t count;
        bool due;
        bool stuck;
};

struct story {
        const char *name;
        enum progress_actor actor;
        struct check check[24];
        size_t n;
};

#define CHECKS(...)                                                                                \
        .check = { __VA_ARGS__ },                                                                  \
        .n = sizeof((struct check[]){ __VA_ARGS__ }) / sizeof(struct check)

/* clang-format off */
static const struct story stories[] = {
        { .name = "the first check knows nothing", .actor = PROGRESS_TICK,
          CHECKS({ 100, 7, true, false }) },
        { .name = "who goes on is not stuck, however long", .actor = PROGRESS_LOOK,
          CHECKS({ 1, 1, true, false }, { 2, 2, true, false }, { 2, 3, true, false }, { 2, 4, true, false },
                 { 2, 5, true, false }, { 2, 6, true, false }) },
        { .name = "who is quiet past the bound is", .actor = PROGRESS_LOOK,
          CHECKS({ 1, 9, true, false }, { 1, 9, true, false }, { 1, 9, true, false }, { 1, 9, true, false },
                 { 1, 9, true, false }, { 1, 9, true, false }, { 1, 9, true, true }, { 1, 9, true, true }) },
        { .name = "and no more once it goes on", .actor = PROGRESS_TICK,
          CHECKS({ 1, 9, true, false }, { 2, 9, true, false }, { 2, 9, true, false }, { 2, 9, true, true },
                 { 2, 10, true, false }, { 2, 10, true, false }, { 2, 10, true, false }, { 2, 10, true, true }) },
        { .name = "a count may go down, or around", .actor = PROGRESS_PULSE,
          CHECKS({ 1, UINT64_MAX, true, false }, { 2, 0, true, false }, { 2, UINT64_MAX, true, false },
                 { 2, 3, true, false }, { 2, 2, true, false }) },
        { .name = "who has nothing to do may be quiet for ever", .actor = PROGRESS_LOOK,
          CHECKS({ 1, 9, false, false }, { 2, 9, false, false }, { 2, 9, false, false }, { 2, 9, false, false },
                 { 2, 9, false, false }) },
        { .name = "whose turn has just come has all its time", .actor = PROGRESS_LOOK,
          CHECKS({ 1, 9, false, false }, { 2, 9, false, false }, { 2, 9, false, false }, { 2, 9, false, false },
                 { 2, 9, true, false }, { 2, 9, true, false }, { 2, 9, true, false }, { 2, 9, true, true }) },
        { .name = "a turn that ends makes it begin anew", .actor = PROGRESS_TICK,
          CHECKS({ 1, 9, true, false }, { 2, 9, true, false }, { 2, 9, true, false }, { 1, 9, false, false },
                 { 2, 9, true, false }, { 2, 9, true, false }, { 2, 9, true, false }, { 2, 9, true, true }) },
        { .name = "a process that was stopped for a day was not quiet for a day", .actor = PROGRESS_TICK,
          CHECKS({ 1, 9, true, false }, { 86400, 9, true, false }, { 86400, 9, true, false },
                 { 1, 10, true, false }) },
        { .name = "but quiet in all that is seen of it", .actor = PROGRESS_TICK,
          CHECKS({ 1, 9, true, false }, { 86400, 9, true, false }, { 86400, 9, true, false },
                 { 86400, 9, true, true }) },
        { .name = "a search has longer", .actor = PROGRESS_STEP,
          CHECKS({ 1, 9, true, false }, { 2, 9, true, false }, { 2, 9, true, false }, { 2, 9, true, false },
                 { 2, 9, true, false }, { 2, 9, true, false }, { 2, 9, true, true }) },
};
/* clang-format on */

static void each_story_ends_as_told(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
                const struct story *story = &stories[i];
                struct progress p = { 0 };
                uint64_t now_ns = S;

                for (size_t k = 0; k < story->n; k++) {
                        const struct check *c = &story->check[k];
                        struct progress_report report = { 0 };
                        unsigned stuck;

                        now_ns += c->after_s * S;
                        report.actor[story->actor].count = c->count;
                        report.actor[story->actor].due = c->due;
                        stuck = progress_check(&p, &report, now_ns);
                        if (stuck != (c->stuck ? 1u << story->actor : 0))
                                fail_msg("%s: check %zu says %#x", story->name, k, stuck);
                }
        }
}

static void each_actor_is_judged_for_itself(void **state)
{
        (void)state;
        for (unsigned quiet = 0; quiet < 1u << PROGRESS_N_ACTORS; quiet++) {
                struct progress_report report = { 0 };
                struct progress p = { 0 };
                unsigned stuck = 0;

                for (uint64_t at = 1; at < 40; at++) {
                        for (int i = 0; i < PROGRESS_N_ACTORS; i++) {
                                report.actor[i].due = true;
                                report.actor[i].count += !(quiet & 1u << i);
                        }
                        stuck = progress_check(&p, &report, at * S);
                }
                assert_int_equal(stuck, quiet);
        }
}

/* Less, and a busy host is a stuck daemon; more, and clients have given up long before. */
static void bounds_are_seconds_and_actors_have_names(void **state)
{
        (void)state;
        for (int i = 0; i < PROGRESS_N_ACTORS; i++) {
                assert_true(progress_bound_ns(i) >= 5 * S && progress_bound_ns(i) <= 30 * S);
                assert_non_null(progress_actor_name(i));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_story_ends_as_told),
                cmocka_unit_test(each_actor_is_judged_for_itself),
                cmocka_unit_test(bounds_are_seconds_and_actors_have_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
