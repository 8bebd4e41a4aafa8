/*
 * stream_test.c - a look at a guest whose RAM is a file: what is published, what is said about it, what is thrown away
 */
#include <time.h>

#include "stream_rig.h"

static void expect_newest(struct rig *rig, uint64_t frame_id, uint32_t n_damage)
{
        const uint8_t *pixels;
        const struct vgpu_ring_desc *d = newest(rig, &pixels);

        assert_int_equal(d->frame_id, frame_id);
        assert_int_equal(d->n_damage, n_damage);
        assert_frame(pixels, (size_t)d->height * d->stride, frame_id);
        unmap(rig, d);
}

static void a_frame_reaches_the_ring_once(void **state)
{
        struct rig rig;

        (void)state;
        for (int staging = 0; staging < 2; staging++) {
                rig_open(&rig, staging);
                look_until_published(&rig, 1);
                expect_newest(&rig, 1, 0);
                look(&rig);
                assert_int_equal(rig.stream.counters.frames, 1);
                region_publish(&rig.r, 64, 64, 256);
                look_until_published(&rig, 2);
                expect_newest(&rig, 2, 0);
                rig_close(&rig);
        }
}

/* It may be the last one before the desktop goes idle: nothing newer would replace what was thrown away. */
static void a_frame_that_came_late_is_taken_by_the_next_look(void **state)
{
        struct rig rig;

        (void)state;
        for (int staging = 0; staging < 2; staging++) {
                rig_open(&rig, staging);
                rig.stream.late_ns = 0;
                look(&rig);
                assert_int_equal(rig.stream.counters.late, 1);
                assert_int_equal(rig.stream.counters.frames, 0);
                rig.stream.late_ns = UINT64_MAX;
                look_until_published(&rig, 1);
                expect_newest(&rig, 1, 0);
                rig_close(&rig);
        }
}

/* What came in was something else: the frame that had to wait for it is as good as before. */
static void a_frame_that_was_overtaken_is_taken_by_the_next_look(void **state)
{
        struct rig rig;

        (void)state;
        for (int staging = 0; staging < 2; staging++) {
                rig_open(&rig, staging);
                rig.n_vetoes = 1;
                while (rig.n_vetoes > 0)
                        look(&rig);
                assert_int_equal(rig.stream.counters.overtaken, 1);
                assert_int_equal(rig.stream.counters.frames, 0);
                look_until_published(&rig, 1);
                expect_newest(&rig, 1, 0);
                rig_close(&rig);
        }
}

/* Each of its own place, so that none is part of another. */
static void publish_with_damage(struct rig *rig)
{
        uint32_t slot;
        vgpu_slot_t *line;

        region_publish(&rig->r, 32, 16, 128);
        slot = rig->r.block->latest;
        line = &rig->r.block->slot[slot];
        line->damage_base = line->frame_id - 1;
        line->damage_count = 1;
        rig->r.block->damage[slot][0] =
                (vgpu_rect_t){ (uint32_t)line->frame_id, (uint32_t)line->frame_id, 1, 1 };
}

static void damage_is_relative_to_the_frame_published_before(void **state)
{
        struct rig rig;

        (void)state;
        rig_open(&rig, false);
        look_until_published(&rig, 1);
        publish_with_damage(&rig);
        look_until_published(&rig, 2);
        expect_newest(&rig, 2, 1);
        region_publish(&rig.r, 32, 16, 128);
        publish_with_damage(&rig);
        look_until_published(&rig, 3);
        expect_newest(&rig, 4, 0);
        rig_close(&rig);
}

static void damage_of_a_frame_that_was_missed_is_found_in_its_slot(void **state)
{
        struct rig rig;

        (void)state;
        rig_open(&rig, false);
        look_until_published(&rig, 1);
        publish_with_damage(&rig);
        publish_with_damage(&rig);
        look_until_published(&rig, 2);
        expect_newest(&rig, 3, 2);

        /* The slot of frame 4 was used again before anybody looked. */
        publish_with_damage(&rig);
        publish_with_damage(&rig);
        publish_with_damage(&rig);
        look_until_published(&rig, 3);
        expect_newest(&rig, 6, 0);
        rig_close(&rig);
}

static void damage_of_a_frame_that_was_thrown_away_goes_into_the_next(void **state)
{
        struct rig rig;

        (void)state;
        rig_open(&rig, false);
        look_until_published(&rig, 1);
        publish_with_damage(&rig);
        rig.n_vetoes = 1;
        while (rig.n_vetoes > 0)
                look(&rig);
        rig.r.block->slot[rig.r.block->latest].seq++; /* on its way to be something else */
        publish_with_damage(&rig);
        rig.r.block->slot[1 - rig.r.block->latest].seq++;
        look_until_published(&rig, 2);
        expect_newest(&rig, 3, 2);
        rig_close(&rig);
}

static void publish_two_more(void *ctx)
{
        publish_with_damage(ctx);
        publish_with_damage(ctx);
}

/* The producer laps us at every place of a look: what is published then says all that changed, or the whole frame. */
static void damage_of_a_torn_frame_goes_into_the_next(void **state)
{
        bool torn = false, going_on = true;
        struct rig rig;

        (void)state;
        for (size_t n = 1; going_on; n++) {
                rig_open(&rig, false);
                look_until_published(&rig, 1);
                publish_with_damage(&rig);
                image_calm(&rig.w.image);
                rig.w.image.change_at = n;
                rig.w.image.change = publish_two_more;
                rig.w.image.change_ctx = &rig;
                look(&rig);
                going_on = rig.w.image.n_reads >= n;
                if (going_on && rig.stream.counters.frames == 1) {
                        bool was_torn = rig.stream.counters.torn_retries > 0;

                        look_until_published(&rig, 2);
                        expect_newest(&rig, 4, was_torn ? 3 : 0);
                        torn |= was_torn;
                }
                rig_close(&rig);
        }
        assert_true(torn);
}

/* Windows gives a pid to the next process soon, and frame ids begin again in it. */
static void damage_means_nothing_across_two_bindings(void **state)
{
        struct rig rig;

        (void)state;
        rig_open(&rig, false);
        look_until_published(&rig, 1);
        publish_with_damage(&rig);
        bind_region(&rig);
        stream_rebind(&rig.stream);
        look_until_published(&rig, 2);
        expect_newest(&rig, 2, 0);
        rig_close(&rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_frame_reaches_the_ring_once),
                cmocka_unit_test(a_frame_that_came_late_is_taken_by_the_next_look),
                cmocka_unit_test(a_frame_that_was_overtaken_is_taken_by_the_next_look),
                cmocka_unit_test(damage_is_relative_to_the_frame_published_before),
                cmocka_unit_test(damage_of_a_frame_that_was_missed_is_found_in_its_slot),
                cmocka_unit_test(damage_of_a_frame_that_was_thrown_away_goes_into_the_next),
                cmocka_unit_test(damage_of_a_torn_frame_goes_into_the_next),
                cmocka_unit_test(damage_means_nothing_across_two_bindings),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
