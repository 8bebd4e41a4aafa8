/*
 * foreign_test.c - no byte of anybody else's, whatever changes while we read
 *
 * One change, applied before the nth guest read, for every n: whatever the answer, an answer of 1 must come with bytes of
 * one frame and nothing else. Then the same changes in the middle of the copy, where the answer itself is prescribed.
 */
#include <errno.h>

#include "region_fixture.h"

#define SLOT0       (REGION_GVA + VGPU_RING_OFFSET)
#define CONTROL     (REGION_GVA + VGPU_CONTROL_OFFSET)
#define FRAME_BYTES (64 * 256u) /* all pages of the slot */
#define STATUS_LINE 0x40u

struct scene;

struct change {
        const char *name;
        void (*apply)(struct scene *s);
        int result; /* of the sample when it happens in the middle of the copy */
        enum vgpup_skip skip;
};

/* A guest that can be put back to how it was. */
struct scene {
        struct fixture f;
        uint8_t *before;
        const struct change *change;
        const struct change *later; /* a second one, before read @later_at */
        size_t later_at;
};

static void fill_foreign(struct scene *s, uint64_t gva)
{
        memset(image_at(&s->f.w.image, image_translate(&s->f.w.image, s->f.r.proc.cr3, gva)), 0xee,
                GVA_PAGE_BYTES);
}

static void *entry_of(struct scene *s, uint64_t gva, unsigned level)
{
        return image_at(&s->f.w.image, image_entry(&s->f.w.image, s->f.r.proc.cr3, gva, level));
}

static void writer_starts(struct scene *s)
{
        s->f.r.block->slot[0].seq |= 1;
        fill_foreign(s, SLOT0 + 0x2000);
}

static void writer_laps(struct scene *s)
{
        /* All of a later frame, at once: the next look finds it whole. */
        s->f.r.block->latest = VGPU_SLOT_NONE;
        s->f.r.frame_id = 6;
        region_publish(&s->f.r, 64, 64, 256);
}

/* The guest moves a page: same bytes elsewhere, and the old place is somebody else's. */
static uint64_t move_page(struct scene *s, uint64_t gva)
{
        uint64_t other = image_page(&s->f.w.image);

        memcpy(image_at(&s->f.w.image, other),
                image_at(&s->f.w.image, image_translate(&s->f.w.image, s->f.r.proc.cr3, gva)),
                GVA_PAGE_BYTES);
        fill_foreign(s, gva);
        return other;
}

static void page_is_remapped(struct scene *s)
{
        uint64_t *entry = entry_of(s, SLOT0 + 0x1000, 1);

        *entry = move_page(s, SLOT0 + 0x1000) | (*entry & 0xfff);
}

/* The page goes to somebody else, and its entry with it. */
static void page_is_taken(struct scene *s)
{
        fill_foreign(s, SLOT0 + 0x3000);
        *(uint64_t *)entry_of(s, SLOT0 + 0x3000, 1) = 0;
}

static void directory_is_remapped(struct scene *s)
{
        uint64_t *entry = entry_of(s, SLOT0, 2);
        uint64_t table = *entry & PTE_PFN, other = image_page(&s->f.w.image);
        uint64_t page = move_page(s, SLOT0);

        memcpy(image_at(&s->f.w.image, other), image_at(&s->f.w.image, table), GVA_PAGE_BYTES);
        image_put64(&s->f.w.image, other + ((SLOT0 >> 12) & 511) * 8, page | 7);
        *entry = other | (*entry & 0xfff);
}

static void user_bit_goes(struct scene *s)
{
        *(uint64_t *)entry_of(s, SLOT0 + 0x1000, 1) &= ~PTE_U;
}

static void block_is_remapped(struct scene *s)
{
        uint64_t *entry = entry_of(s, REGION_GVA, 1);
        uint64_t other = image_page(&s->f.w.image);

        memcpy(image_at(&s->f.w.image, other), s->f.r.block, GVA_PAGE_BYTES);
        *entry = other | (*entry & 0xfff);
}

/* The process ends, and its pages are used again while its tables still stand. */
static void process_exits(struct scene *s)
{
        windows_exit(&s->f.w, &s->f.r.proc);
        fill_foreign(s, SLOT0);
        fill_foreign(s, SLOT0 + 0x3000);
}

static void process_is_unlinked(struct scene *s)
{
        windows_unlink(&s->f.w, &s->f.r.proc);
        fill_foreign(s, SLOT0 + 0x1000);
}

/* The object itself is another process now, with the same pid. */
static void object_is_recycled(struct scene *s)
{
        image_put64(&s->f.w.image,
                windows_field(&s->f.w, &s->f.r.proc, s->f.w.config.offsets.create_time),
                s->f.w.now);
        fill_foreign(s, SLOT0);
}

static void root_is_another(struct scene *s)
{
        image_put64(&s->f.w.image,
                windows_field(&s->f.w, &s->f.r.proc, EPROCESS_DIRECTORY_TABLE_BASE),
                image_page(&s->f.w.image));
        fill_foreign(s, SLOT0);
}

static void identity_is_cleared(struct scene *s)
{
        s->f.r.block->magic = 0;
        fill_foreign(s, SLOT0);
}

static void identity_is_another(struct scene *s)
{
        s->f.r.block->slot_stride = 0x1000;
        s->f.r.block->region_bytes = VGPU_RING_OFFSET + 0x2000;
        region_seal_identity(s->f.r.block);
        fill_foreign(s, SLOT0 + 0x1000);
}

static void kernel_is_replaced(struct scene *s)
{
        uint64_t nt = WINDOWS_KERNEL_BASE + RVA_NT_HEADERS + 8;
        uint32_t stamp = 0x12345678;

        windows_kernel_write(&s->f.w, nt, &stamp, 4);
        fill_foreign(s, SLOT0 + 0x2000);
}

static void guest_reboots(struct scene *s)
{
        uint32_t boot_id = 78;

        windows_kernel_write(&s->f.w, WINDOWS_SHARED_VA + 0x2c4, &boot_id, 4);
        fill_foreign(s, SLOT0 + 0x2000);
}

static void kernel_is_unmapped(struct scene *s)
{
        image_put64(
                &s->f.w.image, image_entry(&s->f.w.image, s->f.w.kcr3, WINDOWS_KERNEL_BASE, 2), 0);
        fill_foreign(s, SLOT0 + 0x2000);
}

static const struct change changes[] = {
        { "writer starts", writer_starts, 0, VGPUP_SKIP_BUSY },
        { "writer laps", writer_laps, 0, VGPUP_SKIP_BUSY },
        { "page is remapped", page_is_remapped, 0, VGPUP_SKIP_REMAPPED },
        { "page is taken", page_is_taken, 0, VGPUP_SKIP_REMAPPED },
        { "directory is remapped", directory_is_remapped, 0, VGPUP_SKIP_REMAPPED },
        { "user bit goes", user_bit_goes, 0, VGPUP_SKIP_REMAPPED },
        { "block is remapped", block_is_remapped, 0, VGPUP_SKIP_REMAPPED },
        { "process exits", process_exits, -ESTALE, VGPUP_SKIP_NONE },
        { "process is unlinked", process_is_unlinked, -ESTALE, VGPUP_SKIP_NONE },
        { "object is recycled", object_is_recycled, -ESTALE, VGPUP_SKIP_NONE },
        { "root is another", root_is_another, -ESTALE, VGPUP_SKIP_NONE },
        { "identity is cleared", identity_is_cleared, -ESTALE, VGPUP_SKIP_NONE },
        { "identity is another", identity_is_another, -ESTALE, VGPUP_SKIP_NONE },
        { "kernel is replaced", kernel_is_replaced, -ESTALE, VGPUP_SKIP_NONE },
        { "guest reboots", guest_reboots, -ESTALE, VGPUP_SKIP_NONE },
        { "kernel is unmapped", kernel_is_unmapped, -EFAULT, VGPUP_SKIP_NONE },
};

#define N_CHANGES (sizeof(changes) / sizeof(changes[0]))

static void scene_set(struct scene *s)
{
        memset(s, 0, sizeof(*s));
        fixture_open(&s->f);
        s->f.r.block->latest = VGPU_SLOT_NONE;
        region_publish(&s->f.r, 64, 64, 256); /* frame 2 in slot 0 */
        s->before = test_malloc(s->f.w.image.ram_bytes);
        memcpy(s->before, s->f.w.image.ram, s->f.w.image.ram_bytes);
}

static void scene_reset(struct scene *s, uint64_t next_page)
{
        memcpy(s->f.w.image.ram, s->before, s->f.w.image.ram_bytes);
        s->f.w.image.next_page = next_page;
        image_calm(&s->f.w.image);
        vgpup_close(s->f.region);
        s->f.region = vgpup_open(s->f.v);
        assert_non_null(s->f.region);
        image_calm(&s->f.w.image);
        memset(s->f.buf, MARKER, sizeof(s->f.buf));
}

static void scene_strike(struct scene *s)
{
        test_free(s->before);
        fixture_close(&s->f);
}

static void apply_change(void *ctx)
{
        struct scene *s = ctx;

        s->change->apply(s);
        if (s->later) {
                s->change = s->later;
                s->later = NULL;
                s->f.w.image.change_at = s->later_at;
        }
}

static void expect_own_bytes(struct scene *s, int r, const char *name, size_t n)
{
        if (r == 1) {
                assert_int_equal(s->f.info.bytes, FRAME_BYTES);
                for (size_t i = 0; i < FRAME_BYTES; i++) {
                        if (s->f.buf[i] != frame_byte(s->f.info.desc.frame_id, i))
                                fail_msg("%s before read %zu: a foreign byte got through", name, n);
                }
        }
        for (size_t i = FRAME_BYTES; i < sizeof(s->f.buf); i++)
                assert_int_equal(s->f.buf[i], MARKER);
}

static size_t reads_of(struct scene *s, uint64_t next_page, int (*sample)(struct fixture *f))
{
        scene_reset(s, next_page);
        assert_int_equal(sample(&s->f), 1);
        assert_frame(s->f.buf, FRAME_BYTES, 2);
        return s->f.w.image.n_reads;
}

/* Every change before every read that @sample makes. */
static void expect_own_bytes_whenever(int (*sample)(struct fixture *f))
{
        uint64_t next_page;
        struct scene s;
        size_t total;

        scene_set(&s);
        next_page = s.f.w.image.next_page;
        total = reads_of(&s, next_page, sample);
        for (size_t c = 0; c < N_CHANGES; c++) {
                for (size_t n = 1; n <= total; n++) {
                        scene_reset(&s, next_page);
                        s.change = &changes[c];
                        s.f.w.image.change = apply_change;
                        s.f.w.image.change_ctx = &s;
                        s.f.w.image.change_at = n;
                        expect_own_bytes(&s, sample(&s.f), changes[c].name, n);
                }
        }
        scene_strike(&s);
}

static void no_change_at_any_read_lets_a_foreign_byte_through(void **state)
{
        (void)state;
        expect_own_bytes_whenever(fixture_sample);
}

/* As the daemon does it: the sample begins in the window that a glance has opened. */
static int sample_behind_a_glance(struct fixture *f)
{
        struct vgpup_sample sample;
        uint64_t id;
        int r;

        r = vgpup_glance(f->region, f->m, &id);
        if (r <= 0 || !(r & VGPUP_NEWS_FRAME))
                return r < 0 ? r : 0;
        r = vgpup_sample_open(f->region, f->m, SIZE_MAX, &sample);
        if (r == 1)
                r = vgpup_sample_map(
                        f->region, f->m, &sample, &(struct gva_part){ 0, sample.bytes }, 1);
        for (size_t i = 0; r == 1 && i < sample.n_extents; i++)
                if (gpa_read(f->m, sample.extents[i].gpa, f->buf + sample.extents[i].offset,
                            sample.extents[i].len) < 0)
                        return 0;
        if (r == 1)
                r = vgpup_sample_commit(f->region, f->m, &sample);
        if (r == 1)
                f->info = (vgpup_frame_info){ .desc = sample.desc, .bytes = sample.bytes };
        return r;
}

static void no_change_between_a_glance_and_its_sample_lets_a_foreign_byte_through(void **state)
{
        (void)state;
        expect_own_bytes_whenever(sample_behind_a_glance);
}

static void change_in_copy(void *ctx, size_t nth)
{
        struct scene *s = ctx;

        if (nth == 1)
                s->change->apply(s);
}

/* Whatever the core reads of the slot's third page is the copy. */
static void watch_copy(struct scene *s)
{
        s->f.w.image.watch_gpa = image_translate(&s->f.w.image, s->f.r.proc.cr3, SLOT0 + 0x2000);
        s->f.w.image.watch_bytes = GVA_PAGE_BYTES;
        s->f.w.image.on_watch = change_in_copy;
        s->f.w.image.watch_ctx = s;
}

static void a_change_in_the_middle_of_the_copy_has_its_own_answer(void **state)
{
        uint64_t next_page;
        struct scene s;

        (void)state;
        scene_set(&s);
        next_page = s.f.w.image.next_page;
        for (size_t c = 0; c < N_CHANGES; c++) {
                vgpup_frame_info untouched;
                struct vgpup_sample sample;
                int r;

                scene_reset(&s, next_page);
                s.change = &changes[c];
                watch_copy(&s);
                assert_int_equal(vgpup_sample_begin(s.f.region, s.f.m, SIZE_MAX, &sample), 1);
                for (size_t i = 0; i < sample.n_extents; i++)
                        assert_int_equal(
                                gpa_read(s.f.m, sample.extents[i].gpa,
                                        s.f.buf + sample.extents[i].offset, sample.extents[i].len),
                                0);
                r = vgpup_sample_commit(s.f.region, s.f.m, &sample);
                if (r != changes[c].result || vgpup_last_skip(s.f.region) != changes[c].skip)
                        fail_msg("%s: %d, skip %d", changes[c].name, r,
                                (int)vgpup_last_skip(s.f.region));
                assert_int_equal(
                        vgpup_torn_retries(s.f.region), changes[c].skip == VGPUP_SKIP_BUSY);

                /* The whole call never says 1 for that copy either: at most for the frame that came instead. */
                scene_reset(&s, next_page);
                watch_copy(&s);
                memset(&untouched, MARKER, sizeof(untouched));
                s.f.info = untouched;
                r = fixture_sample(&s.f);
                if (r == 1) {
                        assert_ptr_equal(changes[c].apply, writer_laps);
                        assert_int_equal(s.f.info.desc.frame_id, 7);
                        assert_frame(s.f.buf, FRAME_BYTES, 7);
                        continue;
                }
                assert_memory_equal(&s.f.info, &untouched, sizeof(untouched));
        }
        scene_strike(&s);
}

/* An exit that takes its time: ExitStatus at one read, the pages used again at any later one. */
static void reuse_pages(struct scene *s)
{
        fill_foreign(s, SLOT0);
        fill_foreign(s, SLOT0 + 0x2000);
}

static void exit_only(struct scene *s)
{
        windows_exit(&s->f.w, &s->f.r.proc);
}

static void entries_go_first(struct scene *s)
{
        *(uint64_t *)entry_of(s, SLOT0, 1) = 0;
        *(uint64_t *)entry_of(s, SLOT0 + 0x2000, 1) = 0;
}

/* The first change before read n, the second before read k. */
static int sample_with_two(struct scene *s, const struct change *first, size_t n,
        const struct change *second, size_t k)
{
        s->change = first;
        s->later = second;
        s->f.w.image.change = apply_change;
        s->f.w.image.change_ctx = s;
        s->f.w.image.change_at = n;
        s->later_at = k;
        return fixture_sample(&s->f);
}

static void what_is_torn_down_in_two_steps_lets_no_byte_through(void **state)
{
        static const struct change exit_first = { "exit", exit_only, 0, 0 };
        static const struct change unmap_first = { "unmap", entries_go_first, 0, 0 };
        static const struct change reuse = { "reuse", reuse_pages, 0, 0 };
        const struct change *const firsts[] = { &exit_first, &unmap_first };
        uint64_t next_page;
        struct scene s;
        size_t total;

        (void)state;
        scene_set(&s);
        next_page = s.f.w.image.next_page;
        total = reads_of(&s, next_page, fixture_sample);
        for (size_t i = 0; i < 2; i++) {
                for (size_t n = 1; n < total; n += 2) {
                        for (size_t k = n + 1; k <= total; k += 5) {
                                scene_reset(&s, next_page);
                                expect_own_bytes(&s, sample_with_two(&s, firsts[i], n, &reuse, k),
                                        firsts[i]->name, n);
                        }
                }
        }
        scene_strike(&s);
}

static void seq_never_settles(void *ctx, size_t nth)
{
        struct scene *s = ctx;

        (void)nth;
        s->f.r.block->slot[0].seq += 2;
}

static void a_writer_that_never_settles_is_left_alone_after_some_tries(void **state)
{
        struct scene s;

        (void)state;
        scene_set(&s);
        scene_reset(&s, s.f.w.image.next_page);
        watch_copy(&s);
        s.f.w.image.on_watch = seq_never_settles;
        assert_int_equal(fixture_sample(&s.f), 0);
        assert_int_equal(vgpup_last_skip(s.f.region), VGPUP_SKIP_BUSY);
        assert_int_equal(vgpup_torn_retries(s.f.region), 4);
        assert_int_equal(s.f.w.image.n_watched, 4);
        scene_strike(&s);
}

static void settle_after_one(void *ctx, size_t nth)
{
        struct scene *s = ctx;

        if (nth == 1)
                s->f.r.block->slot[0].seq += 2;
}

static void a_torn_frame_is_copied_again_and_then_taken(void **state)
{
        struct scene s;

        (void)state;
        scene_set(&s);
        scene_reset(&s, s.f.w.image.next_page);
        watch_copy(&s);
        s.f.w.image.on_watch = settle_after_one;
        assert_int_equal(fixture_sample(&s.f), 1);
        assert_frame(s.f.buf, FRAME_BYTES, 2);
        assert_int_equal(vgpup_torn_retries(s.f.region), 1);
        scene_strike(&s);
}

static void a_recheck_of_a_part_sees_that_part_move(void **state)
{
        struct vgpup_sample sample;
        struct scene s;

        (void)state;
        scene_set(&s);
        scene_reset(&s, s.f.w.image.next_page);
        assert_int_equal(vgpup_sample_begin(s.f.region, s.f.m, SIZE_MAX, &sample), 1);
        assert_int_equal(vgpup_sample_recheck(s.f.region, s.f.m, &sample, 0, 4096), 1);
        page_is_remapped(&s);
        assert_int_equal(vgpup_sample_recheck(s.f.region, s.f.m, &sample, 0x1000, 4096), 0);
        assert_int_equal(vgpup_last_skip(s.f.region), VGPUP_SKIP_REMAPPED);
        assert_int_equal(vgpup_sample_commit(s.f.region, s.f.m, &sample), 0);
        scene_strike(&s);
}

/* What begin says is true at its last read: a change before that one is in it. */
static void a_sample_begun_describes_the_frame_that_is_there(void **state)
{
        struct vgpup_sample sample;
        uint64_t next_page;
        struct scene s;
        size_t total;

        (void)state;
        scene_set(&s);
        next_page = s.f.w.image.next_page;
        scene_reset(&s, next_page);
        assert_int_equal(vgpup_sample_begin(s.f.region, s.f.m, SIZE_MAX, &sample), 1);
        total = s.f.w.image.n_reads;
        for (size_t n = 1; n <= total; n++) {
                scene_reset(&s, next_page);
                s.change = &(struct change){ "writer laps", writer_laps, 0, 0 };
                s.f.w.image.change = apply_change;
                s.f.w.image.change_ctx = &s;
                s.f.w.image.change_at = n;
                assert_int_equal(vgpup_sample_begin(s.f.region, s.f.m, SIZE_MAX, &sample), 1);
                assert_int_equal(sample.desc.frame_id, 7);
                assert_int_equal(sample.seq, s.f.r.block->slot[0].seq);
        }
        scene_strike(&s);
}

/* A skip needs no recheck, but it must not hide that there is nobody any more. */
static void an_end_is_told_even_when_nothing_is_newer(void **state)
{
        uint64_t next_page, id;
        struct scene s;

        (void)state;
        scene_set(&s);
        next_page = s.f.w.image.next_page;
        for (size_t c = 0; c < N_CHANGES; c++) {
                if (changes[c].result != -ESTALE)
                        continue;
                scene_reset(&s, next_page);
                assert_int_equal(fixture_sample(&s.f), 1);
                assert_int_equal(vgpup_peek(s.f.region, s.f.m, &id), 0);
                changes[c].apply(&s);
                assert_int_equal(vgpup_peek(s.f.region, s.f.m, &id), -ESTALE);
                assert_int_equal(fixture_sample(&s.f), -ESTALE);
        }
        scene_strike(&s);
}

/* All that is no frame: the value that leaves is either the region's own or does not leave. */
enum small_read {
        READ_CURSOR,
        READ_GEOMETRY,
        READ_STATUS,
        READ_PEEK,
        READ_CHANGES,
        READ_CONTROL,
        READ_TORN,
        N_SMALL_READS,
};

/* What a torn frame says of itself, vouched for. */
static int read_torn(struct fixture *f, uint64_t *ret_value)
{
        struct vgpup_sample sample;
        int r;

        r = vgpup_sample_begin(f->region, f->m, SIZE_MAX, &sample);
        if (r != 1)
                return r;
        f->r.block->slot[sample.slot].seq += 2;
        r = vgpup_sample_commit(f->region, f->m, &sample);
        if (r == 0)
                r = vgpup_sample_vouch(f->region, f->m);
        *ret_value = sample.desc.timestamp_ns;
        return r;
}

static int read_small(struct fixture *f, enum small_read what, uint64_t *ret_value)
{
        struct vgpup_change told[VGPU_MAX_SLOTS];
        vgpu_control_t control;
        vgpup_geometry g;
        vgpup_status st;
        vgpup_cursor c;
        uint32_t n;
        int r = -1;

        switch (what) {
        case READ_CURSOR:
                r = vgpup_read_cursor(f->region, f->m, &c);
                *ret_value = r == 1 ? c.id : 0;
                break;
        case READ_GEOMETRY:
                r = vgpup_read_geometry(f->region, f->m, &g);
                *ret_value = r == 1 ? g.dpi : 0;
                break;
        case READ_STATUS:
                r = vgpup_read_status(f->region, f->m, &st);
                *ret_value = r == 0 ? st.heartbeat : 0;
                return r == 0 ? 1 : r;
        case READ_PEEK:
                r = vgpup_peek(f->region, f->m, ret_value);
                break;
        case READ_CHANGES:
                r = vgpup_read_changes(f->region, f->m, told, &n);
                *ret_value = r == 1 ? told[0].desc.timestamp_ns : 0;
                break;
        case READ_CONTROL:
                r = vgpup_read_control(f->region, f->m, &control);
                *ret_value = r == 1 ? control.target_fps : 0;
                break;
        case READ_TORN:
                r = read_torn(f, ret_value);
                break;
        case N_SMALL_READS:
                break;
        }
        return r;
}

/* The process ends and its blocks' pages are somebody else's at once, whose frame would pass; the tables still stand. */
static void block_is_reused(struct scene *s)
{
        vgpu_producer_t *block = s->f.r.block;
        vgpu_slot_t line = block->slot[0];
        uint32_t latest = block->latest;

        windows_exit(&s->f.w, &s->f.r.proc);
        memset((uint8_t *)block + STATUS_LINE, 0xee, GVA_PAGE_BYTES - STATUS_LINE);
        line.timestamp_ns = 0xee;
        block->slot[0] = line;
        block->latest = latest;
        fill_foreign(s, CONTROL);
}

static void small_values_are_as_well_guarded_as_frames(void **state)
{
        static const struct change reused = { "block reused", block_is_reused, 0, 0 };
        static const uint64_t own[] = { VGPU_CURSOR_ID_IBEAM, 96, 1000, 2, 2000, 30, 2000 };
        const vgpu_control_t control = { .target_fps = 30 };
        uint64_t next_page, value;
        struct scene s;

        (void)state;
        scene_set(&s);
        image_write(&s.f.w.image, s.f.r.proc.cr3, CONTROL, &control, sizeof(control));
        s.f.r.block->cursor_id = VGPU_CURSOR_ID_IBEAM;
        s.f.r.block->dpi = 96;
        memcpy(s.before, s.f.w.image.ram, s.f.w.image.ram_bytes);
        next_page = s.f.w.image.next_page;
        for (unsigned what = 0; what < N_SMALL_READS; what++) {
                size_t total;

                scene_reset(&s, next_page);
                assert_int_equal(read_small(&s.f, what, &value), 1);
                assert_int_equal(value, own[what]);
                total = s.f.w.image.n_reads;
                for (size_t n = 1; n <= total; n++) {
                        scene_reset(&s, next_page);
                        s.change = &reused;
                        s.f.w.image.change = apply_change;
                        s.f.w.image.change_ctx = &s;
                        s.f.w.image.change_at = n;
                        if (read_small(&s.f, what, &value) == 1)
                                assert_int_equal(value, own[what]);
                }
        }
        scene_strike(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(no_change_at_any_read_lets_a_foreign_byte_through),
                cmocka_unit_test(
                        no_change_between_a_glance_and_its_sample_lets_a_foreign_byte_through),
                cmocka_unit_test(a_change_in_the_middle_of_the_copy_has_its_own_answer),
                cmocka_unit_test(what_is_torn_down_in_two_steps_lets_no_byte_through),
                cmocka_unit_test(a_writer_that_never_settles_is_left_alone_after_some_tries),
                cmocka_unit_test(a_torn_frame_is_copied_again_and_then_taken),
                cmocka_unit_test(a_recheck_of_a_part_sees_that_part_move),
                cmocka_unit_test(a_sample_begun_describes_the_frame_that_is_there),
                cmocka_unit_test(an_end_is_told_even_when_nothing_is_newer),
                cmocka_unit_test(small_values_are_as_well_guarded_as_frames),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
