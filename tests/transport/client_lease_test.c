/*
 * client_lease_test.c - frames held where they lie: over reuse, generations and the daemon's death
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "relay.h"
#include "stage.h"

#define RING_MAP "vgpud-ring"

static const struct vgpu_client_options leases = { .flags = VGPU_CLIENT_LEASES };

static struct vgpu_client *begin(struct stage *s)
{
        struct vgpu_client *c;

        stage_start(s);
        c = stage_client(s, &leases);
        stage_connect(s, c);
        return c;
}

static void end(struct stage *s, struct vgpu_client *c)
{
        vgpu_client_close(c);
        stage_stop(s);
        assert_int_equal(count_maps(RING_MAP), 0);
        assert_int_equal(count_maps("vgpud-page"), 0);
}

static uint64_t acquire(struct vgpu_client *c, const void **pixels)
{
        struct vgpu_client_frame frame;

        assert_int_equal(vgpu_client_acquire(c, &frame, pixels), 1);
        assert_true(frame_is_whole(*pixels, frame.bytes, frame.serial));
        return frame.serial;
}

/* What the daemon does once per frame: see who holds what. */
static void look(struct stage *s, struct ring_holder *holder)
{
        uint64_t holds[VGPU_PAGE_HOLDS];

        for (size_t i = 0; i < VGPU_PAGE_HOLDS; i++)
                holds[i] = __atomic_load_n(&s->page->hold[i], __ATOMIC_ACQUIRE);
        ring_look_begin(s->ring, test_now_ns());
        ring_look_at(s->ring, holder, holds, VGPU_PAGE_HOLDS);
        ring_look_end(s->ring);
}

static void an_acquired_frame_is_in_the_page_until_released(void **state)
{
        struct vgpu_client_frame frame;
        struct vgpu_client *c;
        const void *pixels;
        struct stage s;

        (void)state;
        c = begin(&s);
        assert_int_equal(vgpu_client_acquire(c, &frame, &pixels), 0);
        stage_publish(&s);
        assert_int_equal(vgpu_client_acquire(c, &frame, &pixels), 1);
        assert_int_equal(frame.serial, 1);
        assert_int_equal(frame.width, RELAY_WIDTH);
        assert_int_equal(frame.generation, 1);
        assert_false(frame.stale);
        assert_true(frame_is_whole(pixels, frame.bytes, 1));
        assert_int_equal(VGPU_RING_WORD_SERIAL(s.page->hold[0]), 1);
        assert_int_equal(vgpu_client_intact(c, 1), 1);
        assert_int_equal(vgpu_client_intact(c, 2), -ENOENT);

        /* once, as with copies */
        assert_int_equal(vgpu_client_acquire(c, &frame, &pixels), 0);
        assert_int_equal(vgpu_client_release(c, 1), 1);
        assert_int_equal(s.page->hold[0], 0);
        assert_int_equal(vgpu_client_release(c, 1), -ENOENT);
        assert_int_equal(vgpu_client_intact(c, 1), -ENOENT);
        end(&s, c);
}

static void a_held_slot_is_left_alone_by_the_daemon(void **state)
{
        struct ring_holder holder = { 0 };
        struct vgpu_client *c;
        const void *pixels;
        struct stage s;
        uint64_t held;

        (void)state;
        c = begin(&s);
        stage_publish(&s);
        look(&s, &holder);
        held = acquire(c, &pixels);
        for (int i = 0; i < 10; i++) {
                stage_publish(&s);
                look(&s, &holder);
        }
        assert_true(frame_is_whole(pixels, RELAY_BYTES, held));
        assert_int_equal(vgpu_client_release(c, held), 1);
        end(&s, c);
}

static void a_lease_that_was_lost_is_noticed_and_counted(void **state)
{
        struct vgpu_client_stats stats;
        struct vgpu_client *c;
        const void *pixels;
        struct stage s;
        uint64_t held;

        (void)state;
        c = begin(&s);
        stage_publish(&s);
        held = acquire(c, &pixels);
        /* a daemon that never looks honours nothing; the newest frame it leaves alone all the same */
        for (uint32_t i = 0; i < STAGE_SLOTS - 1; i++) {
                stage_publish(&s);
                assert_int_equal(vgpu_client_intact(c, held), 1);
        }
        ring_slot_begin(s.ring);
        assert_int_equal(vgpu_client_intact(c, held), 0);
        ring_slot_abort(s.ring, 0, 0);
        assert_int_equal(vgpu_client_intact(c, held), 0);
        stage_publish(&s);
        assert_int_equal(vgpu_client_intact(c, held), 0);
        assert_int_equal(vgpu_client_release(c, held), 0);
        held = acquire(c, &pixels);
        assert_int_equal(vgpu_client_release(c, held), 1);
        vgpu_client_stats(c, &stats);
        assert_int_equal(stats.leases, 2);
        assert_int_equal(stats.lost, 1);
        end(&s, c);
}

static void as_many_as_the_page_has_words_can_be_held(void **state)
{
        struct vgpu_client_frame frame;
        struct vgpu_client *c;
        const void *pixels;
        struct stage s;

        (void)state;
        c = begin(&s);
        for (uint64_t serial = 1; serial <= VGPU_PAGE_HOLDS; serial++) {
                stage_publish(&s);
                assert_int_equal(acquire(c, &pixels), serial);
        }
        assert_int_equal(vgpu_client_acquire(c, &frame, &pixels), 0);
        stage_publish(&s);
        assert_int_equal(vgpu_client_acquire(c, &frame, &pixels), -EBUSY);
        assert_true(vgpu_client_release(c, 3) >= 0);
        assert_int_equal(acquire(c, &pixels), VGPU_PAGE_HOLDS + 1);
        assert_int_equal(VGPU_RING_WORD_SERIAL(s.page->hold[2]), VGPU_PAGE_HOLDS + 1);
        end(&s, c);
}

static void without_a_grant_nothing_can_be_held(void **state)
{
        struct vgpu_client_frame frame;
        struct vgpu_client *c;
        const void *pixels;
        struct stage s;

        (void)state;
        stage_start(&s);
        c = stage_client(&s, NULL);
        assert_int_equal(vgpu_client_acquire(c, &frame, &pixels), -ENODATA);
        stage_connect(&s, c);
        assert_int_equal(s.hello.wants & VGPU_WANT_LEASE, 0);
        stage_publish(&s);
        assert_int_equal(vgpu_client_acquire(c, &frame, &pixels), -EOPNOTSUPP);
        end(&s, c);
}

static void leases_need_no_wake_descriptor(void **state)
{
        struct vgpu_client_options options = { .flags = VGPU_CLIENT_LEASES |
                                                        VGPU_CLIENT_NO_WAKE_FD };
        struct vgpu_client *c;
        const void *pixels;
        struct stage s;

        (void)state;
        stage_start(&s);
        c = stage_client(&s, &options);
        stage_connect(&s, c);
        stage_publish(&s);
        assert_true(vgpu_client_wait(c, -1) & VGPU_CLIENT_FRAME);
        assert_int_equal(acquire(c, &pixels), 1);
        assert_int_not_equal(s.page->hold[0], 0);
        assert_int_equal(s.page->armed, 0);
        end(&s, c);
}

static void a_descriptor_that_lies_is_not_held(void **state)
{
        struct ring_frame lie = relay_frame(1);
        struct vgpu_client_frame frame;
        struct vgpu_client *c;
        const void *pixels;
        struct stage s;

        (void)state;
        c = begin(&s);
        ring_slot_begin(s.ring);
        lie.stride = 1; /* less than a byte per pixel */
        lie.n_damage = 0;
        ring_publish(s.ring, &lie);
        assert_int_equal(vgpu_client_acquire(c, &frame, &pixels), -EPROTO);
        assert_int_equal(vgpu_client_peek(c, &frame), -EPROTO);
        for (size_t i = 0; i < VGPU_PAGE_HOLDS; i++)
                assert_int_equal(s.page->hold[i], 0);
        end(&s, c);
}

/* ---- generations ------------------------------------------------------------------------------- */

static uint64_t released(struct stage *s)
{
        struct vgpu_msg_release msg, last = { .generation = 0 };

        while (stage_receive(s, VGPU_MSG_RELEASE, &msg, sizeof(msg)))
                last = msg;
        return last.generation;
}

static void a_held_frame_keeps_its_ring_mapped(void **state)
{
        struct vgpu_client *c;
        const void *pixels[3];
        struct stage s;

        (void)state;
        c = begin(&s);
        for (uint64_t i = 0; i < 3; i++) {
                stage_publish(&s);
                assert_int_equal(acquire(c, &pixels[i]), i + 1);
                stage_regenerate(&s, RELAY_BYTES * (i + 2));
                vgpu_client_dispatch(c);
        }
        /* ours, and theirs of 1, 2, 3 and 4 */
        assert_int_equal(count_maps(RING_MAP), 1 + 4);
        assert_int_equal(released(&s), 0);

        /* in any order; the oldest one held is what the daemon has to know */
        assert_int_equal(vgpu_client_release(c, 2), 1);
        assert_int_equal(count_maps(RING_MAP), 1 + 3);
        assert_int_equal(released(&s), 0);
        assert_true(frame_is_whole(pixels[0], RELAY_BYTES, 1));
        assert_int_equal(vgpu_client_release(c, 1), 1);
        assert_int_equal(released(&s), 2);
        assert_true(frame_is_whole(pixels[2], RELAY_BYTES, 3));
        assert_int_equal(vgpu_client_release(c, 3), 1);
        assert_int_equal(released(&s), 3);
        assert_int_equal(count_maps(RING_MAP), 1 + 1);
        end(&s, c);
}

static void however_often_the_ring_changes_old_maps_are_as_many_as_holds(void **state)
{
        struct vgpu_client_frame frame;
        struct vgpu_client *c;
        const void *pixels;
        struct stage s;

        (void)state;
        c = begin(&s);
        for (uint64_t i = 0; i < 50; i++) {
                int got;

                stage_publish(&s);
                got = vgpu_client_acquire(c, &frame, &pixels);
                assert_int_equal(got, i < VGPU_PAGE_HOLDS ? 1 : -EBUSY);
                stage_regenerate(&s, RELAY_BYTES * (i % 3 + 1));
                vgpu_client_dispatch(c);
                assert_in_range(count_maps(RING_MAP), 1, 1 + VGPU_PAGE_HOLDS + 1);
        }
        end(&s, c);
}

/* ---- the daemon goes --------------------------------------------------------------------------- */

static void a_held_frame_outlives_its_daemon(void **state)
{
        struct vgpu_client_frame frame;
        struct vgpu_client *c;
        const void *old, *new;
        struct stage s;

        (void)state;
        c = begin(&s);
        stage_publish(&s);
        stage_publish(&s);
        assert_int_equal(acquire(c, &old), 2);
        stage_die(&s);
        assert_true(vgpu_client_wait(c, -1) & VGPU_CLIENT_DISCONNECTED);
        assert_int_equal(vgpu_client_intact(c, 2), 1);
        assert_true(frame_is_whole(old, RELAY_BYTES, 2));

        assert_true(stage_connect(&s, c) & VGPU_CLIENT_INSTANCE);
        stage_publish(&s);
        assert_int_equal(acquire(c, &new), 1);
        assert_true(frame_is_whole(old, RELAY_BYTES, 2));
        assert_int_equal(vgpu_client_intact(c, 2), 1);

        /* serials name holds: the new daemon's second frame cannot be told from the old one's */
        stage_publish(&s);
        assert_int_equal(vgpu_client_acquire(c, &frame, &new), -EBUSY);
        assert_int_equal(vgpu_client_release(c, 2), 1);
        assert_int_equal(acquire(c, &new), 2);
        assert_int_equal(released(&s), 0);
        end(&s, c);
}

static void the_last_frame_can_be_taken_after_the_daemon_has_gone(void **state)
{
        struct vgpu_client_frame frame;
        struct vgpu_client *c;
        const void *pixels;
        struct stage s;

        (void)state;
        c = begin(&s);
        stage_publish(&s);
        vgpu_client_dispatch(c);
        stage_hang_up(&s);
        assert_true(vgpu_client_wait(c, -1) & VGPU_CLIENT_DISCONNECTED);
        assert_int_equal(vgpu_client_acquire(c, &frame, &pixels), 1);
        assert_true(frame.stale);
        assert_true(frame_is_whole(pixels, frame.bytes, 1));
        assert_int_equal(vgpu_client_release(c, 1), 1);
        end(&s, c);
}

static void a_connection_lost_to_a_living_daemon_ends_the_hold_but_not_the_check(void **state)
{
        struct ring_holder holder = { 0 };
        struct vgpu_client *c;
        const void *pixels;
        struct stage s;

        (void)state;
        c = begin(&s);
        stage_publish(&s);
        assert_int_equal(acquire(c, &pixels), 1);
        stage_hang_up(&s);
        assert_true(vgpu_client_wait(c, -1) & VGPU_CLIENT_DISCONNECTED);
        stage_connect(&s, c);
        for (size_t i = 0; i < VGPU_PAGE_HOLDS; i++)
                assert_int_equal(s.page->hold[i], 0);
        assert_int_equal(vgpu_client_intact(c, 1), 1);
        for (uint32_t i = 0; i < STAGE_SLOTS; i++) {
                stage_publish(&s);
                look(&s, &holder);
        }
        assert_int_equal(vgpu_client_release(c, 1), 0);
        end(&s, c);
}

/* ---- at full speed -------------------------------------------------------------------------------- */

#define ACQUIRES 5000
#define KEPT     5 /* frames held at a time: more than the daemon honours */

struct kept {
        struct vgpu_client_frame frame;
        const void *pixels;
};

/* Whatever was released as whole was whole, up to then. Return: whether it was released as whole. */
static bool let_go(struct vgpu_client *c, const struct kept *k)
{
        bool whole = frame_is_whole(k->pixels, k->frame.bytes, k->frame.serial);
        int intact = vgpu_client_release(c, k->frame.serial);

        assert_in_range(intact, 0, 1);
        assert_true(whole || !intact);
        return intact;
}

static void what_is_released_as_whole_was_whole(void **state)
{
        char dir[] = "/tmp/vgpud-lease-XXXXXX", path[64], lock[80];
        struct kept kept[KEPT] = { 0 };
        struct vgpu_client_stats stats;
        struct vgpu_client *c;
        uint64_t n_whole = 0;
        pid_t pid;

        (void)state;
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/ring.sock", dir);
        snprintf(lock, sizeof(lock), "%s.lock", path);
        pid = relay_fork(path, 0, RELAY_BYTES);
        assert_int_equal(vgpu_client_connect(path, &leases, &c, NULL), 0);
        for (uint32_t n = 0; n < ACQUIRES; n++) {
                /* one at first, as one should */
                struct kept *k = &kept[n % (1 + n * KEPT / ACQUIRES)];
                int got;

                if (k->pixels)
                        n_whole += let_go(c, k);
                do {
                        assert_true(vgpu_client_wait(c, -1) >= 0);
                        got = vgpu_client_acquire(c, &k->frame, &k->pixels);
                        assert_in_range(got, 0, 1);
                } while (got == 0);
        }
        vgpu_client_stats(c, &stats);
        assert_int_equal(stats.leases, ACQUIRES);
        assert_int_equal(stats.lost, ACQUIRES - KEPT - n_whole);
        assert_int_not_equal(stats.lost, 0);
        assert_int_not_equal(n_whole, 0);
        print_message("  %u acquired, %u lost\n", ACQUIRES, (unsigned int)stats.lost);
        vgpu_client_close(c);
        process_kill(pid);
        unlink(path);
        unlink(lock);
        assert_int_equal(rmdir(dir), 0);
}

/* ---- peek -------------------------------------------------------------------------------------- */

static void a_peek_describes_and_takes_nothing(void **state)
{
        struct vgpu_client_frame peeked, frame;
        struct vgpu_client_stats stats;
        struct vgpu_client *c;
        const void *pixels;
        struct stage s;

        (void)state;
        stage_start(&s);
        c = stage_client(&s, &leases);
        assert_int_equal(vgpu_client_peek(c, &peeked), -ENODATA);
        stage_connect(&s, c);
        assert_int_equal(vgpu_client_peek(c, &peeked), 0);
        stage_publish(&s);
        stage_publish(&s);
        for (int i = 0; i < 3; i++)
                assert_int_equal(vgpu_client_peek(c, &peeked), 1);
        vgpu_client_stats(c, &stats);
        assert_int_equal(stats.frames, 0);
        assert_int_equal(vgpu_client_acquire(c, &frame, &pixels), 1);
        assert_memory_equal(&peeked, &frame, sizeof(frame));
        assert_int_equal(vgpu_client_peek(c, &peeked), 0);
        end(&s, c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_acquired_frame_is_in_the_page_until_released),
                cmocka_unit_test(a_held_slot_is_left_alone_by_the_daemon),
                cmocka_unit_test(a_lease_that_was_lost_is_noticed_and_counted),
                cmocka_unit_test(as_many_as_the_page_has_words_can_be_held),
                cmocka_unit_test(without_a_grant_nothing_can_be_held),
                cmocka_unit_test(leases_need_no_wake_descriptor),
                cmocka_unit_test(a_descriptor_that_lies_is_not_held),
                cmocka_unit_test(a_held_frame_keeps_its_ring_mapped),
                cmocka_unit_test(however_often_the_ring_changes_old_maps_are_as_many_as_holds),
                cmocka_unit_test(a_held_frame_outlives_its_daemon),
                cmocka_unit_test(the_last_frame_can_be_taken_after_the_daemon_has_gone),
                cmocka_unit_test(
                        a_connection_lost_to_a_living_daemon_ends_the_hold_but_not_the_check),
                cmocka_unit_test(what_is_released_as_whole_was_whole),
                cmocka_unit_test(a_peek_describes_and_takes_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
