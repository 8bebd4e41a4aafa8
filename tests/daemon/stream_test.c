/*
 * stream_test.c - a look at a guest whose RAM is a file: what is published, what is said about it, what is thrown away
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "guest_windows.h"
#include "stream.h"

struct rig {
        struct guest_windows w;
        struct guest_region r;
        vmie_win32 *v;
        vgpu_source *source;
        int ram_fd;
        struct vgpu_config config;
        uv_loop_t loop;
        struct outlet outlet;
        struct stream stream;
        struct stream_view view;
        unsigned n_vetoes; /* frames that are not to be published yet */
};

static bool may_publish(void *ctx)
{
        struct rig *rig = ctx;

        if (rig->n_vetoes == 0)
                return true;
        rig->n_vetoes--;
        return false;
}

/* The guest's array becomes a file, which is how frames are copied; all else is still read through the image. */
static void share_ram(struct rig *rig)
{
        struct guest_image *g = &rig->w.image;
        char path[32];
        void *map;

        rig->ram_fd = memfd_create("guest", MFD_CLOEXEC);
        assert_true(rig->ram_fd >= 0);
        assert_int_equal(ftruncate(rig->ram_fd, (off_t)g->ram_bytes), 0);
        map = mmap(NULL, g->ram_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, rig->ram_fd, 0);
        assert_true(map != MAP_FAILED);
        memcpy(map, g->ram, g->ram_bytes);
        free(g->ram);
        g->ram = map;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", rig->ram_fd);
        rig->source = vgpu_source_open(path, VGPU_MACHINE_FLAT, 0, NULL);
        assert_non_null(rig->source);
}

static void bind_region(struct rig *rig)
{
        vgpup_close(rig->view.region);
        rig->view.region = vgpup_open(rig->v);
        assert_non_null(rig->view.region);
}

static void rig_open(struct rig *rig, bool staging)
{
        struct windows_config config = windows_known(19045);
        struct server_failure why;
        struct guest_process p;

        memset(rig, 0, sizeof(*rig));
        windows_init(&rig->w, &config);
        share_ram(rig);
        p = windows_process(&rig->w, 4242, "producer.exe");
        region_init(&rig->r, &rig->w, &p, REGION_GVA, TEST_STRIDE_BYTES, 2);
        region_publish(&rig->r, 32, 16, 128);

        rig->config.ring.max_bytes = UINT64_C(2) << 30;
        rig->config.ring.slots = 4;
        rig->config.ring.mode = 0600;
        rig->config.ring.max_clients = 1;
        snprintf(rig->config.ring.socket, sizeof(rig->config.ring.socket),
                "/tmp/vgpud-stream-test-%d", (int)getpid());
        uv_loop_init(&rig->loop);
        assert_int_equal(outlet_init(&rig->outlet, &rig->loop, &rig->config, -1,
                                 &(struct outlet_hooks){ 0 }, &why),
                0);
        stream_init(&rig->stream, &rig->outlet, staging);

        rig->v = vmie_win32_open(&rig->w.image.mem, 0, NULL);
        assert_non_null(rig->v);
        rig->view.mem = &rig->w.image.mem;
        rig->view.source = rig->source;
        rig->view.epoch = 1;
        rig->view.producer_pid = p.pid;
        rig->view.may_publish = may_publish;
        rig->view.ctx = rig;
        bind_region(rig);
        image_calm(&rig->w.image);
}

static void rig_close(struct rig *rig)
{
        vgpup_close(rig->view.region);
        vmie_win32_close(rig->v);
        stream_deinit(&rig->stream);
        outlet_close(&rig->outlet);
        uv_run(&rig->loop, UV_RUN_DEFAULT);
        outlet_deinit(&rig->outlet);
        assert_int_equal(uv_loop_close(&rig->loop), 0);
        vgpu_source_close(rig->source);
        munmap(rig->w.image.ram, rig->w.image.ram_bytes);
        rig->w.image.ram = NULL;
        close(rig->ram_fd);
        windows_deinit(&rig->w);
}

static void look(struct rig *rig)
{
        enum pacer_saw saw;

        assert_int_equal(stream_look(&rig->stream, &rig->view, &saw), 0);
}

/* A machine that is busy with something else may make any pass late. */
static void look_until_published(struct rig *rig, uint64_t frames)
{
        for (int i = 0; i < 100 && rig->stream.counters.frames < frames; i++)
                look(rig);
        assert_int_equal(rig->stream.counters.frames, frames);
}

/* The newest slot, as a reader finds it. */
static const struct vgpu_ring_desc *newest(struct rig *rig, const uint8_t **ret_pixels)
{
        const struct vgpu_ring_identity *id = ring_identity(rig->outlet.rings.current);
        uint8_t *map = mmap(NULL, id->total_bytes, PROT_READ, MAP_SHARED,
                ring_fd(rig->outlet.rings.current), 0);
        const struct vgpu_ring_header *h = (const void *)map;
        uint32_t slot = VGPU_RING_WORD_SLOT(h->publish);

        assert_true(map != MAP_FAILED && h->publish != 0);
        *ret_pixels = map + id->slot_offset + slot * id->slot_bytes;
        return (const void *)(map + id->desc_offset + slot * id->desc_bytes);
}

static void unmap(struct rig *rig, const struct vgpu_ring_desc *desc)
{
        const struct vgpu_ring_identity *id = ring_identity(rig->outlet.rings.current);
        uintptr_t at = (uintptr_t)desc - id->desc_offset;

        munmap((void *)(at & ~(uintptr_t)(VGPU_RING_PAGE - 1)), id->total_bytes);
}

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

static void take_too_long(void *ctx)
{
        const struct timespec long_pass = { .tv_nsec = STREAM_LATE_NS + STREAM_LATE_NS / 10 };

        (void)ctx;
        nanosleep(&long_pass, NULL);
}

/* It may be the last one before the desktop goes idle: nothing newer would replace what was thrown away. */
static void a_frame_that_came_late_is_taken_by_the_next_look(void **state)
{
        struct rig rig;

        (void)state;
        for (int staging = 0; staging < 2; staging++) {
                rig_open(&rig, staging);
                rig.w.image.change_at = 1;
                rig.w.image.change = take_too_long;
                look(&rig);
                assert_int_equal(rig.stream.counters.late, 1);
                assert_int_equal(rig.stream.counters.frames, 0);
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
