/*
 * stream_damage_test.c - an image that is patched by published damage is the published frame, whatever happened in between, and
 * so is a slot of the ring that was brought up to date out of an older one
 *
 * A producer that paints at random and says exactly what changed; frames are looked at, missed, thrown away and torn. Nothing
 * is stubbed: the region is in a guest's memory, and what is compared is in the ring.
 */
#include "stream_rig.h"

/* A row is a page: what costs less than the frame when it is copied by damage is not every rectangle, nor none. */
#define WIDTH  1024u
#define HEIGHT 16u
#define FRAMES 2000u
#define KEPT   64u

typedef uint32_t picture[HEIGHT][WIDTH];

static picture kept[KEPT];

/* Of a frame that is not long gone. */
static uint32_t (*picture_of(uint64_t frame_id))[WIDTH]
{
        return kept[frame_id % KEPT];
}

static uint32_t below(uint32_t n)
{
        return (uint32_t)rand() % n;
}

/* In two colours, so that much of what was painted over comes back. */
static void paint(picture p)
{
        for (uint32_t i = 1 + below(3); i > 0; i--) {
                uint32_t x = below(WIDTH), y = below(HEIGHT);
                uint32_t w = 1 + below(8) % (WIDTH - x), h = 1 + below(4) % (HEIGHT - y);
                uint32_t colour = 0xff000000 | below(2);

                for (uint32_t row = y; row < y + h; row++)
                        for (uint32_t column = x; column < x + w; column++)
                                p[row][column] = colour;
        }
}

/* Exactly what differs between two frames, row by row. Return: rectangles; 0: nothing does. */
static uint32_t compare(picture a, picture b, vgpu_rect_t out[HEIGHT])
{
        uint32_t n = 0;

        for (uint32_t y = 0; y < HEIGHT; y++) {
                uint32_t left = 0, right = WIDTH;

                while (left < WIDTH && a[y][left] == b[y][left])
                        left++;
                while (right > left && a[y][right - 1] == b[y][right - 1])
                        right--;
                if (right > left)
                        out[n++] = (vgpu_rect_t){ left, y, right - left, 1 };
        }
        return n;
}

/* A row is a page. */
static void draw(struct rig *rig, uint32_t slot, picture p)
{
        uint64_t gva = rig->r.gva + VGPU_RING_OFFSET + slot * rig->r.slot_stride;
        struct guest_image *g = &rig->w.image;

        for (uint32_t y = 0; y < HEIGHT; y++)
                memcpy(image_at(g, image_translate(g, rig->r.proc.cr3, gva + y * sizeof(p[y]))),
                        p[y], sizeof(p[y]));
}

/* The next frame, with what changed since one of the three before it; now and then without. */
static void produce(struct rig *rig)
{
        uint64_t id = rig->r.frame_id + 1, base = id - 1 - below(below(2) ? 1 : 3);
        vgpu_rect_t rects[HEIGHT];
        vgpu_slot_t *line;
        uint32_t slot, n;

        memcpy(picture_of(id), picture_of(id - 1), sizeof(picture));
        paint(picture_of(id));
        region_publish(&rig->r, 1, 1, 4); /* its pixels are drawn below */
        slot = rig->r.block->latest;
        line = &rig->r.block->slot[slot];
        line->width = WIDTH;
        line->height = HEIGHT;
        line->stride = 4 * WIDTH;
        line->damage_base = line->damage_count = 0;
        draw(rig, slot, picture_of(id));
        if (base == 0 || base >= id || below(30) == 0)
                return;
        n = compare(picture_of(base), picture_of(id), rects);
        if (n == 0)
                return;
        line->damage_base = base;
        line->damage_count = n;
        memcpy(rig->r.block->damage[slot], rects, n * sizeof(rects[0]));
}

/* Two slots: the second frame from now goes where the newest is. */
static void lap(void *ctx)
{
        for (uint32_t n = 2 + below(2); n > 0; n--)
                produce(ctx);
}

/* Takes the newest frame as a reader would who has @shadow. Return: was it described by rectangles? */
static bool follow(struct rig *rig, picture shadow)
{
        const uint8_t *pixels;
        const struct vgpu_ring_desc *d = newest(rig, &pixels);
        static const struct vgpu_ring_rect whole = { 0, 0, WIDTH, HEIGHT };
        bool partial = d->n_damage > 0;

        for (uint32_t i = 0; i < (partial ? d->n_damage : 1); i++) {
                const struct vgpu_ring_rect *r = partial ? &d->damage[i] : &whole;

                for (uint32_t y = r->y; y < r->y + r->h; y++)
                        memcpy(&shadow[y][r->x], pixels + 4 * (y * WIDTH + r->x), 4 * r->w);
        }
        assert_memory_equal(pixels, picture_of(d->frame_id), sizeof(picture));
        assert_memory_equal(shadow, pixels, sizeof(picture));
        unmap(rig, d);
        return partial;
}

static void look_with_change_at(struct rig *rig, size_t read)
{
        image_calm(&rig->w.image);
        rig->w.image.change = lap;
        rig->w.image.change_ctx = rig;
        rig->w.image.change_at = read;
        look(rig);
        rig->w.image.change_at = 0;
}

/* The first read of a look before which a change tears the frame that was just copied. */
static size_t read_that_commits(struct rig *rig)
{
        for (size_t read = 1;; read++) {
                uint64_t torn = rig->stream.counters.torn_retries;

                look_with_change_at(rig, 0);
                produce(rig);
                look_with_change_at(rig, read);
                if (rig->stream.counters.torn_retries > torn)
                        return read;
                assert_true(rig->w.image.n_reads >= read);
        }
}

static void what_is_published_patches_an_image_into_the_frame(void **state)
{
        uint64_t frames = 0, patched = 0, partial = 0, torn = 0, overtaken = 0;
        static picture shadow;
        size_t commits;

        (void)state;
        for (unsigned seed = 1; seed <= 4; seed++) {
                struct rig rig;

                srand(seed);
                rig_open_large(&rig, seed % 2, sizeof(picture));
                memset(kept, 0, sizeof(kept));
                produce(&rig); /* the fixture's first frame is none of ours */
                commits = read_that_commits(&rig);
                look_with_change_at(&rig, 0);
                frames -= rig.stream.counters.frames;
                patched -= rig.stream.counters.patched;
                memcpy(shadow, picture_of(rig.stream.mode.frame_id), sizeof(shadow));
                while (rig.r.frame_id < FRAMES) {
                        uint64_t before = rig.stream.counters.frames;

                        if (below(4) == 0)
                                produce(&rig);
                        produce(&rig);
                        rig.n_vetoes = below(5) == 0;
                        look_with_change_at(&rig, below(2)   ? 0
                                                  : below(2) ? commits
                                                             : 1 + below(2 * (uint32_t)commits));
                        rig.n_vetoes = 0;
                        if (rig.stream.counters.frames != before)
                                partial += follow(&rig, shadow);
                }
                frames += rig.stream.counters.frames;
                patched += rig.stream.counters.patched;
                torn += rig.stream.counters.torn_retries;
                overtaken += rig.stream.counters.overtaken;
                rig_close(&rig);
        }
        /* Nothing is proven by frames that were all whole, or all taken. */
        assert_true(partial > frames / 5 && patched > frames / 10);
        assert_true(torn > frames / 20 && overtaken > frames / 20);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_published_patches_an_image_into_the_frame),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
