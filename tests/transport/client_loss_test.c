/*
 * client_loss_test.c - the daemon goes, at every step, and comes back; nothing of ours is left behind
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "message.h"
#include "relay.h"
#include "stage.h"

static uint8_t pixels[1 << 16];

static const struct vgpu_client_options leases = { .flags = VGPU_CLIENT_LEASES };

/* ---- at every step ----------------------------------------------------------------------------- */

static void nothing(struct stage *s, struct vgpu_client *c)
{
        (void)s;
        (void)c;
}

static void before_the_welcome(struct stage *s, struct vgpu_client *c)
{
        stage_accept(s, c);
}

static void after_a_welcome_not_yet_read(struct stage *s, struct vgpu_client *c)
{
        stage_accept(s, c);
        stage_welcome(s);
}

static void once_connected(struct stage *s, struct vgpu_client *c)
{
        stage_connect(s, c);
}

static void with_a_frame_not_yet_seen(struct stage *s, struct vgpu_client *c)
{
        stage_connect(s, c);
        stage_publish(s);
}

static void with_a_frame_held(struct stage *s, struct vgpu_client *c)
{
        struct vgpu_client_frame frame;
        const void *held;

        stage_connect(s, c);
        stage_publish(s);
        vgpu_client_release(c, 1); /* the same serial from the daemon before */
        assert_int_equal(vgpu_client_acquire(c, &frame, &held), 1);
}

static void in_the_middle_of_a_write(struct stage *s, struct vgpu_client *c)
{
        stage_connect(s, c);
        stage_publish(s);
        memset(ring_slot_begin(s->ring), 0xAA, RELAY_BYTES);
}

static void after_a_generation_not_yet_read(struct stage *s, struct vgpu_client *c)
{
        stage_connect(s, c);
        stage_publish(s);
        stage_regenerate(s, RELAY_BYTES * 2);
}

static void with_an_intent_under_way(struct stage *s, struct vgpu_client *c)
{
        struct vgpu_client_intent frame = { .fields = VGPU_INTENT_FRAME };

        stage_connect(s, c);
        assert_int_equal(vgpu_client_set_intent(c, &frame), 0);
}

static const struct {
        const char *name;
        void (*go)(struct stage *s, struct vgpu_client *c);
} steps[] = {
        { "nothing", nothing },
        { "before_the_welcome", before_the_welcome },
        { "after_a_welcome_not_yet_read", after_a_welcome_not_yet_read },
        { "once_connected", once_connected },
        { "with_a_frame_not_yet_seen", with_a_frame_not_yet_seen },
        { "with_a_frame_held", with_a_frame_held },
        { "in_the_middle_of_a_write", in_the_middle_of_a_write },
        { "after_a_generation_not_yet_read", after_a_generation_not_yet_read },
        { "with_an_intent_under_way", with_an_intent_under_way },
};

static void a_daemon_that_dies_at_any_step_is_found_again(void **state)
{
        int fds = count_fds();

        (void)state;
        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
                struct vgpu_client_frame frame;
                struct vgpu_client *c;
                struct stage s;

                print_message("  %s\n", steps[i].name);
                stage_start(&s);
                c = stage_client(&s, &leases);
                for (int round = 0; round < 3; round++) {
                        steps[i].go(&s, c);
                        stage_die(&s);
                }
                stage_connect(&s, c);
                stage_publish(&s);
                assert_true(vgpu_client_wait(c, -1) & VGPU_CLIENT_FRAME);
                assert_int_equal(vgpu_client_copy_latest(c, pixels, sizeof(pixels), &frame), 1);
                assert_true(frame_is_whole(pixels, frame.bytes, 1));
                assert_false(frame.stale);
                vgpu_client_close(c);
                stage_stop(&s);
        }
        assert_int_equal(count_fds(), fds);
        assert_int_equal(count_maps("vgpud-ring"), 0);
        assert_int_equal(count_maps("vgpud-page"), 0);
}

static void two_hundred_reconnects_leave_nothing_behind(void **state)
{
        struct vgpu_client_frame frame;
        struct vgpu_client_stats stats;
        struct vgpu_client *c;
        const void *held;
        struct stage s;
        int fds, rings;

        (void)state;
        stage_start(&s);
        c = stage_client(&s, &leases);
        stage_connect(&s, c);
        fds = count_fds();
        rings = count_maps("vgpud-ring");
        for (int i = 0; i < 200; i++) {
                stage_publish(&s);
                assert_int_equal(vgpu_client_acquire(c, &frame, &held), 1);
                if (i % 3 == 0)
                        stage_regenerate(&s, RELAY_BYTES * 2);
                if (i % 2 == 0)
                        stage_die(&s);
                else
                        stage_hang_up(&s);
                stage_connect(&s, c);
                assert_int_equal(vgpu_client_release(c, frame.serial), 1);
                assert_int_equal(count_fds(), fds);
                assert_int_equal(count_maps("vgpud-ring"), rings);
                assert_int_equal(count_maps("vgpud-page"), 2);
        }
        vgpu_client_stats(c, &stats);
        assert_int_equal(stats.reconnects, 200);
        assert_int_equal(stats.leases, 200);
        assert_int_equal(stats.lost, 0);
        vgpu_client_close(c);
        stage_stop(&s);
}

static void the_last_frame_stays_while_the_library_looks_for_the_next(void **state)
{
        struct vgpu_client_frame frame;
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        stage_start(&s);
        c = stage_client(&s, NULL);
        stage_connect(&s, c);
        stage_publish(&s);
        stage_die(&s);
        assert_true(vgpu_client_wait(c, -1) & VGPU_CLIENT_DISCONNECTED);
        assert_int_equal(vgpu_client_peek(c, &frame), 1);
        assert_true(frame.stale);
        assert_int_equal(vgpu_client_copy_latest(c, pixels, sizeof(pixels), &frame), 1);
        assert_true(frame.stale);
        assert_true(frame_is_whole(pixels, frame.bytes, 1));

        /* the new daemon has no frame yet: there is none to show but the one copied before */
        assert_true(stage_connect(&s, c) & VGPU_CLIENT_INSTANCE);
        assert_int_equal(vgpu_client_copy_again(c, pixels, sizeof(pixels), &frame), 0);
        vgpu_client_close(c);
        stage_stop(&s);
}

/* ---- when to come again ------------------------------------------------------------------------ */

static void goodbye(struct stage *s, uint32_t reason, uint32_t retry_ms)
{
        struct vgpu_msg_goodbye msg = {
                .header = message_header(VGPU_MSG_GOODBYE, sizeof(msg)),
                .reason = reason,
                .retry_ms = retry_ms,
                .text = "Not now.",
        };

        stage_send(s, &msg, sizeof(msg));
        stage_hang_up(s);
}

/* The handle's one timer: in how many ms it will try again. */
static uint64_t retry_in_ms(void)
{
        for (int fd = 0; fd < 256; fd++) {
                struct itimerspec left;

                if (timerfd_gettime(fd, &left) == 0)
                        return (uint64_t)left.it_value.tv_sec * 1000 +
                               (uint64_t)left.it_value.tv_nsec / 1000000;
        }
        return 0;
}

static void advice_to_come_later_is_followed(void **state)
{
        static const struct {
                uint32_t reason, retry_ms, at_most;
        } advice[] = {
                { VGPU_GOODBYE_DROPPED, 10000, 15000 }, { VGPU_GOODBYE_FULL, 20000, 30000 },
                { VGPU_GOODBYE_DENIED, 0, 45000 }, /* hopeless: seldom */
                { VGPU_GOODBYE_FULL, UINT32_MAX,
                        90000 }, /* nobody is sent away for good by a number */
        };

        (void)state;
        for (size_t i = 0; i < sizeof(advice) / sizeof(advice[0]); i++) {
                struct vgpu_client *c;
                struct stage s;

                stage_start(&s);
                c = stage_client(&s, NULL);
                stage_connect(&s, c);
                goodbye(&s, advice[i].reason, advice[i].retry_ms);
                assert_true(vgpu_client_wait(c, -1) & VGPU_CLIENT_DISCONNECTED);
                /* the clock moved on between the two looks, but not by seconds */
                assert_in_range(retry_in_ms(), 5000, advice[i].at_most);
                vgpu_client_close(c);
                stage_stop(&s);
        }
}

static void advice_holds_for_one_try(void **state)
{
        uint32_t reason;
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        stage_start(&s);
        c = stage_client(&s, NULL);
        for (int i = 0; i < 3; i++) {
                stage_accept(&s, c);
                goodbye(&s, VGPU_GOODBYE_FULL, 1);
        }
        stage_connect(&s, c);
        assert_string_equal(vgpu_client_goodbye(c, &reason), "Not now.");
        assert_int_equal(reason, VGPU_GOODBYE_FULL);
        vgpu_client_close(c);
        stage_stop(&s);
}

static int compare(const void *a, const void *b)
{
        const uint64_t *x = a, *y = b;

        return (*x > *y) - (*x < *y);
}

/* All of them lose the daemon in one moment; in which they come back is not one. */
static void clients_do_not_come_back_all_at_once(void **state)
{
        uint64_t in_ms[16];
        size_t distinct = 1;

        (void)state;
        for (size_t i = 0; i < 16; i++) {
                struct vgpu_client *c;
                struct stage s;

                stage_start(&s);
                c = stage_client(&s, NULL);
                stage_connect(&s, c);
                goodbye(&s, VGPU_GOODBYE_DROPPED, 50000);
                assert_true(vgpu_client_wait(c, -1) & VGPU_CLIENT_DISCONNECTED);
                in_ms[i] = retry_in_ms() / 100;
                vgpu_client_close(c);
                stage_stop(&s);
        }
        qsort(in_ms, 16, sizeof(in_ms[0]), compare);
        for (size_t i = 1; i < 16; i++)
                distinct += in_ms[i] != in_ms[i - 1];
        assert_in_range(distinct, 8, 16);
}

/* ---- what the daemon is told --------------------------------------------------------------------- */

static void statistics_are_those_of_this_connection(void **state)
{
        struct vgpu_client_frame frame;
        struct vgpu_msg_stats told;
        struct vgpu_client *c;
        const void *held;
        struct stage s;

        (void)state;
        stage_start(&s);
        c = stage_client(&s, &leases);
        for (int i = 0; i < 2; i++) {
                stage_connect(&s, c);
                assert_false(stage_receive(&s, VGPU_MSG_STATS, &told, sizeof(told)));
                stage_publish(&s);
                assert_int_equal(vgpu_client_acquire(c, &frame, &held), 1);
                for (uint32_t n = 0; n < STAGE_SLOTS; n++)
                        stage_publish(&s);
                assert_int_equal(vgpu_client_release(c, 1), 0);
                assert_int_equal(vgpu_client_copy_latest(c, pixels, sizeof(pixels), &frame), 1);
                vgpu_client_dispatch(c);
                assert_true(stage_receive(&s, VGPU_MSG_STATS, &told, sizeof(told)));
                assert_int_equal(told.frames_seen, 2);
                assert_int_equal(told.frames_missed, STAGE_SLOTS - 1);
                assert_int_equal(told.leases, 1);
                assert_int_equal(told.lost, 1);
                assert_int_equal(told.last_serial, STAGE_SLOTS + 1);
                stage_die(&s);
        }
        vgpu_client_close(c);
        stage_stop(&s);
}

/* ---- more than one handle ---------------------------------------------------------------------- */

static void two_handles_in_one_thread_are_independent(void **state)
{
        struct vgpu_client *a, *b;
        struct vgpu_client_frame frame;
        const void *held;
        struct relay r;

        (void)state;
        relay_start(&r);
        a = relay_client(&r, VGPU_CLIENT_NO_RECONNECT);
        b = relay_client(&r, VGPU_CLIENT_LEASES);
        for (int i = 0; i < 20; i++) {
                uint64_t serial = relay_publish(&r);

                relay_turn_until(&r, a, VGPU_CLIENT_FRAME);
                assert_int_equal(vgpu_client_copy_latest(a, pixels, sizeof(pixels), &frame), 1);
                assert_int_equal(frame.serial, serial);
                if (i % 3)
                        continue;
                assert_true(vgpu_client_dispatch(b) & VGPU_CLIENT_FRAME);
                if (vgpu_client_acquire(b, &frame, &held) == 1) {
                        assert_int_equal(frame.missed, i == 0 ? 0 : 2);
                        assert_true(frame_is_whole(held, frame.bytes, serial));
                        assert_int_equal(vgpu_client_release(b, serial), 1);
                }
        }
        vgpu_client_close(a);
        relay_publish(&r);
        relay_turn_until(&r, b, VGPU_CLIENT_FRAME);
        vgpu_client_close(b);
        relay_remove(&r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_daemon_that_dies_at_any_step_is_found_again),
                cmocka_unit_test(two_hundred_reconnects_leave_nothing_behind),
                cmocka_unit_test(the_last_frame_stays_while_the_library_looks_for_the_next),
                cmocka_unit_test(advice_to_come_later_is_followed),
                cmocka_unit_test(advice_holds_for_one_try),
                cmocka_unit_test(clients_do_not_come_back_all_at_once),
                cmocka_unit_test(statistics_are_those_of_this_connection),
                cmocka_unit_test(two_handles_in_one_thread_are_independent),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
