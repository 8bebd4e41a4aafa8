/*
 * lines_test.c - cursor, geometry, status, the heartbeat and the control image
 */
#include <errno.h>

#include "region_fixture.h"

static void write_cursor(vgpu_producer_t *b)
{
        b->cursor_seq = 6;
        b->cursor_visible = 1;
        b->cursor_pos = (uint64_t)(uint32_t)-20 << 32 | (uint32_t)-1920;
        b->cursor_hotspot = 3 << 16 | 5;
        b->cursor_glyph = 48 << 16 | 32;
        b->cursor_id = VGPU_CURSOR_ID_HAND;
}

static void a_cursor_is_unpacked_with_its_signs(void **state)
{
        struct fixture f;
        vgpup_cursor c;

        (void)state;
        fixture_open(&f);
        write_cursor(f.r.block);
        assert_int_equal(vgpup_read_cursor(f.region, f.m, &c), 1);
        assert_int_equal(c.seq, 6);
        assert_int_equal(c.visible, 1);
        assert_int_equal(c.x, -1920);
        assert_int_equal(c.y, -20);
        assert_int_equal(c.hot_x, 5);
        assert_int_equal(c.hot_y, 3);
        assert_int_equal(c.glyph_w, 32);
        assert_int_equal(c.glyph_h, 48);
        assert_int_equal(c.id, VGPU_CURSOR_ID_HAND);
        fixture_close(&f);
}

static void a_geometry_is_taken_field_by_field(void **state)
{
        struct fixture f;
        vgpup_geometry g;

        (void)state;
        fixture_open(&f);
        f.r.block->virt_x = -1920;
        f.r.block->virt_y = -5;
        f.r.block->virt_w = 3840;
        f.r.block->virt_h = 1080;
        f.r.block->cap_x = -1;
        f.r.block->cap_y = 2;
        f.r.block->dpi = 144;
        f.r.block->refresh_mhz = 59940;
        assert_int_equal(vgpup_read_geometry(f.region, f.m, &g), 1);
        assert_int_equal(g.virt_x, -1920);
        assert_int_equal(g.virt_y, -5);
        assert_int_equal(g.virt_w, 3840);
        assert_int_equal(g.virt_h, 1080);
        assert_int_equal(g.cap_x, -1);
        assert_int_equal(g.cap_y, 2);
        assert_int_equal(g.dpi, 144);
        assert_int_equal(g.refresh_mhz, 59940);
        fixture_close(&f);
}

static void a_line_being_written_is_skipped_and_the_output_untouched(void **state)
{
        struct fixture f;
        vgpup_cursor c, untouched;
        vgpup_geometry g;

        (void)state;
        fixture_open(&f);
        memset(&untouched, MARKER, sizeof(untouched));
        c = untouched;
        f.r.block->cursor_seq = 7;
        f.r.block->geom_seq = 1;
        assert_int_equal(vgpup_read_cursor(f.region, f.m, &c), 0);
        assert_int_equal(vgpup_last_skip(f.region), VGPUP_SKIP_BUSY);
        assert_memory_equal(&c, &untouched, sizeof(c));
        assert_int_equal(vgpup_read_geometry(f.region, f.m, &g), 0);
        assert_true(f.w.image.n_reads < 1000);
        fixture_close(&f);
}

static void move_cursor(void *ctx, size_t nth)
{
        vgpu_producer_t *b = ctx;

        (void)nth;
        b->cursor_seq += 2;
        b->cursor_pos++;
}

static void move_once(void *ctx, size_t nth)
{
        if (nth == 2) /* after seq, before the line */
                move_cursor(ctx, nth);
}

static void watch_cursor(struct fixture *f, void (*on_watch)(void *, size_t))
{
        uint64_t block = image_translate(&f->w.image, f->r.proc.cr3, REGION_GVA);

        f->w.image.watch_gpa = block + offsetof(vgpu_producer_t, cursor_seq);
        f->w.image.watch_bytes = 64;
        f->w.image.on_watch = on_watch;
        f->w.image.watch_ctx = f->r.block;
}

static void a_cursor_that_moves_once_is_read_again(void **state)
{
        struct fixture f;
        vgpup_cursor c;

        (void)state;
        fixture_open(&f);
        write_cursor(f.r.block);
        watch_cursor(&f, move_once);
        assert_int_equal(vgpup_read_cursor(f.region, f.m, &c), 1);
        assert_int_equal(c.seq, 8);
        assert_int_equal(c.x, -1919);
        fixture_close(&f);
}

static void a_cursor_that_never_settles_is_skipped(void **state)
{
        struct fixture f;
        vgpup_cursor c;

        (void)state;
        fixture_open(&f);
        write_cursor(f.r.block);
        watch_cursor(&f, move_cursor);
        assert_int_equal(vgpup_read_cursor(f.region, f.m, &c), 0);
        assert_int_equal(vgpup_last_skip(f.region), VGPUP_SKIP_BUSY);
        assert_true(f.w.image.n_watched < 20);
        fixture_close(&f);
}

static void a_status_is_read_and_its_run_epoch_recorded(void **state)
{
        struct fixture f;
        vgpup_status s;

        (void)state;
        fixture_open(&f);
        assert_int_equal(vgpup_run_epoch(f.region), 1);
        f.r.block->heartbeat = 123;
        f.r.block->run_epoch = 5;
        f.r.block->status = VGPU_ST_NO_DISPLAY;
        f.r.block->backend = VGPU_BK_WGC;
        f.r.block->error_code = 0x887a0026;
        f.r.block->applied_fps = 60;
        f.r.block->supported_formats = 0x66;
        f.r.block->ctrl_ack = 8;
        f.r.block->full_frame_ack = 9;
        f.r.block->content_change_ns = 77;
        assert_int_equal(vgpup_read_status(f.region, f.m, &s), 0);
        assert_int_equal(s.heartbeat, 123);
        assert_int_equal(s.run_epoch, 5);
        assert_int_equal(s.status, VGPU_ST_NO_DISPLAY);
        assert_int_equal(s.backend, VGPU_BK_WGC);
        assert_int_equal(s.error_code, 0x887a0026);
        assert_int_equal(s.applied_fps, 60);
        assert_int_equal(s.supported_formats, 0x66);
        assert_int_equal(s.ctrl_ack, 8);
        assert_int_equal(s.full_frame_ack, 9);
        assert_int_equal(s.content_change_ns, 77);
        assert_int_equal(vgpup_run_epoch(f.region), 5);
        fixture_close(&f);
}

static void a_refused_status_records_nothing(void **state)
{
        struct fixture f;
        vgpup_status s;

        (void)state;
        fixture_open(&f);
        f.r.block->run_epoch = 5;
        windows_exit(&f.w, &f.r.proc);
        assert_int_equal(vgpup_read_status(f.region, f.m, &s), -ESTALE);
        assert_int_equal(vgpup_run_epoch(f.region), 1);
        fixture_close(&f);
}

static void a_heartbeat_that_advances_is_life(void **state)
{
        struct fixture f;

        (void)state;
        fixture_open(&f);
        assert_int_equal(vgpup_confirm_alive(f.m, f.r.proc.cr3, REGION_GVA, 1000), 0);
        f.r.block->heartbeat = 1001;
        assert_int_equal(vgpup_confirm_alive(f.m, f.r.proc.cr3, REGION_GVA, 1000), 1);
        f.r.block->heartbeat = 3; /* past the end of its range */
        assert_int_equal(vgpup_confirm_alive(f.m, f.r.proc.cr3, REGION_GVA, UINT64_MAX), 1);
        f.r.block->heartbeat = 999;
        assert_int_equal(vgpup_confirm_alive(f.m, f.r.proc.cr3, REGION_GVA, 1000), 0);
        fixture_close(&f);
}

static void confirming_what_is_gone_is_a_read_error(void **state)
{
        struct fixture f;

        (void)state;
        fixture_open(&f);
        assert_int_equal(vgpup_confirm_alive(f.m, f.r.proc.cr3, REGION_GVA + 8, 0), -EINVAL);
        assert_int_equal(
                vgpup_confirm_alive(f.m, f.r.proc.cr3, REGION_GVA + 0x1000000, 0), -EFAULT);
        f.r.block->magic = 0;
        assert_int_equal(vgpup_confirm_alive(f.m, f.r.proc.cr3, REGION_GVA, 0), -ESTALE);
        fixture_close(&f);
}

/* The block's page moves; whoever has the old one now counts in it. */
static void block_moves(void *ctx)
{
        struct fixture *f = ctx;
        uint64_t at = image_entry(&f->w.image, f->r.proc.cr3, REGION_GVA, 1);
        uint64_t other = image_page(&f->w.image);

        memcpy(image_at(&f->w.image, other), f->r.block, sizeof(*f->r.block));
        image_put64(&f->w.image, at, other | PTE_P | PTE_W | PTE_U);
        f->r.block->heartbeat = 5000;
}

static void a_heartbeat_of_a_page_that_moved_away_is_nobodys(void **state)
{
        struct fixture f;
        size_t total;

        (void)state;
        fixture_open(&f);
        assert_int_equal(vgpup_confirm_alive(f.m, f.r.proc.cr3, REGION_GVA, 1000), 0);
        total = f.w.image.n_reads;
        fixture_close(&f);
        for (size_t n = 1; n <= total; n++) {
                fixture_open(&f);
                f.w.image.change_at = n;
                f.w.image.change = block_moves;
                f.w.image.change_ctx = &f;
                assert_int_equal(vgpup_confirm_alive(f.m, f.r.proc.cr3, REGION_GVA, 1000), 0);
                fixture_close(&f);
        }
}

typedef int (*read_fn)(struct fixture *f);

static int do_cursor(struct fixture *f)
{
        vgpup_cursor c;

        return vgpup_read_cursor(f->region, f->m, &c);
}

static int do_geometry(struct fixture *f)
{
        vgpup_geometry g;

        return vgpup_read_geometry(f->region, f->m, &g);
}

static int do_status(struct fixture *f)
{
        vgpup_status s;

        return vgpup_read_status(f->region, f->m, &s);
}

static int do_confirm(struct fixture *f)
{
        return vgpup_confirm_alive(f->m, f->r.proc.cr3, REGION_GVA, 0);
}

static int do_peek(struct fixture *f)
{
        uint64_t id;

        return vgpup_peek(f->region, f->m, &id);
}

static int do_changes(struct fixture *f)
{
        struct vgpup_change changes[VGPU_MAX_SLOTS];
        uint32_t n;

        return vgpup_read_changes(f->region, f->m, changes, &n);
}

static void every_failed_read_of_a_line_is_reported(void **state)
{
        static const read_fn reads[] = { do_cursor, do_geometry, do_status, do_confirm, do_peek,
                do_changes };
        struct fixture f;

        (void)state;
        fixture_open(&f);
        for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
                size_t total;

                image_calm(&f.w.image);
                assert_true(reads[i](&f) >= 0);
                total = f.w.image.n_reads;
                for (size_t n = 1; n <= total; n++) {
                        image_calm(&f.w.image);
                        f.w.image.fail_at = n;
                        f.w.image.fail_with = -EIO;
                        assert_int_equal(reads[i](&f), -EIO);
                }
        }
        fixture_close(&f);
}

static void a_control_image_holds_the_intent_and_nothing_else(void **state)
{
        const vgpup_control_intent in = { VGPU_CMD_RUN, 60, 1, 17 };
        vgpu_control_t image, expected = {
                .desired_state = VGPU_CMD_RUN,
                .target_fps = 60,
                .draw_cursor = 1,
                .full_frame_req = 17,
        };
        struct fixture f;
        uint32_t off, len;
        uint64_t gva;

        (void)state;
        fixture_open(&f);
        memset(&image, MARKER, sizeof(image));
        assert_int_equal(vgpup_build_control_write(f.region, &in, &image, &gva, &off, &len), 0);
        assert_memory_equal(&image, &expected, sizeof(image));
        assert_int_equal(gva, REGION_GVA + VGPU_CONTROL_OFFSET);
        assert_int_equal(off, 4);
        assert_int_equal(len, 16);
        assert_int_equal(f.w.image.n_reads, 0);
        assert_int_equal(vgpup_build_control_write(NULL, &in, &image, &gva, &off, &len), -EINVAL);
        fixture_close(&f);
}

static void a_control_block_is_read_as_it_is_and_nowhere_else(void **state)
{
        const vgpu_control_t written = { .ctrl_gen = 7,
                .desired_state = VGPU_CMD_PAUSE,
                .target_fps = 24,
                .full_frame_req = 3,
                .consumer_tick = 99 };
        struct fixture f;
        vgpu_control_t control;

        (void)state;
        fixture_open(&f);
        image_write(&f.w.image, f.r.proc.cr3, REGION_GVA + VGPU_CONTROL_OFFSET, &written,
                sizeof(written));
        assert_int_equal(vgpup_read_control(f.region, f.m, &control), 1);
        assert_memory_equal(&control, &written, sizeof(control));
        windows_exit(&f.w, &f.r.proc);
        assert_int_equal(vgpup_read_control(f.region, f.m, &control), -ESTALE);
        fixture_close(&f);
}

static void a_witness_is_what_was_bound_whatever_is_there_now(void **state)
{
        struct fixture f;
        struct vgpup_witness w;
        uint64_t eprocess, value;

        (void)state;
        fixture_open(&f);
        vgpup_region_witness(f.region, &w);
        assert_memory_equal(w.identity, f.r.block, sizeof(w.identity));
        assert_int_equal(w.kcr3, vmie_win32_info(f.v)->kcr3);
        eprocess = vgpup_region_candidate(f.region)->proc.eprocess;
        assert_int_equal(gva_read(f.m, w.kcr3, eprocess + w.pid_offset, &value, 8), 0);
        assert_int_equal(value, f.r.proc.pid);
        assert_int_equal(gva_read(f.m, w.kcr3, eprocess + w.create_time_offset, &value, 8), 0);
        assert_int_equal(value, vgpup_region_candidate(f.region)->proc.create_time);
        assert_int_equal(gva_read(f.m, w.kcr3, eprocess + w.cr3_offset, &value, 8), 0);
        assert_int_equal(value & ~UINT64_C(0xfff), f.r.proc.cr3);
        f.r.block->magic = 0;
        vgpup_region_witness(f.region, &w);
        assert_memory_not_equal(w.identity, f.r.block, sizeof(w.identity));
        fixture_close(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_cursor_is_unpacked_with_its_signs),
                cmocka_unit_test(a_geometry_is_taken_field_by_field),
                cmocka_unit_test(a_line_being_written_is_skipped_and_the_output_untouched),
                cmocka_unit_test(a_cursor_that_moves_once_is_read_again),
                cmocka_unit_test(a_cursor_that_never_settles_is_skipped),
                cmocka_unit_test(a_status_is_read_and_its_run_epoch_recorded),
                cmocka_unit_test(a_refused_status_records_nothing),
                cmocka_unit_test(a_heartbeat_that_advances_is_life),
                cmocka_unit_test(a_heartbeat_of_a_page_that_moved_away_is_nobodys),
                cmocka_unit_test(confirming_what_is_gone_is_a_read_error),
                cmocka_unit_test(every_failed_read_of_a_line_is_reported),
                cmocka_unit_test(a_control_image_holds_the_intent_and_nothing_else),
                cmocka_unit_test(a_control_block_is_read_as_it_is_and_nowhere_else),
                cmocka_unit_test(a_witness_is_what_was_bound_whatever_is_there_now),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
