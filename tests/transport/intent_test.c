/*
 * intent_test.c - INTENT and DROP: what is taken, what is answered, who is told
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "caller.h"
#include "vgpu_stream.h"

static struct relay relay;
static int changes; /* how often the server said that intents changed */

static void on_change(void *ctx)
{
        assert_ptr_equal(ctx, &relay);
        changes++;
}

static int start(void **state)
{
        (void)state;
        changes = 0;
        relay_start_with(&relay, &(struct server_config){ .group = SERVER_GROUP_NONE,
                                         .max_clients = 8,
                                         .intents_changed = on_change,
                                         .intents_ctx = &relay });
        return 0;
}

static int stop(void **state)
{
        (void)state;
        relay_remove(&relay);
        return 0;
}

static struct peer *only_peer(void)
{
        return server_next_peer(relay.server, NULL);
}

static void ask(struct caller *c, const struct vgpu_msg_intent *values)
{
        struct vgpu_msg_intent msg = *values;

        msg.header = message_header(VGPU_MSG_INTENT, sizeof(msg));
        caller_say(c, &msg);
        relay.now_ns += 1000000000; /* nobody takes it for a flood */
        relay_turn(&relay);
}

static const struct vgpu_msg_intent_state *answer(struct caller *c)
{
        assert_int_equal(caller_hear(c), VGPU_MSG_INTENT_STATE);
        return (const void *)c->heard;
}

static void what_makes_sense_is_taken(void **state)
{
        static const struct {
                struct vgpu_msg_intent msg;
                int error;
        } rows[] = {
                { { .fields = VGPU_INTENT_STATE, .state = VGPU_CMD_RUN }, 0 },
                { { .fields = VGPU_INTENT_STATE, .state = VGPU_CMD_STOP }, 0 },
                { { .fields = VGPU_INTENT_STATE, .state = VGPU_CMD_STOP + 1 }, -EINVAL },
                { { .fields = VGPU_INTENT_STATE, .state = UINT32_MAX }, -EINVAL },
                { { .fields = VGPU_INTENT_FPS, .fps = 0 }, 0 },
                { { .fields = VGPU_INTENT_FPS, .fps = 1000 }, 0 },
                { { .fields = VGPU_INTENT_FPS, .fps = 1001 }, -EINVAL },
                { { .fields = VGPU_INTENT_CURSOR, .draw_cursor = 1 }, 0 },
                { { .fields = VGPU_INTENT_CURSOR, .draw_cursor = 2 }, -EINVAL },
                { { .fields = VGPU_INTENT_FRAME }, 0 },
                { { .fields = VGPU_INTENT_FRAME << 1 }, -EINVAL },
                { { .fields = UINT32_MAX }, -EINVAL },
                /* values that are not asked for may be anything */
                { { .fields = VGPU_INTENT_FPS, .fps = 60, .state = 99, .draw_cursor = 99 }, 0 },
                { { .fields = 0, .state = 99, .fps = 99999 }, 0 },
        };
        struct caller c;
        int expect = 0;

        (void)state;
        caller_start(&c, &relay, 0);
        for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct vgpu_msg_intent msg = rows[i].msg, before = peer_info(only_peer()).intent;
                const struct vgpu_msg_intent_state *said;

                msg.cookie = 100 + i;
                ask(&c, &msg);
                said = answer(&c);
                assert_int_equal(said->cookie, msg.cookie);
                assert_int_equal(said->error, rows[i].error);
                assert_int_equal(said->written, 0);
                expect += rows[i].error == 0;
                assert_int_equal(changes, expect);
                assert_int_equal(peer_info(only_peer()).intent.fields,
                        rows[i].error == 0 ? msg.fields : before.fields);
        }
        assert_int_equal(peer_info(only_peer()).frame_requests, 1);
        caller_stop(&c);
}

static void an_intent_ends_with_its_socket(void **state)
{
        struct caller asks, silent;

        (void)state;
        caller_start(&silent, &relay, 0);
        caller_start(&asks, &relay, 0);
        ask(&asks, &(struct vgpu_msg_intent){ .fields = VGPU_INTENT_FPS, .fps = 30 });
        assert_int_equal(changes, 1);
        caller_stop(&silent);
        relay_turn(&relay);
        assert_int_equal(changes, 1);
        caller_stop(&asks);
        relay_turn(&relay);
        assert_int_equal(changes, 2);
        assert_int_equal(server_n_peers(relay.server), 0);
}

static void an_intent_that_was_withdrawn_ends_once(void **state)
{
        struct caller c;

        (void)state;
        caller_start(&c, &relay, 0);
        ask(&c, &(struct vgpu_msg_intent){ .fields = VGPU_INTENT_FPS, .fps = 30 });
        ask(&c, &(struct vgpu_msg_intent){ .fields = 0 });
        assert_int_equal(changes, 2);
        caller_stop(&c);
        relay_turn(&relay);
        assert_int_equal(changes, 2);
}

static void how_it_fares_is_told(void **state)
{
        const struct vgpu_msg_intent_state *said;
        struct caller c;

        (void)state;
        caller_start(&c, &relay, 0);
        ask(&c, &(struct vgpu_msg_intent){ .fields = VGPU_INTENT_FPS, .fps = 30, .cookie = 77 });
        assert_int_equal(answer(&c)->error, 0);
        peer_tell_intent(only_peer(), 0, true, 5, 6);
        said = answer(&c);
        assert_int_equal(said->cookie, 77);
        assert_int_equal(said->written, 1);
        assert_int_equal(said->ctrl_gen, 5);
        assert_int_equal(said->full_frame, 6);
        peer_tell_intent(only_peer(), -ENOTCONN, false, 0, 0);
        assert_int_equal(answer(&c)->error, -ENOTCONN);
        caller_stop(&c);
}

/* It costs one message, however much there was to tell, and nobody waits for it. */
static void who_does_not_read_is_told_the_newest_later(void **state)
{
        struct caller c;
        uint32_t last = 0;

        (void)state;
        caller_start(&c, &relay, 0);
        ask(&c, &(struct vgpu_msg_intent){ .fields = VGPU_INTENT_FPS, .fps = 30 });
        for (uint32_t gen = 1; gen <= 5000; gen++)
                peer_tell_intent(only_peer(), 0, true, gen, 0);
        assert_int_equal(server_n_peers(relay.server), 1);
        for (int i = 0; i < 2; i++) {
                while (caller_hear(&c) == VGPU_MSG_INTENT_STATE)
                        last = ((const struct vgpu_msg_intent_state *)c.heard)->ctrl_gen;
                relay_turn(&relay);
        }
        assert_int_equal(last, 5000);
        caller_stop(&c);
}

static void without_a_writer_no_intent_is_taken(void **state)
{
        struct caller c;

        (void)state;
        relay_remove(&relay);
        relay_start(&relay);
        caller_start(&c, &relay, 0);
        ask(&c, &(struct vgpu_msg_intent){ .fields = VGPU_INTENT_FPS, .fps = 30 });
        assert_int_equal(answer(&c)->error, -EOPNOTSUPP);
        assert_int_equal(peer_info(only_peer()).intent.fields, 0);
        caller_stop(&c);
}

/* ---- DROP -------------------------------------------------------------------------------------- */

static const struct vgpu_msg_reply *drop(struct caller *c, pid_t pid)
{
        struct vgpu_msg_drop msg = {
                .header = message_header(VGPU_MSG_DROP, sizeof(msg)),
                .pid = (uint32_t)pid,
                .cookie = 4242,
        };
        const struct vgpu_msg_reply *said = (const void *)c->heard;

        caller_say(c, &msg);
        relay_turn(&relay);
        assert_int_equal(caller_hear(c), VGPU_MSG_REPLY);
        assert_int_equal(said->what, 0);
        assert_int_equal(said->cookie, 4242);
        return said;
}

static void every_client_of_a_process_is_dropped_but_who_asks(void **state)
{
        const struct vgpu_msg_reply *said;
        struct caller admin, gone[3];

        (void)state;
        caller_start(&admin, &relay, 0);
        for (int i = 0; i < 3; i++)
                caller_start(&gone[i], &relay, UINT32_MAX);
        ask(&gone[1], &(struct vgpu_msg_intent){ .fields = VGPU_INTENT_FPS, .fps = 30 });
        assert_int_equal(answer(&gone[1])->error, 0);

        said = drop(&admin, getpid());
        assert_int_equal(said->error, 0);
        assert_int_equal(said->len, strlen("{\"dropped\": 3}"));
        assert_memory_equal(said + 1, "{\"dropped\": 3}", said->len);
        assert_int_equal(server_n_peers(relay.server), 1);
        assert_int_equal(relay.turns_dropped, 3);
        assert_int_equal(changes, 2);
        assert_int_equal(server_counters(relay.server)->dropped[VGPU_GOODBYE_DROPPED], 3);
        assert_int_equal(server_counters(relay.server)->dropped_by_admin, 1);
        for (int i = 0; i < 3; i++) {
                const struct vgpu_msg_goodbye *bye = (const void *)gone[i].heard;

                assert_int_equal(caller_hear(&gone[i]), VGPU_MSG_GOODBYE);
                assert_int_equal(bye->reason, VGPU_GOODBYE_DROPPED);
                assert_true(bye->retry_ms > 0);
                assert_int_equal(caller_hear(&gone[i]), 0);
                caller_stop(&gone[i]);
        }

        said = drop(&admin, getpid());
        assert_int_equal(said->error, -ESRCH);
        assert_int_equal(said->len, 0);
        assert_int_equal(server_counters(relay.server)->dropped_by_admin, 1);
        caller_stop(&admin);
}

static void who_is_told_goodbye_holds_and_hears_nothing_more(void **state)
{
        struct caller c;
        struct peer *p;

        (void)state;
        caller_start(&c, &relay, UINT32_MAX);
        assert_int_equal(server_drop(relay.server, getpid() + 1), 0);
        assert_null(server_reap(relay.server));
        assert_int_equal(server_drop(relay.server, getpid()), 1);
        assert_int_equal(server_drop(relay.server, getpid()), 0);
        c.page->armed = 1;
        c.page->hold[0] = VGPU_RING_WORD(relay_publish(&relay), 0);
        relay_publish(&relay);
        relay_regenerate(&relay, RELAY_BYTES);
        assert_int_equal(ring_n_held(relay.ring), 0);
        assert_int_equal(server_counters(relay.server)->wakes, 0);
        p = server_reap(relay.server);
        assert_non_null(p);
        assert_int_equal(peer_dispatch(p, relay.now_ns), -EPROTO);
        peer_free(p);
        assert_null(server_reap(relay.server));
        assert_int_equal(caller_hear(&c), VGPU_MSG_GOODBYE);
        assert_int_equal(caller_hear(&c), 0);
        caller_stop(&c);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(what_makes_sense_is_taken),
                TEST(an_intent_ends_with_its_socket),
                TEST(an_intent_that_was_withdrawn_ends_once),
                TEST(how_it_fares_is_told),
                TEST(who_does_not_read_is_told_the_newest_later),
                TEST(without_a_writer_no_intent_is_taken),
                TEST(every_client_of_a_process_is_dropped_but_who_asks),
                TEST(who_is_told_goodbye_holds_and_hears_nothing_more),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
