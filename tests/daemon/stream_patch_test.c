/*
 * stream_patch_test.c - slots that are brought up to date out of a guest that moves its pages, lies, or changes its mode
 */
#include "stream_rig.h"

#define WIDTH  1024u
#define HEIGHT 16u
#define STRIDE (4 * WIDTH) /* a page */
#define BYTES  (HEIGHT * STRIDE)
#define SLOTS  4u

#define FOREIGN 0x66

/* What the newest frame has to be. */
static uint8_t picture[BYTES];

static void *row_of(struct rig *rig, uint32_t slot, uint32_t y)
{
        struct guest_image *g = &rig->w.image;

        return image_at(
                g, image_translate(g, rig->r.proc.cr3,
                           rig->r.gva + VGPU_RING_OFFSET + slot * rig->r.slot_stride + y * STRIDE));
}

/* The next frame, drawn whole from @picture. @rect: what is said to have changed since the one before; NULL: everything. */
static uint32_t publish(struct rig *rig, const vgpu_rect_t *rect)
{
        vgpu_slot_t *line;
        uint32_t slot;

        region_publish(&rig->r, 1, 1, 4);
        slot = rig->r.block->latest;
        line = &rig->r.block->slot[slot];
        line->width = WIDTH;
        line->height = HEIGHT;
        line->stride = STRIDE;
        line->damage_count = rect ? 1 : 0;
        line->damage_base = rect ? line->frame_id - 1 : 0;
        if (rect)
                rig->r.block->damage[slot][0] = *rect;
        for (uint32_t y = 0; y < HEIGHT; y++)
                memcpy(row_of(rig, slot, y), picture + y * STRIDE, STRIDE);
        return slot;
}

static void paint(const vgpu_rect_t *r, uint8_t with)
{
        for (uint32_t y = r->y; y < r->y + r->h; y++)
                memset(picture + y * STRIDE + 4 * r->x, with, 4 * r->w);
}

static void expect_picture(struct rig *rig)
{
        const uint8_t *pixels;
        const struct vgpu_ring_desc *d = newest(rig, &pixels);

        assert_int_equal(d->frame_id, rig->r.frame_id);
        assert_memory_equal(pixels, picture, BYTES);
        unmap(rig, d);
}

static void take(struct rig *rig)
{
        uint64_t frames = rig->stream.counters.frames;

        look_until_published(rig, frames + 1);
        expect_picture(rig);
}

/* Every slot of the ring has a frame, so the next one with damage is a patch. */
static void open_filled(struct rig *rig, bool staging)
{
        rig_open_large(rig, staging, BYTES);
        memset(picture, 1, sizeof(picture));
        publish(rig, NULL);
        take(rig);
        for (uint8_t i = 0; i < SLOTS; i++) {
                vgpu_rect_t rect = { 3, i, 5, 2 };

                paint(&rect, i + 2);
                publish(rig, &rect);
                take(rig);
        }
}

static void a_small_change_is_a_small_copy(void **state)
{
        const vgpu_rect_t caret = { 100, 7, 2, 3 };
        struct rig rig;

        (void)state;
        for (int staging = 0; staging < 2; staging++) {
                open_filled(&rig, staging);
                for (uint8_t i = 0; i < 10; i++) {
                        uint64_t copied = rig.stream.counters.copied_bytes;
                        uint64_t patched = rig.stream.counters.patched;
                        uint64_t spared = rig.stream.counters.spared_bytes;

                        paint(&caret, 100 + i);
                        publish(&rig, &caret);
                        take(&rig);
                        assert_int_equal(rig.stream.counters.patched, patched + 1);
                        copied = rig.stream.counters.copied_bytes - copied;
                        assert_true(copied < 2 * STRIDE);
                        assert_int_equal(rig.stream.counters.spared_bytes - spared,
                                sizeof(picture) - copied);
                }
                rig_close(&rig);
        }
}

static void a_frame_without_damage_is_copied_whole(void **state)
{
        uint64_t patched;
        struct rig rig;

        (void)state;
        open_filled(&rig, false);
        patched = rig.stream.counters.patched;
        memset(picture, 77, sizeof(picture));
        publish(&rig, NULL);
        take(&rig);
        assert_int_equal(rig.stream.counters.patched, patched);
        rig_close(&rig);
}

static void another_run_or_binding_begins_with_whole_frames(void **state)
{
        const vgpu_rect_t caret = { 100, 7, 2, 3 };
        uint64_t patched;
        struct rig rig;

        (void)state;
        for (int binding = 0; binding < 2; binding++) {
                open_filled(&rig, false);
                patched = rig.stream.counters.patched;
                memset(picture, 77, sizeof(picture));
                if (binding) {
                        bind_region(&rig);
                        stream_rebind(&rig.stream);
                } else {
                        rig.r.block->run_epoch++;
                }
                for (unsigned i = 0; i < SLOTS; i++) {
                        publish(&rig, i == 0 ? NULL : &caret);
                        take(&rig);
                }
                assert_int_equal(rig.stream.counters.patched, patched);
                publish(&rig, &caret);
                take(&rig);
                assert_int_equal(rig.stream.counters.patched, patched + 1);
                rig_close(&rig);
        }
}

/* What it did not say stays as it was: in its own picture, out of its own frames. */
static void a_producer_that_lies_spoils_its_own_picture(void **state)
{
        const vgpu_rect_t caret = { 100, 7, 2, 3 };
        const struct vgpu_ring_desc *d;
        const uint8_t *pixels;
        struct rig rig;

        (void)state;
        open_filled(&rig, false);
        memset(picture, 77, sizeof(picture));
        publish(&rig, &caret);
        look_until_published(&rig, rig.stream.counters.frames + 1);
        d = newest(&rig, &pixels);
        for (size_t i = 0; i < BYTES; i++)
                assert_true(pixels[i] == 77 || pixels[i] <= SLOTS + 2);
        unmap(&rig, d);
        rig_close(&rig);
}

/* ---- while it is copied ------------------------------------------------------------------------------------------ */

struct move {
        struct rig *rig;
        uint32_t slot;
        uint64_t entry_gpa, entry, foreign_gpa;
};

/* A page of the rectangle goes to somebody else, who writes into it. */
static void move_page(void *ctx)
{
        struct move *m = ctx;
        struct guest_image *g = &m->rig->w.image;

        memset(row_of(m->rig, m->slot, 7), FOREIGN, STRIDE);
        image_put64(g, m->entry_gpa, m->foreign_gpa | (m->entry & ~PTE_PFN));
}

static void no_slot_has(struct rig *rig, uint8_t byte)
{
        const struct vgpu_ring_identity *id = ring_identity(rig->outlet.rings.current);
        const uint8_t *pixels;
        const struct vgpu_ring_desc *d = newest(rig, &pixels);
        uint32_t slot = VGPU_RING_WORD_SLOT(
                ((const struct vgpu_ring_header *)((uintptr_t)d / VGPU_RING_PAGE * VGPU_RING_PAGE -
                                                   id->desc_offset))
                        ->publish);

        assert_null(memchr(pixels - slot * id->slot_bytes, byte, id->slot_count * id->slot_bytes));
        unmap(rig, d);
}

/*
 * Before each read of the look in turn. Where its new page is the producer's as far as anybody can tell, before the entry was
 * read, that page is the frame; later nothing may come of it, and nothing may stay.
 */
static void a_patch_whose_page_moves_is_thrown_away(void **state)
{
        const vgpu_rect_t caret = { 100, 7, 2, 3 };
        bool going_on = true;
        unsigned refused = 0;
        struct rig rig;

        (void)state;
        for (size_t n = 1; going_on; n++) {
                struct guest_image *g = &rig.w.image;
                struct move m = { .rig = &rig };
                enum pacer_saw saw;
                uint64_t frames;
                int r;

                open_filled(&rig, n % 2);
                paint(&caret, 200);
                m.slot = publish(&rig, &caret);
                m.foreign_gpa = image_page(g);
                memset(image_at(g, m.foreign_gpa), FOREIGN, STRIDE);
                m.entry_gpa = image_entry(g, rig.r.proc.cr3,
                        rig.r.gva + VGPU_RING_OFFSET + m.slot * rig.r.slot_stride + 7 * STRIDE, 1);
                m.entry = image_get64(g, m.entry_gpa);
                frames = rig.stream.counters.frames;
                image_calm(g);
                g->change_at = n;
                g->change = move_page;
                g->change_ctx = &m;
                r = stream_look(&rig.stream, &rig.view, &saw);
                going_on = g->n_reads >= n;
                g->change_at = 0;
                if (rig.stream.counters.frames == frames) {
                        refused += r == 0 && rig.stream.counters.remapped > 0;
                        no_slot_has(&rig, FOREIGN);
                }

                image_put64(g, m.entry_gpa, m.entry);
                publish(&rig, NULL);
                take(&rig);
                rig_close(&rig);
        }
        assert_true(refused > 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_small_change_is_a_small_copy),
                cmocka_unit_test(a_frame_without_damage_is_copied_whole),
                cmocka_unit_test(another_run_or_binding_begins_with_whole_frames),
                cmocka_unit_test(a_producer_that_lies_spoils_its_own_picture),
                cmocka_unit_test(a_patch_whose_page_moves_is_thrown_away),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
