/*
 * change_test.c - what an administrator changes while clients are connected
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

#define ANN 1001
#define BOB 1002

static const uid_t ann[] = { ANN };
static const struct server_access nobody, only_ann = { .users = ann, .n_users = 1 };
static struct relay relay;
static int changes;

static void on_change(void *ctx)
{
        (void)ctx;
        changes++;
}

static int start(void **state)
{
        (void)state;
        changes = 0;
        relay_start_with(&relay, &(struct server_config){ .group = SERVER_GROUP_NONE,
                                         .mode = 0666,
                                         .max_clients = 2,
                                         .room = 4,
                                         .intents_changed = on_change });
        return 0;
}

static int stop(void **state)
{
        (void)state;
        relay_remove(&relay);
        return 0;
}

static void needs_root(void)
{
        if (geteuid() == 0)
                return;
        print_message("skipped: becoming another user takes root\n");
        skip();
}

/* The kernel remembers who connected, whoever uses the socket later. */
static void start_as(struct caller *c, uid_t uid)
{
        int fd;

        assert_int_equal(seteuid(uid), 0);
        fd = dial_and_greet(relay.path, VGPU_WANT_RING);
        assert_int_equal(seteuid(0), 0);
        relay_turn(&relay);
        caller_welcomed(c, fd);
}

static void is_told_goodbye(struct caller *c, const char *words)
{
        const struct vgpu_msg_goodbye *said = (const void *)c->heard;

        assert_int_equal(caller_hear(c), VGPU_MSG_GOODBYE);
        assert_int_equal(said->reason, VGPU_GOODBYE_DENIED);
        assert_int_equal(said->retry_ms, 0);
        assert_non_null(strstr(said->text, words));
}

static void who_may_connect_no_more_is_sent_away_and_the_others_stay(void **state)
{
        struct caller a, b;
        uint64_t before;

        (void)state;
        needs_root();
        start_as(&a, ANN);
        start_as(&b, BOB);
        before = server_counters(relay.server)->dropped_by_admin;
        assert_int_equal(server_set_access(relay.server, &only_ann, &nobody, &nobody), 1);
        assert_int_equal(server_counters(relay.server)->dropped_by_admin, before + 1);
        assert_int_equal(server_counters(relay.server)->dropped[VGPU_GOODBYE_DENIED], 1);
        is_told_goodbye(&b, "uid 1002 may not be connected to this vgpud any more");
        relay_turn(&relay);
        assert_int_equal(server_n_peers(relay.server), 1);
        assert_int_equal(caller_hear(&a), 0);

        /* nobody is told twice, and a list that is empty again lets everybody in */
        assert_int_equal(server_set_access(relay.server, &only_ann, &nobody, &nobody), 0);
        caller_stop(&b);
        assert_int_equal(server_set_access(relay.server, &nobody, &nobody, &nobody), 0);
        start_as(&b, BOB);
        caller_stop(&a);
        caller_stop(&b);
}

static uint64_t n_outlived(void)
{
        return server_counters(relay.server)->outlived;
}

/* A map stays when its socket is closed. */
static void who_left_before_being_sent_away_does_not_keep_the_ring(void **state)
{
        struct caller a, b;

        (void)state;
        needs_root();
        start_as(&a, ANN);
        assert_int_equal(server_set_access(relay.server, &only_ann, &nobody, &nobody), 0);
        assert_int_equal(n_outlived(), 0); /* nobody left */
        assert_int_equal(server_set_access(relay.server, &nobody, &nobody, &nobody), 0);
        start_as(&b, BOB);
        caller_stop(&b);
        relay_turn(&relay);
        assert_int_equal(server_n_peers(relay.server), 1);

        assert_int_equal(server_set_access(relay.server, &nobody, &nobody, &nobody), 0);
        assert_int_equal(n_outlived(), 0);
        assert_int_equal(server_set_access(relay.server, &only_ann, &nobody, &nobody), 0);
        assert_int_equal(n_outlived(), 1);
        assert_int_equal(server_counters(relay.server)->dropped_by_admin, 0);
        /* the same again, and more than before, are nobody's loss */
        assert_int_equal(server_set_access(relay.server, &only_ann, &nobody, &nobody), 0);
        assert_int_equal(server_set_access(relay.server, &nobody, &nobody, &nobody), 0);
        assert_int_equal(n_outlived(), 1);
        caller_stop(&a);
}

static void want(struct caller *c, uint32_t cookie)
{
        const struct vgpu_msg_intent intent = {
                .header = message_header(VGPU_MSG_INTENT, sizeof(intent)),
                .cookie = cookie,
                .fields = VGPU_INTENT_FPS,
                .fps = 30,
        };

        caller_say(c, &intent);
        relay_turn(&relay);
}

static int answer(struct caller *c, uint32_t cookie)
{
        const struct vgpu_msg_intent_state *said = (const void *)c->heard;

        assert_int_equal(caller_hear(c), VGPU_MSG_INTENT_STATE);
        assert_int_equal(said->cookie, cookie);
        return said->error;
}

static void what_was_asked_is_forgotten_with_the_right_to_ask(void **state)
{
        struct caller a;

        (void)state;
        needs_root();
        start_as(&a, ANN);
        want(&a, 1);
        assert_int_equal(answer(&a, 1), -EACCES);

        assert_int_equal(server_set_access(relay.server, &nobody, &only_ann, &nobody), 0);
        want(&a, 2);
        assert_int_equal(answer(&a, 2), 0);
        assert_int_equal(changes, 1);

        assert_int_equal(server_set_access(relay.server, &nobody, &only_ann, &only_ann), 0);
        assert_int_equal(changes, 1);
        assert_int_equal(server_set_access(relay.server, &nobody, &nobody, &only_ann), 0);
        assert_int_equal(changes, 2);
        assert_int_equal(answer(&a, 2), -EACCES);
        assert_int_equal(peer_info(server_next_peer(relay.server, NULL)).intent.fields, 0);
        caller_stop(&a);
        relay_turn(&relay);
        assert_int_equal(changes, 2);
}

static void a_limit_is_about_who_comes(void **state)
{
        struct caller first, second, third;
        int fd;

        (void)state;
        caller_start(&first, &relay, VGPU_WANT_RING);
        caller_start(&second, &relay, VGPU_WANT_RING);
        server_set_limits(relay.server, 1, 0);
        relay_turn(&relay);
        assert_int_equal(server_n_peers(relay.server), 2);
        assert_int_equal(server_max_clients(relay.server), 1);

        caller_stop(&first);
        relay_turn(&relay);
        fd = dial_and_greet(relay.path, VGPU_WANT_RING);
        relay_turn(&relay);
        assert_int_equal(server_counters(relay.server)->refused[VGPU_GOODBYE_FULL], 1);
        close(fd);

        server_set_limits(relay.server, 9, 2);
        assert_int_equal(server_max_clients(relay.server), 4);
        caller_start(&third, &relay, UINT32_MAX);
        fd = dial_and_greet(relay.path, VGPU_WANT_RING);
        relay_turn(&relay);
        assert_int_equal(server_counters(relay.server)->refused[VGPU_GOODBYE_FULL], 2);
        close(fd);
        server_set_limits(relay.server, 4, 0);
        caller_start(&first, &relay, UINT32_MAX);
        caller_stop(&first);
        caller_stop(&second);
        caller_stop(&third);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(
                        who_may_connect_no_more_is_sent_away_and_the_others_stay, start, stop),
                cmocka_unit_test_setup_teardown(
                        what_was_asked_is_forgotten_with_the_right_to_ask, start, stop),
                cmocka_unit_test_setup_teardown(
                        who_left_before_being_sent_away_does_not_keep_the_ring, start, stop),
                cmocka_unit_test_setup_teardown(a_limit_is_about_who_comes, start, stop),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
