/*
 * vgpu-guard - the steps whose instructions are counted, each once on inputs that never change
 *
 * Under callgrind each function that is named guarded_* is counted by itself, with all that it calls (guard.sh). A guest in an
 * array, no file of RAM, no clock, no thread: the same instructions each time. What comes before a step makes what it needs and
 * is not counted.
 */
#include <stdio.h>
#include <stdlib.h>

#include "guest_windows.h"
#include "histogram.h"
#include "transport/ring/ring.h"

#define SLOT_BYTES   (UINT64_C(512) << 10) /* 128 pages, no two of which adjoin */
#define OTHERS       32u
#define WALKS        256u
#define FRAMES       16u
#define OBSERVATIONS 1024u
#define REGION       (REGION_GVA + UINT64_C(0x10000000))

struct guarded {
        struct guest_windows w;
        struct guest_region r;
        vmie_mem *m;
        vmie_win32 *v;
        vgpup_region *region;
        struct ring *ring;
        struct histogram histogram;
};

static void expect(bool is_so, const char *what)
{
        if (is_so)
                return;
        fprintf(stderr, "vgpu-guard: %s failed\n", what);
        exit(1);
}

/* ---- what is counted: one call each -------------------------------------------------------------------------------- */

#define GUARDED __attribute__((noinline, noclone, used)) static

GUARDED void guarded_attach(struct guarded *g)
{
        g->v = vmie_win32_open(g->m, 0, NULL);
        expect(g->v != NULL, "attach");
}

GUARDED void guarded_newest(struct guarded *g)
{
        process list[16];
        size_t n = 0;

        expect(proc_newest(g->v, g->m, list, 16, &n) == 0 && n == 16, "newest");
}

GUARDED void guarded_discover(struct guarded *g)
{
        struct vgpup_candidate c;
        size_t n = 0;

        expect(vgpup_discover_all(g->v, &c, 1, &n) == 0 && n == 1, "discover");
}

GUARDED void guarded_walk(struct guarded *g)
{
        struct gva_mapping mapping;

        for (uint64_t i = 0; i < WALKS; i++)
                expect(gva_translate(g->m, g->r.proc.cr3,
                               REGION + VGPU_RING_OFFSET + i * GVA_PAGE_BYTES, &mapping) == 0,
                        "walk");
}

GUARDED void guarded_peek(struct guarded *g)
{
        uint64_t frame_id;

        expect(vgpup_peek(g->region, g->m, &frame_id) == 1, "peek");
}

/* All of taking a frame but the copy. */
GUARDED void guarded_sample(struct guarded *g)
{
        struct vgpup_sample sample;

        expect(vgpup_sample_begin(g->region, g->m, SLOT_BYTES, &sample) == 1 &&
                        vgpup_sample_commit(g->region, g->m, &sample) == 1,
                "sample");
}

GUARDED void guarded_cursor(struct guarded *g)
{
        vgpup_cursor cursor;

        expect(vgpup_read_cursor(g->region, g->m, &cursor) == 1, "cursor");
}

GUARDED void guarded_publish(struct guarded *g)
{
        struct ring_frame frame = {
                .epoch = 1,
                .run_epoch = 1,
                .producer_pid = 4242,
                .width = 64,
                .height = 64,
                .stride = 256,
                .fourcc = 0x34325258,
        };

        for (frame.frame_id = 1; frame.frame_id <= FRAMES; frame.frame_id++) {
                ring_slot_begin(g->ring);
                ring_publish(g->ring, &frame);
                ring_look_begin(g->ring, frame.frame_id * 1000);
                ring_look_end(g->ring);
        }
}

GUARDED void guarded_histogram(struct guarded *g)
{
        for (uint64_t i = 0; i < OBSERVATIONS; i++)
                histogram_add(&g->histogram, i * 7919);
}

/* ---- what they need ------------------------------------------------------------------------------------------------ */

static void make_guest(struct guarded *g)
{
        struct windows_config config = windows_known(19045);
        struct guest_process p;

        config.ram_bytes = UINT64_C(16) << 20;
        windows_init(&g->w, &config);
        for (uint32_t i = 0; i < OTHERS; i++)
                windows_process(&g->w, 1000 + 4 * i, "svchost.exe");
        p = windows_process(&g->w, 4242, "producer.exe");
        region_init(&g->r, &g->w, &p, REGION, SLOT_BYTES, 2);
        region_publish(&g->r, 512, 256, 2048);
        g->m = &g->w.image.mem;
        image_calm(&g->w.image);
}

static void make_ring(struct guarded *g)
{
        const struct ring_config config = {
                .slots = 4,
                .slot_bytes = 64 * 256,
                .generation = 1,
                .tick_period_ms = 100,
        };

        expect(ring_new(&config, &g->ring) == 0, "making a ring");
}

int main(void)
{
        static struct guarded g;

        make_guest(&g);
        make_ring(&g);
        guarded_attach(&g);
        guarded_newest(&g);
        guarded_discover(&g);
        g.region = vgpup_open(g.v);
        expect(g.region != NULL, "binding");
        guarded_walk(&g);
        guarded_peek(&g);
        guarded_sample(&g);
        guarded_cursor(&g);
        guarded_publish(&g);
        guarded_histogram(&g);
        vgpup_close(g.region);
        vmie_win32_close(g.v);
        ring_free(g.ring);
        windows_deinit(&g.w);
        return 0;
}
