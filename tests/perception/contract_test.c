/*
 * contract_test.c - the contract of the perception core, clause by clause
 *
 * What each function promises to whoever calls it; the tests beside this one go into each promise's corners. That the
 * core neither sleeps, starts threads, arms timers, logs nor transports is held by the symbols test: it cannot name them.
 */
#include <errno.h>

#include "region_fixture.h"

/* ---- borrowed context and memory ---- */

static void a_region_keeps_neither_context_nor_memory(void **state)
{
        struct guest_image *image;
        vmie_mem elsewhere;
        vgpup_status st;
        struct fixture f;

        (void)state;
        fixture_open(&f);
        image = &f.w.image;
        elsewhere = image->mem;
        /* The context is closed and the memory it was bound through is gone: any other memory value will do. */
        vmie_win32_close(f.v);
        f.v = NULL;
        memset(&image->mem, 0, sizeof(image->mem));
        assert_int_equal(
                vgpup_sample_frame(f.region, &elsewhere, f.buf, sizeof(f.buf), &f.info), 1);
        assert_int_equal(vgpup_read_status(f.region, &elsewhere, &st), 0);
        image->mem = elsewhere;
        fixture_close(&f);
}

static void closing_a_region_leaves_context_and_memory_usable(void **state)
{
        struct fixture f;
        size_t n;

        (void)state;
        fixture_open(&f);
        vgpup_close(f.region);
        f.region = NULL;
        vgpup_close(NULL);
        assert_int_equal(f.w.image.n_reads, 0);
        assert_int_equal(proc_list(f.v, NULL, 0, &n), 0);
        assert_int_equal(vmie_win32_check(f.v, f.m), 0);
        assert_ptr_equal(vmie_win32_mem(f.v), f.m);
        fixture_close(&f);
}

/* ---- perceiving only ---- */

static void nothing_writes_to_the_guest(void **state)
{
        struct fixture f;
        vgpup_geometry g;
        vgpup_status st;
        vgpup_cursor c;
        uint8_t *before;
        uint64_t id;

        (void)state;
        fixture_open(&f);
        before = test_malloc(f.w.image.ram_bytes);
        memcpy(before, f.w.image.ram, f.w.image.ram_bytes);
        vgpup_close(f.region);
        f.region = vgpup_open(f.v);
        assert_non_null(f.region);
        assert_int_equal(vgpup_peek(f.region, f.m, &id), 1);
        assert_int_equal(fixture_sample(&f), 1);
        assert_int_equal(vgpup_read_cursor(f.region, f.m, &c), 1);
        assert_int_equal(vgpup_read_geometry(f.region, f.m, &g), 1);
        assert_int_equal(vgpup_read_status(f.region, f.m, &st), 0);
        assert_memory_equal(f.w.image.ram, before, f.w.image.ram_bytes);
        test_free(before);
        fixture_close(&f);
}

static void what_leaves_the_core_is_a_copy(void **state)
{
        struct vgpup_candidate candidate;
        struct vgpup_sample s;
        struct fixture f;
        vgpup_cursor c, same;
        size_t n;

        (void)state;
        fixture_open(&f);
        assert_int_equal(vgpup_discover_all(f.v, &candidate, 1, &n), 0);
        assert_int_equal(vgpup_read_cursor(f.region, f.m, &c), 1);
        assert_int_equal(vgpup_sample_begin(f.region, f.m, SIZE_MAX, &s), 1);
        assert_int_equal(fixture_sample(&f), 1);
        same = c;
        memset(f.w.image.ram, 0xee, f.w.image.ram_bytes);
        assert_memory_equal(&c, &same, sizeof(c));
        assert_frame(f.buf, f.info.bytes, 1);
        assert_string_equal(candidate.proc.name, "producer.exe");
        assert_int_equal(s.desc.frame_id, 1);
        /* Extents are offsets and lengths, on the handle's side of the wall. */
        for (size_t i = 0; i < s.n_extents; i++)
                assert_true((const uint8_t *)&s.extents[i] < f.w.image.ram ||
                            (const uint8_t *)&s.extents[i] >= f.w.image.ram + f.w.image.ram_bytes);
        fixture_close(&f);
}

/* ---- outcomes ---- */

static void deterministic_calls_return_0_or_less(void **state)
{
        const vgpup_control_intent in = { VGPU_CMD_RUN, 30, 0, 1 };
        uint64_t cr3, gva, hb0;
        struct fixture f;
        vgpu_control_t image;
        vgpup_status st;
        uint32_t off, len;
        size_t n;

        (void)state;
        fixture_open(&f);
        assert_int_equal(proc_list(f.v, NULL, 0, &n), 0);
        assert_int_equal(vgpup_discover_candidate(f.v, &cr3, &gva, &hb0), 0);
        assert_int_equal(vgpup_read_status(f.region, f.m, &st), 0);
        assert_int_equal(vgpup_build_control_write(f.region, &in, &image, &gva, &off, &len), 0);
        windows_exit(&f.w, &f.r.proc);
        assert_true(vgpup_discover_candidate(f.v, &cr3, &gva, &hb0) < 0);
        assert_true(vgpup_read_status(f.region, f.m, &st) < 0);
        assert_true(vgpup_build_control_write(NULL, &in, &image, &gva, &off, &len) < 0);
        fixture_close(&f);
}

static void lossy_calls_return_1_0_or_less(void **state)
{
        struct fixture f;
        vgpup_geometry g;
        vgpup_cursor c;

        (void)state;
        fixture_open(&f);
        assert_int_equal(fixture_sample(&f), 1);
        assert_int_equal(fixture_sample(&f), 0);
        assert_int_equal(vgpup_read_cursor(f.region, f.m, &c), 1);
        assert_int_equal(vgpup_read_geometry(f.region, f.m, &g), 1);
        f.r.block->cursor_seq |= 1;
        f.r.block->geom_seq |= 1;
        assert_int_equal(vgpup_read_cursor(f.region, f.m, &c), 0);
        assert_int_equal(vgpup_read_geometry(f.region, f.m, &g), 0);
        windows_exit(&f.w, &f.r.proc);
        assert_true(fixture_sample(&f) < 0);
        assert_true(vgpup_read_cursor(f.region, f.m, &c) < 0);
        assert_true(vgpup_read_geometry(f.region, f.m, &g) < 0);
        fixture_close(&f);
}

static void a_busy_writer_is_a_skip_after_a_bounded_number_of_retries(void **state)
{
        struct fixture f;

        (void)state;
        fixture_open(&f);
        f.r.block->slot[0].seq |= 1;
        assert_int_equal(fixture_sample(&f), 0);
        assert_true(f.w.image.n_reads < 1000);
        fixture_close(&f);
}

/* ---- two-phase discovery ---- */

static void discovery_comes_in_two_phases_and_the_wait_is_the_callers(void **state)
{
        uint64_t cr3, gva, hb0;
        struct fixture f;

        (void)state;
        fixture_open(&f);
        assert_int_equal(vgpup_discover_candidate(f.v, &cr3, &gva, &hb0), 0);
        assert_int_equal(vgpup_confirm_alive(f.m, cr3, gva, hb0), 0);
        f.r.block->heartbeat++;
        assert_int_equal(vgpup_confirm_alive(f.m, cr3, gva, hb0), 1);
        image_put64(&f.w.image, image_entry(&f.w.image, cr3, gva, 1), 0);
        assert_true(vgpup_confirm_alive(f.m, cr3, gva, hb0) < 0);
        fixture_close(&f);
}

static void opening_does_phase_one_and_binds(void **state)
{
        const struct vgpup_candidate *c;
        struct fixture f;

        (void)state;
        fixture_open(&f);
        c = vgpup_region_candidate(f.region);
        assert_int_equal(c->proc.cr3, f.r.proc.cr3);
        assert_int_equal(c->region_gva, REGION_GVA);
        assert_int_equal(c->heartbeat, 1000);
        assert_int_equal(fixture_sample(&f), 1); /* allowed before anything is confirmed */
        fixture_close(&f);
}

static void the_region_is_read_under_the_producers_own_root(void **state)
{
        struct fixture f;
        uint8_t byte;

        (void)state;
        fixture_open(&f);
        assert_int_equal(gva_read(f.m, f.w.kcr3, REGION_GVA, &byte, 1), -EFAULT);
        assert_int_equal(gva_read(f.m, f.r.proc.cr3, REGION_GVA, &byte, 1), 0);
        assert_int_equal(fixture_sample(&f), 1);
        fixture_close(&f);
}

/* ---- frames ---- */

struct trace {
        struct fixture *f;
        uint64_t block, pixels;
        char order[64];
        size_t n;
};

/* l: latest, s: the slot's seq or line, p: pixels */
static void note_read(void *ctx, size_t nth)
{
        struct trace *t = ctx;
        uint64_t gpa = t->f->w.image.last_gpa;
        char what = 0;

        (void)nth;
        if (gpa == t->block + offsetof(vgpu_producer_t, latest))
                what = 'l';
        else if (gpa == t->block + offsetof(vgpu_producer_t, slot))
                what = 's';
        else if (gpa == t->pixels)
                what = 'p';
        if (what && t->n < sizeof(t->order) - 1)
                t->order[t->n++] = what;
}

static void a_sample_reads_latest_seq_description_bytes_and_seq_again(void **state)
{
        struct trace t = { 0 };
        struct fixture f;

        (void)state;
        fixture_open(&f);
        t.f = &f;
        t.block = image_translate(&f.w.image, f.r.proc.cr3, REGION_GVA);
        t.pixels = image_translate(&f.w.image, f.r.proc.cr3, REGION_GVA + VGPU_RING_OFFSET);
        f.w.image.watch_bytes = f.w.image.ram_bytes;
        f.w.image.on_watch = note_read;
        f.w.image.watch_ctx = &t;
        assert_int_equal(fixture_sample(&f), 1);
        /* latest; seq, line, seq; seq once the slot is translated; the bytes; seq */
        assert_string_equal(t.order, "lssssps");
        fixture_close(&f);
}

static void a_frame_id_not_above_the_last_one_is_not_fresh(void **state)
{
        struct fixture f;

        (void)state;
        fixture_open(&f);
        assert_int_equal(fixture_sample(&f), 1);
        f.r.block->slot[0].seq += 2; /* written again, under its old number */
        assert_int_equal(fixture_sample(&f), 0);
        region_publish(&f.r, 32, 16, 128);
        assert_int_equal(fixture_sample(&f), 1);
        fixture_close(&f);
}

static void bytes_are_height_times_stride(void **state)
{
        struct fixture f;

        (void)state;
        fixture_open(&f);
        region_publish(&f.r, 10, 3, 48);
        assert_int_equal(fixture_sample(&f), 1);
        assert_int_equal(f.info.bytes, 3 * 48);
        assert_frame(f.buf, 3 * 48, 2);
        assert_int_equal(f.buf[3 * 48], MARKER);
        fixture_close(&f);
}

static void a_frame_over_cap_is_a_skip(void **state)
{
        struct fixture f;

        (void)state;
        fixture_open(&f);
        assert_int_equal(vgpup_sample_frame(f.region, f.m, f.buf, 0, &f.info), 0);
        assert_int_equal(vgpup_last_skip(f.region), VGPUP_SKIP_TOO_BIG);
        fixture_close(&f);
}

/* ---- cursor, geometry, status ---- */

static void a_cursor_snapshot_tells_idle_from_silent_by_its_seq(void **state)
{
        vgpup_cursor first, idle, silent;
        struct fixture f;

        (void)state;
        fixture_open(&f);
        f.r.block->cursor_pos = UINT64_C(0xffffffff00000007);
        f.r.block->cursor_hotspot = 0x00020001;
        f.r.block->cursor_glyph = 0x00100020;
        assert_int_equal(vgpup_read_cursor(f.region, f.m, &first), 1);
        assert_int_equal(first.x, 7);
        assert_int_equal(first.y, -1);
        assert_int_equal(first.hot_x, 1);
        assert_int_equal(first.hot_y, 2);
        assert_int_equal(first.glyph_w, 32);
        assert_int_equal(first.glyph_h, 16);
        f.r.block->cursor_seq += 2; /* reported, unchanged */
        assert_int_equal(vgpup_read_cursor(f.region, f.m, &idle), 1);
        assert_int_equal(vgpup_read_cursor(f.region, f.m, &silent), 1);
        assert_int_not_equal(idle.seq, first.seq);
        assert_int_equal(silent.seq, idle.seq);
        fixture_close(&f);
}

static void a_geometry_snapshot_is_one_moments(void **state)
{
        struct fixture f;
        vgpup_geometry g;

        (void)state;
        fixture_open(&f);
        f.r.block->virt_w = 2560;
        f.r.block->virt_h = 1440;
        f.r.block->geom_seq = 4;
        assert_int_equal(vgpup_read_geometry(f.region, f.m, &g), 1);
        assert_int_equal(g.virt_w, 2560);
        assert_int_equal(g.virt_h, 1440);
        f.r.block->geom_seq = 5;
        assert_int_equal(vgpup_read_geometry(f.region, f.m, &g), 0);
        fixture_close(&f);
}

static void a_status_snapshot_records_run_epoch(void **state)
{
        struct fixture f;
        vgpup_status st;

        (void)state;
        fixture_open(&f);
        f.r.block->run_epoch = 2;
        assert_int_equal(vgpup_run_epoch(f.region), 1);
        assert_int_equal(vgpup_read_status(f.region, f.m, &st), 0);
        assert_int_equal(st.run_epoch, 2);
        assert_int_equal(vgpup_run_epoch(f.region), 2);
        assert_int_equal(fixture_sample(&f), 1); /* no policy of the core's own */
        fixture_close(&f);
}

/* ---- control ---- */

static void a_control_write_is_only_built(void **state)
{
        const vgpup_control_intent in = { VGPU_CMD_PAUSE, 24, 1, 9 };
        struct fixture f;
        vgpu_control_t image;
        uint32_t off, len;
        uint64_t gva;
        uint8_t byte;

        (void)state;
        fixture_open(&f);
        assert_int_equal(vgpup_build_control_write(f.region, &in, &image, &gva, &off, &len), 0);
        assert_int_equal(f.w.image.n_reads, 0);
        assert_int_equal(image.ctrl_gen, 0);
        assert_int_equal(image.consumer_attached, 0);
        assert_int_equal(image.consumer_tick, 0);
        assert_int_equal(off, offsetof(vgpu_control_t, desired_state));
        assert_int_equal(off + len, offsetof(vgpu_control_t, full_frame_req) + 4);
        assert_int_equal(image.desired_state, VGPU_CMD_PAUSE);
        assert_int_equal(image.full_frame_req, 9);
        /* The address means something under the producer's root alone. */
        assert_int_equal(gva_read(f.m, f.r.proc.cr3, gva, &byte, 1), 0);
        assert_int_equal(gva_read(f.m, f.w.kcr3, gva, &byte, 1), -EFAULT);
        fixture_close(&f);
}

/* ---- restart ---- */

static void a_producer_restart_shows_as_an_error_and_is_found_again(void **state)
{
        struct guest_region second;
        struct guest_process p;
        struct fixture f;
        vgpup_status st;

        (void)state;
        fixture_open(&f);
        assert_int_equal(fixture_sample(&f), 1);
        windows_exit(&f.w, &f.r.proc);
        windows_unlink(&f.w, &f.r.proc);
        p = windows_process(&f.w, 4300, "producer.exe");
        region_init(&second, &f.w, &p, REGION_GVA + 0x100000, TEST_STRIDE_BYTES, 2);
        region_publish(&second, 32, 16, 128);
        assert_true(fixture_sample(&f) < 0);
        assert_true(vgpup_read_status(f.region, f.m, &st) < 0);
        vgpup_close(f.region);
        f.region = vgpup_open(f.v);
        assert_non_null(f.region);
        assert_int_equal(vgpup_region_candidate(f.region)->proc.pid, 4300);
        assert_int_equal(fixture_sample(&f), 1);
        assert_int_equal(f.info.desc.frame_id, 1); /* a new process counts from the start */
        fixture_close(&f);
}

/* ---- extensions ---- */

static void all_candidates_can_be_had_and_one_of_them_bound(void **state)
{
        struct vgpup_candidate c[2];
        struct guest_region second;
        struct guest_process p;
        vgpup_region *bound;
        struct fixture f;
        size_t n;

        (void)state;
        fixture_open(&f);
        p = windows_process(&f.w, 4300, "rival.exe");
        region_init(&second, &f.w, &p, REGION_GVA, TEST_STRIDE_BYTES, 3);
        assert_int_equal(vgpup_discover_all(f.v, c, 2, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(vgpup_bind(f.v, f.m, &c[1], &bound), 0);
        assert_int_equal(vgpup_region_candidate(bound)->proc.pid, 4242);
        assert_int_equal(vgpup_sample_frame(bound, f.m, f.buf, sizeof(f.buf), &f.info), 1);
        vgpup_close(bound);
        fixture_close(&f);
}

static void a_sample_is_begin_copy_and_commit(void **state)
{
        struct vgpup_sample s;
        struct fixture f;
        size_t covered = 0;

        (void)state;
        fixture_open(&f);
        region_publish(&f.r, 64, 50, 256);
        assert_int_equal(vgpup_sample_begin(f.region, f.m, sizeof(f.buf), &s), 1);
        for (size_t i = 0; i < s.n_extents; i++) {
                assert_int_equal(s.extents[i].offset, covered);
                assert_int_equal(
                        gpa_read(f.m, s.extents[i].gpa, f.buf + covered, s.extents[i].len), 0);
                covered += s.extents[i].len;
        }
        assert_int_equal(covered, s.bytes);
        assert_int_equal(vgpup_sample_commit(f.region, f.m, &s), 1);
        assert_frame(f.buf, s.bytes, 2);
        assert_int_equal(fixture_sample(&f), 0);
        fixture_close(&f);
}

static void a_peek_says_whether_a_newer_frame_is_there(void **state)
{
        struct fixture f;
        uint64_t id;

        (void)state;
        fixture_open(&f);
        assert_int_equal(vgpup_peek(f.region, f.m, &id), 1);
        assert_int_equal(id, 1);
        assert_int_equal(fixture_sample(&f), 1);
        assert_int_equal(vgpup_peek(f.region, f.m, &id), 0);
        fixture_close(&f);
}

static void a_glance_says_whether_there_is_a_newer_frame_or_report(void **state)
{
        struct fixture f;
        vgpup_cursor c;
        uint64_t id;

        (void)state;
        fixture_open(&f);
        assert_int_equal(vgpup_glance(f.region, f.m, &id), VGPUP_NEWS_FRAME | VGPUP_NEWS_CURSOR);
        assert_int_equal(id, 1);
        assert_int_equal(fixture_sample(&f), 1);
        assert_int_equal(vgpup_glance(f.region, f.m, &id), VGPUP_NEWS_CURSOR);
        assert_int_equal(vgpup_read_cursor(f.region, f.m, &c), 1);
        assert_int_equal(vgpup_glance(f.region, f.m, &id), 0);
        assert_int_equal(vgpup_last_skip(f.region), VGPUP_SKIP_NOT_FRESH);
        f.r.block->cursor_seq += 1; /* being written */
        assert_int_equal(vgpup_glance(f.region, f.m, &id), 0);
        f.r.block->cursor_seq += 1;
        assert_int_equal(vgpup_glance(f.region, f.m, &id), VGPUP_NEWS_CURSOR);
        assert_true(vgpup_cursor_stirs(f.region, f.m));
        assert_int_equal(vgpup_read_cursor(f.region, f.m, &c), 1);
        assert_false(vgpup_cursor_stirs(f.region, f.m));
        f.r.block->magic = 0;
        assert_true(vgpup_glance(f.region, f.m, &id) < 0);
        fixture_close(&f);
}

/* The kernel's header is among what a window reads first and last: who reads it how often has opened or closed how many. */
static size_t anchors_read_by(struct fixture *f, int (*call)(struct fixture *f))
{
        size_t before = f->w.image.n_watched;

        assert_true(call(f) > 0);
        return f->w.image.n_watched - before;
}

static int glance(struct fixture *f)
{
        return vgpup_glance(f->region, f->m, &(uint64_t){ 0 });
}

static int open_sample(struct fixture *f)
{
        struct vgpup_sample sample;

        return vgpup_sample_open(f->region, f->m, SIZE_MAX, &sample);
}

static int read_cursor(struct fixture *f)
{
        vgpup_cursor c;

        return vgpup_read_cursor(f->region, f->m, &c);
}

static int read_geometry(struct fixture *f)
{
        vgpup_geometry g;

        return vgpup_read_geometry(f->region, f->m, &g);
}

static void nothing_to_do(void *ctx, size_t nth)
{
        (void)ctx;
        (void)nth;
}

static void what_is_read_right_behind_a_glance_is_read_in_its_window(void **state)
{
        struct fixture f;

        (void)state;
        fixture_open(&f);
        f.w.image.watch_gpa =
                image_translate(&f.w.image, f.w.kcr3, WINDOWS_KERNEL_BASE + RVA_NT_HEADERS);
        f.w.image.watch_bytes = 4;
        f.w.image.on_watch = nothing_to_do;
        assert_int_equal(anchors_read_by(&f, glance), 1);
        assert_int_equal(anchors_read_by(&f, open_sample), 0);
        assert_int_equal(anchors_read_by(&f, open_sample), 1); /* a window is one sample's */
        assert_int_equal(anchors_read_by(&f, glance), 1);
        assert_int_equal(anchors_read_by(&f, read_cursor), 1); /* closes it */
        assert_int_equal(anchors_read_by(&f, read_cursor), 2);
        assert_int_equal(anchors_read_by(&f, glance), 1);
        assert_int_equal(
                anchors_read_by(&f, read_geometry), 2); /* a glance does not tell of that */
        fixture_close(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_region_keeps_neither_context_nor_memory),
                cmocka_unit_test(closing_a_region_leaves_context_and_memory_usable),
                cmocka_unit_test(nothing_writes_to_the_guest),
                cmocka_unit_test(what_leaves_the_core_is_a_copy),
                cmocka_unit_test(deterministic_calls_return_0_or_less),
                cmocka_unit_test(lossy_calls_return_1_0_or_less),
                cmocka_unit_test(a_busy_writer_is_a_skip_after_a_bounded_number_of_retries),
                cmocka_unit_test(discovery_comes_in_two_phases_and_the_wait_is_the_callers),
                cmocka_unit_test(opening_does_phase_one_and_binds),
                cmocka_unit_test(the_region_is_read_under_the_producers_own_root),
                cmocka_unit_test(a_sample_reads_latest_seq_description_bytes_and_seq_again),
                cmocka_unit_test(a_frame_id_not_above_the_last_one_is_not_fresh),
                cmocka_unit_test(bytes_are_height_times_stride),
                cmocka_unit_test(a_frame_over_cap_is_a_skip),
                cmocka_unit_test(a_cursor_snapshot_tells_idle_from_silent_by_its_seq),
                cmocka_unit_test(a_geometry_snapshot_is_one_moments),
                cmocka_unit_test(a_status_snapshot_records_run_epoch),
                cmocka_unit_test(a_control_write_is_only_built),
                cmocka_unit_test(a_producer_restart_shows_as_an_error_and_is_found_again),
                cmocka_unit_test(all_candidates_can_be_had_and_one_of_them_bound),
                cmocka_unit_test(a_sample_is_begin_copy_and_commit),
                cmocka_unit_test(a_peek_says_whether_a_newer_frame_is_there),
                cmocka_unit_test(a_glance_says_whether_there_is_a_newer_frame_or_report),
                cmocka_unit_test(what_is_read_right_behind_a_glance_is_read_in_its_window),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
