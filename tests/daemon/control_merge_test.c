/* control_merge_test.c - the rule of docs/protocol.md, "Intents", case by case, and in every order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "control_merge.h"

#define ST VGPU_INTENT_STATE
#define FP VGPU_INTENT_FPS
#define CU VGPU_INTENT_CURSOR
#define FR VGPU_INTENT_FRAME

#define MAX_CLIENTS 4

struct asked {
        uint32_t fields, state, fps, draw_cursor;
};

struct merge_case {
        const char *name;
        size_t n;
        struct asked client[MAX_CLIENTS];
        uint32_t n_asking, state, fps, draw_cursor;
};

/* clang-format off */
static const struct merge_case cases[] = {
        { "nobody", 0, { { 0 } }, 0, VGPU_CMD_NONE, 0, 0 },
        { "one who asks for nothing", 1, { { 0, VGPU_CMD_RUN, 60, 1 } }, 0, VGPU_CMD_NONE, 0, 0 },
        { "run", 1, { { ST, VGPU_CMD_RUN, 60, 1 } }, 1, VGPU_CMD_RUN, 0, 0 },
        { "pause", 1, { { ST, VGPU_CMD_PAUSE, 0, 0 } }, 1, VGPU_CMD_PAUSE, 0, 0 },
        { "run over pause", 2, { { ST, VGPU_CMD_RUN, 0, 0 }, { ST, VGPU_CMD_PAUSE, 0, 0 } }, 2, VGPU_CMD_RUN, 0, 0 },
        { "run over stop", 2, { { ST, VGPU_CMD_STOP, 0, 0 }, { ST, VGPU_CMD_RUN, 0, 0 } }, 2, VGPU_CMD_RUN, 0, 0 },
        { "pause over stop", 2, { { ST, VGPU_CMD_STOP, 0, 0 }, { ST, VGPU_CMD_PAUSE, 0, 0 } }, 2, VGPU_CMD_PAUSE, 0, 0 },
        { "stop over none", 2, { { ST, VGPU_CMD_NONE, 0, 0 }, { ST, VGPU_CMD_STOP, 0, 0 } }, 2, VGPU_CMD_STOP, 0, 0 },
        { "none counts as asking, for the defaults", 1, { { ST, VGPU_CMD_NONE, 0, 0 } }, 1, VGPU_CMD_NONE, 0, 0 },
        { "an unknown state says nothing", 2, { { ST, 77, 0, 0 }, { ST, VGPU_CMD_STOP, 0, 0 } }, 2, VGPU_CMD_STOP, 0, 0 },
        { "a state that is not a field says nothing", 2, { { FP, VGPU_CMD_RUN, 5, 0 }, { ST, VGPU_CMD_PAUSE, 9, 0 } },
                2, VGPU_CMD_PAUSE, 5, 0 },
        { "the largest rate", 3, { { FP, 0, 30, 0 }, { FP, 0, 144, 0 }, { FP, 0, 60, 0 } }, 3, VGPU_CMD_NONE, 144, 0 },
        { "a number over the default", 2, { { FP, 0, 0, 0 }, { FP, 0, 15, 0 } }, 2, VGPU_CMD_NONE, 15, 0 },
        { "the default when nobody names a number", 2, { { FP, 0, 0, 0 }, { ST, VGPU_CMD_RUN, 15, 0 } },
                2, VGPU_CMD_RUN, 0, 0 },
        { "the largest there is", 2, { { FP, 0, UINT32_MAX, 0 }, { FP, 0, 1, 0 } }, 2, VGPU_CMD_NONE, UINT32_MAX, 0 },
        { "a cursor that one wants", 1, { { CU, 0, 0, 1 } }, 1, VGPU_CMD_NONE, 0, 1 },
        { "a cursor that all want who say something", 3, { { CU, 0, 0, 1 }, { ST, VGPU_CMD_RUN, 0, 0 }, { CU, 0, 0, 1 } },
                3, VGPU_CMD_RUN, 0, 1 },
        { "a cursor that one does not want", 3, { { CU, 0, 0, 1 }, { CU, 0, 0, 0 }, { CU, 0, 0, 1 } },
                3, VGPU_CMD_NONE, 0, 0 },
        { "any other number wants a cursor", 1, { { CU, 0, 0, 7 } }, 1, VGPU_CMD_NONE, 0, 1 },
        { "a frame alone asks and changes nothing", 1, { { FR, VGPU_CMD_STOP, 1, 1 } }, 1, VGPU_CMD_NONE, 0, 0 },
        { "an unknown field alone asks for nothing", 1, { { 1u << 31, VGPU_CMD_RUN, 9, 1 } }, 0, VGPU_CMD_NONE, 0, 0 },
        { "everything from everybody", 4,
                { { ST | FP | CU | FR, VGPU_CMD_PAUSE, 10, 1 }, { ST | FP | CU, VGPU_CMD_RUN, 24, 1 },
                  { ST | CU, VGPU_CMD_STOP, 99, 1 }, { FP, VGPU_CMD_STOP, 12, 0 } }, 4, VGPU_CMD_RUN, 24, 1 },
};
/* clang-format on */

static void add(struct control_merge *m, const struct asked *a)
{
        control_merge_add(m, &(struct vgpu_msg_intent){
                                     .fields = a->fields,
                                     .state = a->state,
                                     .fps = a->fps,
                                     .draw_cursor = a->draw_cursor,
                             });
}

static void check(const struct merge_case *c, const size_t *order)
{
        struct control_merge m = CONTROL_MERGE_NONE;

        for (size_t i = 0; i < c->n; i++)
                add(&m, &c->client[order[i]]);
        if (m.n_asking != c->n_asking || m.state != c->state || m.fps != c->fps ||
                m.draw_cursor != c->draw_cursor)
                fail_msg("%s: %u asking, state %u, fps %u, cursor %u", c->name, m.n_asking, m.state,
                        m.fps, m.draw_cursor);
}

static void swap(size_t *a, size_t *b)
{
        size_t kept = *a;

        *a = *b;
        *b = kept;
}

/* Every order of the first @n, each of them last in turn. */
static void check_orders(const struct merge_case *c, size_t *order, size_t n)
{
        if (n <= 1) {
                check(c, order);
                return;
        }
        for (size_t i = 0; i < n; i++) {
                swap(&order[i], &order[n - 1]);
                check_orders(c, order, n - 1);
                swap(&order[i], &order[n - 1]);
        }
}

static void every_case_merges_as_the_rule_says_in_every_order(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                size_t order[MAX_CLIENTS] = { 0, 1, 2, 3 };

                check_orders(&cases[i], order, cases[i].n);
        }
}

static void a_result_is_the_merge_with_the_count_of_frames(void **state)
{
        struct control_merge m = CONTROL_MERGE_NONE;
        vgpup_control_intent intent;

        (void)state;
        add(&m, &(struct asked){ ST | FP | CU, VGPU_CMD_RUN, 30, 1 });
        intent = control_merge_result(&m, 41);
        assert_int_equal(intent.desired_state, VGPU_CMD_RUN);
        assert_int_equal(intent.target_fps, 30);
        assert_int_equal(intent.draw_cursor, 1);
        assert_int_equal(intent.full_frame_req, 41);
        assert_false(control_merge_differs(&m, &intent));
        intent.full_frame_req = 7; /* an edge, not something that stands */
        assert_false(control_merge_differs(&m, &intent));
        intent.target_fps = 31;
        assert_true(control_merge_differs(&m, &intent));
}

static void nobody_is_the_defaults(void **state)
{
        const struct control_merge none = CONTROL_MERGE_NONE;
        const vgpup_control_intent untouched = { 0 };

        (void)state;
        assert_false(control_merge_differs(&none, &untouched));
        assert_true(control_merge_differs(
                &none, &(vgpup_control_intent){ .desired_state = VGPU_CMD_PAUSE }));
}

static void requests_between_two_writes_are_one_frame(void **state)
{
        (void)state;
        assert_int_equal(control_frame_next(5, false), 5);
        assert_int_equal(control_frame_next(5, true), 6);
        assert_int_equal(control_frame_next(UINT32_MAX, true), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_case_merges_as_the_rule_says_in_every_order),
                cmocka_unit_test(a_result_is_the_merge_with_the_count_of_frames),
                cmocka_unit_test(nobody_is_the_defaults),
                cmocka_unit_test(requests_between_two_writes_are_one_frame),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
