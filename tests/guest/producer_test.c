/*
 * producer_test.c - what a reader may rely on, clause by clause, of the writer's library
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "vgpu_producer.h"

#define STRIDE 4096u

struct fixture {
        struct vgpu_producer p;
        struct vgpu_producer_setup setup;
        uint8_t *mapping;
        uint64_t bytes;
        vgpu_producer_t *block;
        vgpu_control_t *control;
};

static const struct vgpu_producer_frame frame_16x16 = {
        .width = 16,
        .height = 16,
        .stride = 64,
        .format = VGPU_FMT_BGRA8888,
        .timestamp_ns = 5,
};

static int set_up(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));

        f->setup = (struct vgpu_producer_setup){ .pid = 1234,
                .slot_count = 3,
                .slot_stride = STRIDE,
                .heartbeat_period_ms = 100,
                .backend = VGPU_BK_SYNTHETIC };
        f->bytes = vgpu_producer_region_bytes(3, STRIDE);
        f->mapping = aligned_alloc(0x10000, (f->bytes + 0xFFFF) & ~UINT64_C(0xFFFF));
        memset(f->mapping, 0, f->bytes);
        f->block = (vgpu_producer_t *)f->mapping;
        f->control = (vgpu_control_t *)(f->mapping + VGPU_CONTROL_OFFSET);
        assert_true(vgpu_producer_init(&f->p, f->mapping, f->bytes, &f->setup));
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;

        free(f->mapping);
        free(f);
        return 0;
}

/* An implementation of its own: one table entry at a time, from the polynomial's definition. */
static uint32_t crc32c_by_table(const uint8_t *bytes, size_t len)
{
        uint32_t table[256], crc = 0xFFFFFFFF;

        for (uint32_t i = 0; i < 256; i++) {
                table[i] = i;
                for (int k = 0; k < 8; k++)
                        table[i] = table[i] & 1 ? table[i] >> 1 ^ 0x82F63B78 : table[i] >> 1;
        }
        while (len--)
                crc = crc >> 8 ^ table[(crc ^ *bytes++) & 0xFF];
        return ~crc;
}

static uint64_t publish(struct fixture *f)
{
        uint64_t id;

        memset(vgpu_producer_begin_frame(&f->p, &id), 0, STRIDE);
        assert_true(vgpu_producer_end_frame(&f->p, &frame_16x16));
        return id;
}

static void the_identity_is_complete_and_its_checksum_covers_the_magic(void **state)
{
        const struct fixture *f = *state;

        assert_int_equal(crc32c_by_table((const uint8_t *)"123456789", 9), 0xE3069283);
        assert_memory_equal(f->mapping, "VGPUSTM1", 8);
        assert_int_equal(f->block->abi_version, 0x00010000);
        assert_int_equal(f->block->producer_bytes, 0x1000);
        assert_int_equal(f->block->region_bytes, 0x10000 + 3 * STRIDE);
        assert_int_equal(f->block->control_offset, 0x1000);
        assert_int_equal(f->block->control_bytes, 64);
        assert_int_equal(f->block->ring_offset, 0x10000);
        assert_int_equal(f->block->slot_stride, STRIDE);
        assert_int_equal(f->block->slot_count, 3);
        assert_int_equal(f->block->heartbeat_period_ms, 100);
        assert_int_equal(f->block->producer_pid, 1234);
        assert_int_equal(f->block->identity_crc, crc32c_by_table(f->mapping, 0x3C));
}

static void a_new_region_has_no_frame_and_begins_run_epoch_one(void **state)
{
        const struct fixture *f = *state;

        assert_int_equal(f->block->latest, VGPU_SLOT_NONE);
        assert_int_equal(f->block->latest_frame_id, 0);
        assert_int_equal(f->block->run_epoch, 1);
        assert_int_equal(f->block->status, VGPU_ST_INIT);
}

static void impossible_geometry_is_refused_and_touches_nothing(void **state)
{
        struct fixture *f = *state;
        static const struct {
                uint32_t slots;
                uint64_t stride;
                uint32_t period;
        } bad[] = { { 1, 4096, 100 }, { 9, 4096, 100 }, { 3, 0, 100 }, { 3, 4097, 100 },
                { 3, VGPU_SLOT_STRIDE + 4096, 100 }, { 3, 4096, 0 }, { 3, 4096, 101 },
                { 8, 4096, 100 } };
        uint8_t before[4096];

        memcpy(before, f->mapping, sizeof(before));
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct vgpu_producer_setup s = f->setup;
                struct vgpu_producer other;

                s.slot_count = bad[i].slots;
                s.slot_stride = bad[i].stride;
                s.heartbeat_period_ms = bad[i].period;
                assert_false(vgpu_producer_init(&other, f->mapping, f->bytes, &s));
                assert_false(vgpu_producer_reinit(&f->p, &s));
                assert_memory_equal(before, f->mapping, sizeof(before));
        }
}

static void a_slot_stride_is_whole_pages_and_never_more_than_the_abi_allows(void **state)
{
        (void)state;
        assert_int_equal(vgpu_producer_slot_stride(1, 1, VGPU_FMT_BGRA8888), 4096);
        assert_int_equal(vgpu_producer_slot_stride(1920, 1080, VGPU_FMT_BGRA8888), 8294400);
        assert_int_equal(vgpu_producer_slot_stride(1366, 768, VGPU_FMT_RGBA16F), 8392704);
        assert_int_equal(vgpu_producer_slot_stride(7680, 4320, VGPU_FMT_BGRA8888), 132710400);
        assert_int_equal(vgpu_producer_slot_stride(7680, 4320, VGPU_FMT_RGBA16F), 0);
        assert_int_equal(vgpu_producer_slot_stride(UINT32_MAX, UINT32_MAX, VGPU_FMT_RGBA16F), 0);
        assert_int_equal(vgpu_producer_slot_stride(0, 1080, VGPU_FMT_BGRA8888), 0);
        assert_int_equal(vgpu_producer_slot_stride(1920, 0, VGPU_FMT_BGRA8888), 0);
        assert_int_equal(vgpu_producer_slot_stride(1920, 1080, 0), 0);
}

static void a_slot_is_odd_while_it_is_written_and_even_when_it_is_published(void **state)
{
        struct fixture *f = *state;
        uint64_t id;
        uint8_t *pixels = vgpu_producer_begin_frame(&f->p, &id);
        uint32_t slot = (uint32_t)((pixels - f->mapping - VGPU_RING_OFFSET) / STRIDE);

        assert_int_equal(id, 1);
        assert_int_equal(f->block->slot[slot].seq, 1);
        assert_int_equal(f->block->latest, VGPU_SLOT_NONE);
        assert_true(vgpu_producer_end_frame(&f->p, &frame_16x16));
        assert_int_equal(f->block->slot[slot].seq, 2);
        assert_int_equal(f->block->latest, slot);
        assert_int_equal(f->block->latest_frame_id, 1);
        assert_int_equal(f->block->slot[slot].frame_id, 1);
        assert_int_equal(f->block->slot[slot].run_epoch, 1);
        assert_int_equal(f->block->slot[slot].stride, 64);
        assert_int_equal(f->block->slot[slot].timestamp_ns, 5);
}

static void a_seq_left_odd_by_a_dead_writer_stays_odd_while_it_is_written_again(void **state)
{
        struct fixture *f = *state;
        uint64_t id;

        f->block->slot[0].seq = 7;
        vgpu_producer_begin_frame(&f->p, &id);
        assert_int_equal(f->block->slot[0].seq, 9);
        vgpu_producer_end_frame(&f->p, &frame_16x16);
        assert_int_equal(f->block->slot[0].seq, 10);
}

static void the_slot_longest_out_of_latest_is_written_next(void **state)
{
        struct fixture *f = *state;
        uint64_t last_used[3] = { 0 };

        for (uint64_t n = 1; n <= 50; n++) {
                uint32_t latest = f->block->latest, chosen;
                uint64_t id;
                uint8_t *pixels = vgpu_producer_begin_frame(&f->p, &id);

                chosen = (uint32_t)((pixels - f->mapping - VGPU_RING_OFFSET) / STRIDE);
                assert_int_not_equal(chosen, latest);
                for (uint32_t i = 0; i < 3; i++)
                        if (i != latest)
                                assert_true(last_used[chosen] <= last_used[i]);
                if (n % 7 == 0) {
                        vgpu_producer_cancel_frame(&f->p);
                        continue;
                }
                vgpu_producer_end_frame(&f->p, &frame_16x16);
                last_used[chosen] = n;
        }
}

static void a_cancelled_frame_is_even_again_but_cannot_be_read(void **state)
{
        struct fixture *f = *state;
        uint64_t id;
        uint32_t slot;

        publish(f);
        vgpu_producer_begin_frame(&f->p, &id);
        slot = f->p.open_slot;
        vgpu_producer_cancel_frame(&f->p);
        assert_int_equal(f->block->slot[slot].seq % 2, 0);
        assert_int_equal(f->block->slot[slot].width, 0);
        assert_int_equal(f->block->latest_frame_id, 1);
        assert_int_equal(publish(f), id + 1);
}

static void a_frame_that_does_not_fit_is_not_published(void **state)
{
        struct fixture *f = *state;
        static const struct vgpu_producer_frame bad[] = {
                { .width = 0, .height = 16, .stride = 64, .format = VGPU_FMT_BGRA8888 },
                { .width = 16, .height = 0, .stride = 64, .format = VGPU_FMT_BGRA8888 },
                { .width = 17, .height = 16, .stride = 64, .format = VGPU_FMT_BGRA8888 },
                { .width = 16, .height = 65, .stride = 64, .format = VGPU_FMT_BGRA8888 },
                { .width = 16, .height = 16, .stride = 64, .format = 99 },
                { .width = 1u << 30,
                        .height = 1u << 30,
                        .stride = UINT32_MAX,
                        .format = VGPU_FMT_BGRA8888 },
        };

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                uint64_t id;

                vgpu_producer_begin_frame(&f->p, &id);
                assert_false(vgpu_producer_end_frame(&f->p, &bad[i]));
                assert_int_equal(f->block->latest, VGPU_SLOT_NONE);
        }
}

static void damage_without_a_base_or_beyond_the_limit_is_the_whole_frame(void **state)
{
        struct fixture *f = *state;
        const vgpu_rect_t rects[17] = { { 1, 2, 3, 4 }, { 5, 6, 7, 8 } };
        struct vgpu_producer_frame frame = frame_16x16;
        uint64_t id;
        const struct {
                uint32_t count;
                uint64_t base;
                uint32_t want;
        } cases[] = { { 2, 1, 2 }, { 2, 0, 0 }, { 17, 1, 0 }, { 16, 1, 16 }, { 0, 1, 0 } };

        frame.damage = rects;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                vgpu_producer_begin_frame(&f->p, &id);
                frame.damage_count = cases[i].count;
                frame.damage_base = cases[i].base;
                vgpu_producer_end_frame(&f->p, &frame);
                assert_int_equal(f->block->slot[f->block->latest].damage_count, cases[i].want);
                assert_int_equal(f->block->slot[f->block->latest].damage_base,
                        cases[i].want ? cases[i].base : 0);
                if (cases[i].want)
                        assert_memory_equal(f->block->damage[f->block->latest], rects,
                                cases[i].want * sizeof(rects[0]));
        }
}

static void every_cursor_report_moves_its_seq_by_two(void **state)
{
        struct fixture *f = *state;
        const struct vgpu_producer_cursor cursor = { .visible = true,
                .x = -3,
                .y = 7,
                .hot_x = 1,
                .hot_y = 2,
                .glyph_w = 32,
                .glyph_h = 48,
                .id = VGPU_CURSOR_ID_IBEAM };

        for (uint32_t n = 1; n <= 3; n++) {
                vgpu_producer_report_cursor(&f->p, &cursor);
                assert_int_equal(f->block->cursor_seq, 2 * n);
        }
        assert_int_equal(f->block->cursor_visible, 1);
        assert_true(f->block->cursor_pos == UINT64_C(0x00000007FFFFFFFD));
        assert_int_equal(f->block->cursor_hotspot, 0x00020001);
        assert_int_equal(f->block->cursor_glyph, 0x00300020);
        assert_int_equal(f->block->cursor_id, VGPU_CURSOR_ID_IBEAM);
}

static void geometry_is_written_under_its_own_seq(void **state)
{
        struct fixture *f = *state;
        const struct vgpu_producer_geometry g = { -1, -2, 3, 4, -5, -6, 96, 59940 };

        vgpu_producer_report_geometry(&f->p, &g);
        assert_int_equal(f->block->geom_seq, 2);
        assert_int_equal(f->block->virt_x, -1);
        assert_int_equal(f->block->virt_y, -2);
        assert_int_equal(f->block->virt_w, 3);
        assert_int_equal(f->block->virt_h, 4);
        assert_int_equal(f->block->cap_x, -5);
        assert_int_equal(f->block->cap_y, -6);
        assert_int_equal(f->block->dpi, 96);
        assert_int_equal(f->block->refresh_mhz, 59940);
}

static void a_reinit_bumps_run_epoch_and_resets_no_seq_or_frame_id(void **state)
{
        struct fixture *f = *state;
        const struct vgpu_producer_cursor cursor = { 0 };
        const struct vgpu_producer_geometry geometry = { 0 };
        uint32_t seqs[3];

        for (int i = 0; i < 5; i++)
                publish(f);
        vgpu_producer_report_cursor(&f->p, &cursor);
        vgpu_producer_report_geometry(&f->p, &geometry);
        vgpu_producer_heartbeat(&f->p);
        for (int i = 0; i < 3; i++)
                seqs[i] = f->block->slot[i].seq;
        vgpu_producer_retire(&f->p);
        assert_int_equal(f->block->magic, 0);
        assert_int_equal(f->block->status, VGPU_ST_STOPPING);

        assert_true(vgpu_producer_reinit(&f->p, &f->setup));
        assert_true(f->block->magic == VGPU_MAGIC);
        assert_int_equal(f->block->run_epoch, 2);
        assert_int_equal(f->block->latest, VGPU_SLOT_NONE);
        assert_int_equal(f->block->cursor_seq, 2);
        assert_int_equal(f->block->geom_seq, 2);
        assert_int_equal(f->block->heartbeat, 1);
        for (int i = 0; i < 3; i++)
                assert_int_equal(f->block->slot[i].seq, seqs[i]);
        assert_int_equal(publish(f), 6);
        assert_int_equal(f->block->slot[f->block->latest].run_epoch, 2);
}

static void a_later_mapping_of_the_process_goes_on_counting(void **state)
{
        struct fixture *f = *state;

        f->setup.run_epoch = 4;
        f->setup.last_frame_id = 90;
        assert_true(vgpu_producer_init(&f->p, f->mapping, f->bytes, &f->setup));
        assert_int_equal(publish(f), 91);
        assert_int_equal(f->block->slot[0].run_epoch, 4);
}

static void a_run_break_shows_in_the_status_and_in_later_frames(void **state)
{
        struct fixture *f = *state;

        publish(f);
        assert_int_equal(vgpu_producer_break_run(&f->p), 2);
        assert_int_equal(f->block->run_epoch, 2);
        assert_int_equal(f->block->slot[f->block->latest].run_epoch, 1);
        publish(f);
        assert_int_equal(f->block->slot[f->block->latest].run_epoch, 2);
}

static void an_intent_is_handed_out_once_and_only_when_it_is_whole(void **state)
{
        struct fixture *f = *state;
        struct vgpu_producer_intent intent = { 0 };

        assert_false(vgpu_producer_poll_control(&f->p, &intent));
        f->control->ctrl_gen = 1;
        f->control->desired_state = VGPU_CMD_PAUSE;
        f->control->target_fps = 30;
        f->control->full_frame_req = 3;
        assert_false(vgpu_producer_poll_control(&f->p, &intent));
        f->control->ctrl_gen = 2;
        assert_true(vgpu_producer_poll_control(&f->p, &intent));
        assert_int_equal(intent.ctrl_gen, 2);
        assert_int_equal(intent.desired_state, VGPU_CMD_PAUSE);
        assert_int_equal(intent.target_fps, 30);
        assert_int_equal(intent.full_frame_req, 3);
        assert_false(vgpu_producer_poll_control(&f->p, &intent));
        vgpu_producer_ack_control(&f->p, 2);
        vgpu_producer_ack_full_frame(&f->p, 3);
        assert_int_equal(f->block->ctrl_ack, 2);
        assert_int_equal(f->block->full_frame_ack, 3);
}

static void the_control_block_is_never_written(void **state)
{
        struct fixture *f = *state;
        struct vgpu_producer_intent intent;
        const uint8_t zeros[VGPU_CONTROL_BYTES] = { 0 };

        publish(f);
        vgpu_producer_poll_control(&f->p, &intent);
        vgpu_producer_ack_control(&f->p, 8);
        vgpu_producer_retire(&f->p);
        vgpu_producer_reinit(&f->p, &f->setup);
        assert_memory_equal(f->control, zeros, sizeof(zeros));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(the_identity_is_complete_and_its_checksum_covers_the_magic),
                TEST(a_new_region_has_no_frame_and_begins_run_epoch_one),
                TEST(impossible_geometry_is_refused_and_touches_nothing),
                TEST(a_slot_stride_is_whole_pages_and_never_more_than_the_abi_allows),
                TEST(a_slot_is_odd_while_it_is_written_and_even_when_it_is_published),
                TEST(a_seq_left_odd_by_a_dead_writer_stays_odd_while_it_is_written_again),
                TEST(the_slot_longest_out_of_latest_is_written_next),
                TEST(a_cancelled_frame_is_even_again_but_cannot_be_read),
                TEST(a_frame_that_does_not_fit_is_not_published),
                TEST(damage_without_a_base_or_beyond_the_limit_is_the_whole_frame),
                TEST(every_cursor_report_moves_its_seq_by_two),
                TEST(geometry_is_written_under_its_own_seq),
                TEST(a_reinit_bumps_run_epoch_and_resets_no_seq_or_frame_id),
                TEST(a_later_mapping_of_the_process_goes_on_counting),
                TEST(a_run_break_shows_in_the_status_and_in_later_frames),
                TEST(an_intent_is_handed_out_once_and_only_when_it_is_whole),
                TEST(the_control_block_is_never_written),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
