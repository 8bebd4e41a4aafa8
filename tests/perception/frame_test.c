/*
 * frame_test.c - the newest frame: what is taken, what is skipped and for which reason
 */
#include <errno.h>

#include "region_fixture.h"

#define FRAME_BYTES (16 * 128u)

static void expect_skip(struct fixture *f, enum vgpup_skip why)
{
        struct vgpup_sample s;
        vgpup_frame_info info;

        memset(&info, MARKER, sizeof(info));
        f->info = info;
        assert_int_equal(fixture_sample(f), 0);
        assert_int_equal(vgpup_last_skip(f->region), why);
        assert_memory_equal(&f->info, &info, sizeof(info));
        assert_int_equal(vgpup_sample_begin(f->region, f->m, sizeof(f->buf), &s), 0);
        assert_int_equal(vgpup_last_skip(f->region), why);
}

static void a_frame_comes_whole_with_its_description(void **state)
{
        struct fixture f;

        (void)state;
        fixture_open(&f);
        assert_int_equal(fixture_sample(&f), 1);
        assert_int_equal(f.info.bytes, FRAME_BYTES);
        assert_int_equal(f.info.desc.width, 32);
        assert_int_equal(f.info.desc.height, 16);
        assert_int_equal(f.info.desc.stride, 128);
        assert_int_equal(f.info.desc.format, VGPU_FMT_BGRA8888);
        assert_int_equal(f.info.desc.frame_id, 1);
        assert_int_equal(f.info.desc.timestamp_ns, 1000);
        assert_frame(f.buf, FRAME_BYTES, 1);
        for (size_t i = FRAME_BYTES; i < sizeof(f.buf); i++)
                assert_int_equal(f.buf[i], MARKER);
        assert_int_equal(vgpup_last_skip(f.region), VGPUP_SKIP_NONE);
        fixture_close(&f);
}

static void padding_after_each_line_is_part_of_the_bytes(void **state)
{
        struct fixture f;

        (void)state;
        fixture_open(&f);
        region_publish(&f.r, 30, 17, 144);
        assert_int_equal(fixture_sample(&f), 1);
        assert_int_equal(f.info.bytes, 17 * 144);
        assert_frame(f.buf, 17 * 144, 2);
        assert_int_equal(f.buf[17 * 144], MARKER);
        fixture_close(&f);
}

static void a_frame_over_scattered_pages_is_put_together(void **state)
{
        struct vgpup_sample s;
        struct fixture f;

        (void)state;
        fixture_open(&f);
        region_publish(&f.r, 64, 64, 256);
        assert_int_equal(vgpup_sample_begin(f.region, f.m, SIZE_MAX, &s), 1);
        assert_int_equal(s.n_extents, 4);
        assert_int_equal(fixture_sample(&f), 1);
        assert_int_equal(f.info.bytes, TEST_STRIDE_BYTES);
        assert_frame(f.buf, TEST_STRIDE_BYTES, 2);
        assert_int_equal(f.buf[TEST_STRIDE_BYTES], MARKER);
        fixture_close(&f);
}

static void a_frame_is_fresh_once(void **state)
{
        struct fixture f;

        (void)state;
        fixture_open(&f);
        assert_int_equal(fixture_sample(&f), 1);
        expect_skip(&f, VGPUP_SKIP_NOT_FRESH);
        region_publish(&f.r, 32, 16, 128);
        region_publish(&f.r, 32, 16, 128);
        assert_int_equal(fixture_sample(&f), 1);
        assert_int_equal(f.info.desc.frame_id, 3);
        f.r.block->latest = 1; /* the older one again */
        expect_skip(&f, VGPUP_SKIP_NOT_FRESH);
        fixture_close(&f);
}

static void before_the_first_frame_nothing_is_fresh(void **state)
{
        struct fixture f;

        (void)state;
        fixture_open(&f);
        f.r.block->latest = VGPU_SLOT_NONE;
        expect_skip(&f, VGPUP_SKIP_NOT_FRESH);
        fixture_close(&f);
}

static void a_slot_being_written_is_skipped(void **state)
{
        struct fixture f;

        (void)state;
        fixture_open(&f);
        f.r.block->slot[0].seq++;
        expect_skip(&f, VGPUP_SKIP_BUSY);
        assert_true(f.w.image.n_reads < 1000);
        fixture_close(&f);
}

static void a_frame_over_the_buffer_is_skipped_untouched(void **state)
{
        struct fixture f;

        (void)state;
        fixture_open(&f);
        assert_int_equal(vgpup_sample_frame(f.region, f.m, f.buf, FRAME_BYTES - 1, &f.info), 0);
        assert_int_equal(vgpup_last_skip(f.region), VGPUP_SKIP_TOO_BIG);
        assert_int_equal(f.buf[0], MARKER);
        assert_int_equal(vgpup_sample_frame(f.region, f.m, f.buf, FRAME_BYTES, &f.info), 1);
        assert_int_equal(f.buf[FRAME_BYTES], MARKER);
        fixture_close(&f);
}

struct line_case {
        const char *name;
        uint32_t latest, width, height, stride, format;
        bool taken;
};

static const struct line_case line_cases[] = {
        { "as it should be", 0, 32, 16, 128, VGPU_FMT_BGRA8888, true },
        { "16-bit floats", 0, 16, 16, 128, VGPU_FMT_RGBA16F, true },
        { "all of the slot", 0, 1, 4, 0x1000, VGPU_FMT_BGRX8888, true },
        { "a slot that is not there", 2, 32, 16, 128, VGPU_FMT_BGRA8888, false },
        { "a slot past the ABI's", 8, 32, 16, 128, VGPU_FMT_BGRA8888, false },
        { "a slot from nowhere", 0xfffffffe, 32, 16, 128, VGPU_FMT_BGRA8888, false },
        { "no width", 0, 0, 16, 128, VGPU_FMT_BGRA8888, false },
        { "no height", 0, 32, 0, 128, VGPU_FMT_BGRA8888, false },
        { "no stride", 0, 32, 16, 0, VGPU_FMT_BGRA8888, false },
        { "stride a byte short", 0, 32, 16, 127, VGPU_FMT_BGRA8888, false },
        { "stride short for wide pixels", 0, 32, 16, 128, VGPU_FMT_RGBA16F, false },
        { "a byte over the slot", 0, 1, 1, 0x4001, VGPU_FMT_BGRA8888, false },
        { "a product that wraps to 0", 0, 1, 0x10000, 0x10000, VGPU_FMT_BGRA8888, false },
        { "a width whose line wraps", 0, 0x40000001, 1, 4, VGPU_FMT_BGRA8888, false },
        { "everything at its most", 0, UINT32_MAX, UINT32_MAX, UINT32_MAX, VGPU_FMT_RGBA16F,
                false },
        { "no format", 0, 32, 16, 128, 0, false },
        { "an unknown format", 0, 32, 16, 128, 8, false },
};

static void a_line_that_breaks_a_rule_is_skipped_as_malformed(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(line_cases) / sizeof(line_cases[0]); i++) {
                const struct line_case *c = &line_cases[i];
                struct fixture f;
                int r;

                fixture_open(&f);
                f.r.block->latest = c->latest;
                f.r.block->slot[0].width = c->width;
                f.r.block->slot[0].height = c->height;
                f.r.block->slot[0].stride = c->stride;
                f.r.block->slot[0].format = c->format;
                r = fixture_sample(&f);
                if (r != c->taken)
                        fail_msg("%s: %d", c->name, r);
                if (!c->taken)
                        expect_skip(&f, VGPUP_SKIP_MALFORMED);
                fixture_close(&f);
        }
}

struct damage_case {
        const char *name;
        uint32_t count;
        uint64_t base;
        vgpu_rect_t rect; /* the last one */
        uint32_t usable;
};

/* Of a 32x16 frame with frame_id 7. */
static const struct damage_case damage_cases[] = {
        { "one rectangle", 1, 6, { 0, 0, 32, 16 }, 1 },
        { "as many as fit", 16, 1, { 31, 15, 1, 1 }, 16 },
        { "none", 0, 6, { 0, 0, 1, 1 }, 0 },
        { "one too many", 17, 6, { 0, 0, 1, 1 }, 0 },
        { "far too many", UINT32_MAX, 6, { 0, 0, 1, 1 }, 0 },
        { "relative to nothing", 1, 0, { 0, 0, 1, 1 }, 0 },
        { "relative to itself", 1, 7, { 0, 0, 1, 1 }, 0 },
        { "relative to the future", 1, 8, { 0, 0, 1, 1 }, 0 },
        { "over the right edge", 2, 6, { 1, 0, 32, 16 }, 0 },
        { "over the bottom", 2, 6, { 0, 1, 32, 16 }, 0 },
        { "a sum that wraps", 2, 6, { UINT32_MAX, 0, 2, 1 }, 0 },
        { "empty", 2, 6, { 0, 0, 0, 1 }, 0 },
};

static void damage_that_cannot_be_trusted_is_the_whole_frame(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(damage_cases) / sizeof(damage_cases[0]); i++) {
                const struct damage_case *c = &damage_cases[i];
                struct vgpup_sample s;
                struct fixture f;

                fixture_open(&f);
                f.r.block->slot[0].frame_id = 7;
                f.r.block->slot[0].damage_count = c->count;
                f.r.block->slot[0].damage_base = c->base;
                for (unsigned k = 0; k < VGPU_MAX_DAMAGE; k++)
                        f.r.block->damage[0][k] = (vgpu_rect_t){ k, 0, 1, 1 };
                if (c->count >= 1 && c->count <= VGPU_MAX_DAMAGE)
                        f.r.block->damage[0][c->count - 1] = c->rect;
                assert_int_equal(vgpup_sample_begin(f.region, f.m, SIZE_MAX, &s), 1);
                if (s.n_damage != c->usable)
                        fail_msg("%s: %u", c->name, s.n_damage);
                assert_int_equal(s.damage_base, c->usable ? c->base : 0);
                if (c->usable)
                        assert_memory_equal(&s.damage[c->usable - 1], &c->rect, sizeof(c->rect));
                fixture_close(&f);
        }
}

static void a_sample_taken_apart_counts_when_committed(void **state)
{
        struct vgpup_sample s, again;
        struct fixture f;

        (void)state;
        fixture_open(&f);
        f.r.block->slot[0].flags = VGPU_FRAME_CURSOR_DRAWN;
        assert_int_equal(vgpup_sample_begin(f.region, f.m, SIZE_MAX, &s), 1);
        assert_int_equal(s.bytes, FRAME_BYTES);
        assert_int_equal(s.flags, VGPU_FRAME_CURSOR_DRAWN);
        assert_int_equal(s.run_epoch, 1);
        assert_int_equal(s.slot, 0);
        assert_int_equal(s.extents[0].gpa,
                image_translate(&f.w.image, f.r.proc.cr3, REGION_GVA + VGPU_RING_OFFSET));
        assert_int_equal(vgpup_sample_recheck(f.region, f.m, &s, 0, s.bytes), 1);
        assert_int_equal(
                vgpup_sample_begin(f.region, f.m, SIZE_MAX, &again), 1); /* not sampled yet */
        assert_int_equal(vgpup_sample_commit(f.region, f.m, &again), 1);
        assert_int_equal(vgpup_sample_begin(f.region, f.m, SIZE_MAX, &again), 0);
        fixture_close(&f);
}

static void a_sample_cannot_be_committed_twice_or_instead_of_another(void **state)
{
        struct vgpup_sample s;
        struct fixture f;

        (void)state;
        fixture_open(&f);
        assert_int_equal(vgpup_sample_begin(f.region, f.m, SIZE_MAX, &s), 1);
        s.slot = 1;
        assert_int_equal(vgpup_sample_commit(f.region, f.m, &s), -EINVAL);
        s.slot = 0;
        assert_int_equal(vgpup_sample_commit(f.region, f.m, &s), 1);
        assert_int_equal(vgpup_sample_commit(f.region, f.m, &s), -EINVAL);
        assert_int_equal(vgpup_sample_recheck(f.region, f.m, &s, 0, 1), -EINVAL);
        fixture_close(&f);
}

/* The window is the handle's: another look opens it anew, and what was read in the old one is rechecked by nothing. */
static void another_look_ends_a_sample(void **state)
{
        struct vgpup_sample s;
        uint64_t leaf, own, other, id;
        vgpup_geometry geometry;
        vgpup_status status;
        vgpup_cursor cursor;
        struct fixture f;

        (void)state;
        fixture_open(&f);
        leaf = image_entry(&f.w.image, f.r.proc.cr3, REGION_GVA, 1);
        own = image_get64(&f.w.image, leaf);
        other = image_page(&f.w.image);
        memcpy(image_at(&f.w.image, other), f.r.block, 4096);
        ((vgpu_producer_t *)image_at(&f.w.image, other))->slot[0].timestamp_ns = 666;
        image_put64(&f.w.image, leaf, (own & ~PTE_PFN) | other);
        assert_int_equal(vgpup_sample_begin(f.region, f.m, SIZE_MAX, &s), 1);
        assert_int_equal(s.desc.timestamp_ns, 666);
        image_put64(&f.w.image, leaf, own);
        assert_int_equal(vgpup_peek(f.region, f.m, &id), 1);
        assert_int_equal(vgpup_sample_commit(f.region, f.m, &s), -EINVAL);
        assert_int_equal(vgpup_sample_recheck(f.region, f.m, &s, 0, 1), -EINVAL);

        assert_int_equal(vgpup_sample_begin(f.region, f.m, SIZE_MAX, &s), 1);
        assert_int_equal(vgpup_read_cursor(f.region, f.m, &cursor), 1);
        assert_int_equal(vgpup_sample_commit(f.region, f.m, &s), -EINVAL);
        assert_int_equal(vgpup_sample_begin(f.region, f.m, SIZE_MAX, &s), 1);
        assert_int_equal(vgpup_read_geometry(f.region, f.m, &geometry), 1);
        assert_int_equal(vgpup_sample_commit(f.region, f.m, &s), -EINVAL);
        assert_int_equal(vgpup_sample_begin(f.region, f.m, SIZE_MAX, &s), 1);
        assert_int_equal(vgpup_read_status(f.region, f.m, &status), 0);
        assert_int_equal(vgpup_sample_commit(f.region, f.m, &s), -EINVAL);
        fixture_close(&f);
}

/* Of the last 64x64 frame: pages 0, 1, 2 and 3, of which no two are neighbours. */
static void parts_of_a_frame_are_found_without_the_rest(void **state)
{
        static const struct gva_part parts[] = { { 0x800, 0x100 }, { 0x2000, 0x1800 } };
        struct vgpup_sample whole, s;
        struct fixture f;

        (void)state;
        fixture_open(&f);
        region_publish(&f.r, 64, 64, 256);
        assert_int_equal(vgpup_sample_begin(f.region, f.m, SIZE_MAX, &whole), 1);
        assert_int_equal(vgpup_sample_open(f.region, f.m, SIZE_MAX, &s), 1);
        assert_int_equal(s.n_extents, 0);
        assert_int_equal(s.bytes, whole.bytes);
        assert_int_equal(vgpup_sample_map(f.region, f.m, &s, parts, 2), 1);
        assert_int_equal(s.n_extents, 3);
        assert_int_equal(s.extents[0].offset, 0x800);
        assert_int_equal(s.extents[0].len, 0x100);
        assert_int_equal(s.extents[1].offset, 0x2000);
        assert_int_equal(s.extents[2].offset, 0x3000);
        assert_int_equal(s.extents[2].len, 0x800);
        assert_int_equal(vgpup_sample_recheck(f.region, f.m, &s, 0x2000, 0x1800), 1);
        assert_int_equal(vgpup_sample_commit(f.region, f.m, &s), 1);
        fixture_close(&f);
}

static void parts_that_leave_the_frame_or_share_a_page_are_refused(void **state)
{
        static const struct gva_part cases[][2] = {
                { { 0, 0 } },
                { { 0x3fff, 2 } },
                { { 0x4001, 1 } },
                { { UINT64_MAX, 2 } },
                { { 0, UINT64_MAX } },
                { { 0x2000, 1 }, { 0, 1 } },
                { { 0x2000, 1 }, { 0x2800, 1 } },
                { { 0x800, 0x1001 }, { 0x1fff, 1 } },
        };
        struct gva_part many[VGPU_MAX_DAMAGE + 1];
        struct vgpup_sample s;
        struct fixture f;

        (void)state;
        fixture_open(&f);
        region_publish(&f.r, 64, 64, 256);
        assert_int_equal(vgpup_sample_open(f.region, f.m, SIZE_MAX, &s), 1);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                assert_int_equal(
                        vgpup_sample_map(f.region, f.m, &s, cases[i], cases[i][1].len > 0 ? 2 : 1),
                        -EINVAL);
        for (size_t i = 0; i < VGPU_MAX_DAMAGE + 1; i++)
                many[i] = (struct gva_part){ i * 0x1000, 1 };
        assert_int_equal(vgpup_sample_map(f.region, f.m, &s, many, 0), -EINVAL);
        assert_int_equal(vgpup_sample_map(f.region, f.m, &s, many, VGPU_MAX_DAMAGE + 1), -EINVAL);
        assert_int_equal(s.n_extents, 0);
        fixture_close(&f);
}

static void remap(struct fixture *f, uint64_t offset)
{
        uint64_t gva = f->r.gva + VGPU_RING_OFFSET + f->r.block->latest * f->r.slot_stride + offset;
        uint64_t at = image_entry(&f->w.image, f->r.proc.cr3, gva, 1);

        image_put64(&f->w.image, at, image_get64(&f->w.image, at) ^ 0x1000);
}

static void a_commit_is_about_the_parts_that_were_mapped(void **state)
{
        static const struct gva_part part = { 0x1000, 0x1000 };
        struct vgpup_sample s;
        struct fixture f;

        (void)state;
        fixture_open(&f);
        region_publish(&f.r, 64, 64, 256);
        assert_int_equal(vgpup_sample_open(f.region, f.m, SIZE_MAX, &s), 1);
        assert_int_equal(vgpup_sample_map(f.region, f.m, &s, &part, 1), 1);
        remap(&f, 0x1000);
        assert_int_equal(vgpup_sample_commit(f.region, f.m, &s), 0);
        assert_int_equal(vgpup_last_skip(f.region), VGPUP_SKIP_REMAPPED);
        remap(&f, 0x1000);

        assert_int_equal(vgpup_sample_open(f.region, f.m, SIZE_MAX, &s), 1);
        assert_int_equal(vgpup_sample_map(f.region, f.m, &s, &part, 1), 1);
        remap(&f, 0x2000);
        assert_int_equal(vgpup_sample_commit(f.region, f.m, &s), 1);
        fixture_close(&f);
}

static void a_frame_that_is_torn_while_it_is_mapped_is_busy(void **state)
{
        static const struct gva_part part = { 0, 0x1000 };
        struct vgpup_sample s;
        struct fixture f;

        (void)state;
        fixture_open(&f);
        assert_int_equal(vgpup_sample_open(f.region, f.m, SIZE_MAX, &s), 1);
        f.r.block->slot[f.r.block->latest].seq++;
        assert_int_equal(vgpup_sample_map(f.region, f.m, &s, &(struct gva_part){ 0, 64 }, 1), 0);
        assert_int_equal(vgpup_last_skip(f.region), VGPUP_SKIP_BUSY);
        assert_int_equal(s.n_extents, 0);
        f.r.block->slot[f.r.block->latest].seq++;
        assert_int_equal(vgpup_sample_map(f.region, f.m, &s, &part, 1), -EINVAL);
        fixture_close(&f);
}

static void a_peek_tells_of_newer_frames_only(void **state)
{
        struct fixture f;
        uint64_t id = 0;

        (void)state;
        fixture_open(&f);
        assert_int_equal(vgpup_peek(f.region, f.m, &id), 1);
        assert_int_equal(id, 1);
        assert_int_equal(fixture_sample(&f), 1);
        assert_int_equal(vgpup_peek(f.region, f.m, &id), 0);
        assert_int_equal(vgpup_last_skip(f.region), VGPUP_SKIP_NOT_FRESH);
        region_publish(&f.r, 32, 16, 128);
        assert_int_equal(vgpup_peek(f.region, f.m, &id), 1);
        assert_int_equal(id, 2);
        windows_exit(&f.w, &f.r.proc);
        assert_int_equal(vgpup_peek(f.region, f.m, &id), -ESTALE);
        fixture_close(&f);
}

/* The writer moved while the bytes were copied; what it had said of the frame was true all the same. */
static void a_torn_frame_is_vouched_for_by_all_but_its_pages(void **state)
{
        struct vgpup_sample s;
        struct fixture f;
        uint64_t id;

        (void)state;
        fixture_open(&f);
        assert_int_equal(vgpup_sample_begin(f.region, f.m, SIZE_MAX, &s), 1);
        assert_int_equal(vgpup_sample_vouch(f.region, f.m), 0); /* not refused yet */
        assert_int_equal(vgpup_sample_begin(f.region, f.m, SIZE_MAX, &s), 1);
        f.r.block->slot[0].seq++;
        assert_int_equal(vgpup_sample_commit(f.region, f.m, &s), 0);
        assert_int_equal(vgpup_sample_vouch(f.region, f.m), 1);
        assert_int_equal(vgpup_sample_vouch(f.region, f.m), 0); /* once */

        f.r.block->slot[0].seq++;
        assert_int_equal(vgpup_sample_begin(f.region, f.m, SIZE_MAX, &s), 1);
        f.r.block->slot[0].seq++;
        assert_int_equal(vgpup_sample_commit(f.region, f.m, &s), 0);
        vgpup_peek(f.region, f.m, &id);
        assert_int_equal(vgpup_sample_vouch(f.region, f.m), 0); /* another window */

        f.r.block->slot[0].seq++;
        assert_int_equal(vgpup_sample_begin(f.region, f.m, SIZE_MAX, &s), 1);
        f.r.block->slot[0].seq++;
        assert_int_equal(vgpup_sample_commit(f.region, f.m, &s), 0);
        windows_exit(&f.w, &f.r.proc);
        assert_int_equal(vgpup_sample_vouch(f.region, f.m), -ESTALE);
        fixture_close(&f);
}

static void the_slots_tell_of_frames_that_were_not_sampled(void **state)
{
        struct vgpup_change c[VGPU_MAX_SLOTS];
        struct fixture f;
        uint32_t n = 99;

        (void)state;
        fixture_open(&f);
        assert_int_equal(vgpup_read_changes(f.region, f.m, c, &n), 1);
        assert_int_equal(n, 1); /* nothing was ever in the other slot */
        assert_int_equal(c[0].desc.frame_id, 1);
        assert_int_equal(c[0].n_damage, 0);

        region_publish(&f.r, 32, 16, 128);
        f.r.block->slot[1].damage_count = 1;
        f.r.block->slot[1].damage_base = 1;
        f.r.block->damage[1][0] = (vgpu_rect_t){ 3, 4, 5, 6 };
        assert_int_equal(vgpup_read_changes(f.region, f.m, c, &n), 1);
        assert_int_equal(n, 2);
        assert_int_equal(c[1].desc.frame_id, 2);
        assert_int_equal(c[1].run_epoch, 1);
        assert_int_equal(c[1].damage_base, 1);
        assert_int_equal(c[1].n_damage, 1);
        assert_int_equal(c[1].damage[0].h, 6);

        f.r.block->damage[1][0].w = 30; /* over the edge */
        f.r.block->slot[0].seq++;       /* being written */
        assert_int_equal(vgpup_read_changes(f.region, f.m, c, &n), 1);
        assert_int_equal(n, 1);
        assert_int_equal(c[0].desc.frame_id, 2);
        assert_int_equal(c[0].n_damage, 0);
        assert_int_equal(c[0].damage_base, 0);

        n = 99;
        windows_exit(&f.w, &f.r.proc);
        assert_int_equal(vgpup_read_changes(f.region, f.m, c, &n), -ESTALE);
        assert_int_equal(n, 99);
        fixture_close(&f);
}

static void an_unmapped_slot_is_a_read_error(void **state)
{
        struct fixture f;

        (void)state;
        fixture_open(&f);
        image_put64(&f.w.image,
                image_entry(&f.w.image, f.r.proc.cr3, REGION_GVA + VGPU_RING_OFFSET, 1), 0);
        assert_int_equal(fixture_sample(&f), -EFAULT);
        assert_int_equal(gva_fault(f.m)->kind, GVA_FAULT_ZERO_ENTRY);
        assert_int_equal(gva_fault(f.m)->gva, REGION_GVA + VGPU_RING_OFFSET);
        fixture_close(&f);
}

static void every_failed_read_of_a_frame_is_reported(void **state)
{
        struct fixture f;
        size_t total;

        (void)state;
        fixture_open(&f);
        assert_int_equal(fixture_sample(&f), 1);
        total = f.w.image.n_reads;
        for (size_t n = 1; n <= total; n++) {
                region_publish(&f.r, 32, 16, 128);
                image_calm(&f.w.image);
                f.w.image.fail_at = n;
                f.w.image.fail_with = -EIO;
                assert_int_equal(fixture_sample(&f), -EIO);
        }
        fixture_close(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_frame_comes_whole_with_its_description),
                cmocka_unit_test(padding_after_each_line_is_part_of_the_bytes),
                cmocka_unit_test(a_frame_over_scattered_pages_is_put_together),
                cmocka_unit_test(a_frame_is_fresh_once),
                cmocka_unit_test(before_the_first_frame_nothing_is_fresh),
                cmocka_unit_test(a_slot_being_written_is_skipped),
                cmocka_unit_test(a_frame_over_the_buffer_is_skipped_untouched),
                cmocka_unit_test(a_line_that_breaks_a_rule_is_skipped_as_malformed),
                cmocka_unit_test(damage_that_cannot_be_trusted_is_the_whole_frame),
                cmocka_unit_test(a_sample_taken_apart_counts_when_committed),
                cmocka_unit_test(a_sample_cannot_be_committed_twice_or_instead_of_another),
                cmocka_unit_test(another_look_ends_a_sample),
                cmocka_unit_test(parts_of_a_frame_are_found_without_the_rest),
                cmocka_unit_test(parts_that_leave_the_frame_or_share_a_page_are_refused),
                cmocka_unit_test(a_commit_is_about_the_parts_that_were_mapped),
                cmocka_unit_test(a_frame_that_is_torn_while_it_is_mapped_is_busy),
                cmocka_unit_test(a_torn_frame_is_vouched_for_by_all_but_its_pages),
                cmocka_unit_test(the_slots_tell_of_frames_that_were_not_sampled),
                cmocka_unit_test(a_peek_tells_of_newer_frames_only),
                cmocka_unit_test(an_unmapped_slot_is_a_read_error),
                cmocka_unit_test(every_failed_read_of_a_frame_is_reported),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
