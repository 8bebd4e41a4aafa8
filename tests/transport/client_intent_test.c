/*
 * client_intent_test.c - what a client wants of the producer: sent, told of, sent again
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "message.h"
#include "relay.h"
#include "stage.h"

static const struct vgpu_client_intent slow = {
        .fields = VGPU_INTENT_FPS | VGPU_INTENT_CURSOR, .fps = 10, .draw_cursor = 1
};

static struct vgpu_client *begin(struct stage *s, const struct vgpu_client_options *options)
{
        struct vgpu_client *c;

        stage_start(s);
        c = stage_client(s, options);
        stage_connect(s, c);
        return c;
}

static void end(struct stage *s, struct vgpu_client *c)
{
        vgpu_client_close(c);
        stage_stop(s);
}

static struct vgpu_msg_intent take(struct stage *s)
{
        struct vgpu_msg_intent msg;

        assert_true(stage_receive(s, VGPU_MSG_INTENT, &msg, sizeof(msg)));
        return msg;
}

static bool none_came(struct stage *s)
{
        struct vgpu_msg_intent msg;

        return !stage_receive(s, VGPU_MSG_INTENT, &msg, sizeof(msg));
}

static void answer(struct stage *s, uint32_t cookie, int error, uint32_t gen, uint32_t full_frame)
{
        struct vgpu_msg_intent_state msg = {
                .header = message_header(VGPU_MSG_INTENT_STATE, sizeof(msg)),
                .cookie = cookie,
                .error = error,
                .written = gen != 0,
                .ctrl_gen = gen,
                .full_frame = full_frame,
        };

        stage_send(s, &msg, sizeof(msg));
}

static struct vgpu_client_intent_state state_of(struct vgpu_client *c)
{
        struct vgpu_client_intent_state now;

        vgpu_client_intent_state(c, &now);
        return now;
}

static void an_intent_is_followed_until_the_producer_has_it(void **state)
{
        struct vgpu_msg_intent msg;
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        c = begin(&s, NULL);
        assert_int_equal(state_of(c).progress, VGPU_CLIENT_INTENT_NONE);
        assert_int_equal(vgpu_client_set_intent(c, &slow), 0);
        assert_int_equal(state_of(c).progress, VGPU_CLIENT_INTENT_SENT);
        msg = take(&s);
        assert_int_equal(msg.fields, slow.fields);
        assert_int_equal(msg.fps, 10);
        assert_int_equal(msg.draw_cursor, 1);

        answer(&s, msg.cookie, -ENOTCONN, 0, 0);
        assert_true(vgpu_client_dispatch(c) & VGPU_CLIENT_INTENT);
        assert_int_equal(state_of(c).progress, VGPU_CLIENT_INTENT_TAKEN);
        assert_int_equal(state_of(c).error, -ENOTCONN);

        answer(&s, msg.cookie, 0, 6, 1);
        ring_set_status(s.ring, &(struct vgpu_ring_status){ .ctrl_ack = 4, .ctrl_gen = 6 });
        assert_true(vgpu_client_dispatch(c) & VGPU_CLIENT_INTENT);
        assert_int_equal(state_of(c).progress, VGPU_CLIENT_INTENT_WRITTEN);
        assert_int_equal(state_of(c).error, 0);

        ring_set_status(s.ring, &(struct vgpu_ring_status){ .ctrl_ack = 6, .ctrl_gen = 6 });
        assert_true(vgpu_client_dispatch(c) & VGPU_CLIENT_INTENT);
        assert_int_equal(state_of(c).progress, VGPU_CLIENT_INTENT_APPLIED);
        assert_int_equal(vgpu_client_dispatch(c) & VGPU_CLIENT_INTENT, 0);
        end(&s, c);
}

static void an_acknowledgement_wakes_whoever_waits_for_it(void **state)
{
        struct vgpu_client_options options = { .interest = VGPU_CLIENT_FRAME };
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        c = begin(&s, &options);
        assert_int_equal(s.page->interest, VGPU_CHANGE_FRAME);
        vgpu_client_set_intent(c, &slow);
        answer(&s, take(&s).cookie, 0, 2, 0);
        vgpu_client_dispatch(c);
        assert_int_equal(s.page->interest, VGPU_CHANGE_FRAME | VGPU_CHANGE_STATUS);
        ring_set_status(s.ring, &(struct vgpu_ring_status){ .ctrl_ack = 2 });
        assert_int_equal(vgpu_client_dispatch(c), VGPU_CLIENT_INTENT);
        vgpu_client_dispatch(c);
        assert_int_equal(s.page->interest, VGPU_CHANGE_FRAME);
        end(&s, c);
}

static void a_refusal_says_why(void **state)
{
        static const int errors[] = { -EACCES, -EOPNOTSUPP, -EINVAL, -EIO };
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        c = begin(&s, NULL);
        for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
                vgpu_client_set_intent(c, &slow);
                answer(&s, take(&s).cookie, errors[i], 0, 0);
                assert_true(vgpu_client_dispatch(c) & VGPU_CLIENT_INTENT);
                assert_int_equal(state_of(c).progress, VGPU_CLIENT_INTENT_REFUSED);
                assert_int_equal(state_of(c).error, errors[i]);
        }
        end(&s, c);
}

static void what_cannot_be_meant_is_not_sent(void **state)
{
        static const struct vgpu_client_intent wrong[] = {
                { .fields = 16 },
                { .fields = VGPU_INTENT_STATE, .state = 4 },
                { .fields = VGPU_INTENT_CURSOR, .draw_cursor = 2 },
        };
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        c = begin(&s, NULL);
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
                assert_int_equal(vgpu_client_set_intent(c, &wrong[i]), -EINVAL);
        assert_true(none_came(&s));
        assert_int_equal(state_of(c).progress, VGPU_CLIENT_INTENT_NONE);
        end(&s, c);
}

static void news_of_an_intent_before_is_old_news(void **state)
{
        struct vgpu_client *c;
        struct stage s;
        uint32_t first;

        (void)state;
        c = begin(&s, NULL);
        vgpu_client_set_intent(c, &slow);
        first = take(&s).cookie;
        vgpu_client_set_intent(c, &slow);
        answer(&s, first, -EACCES, 0, 0);
        assert_int_equal(vgpu_client_dispatch(c) & VGPU_CLIENT_INTENT, 0);
        assert_int_equal(state_of(c).progress, VGPU_CLIENT_INTENT_SENT);
        end(&s, c);
}

static void an_intent_stands_for_the_next_daemon_too(void **state)
{
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        c = begin(&s, NULL);
        vgpu_client_set_intent(c, &slow);
        answer(&s, take(&s).cookie, 0, 2, 0);
        vgpu_client_dispatch(c);
        stage_die(&s);
        assert_true(vgpu_client_wait(c, -1) & VGPU_CLIENT_INTENT);
        assert_int_equal(state_of(c).progress, VGPU_CLIENT_INTENT_SENT);
        stage_connect(&s, c);
        assert_int_equal(take(&s).fields, slow.fields);
        assert_true(none_came(&s));
        end(&s, c);
}

static void a_whole_frame_is_asked_for_once(void **state)
{
        struct vgpu_client_intent both = slow, frame = { .fields = VGPU_INTENT_FRAME };
        struct vgpu_msg_intent msg;
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        both.fields |= VGPU_INTENT_FRAME;
        c = begin(&s, NULL);
        vgpu_client_set_intent(c, &both);
        msg = take(&s);
        assert_int_equal(msg.fields, both.fields);
        answer(&s, msg.cookie, 0, 2, 5);
        ring_set_status(s.ring, &(struct vgpu_ring_status){ .ctrl_ack = 2, .full_frame_ack = 4 });
        vgpu_client_dispatch(c);
        assert_int_equal(state_of(c).progress, VGPU_CLIENT_INTENT_WRITTEN);
        ring_set_status(s.ring, &(struct vgpu_ring_status){ .ctrl_ack = 2, .full_frame_ack = 5 });
        vgpu_client_dispatch(c);
        assert_int_equal(state_of(c).progress, VGPU_CLIENT_INTENT_APPLIED);

        stage_die(&s);
        stage_connect(&s, c);
        assert_int_equal(take(&s).fields, slow.fields);

        vgpu_client_set_intent(c, &frame);
        assert_int_equal(take(&s).fields, VGPU_INTENT_FRAME);
        stage_die(&s);
        stage_connect(&s, c);
        assert_true(none_came(&s));
        assert_int_equal(state_of(c).progress, VGPU_CLIENT_INTENT_NONE);
        end(&s, c);
}

static void what_is_asked_for_without_a_daemon_is_asked_for_later(void **state)
{
        struct vgpu_client_intent frame = { .fields = VGPU_INTENT_FRAME };
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        stage_start(&s);
        c = stage_client(&s, NULL);
        assert_int_equal(vgpu_client_set_intent(c, &frame), 0);
        assert_int_equal(state_of(c).progress, VGPU_CLIENT_INTENT_SENT);
        stage_connect(&s, c);
        assert_int_equal(take(&s).fields, VGPU_INTENT_FRAME);
        end(&s, c);
}

static void an_intent_can_be_withdrawn(void **state)
{
        struct vgpu_client_intent nothing = { .fields = 0 };
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        c = begin(&s, NULL);
        vgpu_client_set_intent(c, &slow);
        take(&s);
        vgpu_client_set_intent(c, &nothing);
        assert_int_equal(state_of(c).progress, VGPU_CLIENT_INTENT_NONE);
        assert_int_equal(take(&s).fields, 0);
        stage_die(&s);
        stage_connect(&s, c);
        assert_true(none_came(&s));
        end(&s, c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_intent_is_followed_until_the_producer_has_it),
                cmocka_unit_test(an_acknowledgement_wakes_whoever_waits_for_it),
                cmocka_unit_test(a_refusal_says_why),
                cmocka_unit_test(what_cannot_be_meant_is_not_sent),
                cmocka_unit_test(news_of_an_intent_before_is_old_news),
                cmocka_unit_test(an_intent_stands_for_the_next_daemon_too),
                cmocka_unit_test(a_whole_frame_is_asked_for_once),
                cmocka_unit_test(what_is_asked_for_without_a_daemon_is_asked_for_later),
                cmocka_unit_test(an_intent_can_be_withdrawn),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
