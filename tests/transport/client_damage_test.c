/*
 * client_damage_test.c - damage since the client's own last frame: never too little
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "relay.h"
#include "stage.h"

static uint8_t pixels[1 << 20];

static int copy(struct vgpu_client *c, struct vgpu_client_frame *frame)
{
        return vgpu_client_copy_latest(c, pixels, sizeof(pixels), frame);
}

static void publish_rects(struct stage *s, const struct vgpu_ring_rect *rects, uint32_t n)
{
        struct ring_frame frame = relay_frame(1);

        frame.n_damage = n;
        memcpy(frame.damage, rects, n * sizeof(*rects));
        stage_publish_frame(s, &frame);
}

static void publish_dot(struct stage *s, uint32_t x, uint32_t y)
{
        publish_rects(s, &(struct vgpu_ring_rect){ x, y, 1, 1 }, 1);
}

static struct vgpu_client *begin(struct stage *s)
{
        struct vgpu_client_frame frame;
        struct vgpu_client *c;

        stage_start(s);
        c = stage_client(s, NULL);
        stage_connect(s, c);
        stage_publish(s);
        assert_int_equal(copy(c, &frame), 1);
        assert_int_equal(frame.n_damage, 0); /* it has nothing yet */
        return c;
}

static void end(struct stage *s, struct vgpu_client *c)
{
        vgpu_client_close(c);
        stage_stop(s);
}

static void damage_is_since_the_clients_own_last_frame(void **state)
{
        struct vgpu_client_frame frame;
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        c = begin(&s);
        publish_dot(&s, 3, 0);
        assert_int_equal(copy(c, &frame), 1);
        assert_int_equal(frame.n_damage, 1);
        assert_int_equal(frame.damage[0].x, 3);

        for (uint32_t x = 4; x < 10; x++)
                publish_dot(&s, x * 2, 0);
        assert_int_equal(copy(c, &frame), 1);
        assert_int_equal(frame.missed, 5);
        assert_int_equal(frame.n_damage, 6);
        assert_int_equal(frame.damage[0].x, 8);
        assert_int_equal(frame.damage[5].x, 18);

        publish_dot(&s, 1, 1);
        assert_int_equal(vgpu_client_copy_again(c, pixels, sizeof(pixels), &frame), 1);
        assert_int_equal(frame.n_damage, 0);
        end(&s, c);
}

static void one_whole_frame_among_those_missed_makes_it_whole(void **state)
{
        struct vgpu_client_frame frame;
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        c = begin(&s);
        publish_dot(&s, 1, 1);
        stage_publish(&s);
        publish_dot(&s, 1, 1);
        assert_int_equal(copy(c, &frame), 1);
        assert_int_equal(frame.n_damage, 0);
        end(&s, c);
}

static void the_history_reaches_back_further_than_the_slots(void **state)
{
        struct vgpu_client_frame frame;
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        c = begin(&s);
        for (uint32_t i = 0; i < VGPU_RING_HISTORY; i++)
                publish_dot(&s, 5, 6);
        assert_int_equal(copy(c, &frame), 1);
        assert_int_equal(frame.missed, VGPU_RING_HISTORY - 1);
        assert_int_equal(frame.n_damage, 1);

        /* and no further: what is not known is everything */
        for (uint32_t i = 0; i < VGPU_RING_HISTORY + 2; i++)
                publish_dot(&s, 5, 6);
        assert_int_equal(copy(c, &frame), 1);
        assert_int_equal(frame.n_damage, 0);
        end(&s, c);
}

static void another_mode_or_ring_makes_it_whole(void **state)
{
        struct ring_frame half = relay_frame(9);
        struct vgpu_client_frame frame;
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        c = begin(&s);
        publish_dot(&s, 1, RELAY_HEIGHT - 1);
        half.height /= 2;
        half.n_damage = 1;
        half.damage[0] = (struct vgpu_ring_rect){ 0, 0, 1, 1 };
        stage_publish_frame(&s, &half);
        assert_int_equal(copy(c, &frame), 1);
        assert_int_equal(frame.height, RELAY_HEIGHT / 2);
        assert_int_equal(frame.n_damage, 0);

        stage_regenerate(&s, RELAY_BYTES * 2);
        publish_dot(&s, 1, 1);
        publish_dot(&s, 1, 1);
        vgpu_client_dispatch(c);
        assert_int_equal(copy(c, &frame), 1);
        assert_int_equal(frame.generation, 2);
        assert_int_equal(frame.missed, 1);
        assert_int_equal(frame.n_damage, 0);
        end(&s, c);
}

static void what_lies_in_what_is_listed_is_not_listed_again(void **state)
{
        static const struct vgpu_ring_rect rects[] = { { 4, 4, 2, 2 }, { 0, 0, 16, 16 },
                { 8, 8, 1, 1 }, { 20, 20, 0, 5 } };
        struct vgpu_client_frame frame;
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        c = begin(&s);
        publish_rects(&s, rects, 4);
        assert_int_equal(copy(c, &frame), 1);
        assert_int_equal(frame.n_damage, 1);
        assert_memory_equal(&frame.damage[0], &rects[1], sizeof(rects[1]));
        end(&s, c);
}

static void rectangles_too_many_are_joined_where_it_costs_least(void **state)
{
        struct vgpu_client_frame frame;
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        c = begin(&s);
        /* 16 far apart, and a neighbour of the first */
        for (uint32_t i = 0; i < VGPU_RING_MAX_DAMAGE; i++)
                publish_dot(&s, i % 4 * 16, i / 4 * 8);
        publish_dot(&s, 1, 0);
        assert_int_equal(copy(c, &frame), 1);
        assert_int_equal(frame.n_damage, VGPU_RING_MAX_DAMAGE);
        for (uint32_t i = 0; i < frame.n_damage; i++) {
                const struct vgpu_ring_rect *r = &frame.damage[i];

                assert_int_equal(r->h, 1);
                assert_int_equal(r->w, r->x == 0 && r->y == 0 ? 2 : 1);
        }
        end(&s, c);
}

/* Whatever is published and whenever the client looks: no pixel that changed is left out. */
static void no_change_is_ever_left_out(void **state)
{
        static uint8_t changed[RELAY_HEIGHT][RELAY_WIDTH];
        struct vgpu_client_frame frame;
        struct vgpu_client *c;
        unsigned int seed = 7;
        struct stage s;

        (void)state;
        c = begin(&s);
        for (int round = 0; round < 2000; round++) {
                struct vgpu_ring_rect rects[VGPU_RING_MAX_DAMAGE];
                uint32_t n = 1 + (uint32_t)rand_r(&seed) % 8;

                for (uint32_t i = 0; i < n; i++) {
                        struct vgpu_ring_rect *r = &rects[i];

                        r->x = (uint32_t)rand_r(&seed) % RELAY_WIDTH;
                        r->y = (uint32_t)rand_r(&seed) % RELAY_HEIGHT;
                        r->w = (uint32_t)rand_r(&seed) % (RELAY_WIDTH - r->x) / 4 + 1;
                        r->h = (uint32_t)rand_r(&seed) % (RELAY_HEIGHT - r->y) / 4 + 1;
                        for (uint32_t y = 0; y < r->h; y++)
                                memset(&changed[r->y + y][r->x], 1, r->w);
                }
                publish_rects(&s, rects, n);
                if (rand_r(&seed) % 5 != 0)
                        continue;
                assert_int_equal(copy(c, &frame), 1);
                assert_in_range(frame.n_damage, 1, VGPU_RING_MAX_DAMAGE);
                for (uint32_t i = 0; i < frame.n_damage; i++) {
                        const struct vgpu_ring_rect *r = &frame.damage[i];

                        assert_in_range(r->x + r->w, 1, RELAY_WIDTH);
                        assert_in_range(r->y + r->h, 1, RELAY_HEIGHT);
                        for (uint32_t y = 0; y < r->h; y++)
                                memset(&changed[r->y + y][r->x], 0, r->w);
                }
                for (size_t i = 0; i < sizeof(changed); i++)
                        assert_int_equal(((uint8_t *)changed)[i], 0);
        }
        end(&s, c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(damage_is_since_the_clients_own_last_frame),
                cmocka_unit_test(one_whole_frame_among_those_missed_makes_it_whole),
                cmocka_unit_test(the_history_reaches_back_further_than_the_slots),
                cmocka_unit_test(another_mode_or_ring_makes_it_whole),
                cmocka_unit_test(what_lies_in_what_is_listed_is_not_listed_again),
                cmocka_unit_test(rectangles_too_many_are_joined_where_it_costs_least),
                cmocka_unit_test(no_change_is_ever_left_out),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
