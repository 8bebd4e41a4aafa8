/*
 * access_test.c - who may connect, ask and drop, how many, and what the others are told
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "caller.h"

#define ANN     1001
#define BOB     1002
#define VIEWERS 2001
#define OTHERS  2002

static void nothing(void *ctx)
{
        (void)ctx;
}

static const struct server_config open_to_all = {
        .group = SERVER_GROUP_NONE,
        .max_clients = 8,
        .intents_changed = nothing,
};

static void needs_root(void)
{
        if (geteuid() == 0)
                return;
        print_message("skipped: becoming another user takes root\n");
        skip();
}

static void an_empty_list_lets_everybody_connect_and_nobody_ask(void **state)
{
        struct relay r;
        struct stranger seen;

        (void)state;
        needs_root();
        relay_start_with(&r, &open_to_all);
        seen = stranger_visits(&r, ANN, OTHERS, NULL, 0);
        assert_int_equal(seen.type, VGPU_MSG_WELCOME);
        assert_int_equal(seen.intent_error, -EACCES);
        assert_int_equal(seen.drop_error, -EACCES);

        seen = stranger_visits(&r, 0, OTHERS, NULL, 0);
        assert_int_equal(seen.type, VGPU_MSG_WELCOME);
        assert_int_equal(seen.intent_error, 0);
        assert_int_equal(seen.drop_error, -ESRCH);
        relay_remove(&r);
}

static void a_list_lets_in_its_users_and_its_groups(void **state)
{
        static const uid_t users[] = { 7, ANN };
        static const gid_t groups[] = { 8, VIEWERS };
        static const gid_t viewer[] = { OTHERS, VIEWERS }, other[] = { OTHERS };
        static const struct {
                uid_t uid;
                gid_t gid;
                const gid_t *groups;
                size_t n_groups;
                uint32_t type;
        } rows[] = {
                { ANN, OTHERS, NULL, 0, VGPU_MSG_WELCOME },
                { BOB, VIEWERS, NULL, 0, VGPU_MSG_WELCOME },
                { BOB, OTHERS, viewer, 2, VGPU_MSG_WELCOME },
                { BOB, OTHERS, other, 1, VGPU_MSG_GOODBYE },
                { BOB, OTHERS, NULL, 0, VGPU_MSG_GOODBYE },
                { 0, OTHERS, NULL, 0, VGPU_MSG_WELCOME },
        };
        struct server_config config = open_to_all;
        struct relay r;
        int before;

        (void)state;
        needs_root();
        config.connect = (struct server_access){ users, 2, groups, 2 };
        relay_start_with(&r, &config);
        before = count_fds();
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct stranger seen = stranger_visits(
                        &r, rows[i].uid, rows[i].gid, rows[i].groups, rows[i].n_groups);

                assert_int_equal(seen.type, rows[i].type);
                if (seen.type != VGPU_MSG_GOODBYE)
                        continue;
                assert_int_equal(seen.goodbye.reason, VGPU_GOODBYE_DENIED);
                assert_int_equal(seen.goodbye.retry_ms, 0);
                assert_non_null(strstr(seen.goodbye.text, "uid 1002"));
                assert_non_null(strstr(seen.goodbye.text, "allow"));
        }
        assert_int_equal(server_counters(r.server)->refused[VGPU_GOODBYE_DENIED], 2);
        assert_int_equal(server_counters(r.server)->accepted, 4);
        assert_int_equal(count_fds(), before);
        relay_remove(&r);
}

/* More than fit the first question for them; the one that counts is the last. */
static void a_process_may_have_many_groups(void **state)
{
        static const gid_t allowed[] = { 5999 };
        struct server_config config = open_to_all;
        gid_t groups[1000];
        struct relay r;

        (void)state;
        needs_root();
        for (gid_t i = 0; i < 1000; i++)
                groups[i] = 5000 + i;
        config.connect = (struct server_access){ .groups = allowed, .n_groups = 1 };
        relay_start_with(&r, &config);
        assert_int_equal(stranger_visits(&r, BOB, OTHERS, groups, 1000).type, VGPU_MSG_WELCOME);
        assert_int_equal(stranger_visits(&r, BOB, OTHERS, groups, 999).type, VGPU_MSG_GOODBYE);
        relay_remove(&r);
}

static void asking_and_dropping_are_rights_of_their_own(void **state)
{
        static const uid_t ann[] = { ANN };
        static const gid_t viewers[] = { VIEWERS };
        struct server_config config = open_to_all;
        struct stranger seen;
        struct relay r;

        (void)state;
        needs_root();
        config.intent = (struct server_access){ .users = ann, .n_users = 1 };
        config.admin = (struct server_access){ .groups = viewers, .n_groups = 1 };
        relay_start_with(&r, &config);
        seen = stranger_visits(&r, ANN, OTHERS, NULL, 0);
        assert_int_equal(seen.intent_error, 0);
        assert_int_equal(seen.drop_error, -EACCES);
        seen = stranger_visits(&r, BOB, VIEWERS, NULL, 0);
        assert_int_equal(seen.intent_error, -EACCES);
        assert_int_equal(seen.drop_error, -ESRCH);
        relay_remove(&r);
}

static void one_too_many_is_told_so(void **state)
{
        static const struct {
                struct server_config config;
                const char *says;
        } limits[] = {
                { { .group = SERVER_GROUP_NONE, .max_clients = 2 }, "2 clients at most" },
                { { .group = SERVER_GROUP_NONE, .max_clients = 9, .max_clients_user = 2 },
                        "has 2 clients here" },
        };

        (void)state;
        for (size_t i = 0; i < 2; i++) {
                struct vgpu_msg_goodbye said;
                struct caller first, second, third;
                struct relay r;
                int fd;

                relay_start_with(&r, &limits[i].config);
                caller_start(&first, &r, UINT32_MAX);
                caller_start(&second, &r, UINT32_MAX);
                fd = dial_and_greet(r.path, UINT32_MAX);
                relay_turn(&r);
                assert_int_equal(server_n_peers(r.server), 2);
                assert_int_equal(server_counters(r.server)->refused[VGPU_GOODBYE_FULL], 1);
                assert_int_equal(hear(fd, &said, sizeof(said), NULL, NULL), VGPU_MSG_GOODBYE);
                assert_int_equal(said.reason, VGPU_GOODBYE_FULL);
                assert_true(said.retry_ms > 0);
                assert_non_null(strstr(said.text, limits[i].says));
                assert_int_equal(hear(fd, &said, sizeof(said), NULL, NULL), 0);
                close(fd);

                /* and let in once another has gone */
                caller_stop(&first);
                relay_turn(&r);
                caller_start(&third, &r, UINT32_MAX);
                caller_stop(&second);
                caller_stop(&third);
                relay_remove(&r);
        }
}

/* Somebody's hundred clients leave room for somebody else. */
static void a_users_limit_is_that_users_alone(void **state)
{
        struct relay r;
        struct caller ours[3];

        (void)state;
        needs_root();
        relay_start_with(
                &r, &(struct server_config){
                            .group = SERVER_GROUP_NONE, .max_clients = 8, .max_clients_user = 3 });
        for (int i = 0; i < 3; i++)
                caller_start(&ours[i], &r, VGPU_WANT_RING);
        assert_int_equal(stranger_visits(&r, ANN, OTHERS, NULL, 0).type, VGPU_MSG_WELCOME);
        assert_int_equal(stranger_visits(&r, 0, OTHERS, NULL, 0).type, VGPU_MSG_GOODBYE);
        for (int i = 0; i < 3; i++)
                caller_stop(&ours[i]);
        relay_remove(&r);
}

/* Half a process' descriptors are not worth having: the daemon needs its own. */
static int limits_are_fitted(rlim_t soft, rlim_t hard, uint32_t expect_max, rlim_t expect_soft)
{
        struct rlimit files = { .rlim_cur = soft, .rlim_max = hard };
        struct server_config config = { .group = SERVER_GROUP_NONE, .max_clients = 256 };
        struct relay r;

        if (setrlimit(RLIMIT_NOFILE, &files) < 0)
                return 2;
        relay_start_with(&r, &config);
        if (server_max_clients(r.server) != expect_max)
                return 3;
        if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur != expect_soft)
                return 4;
        relay_remove(&r);
        return 0;
}

static void the_limit_on_open_files_bears_out_the_one_on_clients(void **state)
{
        const rlim_t need = 256 * SERVER_FDS_CLIENT + SERVER_FDS_OTHER;
        const struct {
                rlim_t soft, hard;
                uint32_t max;
                rlim_t then;
        } rows[] = {
                { 2000, 2000, 256, 2000 },
                { 128, 2000, 256, need },
                { 128, 128, 16, 128 },
                { 100, 104, 10, 104 },
                { 60, 60, 1, 60 },
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                pid_t pid = fork();

                if (pid == 0)
                        _exit(limits_are_fitted(
                                rows[i].soft, rows[i].hard, rows[i].max, rows[i].then));
                assert_int_equal(process_wait(pid), 0);
        }
}

#define FLIGHT 16u

/* What is sent and not read counts against its sender's limit on open files, unless that is root. */
static int never_read(void)
{
        const struct rlimit files = { FLIGHT * SERVER_FDS_CLIENT + SERVER_FDS_OTHER,
                FLIGHT * SERVER_FDS_CLIENT + SERVER_FDS_OTHER };
        struct relay r;

        if (setrlimit(RLIMIT_NOFILE, &files) < 0 || !become_nobody())
                return 2;
        relay_start_with(
                &r, &(struct server_config){ .group = SERVER_GROUP_NONE, .max_clients = 99 });
        if (server_max_clients(r.server) != FLIGHT)
                return 3;
        for (uint32_t i = 0; i < FLIGHT; i++) {
                dial_and_greet(r.path, UINT32_MAX);
                relay_turn(&r);
                relay_regenerate(&r, RELAY_BYTES);
        }
        if (server_n_peers(r.server) != FLIGHT || r.turns_dropped != 0)
                return 4;
        /* and the daemon can still open what it needs */
        relay_regenerate(&r, 2 * RELAY_BYTES);
        relay_remove(&r);
        return 0;
}

static void everything_unread_fits_the_limit_on_open_files(void **state)
{
        pid_t pid;

        (void)state;
        needs_root();
        pid = fork();
        if (pid == 0)
                _exit(never_read());
        assert_int_equal(process_wait(pid), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_empty_list_lets_everybody_connect_and_nobody_ask),
                cmocka_unit_test(a_list_lets_in_its_users_and_its_groups),
                cmocka_unit_test(a_process_may_have_many_groups),
                cmocka_unit_test(asking_and_dropping_are_rights_of_their_own),
                cmocka_unit_test(one_too_many_is_told_so),
                cmocka_unit_test(a_users_limit_is_that_users_alone),
                cmocka_unit_test(everything_unread_fits_the_limit_on_open_files),
                cmocka_unit_test(the_limit_on_open_files_bears_out_the_one_on_clients),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
