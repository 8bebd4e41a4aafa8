/*
 * damage_test.c - what is said to have changed since the last published frame covers what did change
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "damage.h"

#define WIDTH  23
#define HEIGHT 17

static struct vgpup_change change(uint64_t id, uint64_t base, uint32_t n)
{
        struct vgpup_change c = {
                .desc = { .width = WIDTH, .height = HEIGHT, .stride = 4 * WIDTH, .frame_id = id },
                .run_epoch = 1,
                .n_damage = n,
                .damage_base = n ? base : 0,
        };

        for (uint32_t i = 0; i < n; i++)
                c.damage[i] = (vgpu_rect_t){ (uint32_t)id % WIDTH, i, 1, 1 };
        return c;
}

static uint32_t publish(struct damage *d, struct vgpup_change c, struct damage_list *list)
{
        damage_publish(d, &c, list);
        return list->n;
}

static void note(struct damage *d, struct vgpup_change c)
{
        damage_note(d, &c);
}

/* ---- cases ------------------------------------------------------------------------------------------------------- */

static void the_first_frame_is_whole(void **state)
{
        struct damage d = { 0 };
        struct damage_list list;

        (void)state;
        assert_int_equal(publish(&d, change(1, 0, 0), &list), 0);
        assert_int_equal(publish(&d, change(2, 1, 3), &list), 3);
        damage_reset(&d);
        assert_int_equal(publish(&d, change(3, 2, 1), &list), 0);
}

static void frames_between_are_added(void **state)
{
        struct damage d = { 0 };
        struct damage_list list;

        (void)state;
        publish(&d, change(1, 0, 0), &list);
        note(&d, change(2, 1, 1));
        note(&d, change(3, 2, 2));
        assert_int_equal(publish(&d, change(4, 3, 1), &list), 4);
        assert_int_equal(publish(&d, change(5, 4, 1), &list), 1);
}

static void a_gap_makes_the_frame_whole(void **state)
{
        struct damage d = { 0 };
        struct damage_list list;

        (void)state;
        publish(&d, change(1, 0, 0), &list);
        assert_false(damage_is_missing(&d, 2));
        assert_true(damage_is_missing(&d, 3));
        note(&d, change(3, 2, 1));
        assert_int_equal(publish(&d, change(4, 3, 1), &list), 0);
        assert_int_equal(publish(&d, change(5, 4, 1), &list), 1);
}

static void a_whole_frame_between_makes_the_frame_whole(void **state)
{
        struct damage d = { 0 };
        struct damage_list list;

        (void)state;
        publish(&d, change(1, 0, 0), &list);
        note(&d, change(2, 0, 0));
        assert_int_equal(publish(&d, change(3, 2, 1), &list), 0);
}

/* A producer that repairs its slots says what changed since the frame that the slot held before. */
static void a_base_older_than_the_published_frame_is_reached_from_both_sides(void **state)
{
        struct damage d = { 0 };
        struct damage_list list;

        (void)state;
        publish(&d, change(1, 0, 0), &list);
        assert_int_equal(publish(&d, change(2, 1, 1), &list), 1);
        assert_int_equal(publish(&d, change(3, 1, 2), &list), 3);
        assert_int_equal(publish(&d, change(4, 2, 1), &list), 4);
}

static void another_mode_or_run_makes_the_frame_whole(void **state)
{
        struct vgpup_change c;
        struct damage d = { 0 };
        struct damage_list list;

        (void)state;
        publish(&d, change(1, 0, 0), &list);
        c = change(2, 1, 1);
        c.desc.width--;
        assert_int_equal(publish(&d, c, &list), 0);
        c = change(3, 2, 1);
        assert_int_equal(publish(&d, c, &list), 0);
        c = change(4, 3, 1);
        c.run_epoch = 2;
        assert_int_equal(publish(&d, c, &list), 0);

        /* the same mode again, but another one on the way to it */
        c = change(5, 4, 1);
        c.run_epoch = 2;
        c.desc.format++;
        note(&d, c);
        c = change(6, 5, 1);
        c.run_epoch = 2;
        assert_int_equal(publish(&d, c, &list), 0);
}

/* Ids that a guest chooses to confuse us: the walk ends. */
static void bases_that_lead_nowhere_end(void **state)
{
        struct vgpup_change c;
        struct damage d = { 0 };
        struct damage_list list;

        (void)state;
        publish(&d, change(10, 0, 0), &list);
        c = change(11, 11, 1);
        assert_int_equal(publish(&d, c, &list), 0);
        c = change(12, UINT64_MAX, 1);
        assert_int_equal(publish(&d, c, &list), 0);
        note(&d, change(UINT64_MAX, 12, 1));
        assert_int_equal(publish(&d, change(5, 4, 1), &list), 0);
        for (uint64_t id = 100; id < 100 + 4 * DAMAGE_FRAMES; id++)
                note(&d, change(id, id - 1, 16));
        assert_int_equal(publish(&d, change(200, 199, 1), &list), 0);
}

static void lists_that_grow_too_long_are_joined_where_it_costs_least(void **state)
{
        struct damage_list list = { .n = 0 };
        bool joined = false;

        (void)state;
        for (uint32_t i = 0; i < VGPU_RING_MAX_DAMAGE; i++)
                damage_list_add(&list, &(struct vgpu_ring_rect){ 100 * i, 0, 10, 10 });
        damage_list_add(&list, &(struct vgpu_ring_rect){ 502, 2, 3, 3 });
        assert_int_equal(list.n, VGPU_RING_MAX_DAMAGE);
        damage_list_add(&list, &(struct vgpu_ring_rect){ 515, 0, 10, 10 });
        assert_int_equal(list.n, VGPU_RING_MAX_DAMAGE);
        for (uint32_t i = 0; i < list.n; i++)
                joined |= list.rect[i].x == 500 && list.rect[i].w == 25 && list.rect[i].h == 10;
        assert_true(joined);
        /* as large as they come */
        damage_list_add(&list, &(struct vgpu_ring_rect){ 0, 0, UINT32_MAX / 2, UINT32_MAX / 2 });
        damage_list_add(&list, &(struct vgpu_ring_rect){ UINT32_MAX - 1, UINT32_MAX - 1, 1, 1 });
        assert_int_equal(list.n, VGPU_RING_MAX_DAMAGE);
}

/* ---- property ---------------------------------------------------------------------------------------------------- */

/*
 * A producer that draws at random and is honest about it; its frames are published, begun only, left to be read from its
 * slots, or never seen. An image that is patched by what is published must be the frame each time.
 */
#define FRAMES 400

struct frame {
        uint8_t pixel[HEIGHT][WIDTH];
        struct vgpup_change said;
};

static uint32_t below(uint32_t n)
{
        return (uint32_t)rand() % n;
}

/* In two colours, so that much of what was painted over comes back. */
static void draw(struct frame *f, const struct frame *before)
{
        memcpy(f->pixel, before->pixel, sizeof(f->pixel));
        for (uint32_t i = 1 + below(3); i > 0; i--) {
                uint32_t x = below(WIDTH), y = below(HEIGHT);
                uint32_t w = 1 + below(below(4) ? 3 : WIDTH) % (WIDTH - x);
                uint32_t h = 1 + below(below(4) ? 3 : HEIGHT) % (HEIGHT - y);

                for (uint32_t row = y; row < y + h; row++)
                        memset(&f->pixel[row][x], (int)below(2), w);
        }
}

/* Exactly what differs in a row; false: nothing does. */
static bool row_differs(const struct frame *a, const struct frame *b, uint32_t y, vgpu_rect_t *ret)
{
        uint32_t left = 0, right = WIDTH;

        while (left < WIDTH && a->pixel[y][left] == b->pixel[y][left])
                left++;
        while (right > left && a->pixel[y][right - 1] == b->pixel[y][right - 1])
                right--;
        *ret = (vgpu_rect_t){ left, y, right - left, 1 };
        return right > left;
}

/* Since a base up to three frames back; now and then, or when rows do not fit, about the whole frame. */
static void describe(struct frame *frames, uint64_t id)
{
        struct vgpup_change *c = &frames[id].said;
        uint64_t base = id - 1 - below(below(3) ? 1 : 3);
        vgpu_rect_t row;

        *c = change(id, 0, 0);
        if (base < 1 || base >= id || below(20) == 0)
                return;
        for (uint32_t y = 0; y < HEIGHT; y++) {
                if (!row_differs(&frames[base], &frames[id], y, &row))
                        continue;
                if (c->n_damage == VGPU_MAX_DAMAGE) {
                        c->n_damage = 0;
                        return;
                }
                c->damage[c->n_damage++] = row;
        }
        c->damage_base = c->n_damage ? base : 0;
}

static void patch(struct frame *shadow, const struct frame *f, const struct damage_list *list)
{
        static const struct vgpu_ring_rect whole = { 0, 0, WIDTH, HEIGHT };

        for (uint32_t i = 0; i < (list->n ? list->n : 1); i++) {
                const struct vgpu_ring_rect *r = list->n ? &list->rect[i] : &whole;

                assert_true(r->x + r->w <= WIDTH && r->y + r->h <= HEIGHT);
                for (uint32_t y = r->y; y < r->y + r->h; y++)
                        memcpy(&shadow->pixel[y][r->x], &f->pixel[y][r->x], r->w);
        }
}

static void an_image_patched_by_what_is_published_is_the_frame(void **state)
{
        static struct frame frames[FRAMES + 1], shadow;
        uint32_t patched = 0;

        (void)state;
        for (unsigned seed = 1; seed <= 200; seed++) {
                struct damage d = { 0 };

                srand(seed);
                memset(&frames[0], 0, sizeof(frames[0]));
                for (uint64_t id = 1; id <= FRAMES; id++) {
                        struct damage_list list;

                        draw(&frames[id], &frames[id - 1]);
                        describe(frames, id);
                        if (below(3) == 0) {
                                if (below(2))
                                        note(&d, frames[id].said);
                                continue;
                        }
                        for (uint64_t k = id > 3 ? id - 3 : 1; k < id; k++)
                                if (damage_is_missing(&d, id) && below(2))
                                        note(&d, frames[k].said);
                        damage_publish(&d, &frames[id].said, &list);
                        patch(&shadow, &frames[id], &list);
                        assert_memory_equal(shadow.pixel, frames[id].pixel, sizeof(shadow.pixel));
                        patched += list.n != 0;
                }
        }
        /* Nothing is proven by frames that were all whole. */
        assert_true(patched > 200 * FRAMES / 4);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_first_frame_is_whole),
                cmocka_unit_test(frames_between_are_added),
                cmocka_unit_test(a_gap_makes_the_frame_whole),
                cmocka_unit_test(a_whole_frame_between_makes_the_frame_whole),
                cmocka_unit_test(a_base_older_than_the_published_frame_is_reached_from_both_sides),
                cmocka_unit_test(another_mode_or_run_makes_the_frame_whole),
                cmocka_unit_test(bases_that_lead_nowhere_end),
                cmocka_unit_test(lists_that_grow_too_long_are_joined_where_it_costs_least),
                cmocka_unit_test(an_image_patched_by_what_is_published_is_the_frame),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
