/*
 * generation_test.c - which ring a mode leads to, case by case, and what a guest that never settles can make of it
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "generation.h"

#define MIB    (UINT64_C(1) << 20)
#define SECOND UINT64_C(1000000000)
#define HEADER 16384u

#define FULL_HD (UINT64_C(1920) * 1080 * 4)
#define QHD     (UINT64_C(2560) * 1440 * 4)
#define UHD     (UINT64_C(3840) * 2160 * 4)

static const struct generation_config config = {
        .slots = 4,
        .max_bytes = 2048 * MIB,
        .least_bytes = FULL_HD,
        .most_bytes = 128 * MIB,
        .shrink_after_ns = GENERATION_SHRINK_AFTER_NS,
        .max_old = GENERATION_MAX_OLD,
};

static uint64_t ring_bytes(uint64_t slot_bytes)
{
        return HEADER + config.slots * slot_bytes;
}

static struct generation_facts facts(uint64_t slot_bytes, uint64_t need)
{
        return (struct generation_facts){
                .now_ns = 100 * SECOND,
                .need = need,
                .slot_bytes = slot_bytes,
                .ring_bytes = ring_bytes(slot_bytes),
        };
}

/* ---- cases ------------------------------------------------------------------------------------------------------- */

struct case_row {
        const char *name;
        uint64_t slot_bytes, need;
        uint64_t small_for_ns; /* 0: was not small before */
        uint32_t n_old;
        uint64_t old_bytes;
        enum generation_move move;
        uint64_t to;
};

static const struct case_row cases[] = {
        { "fits", FULL_HD, FULL_HD, 0, 0, 0, GENERATION_STAY, 0 },
        { "a byte too large", FULL_HD, FULL_HD + 1, 0, 0, 0, GENERATION_GROW, 2 * FULL_HD },
        { "more than twice", FULL_HD, UHD, 0, 0, 0, GENERATION_GROW, UHD },
        { "whole pages", FULL_HD, 2 * FULL_HD + 1, 0, 0, 0, GENERATION_GROW, 2 * FULL_HD + 4096 },
        { "no slot is larger than a frame can be", 100 * MIB, 101 * MIB, 0, 0, 0, GENERATION_GROW,
                128 * MIB },
        { "twice does not fit, what is needed does", 64 * MIB, 65 * MIB, 0, 3, 1400 * MIB,
                GENERATION_GROW, 65 * MIB },
        { "clients keep too much", 64 * MIB, 65 * MIB, 0, 3, 1536 * MIB, GENERATION_REFUSE, 0 },
        { "clients keep more than there may be", 64 * MIB, 65 * MIB, 0, 3, 4096 * MIB,
                GENERATION_REFUSE, 0 },
        { "clients keep too many", FULL_HD, UHD, 0, 8, 8 * MIB, GENERATION_REFUSE, 0 },
        { "the last one there is room for", FULL_HD, UHD, 0, 7, 7 * MIB, GENERATION_GROW, UHD },
        { "small since now", UHD, FULL_HD, 0, 0, 0, GENERATION_STAY, 0 },
        { "small, not long enough", UHD, FULL_HD, 30 * SECOND - 1, 0, 0, GENERATION_STAY, 0 },
        { "small for long enough", UHD, FULL_HD, 30 * SECOND, 0, 0, GENERATION_SHRINK, FULL_HD },
        { "more than a quarter", UHD, FULL_HD + 1, 90 * SECOND, 0, 0, GENERATION_STAY, 0 },
        { "tiny", UHD, 4, 30 * SECOND, 0, 0, GENERATION_SHRINK, FULL_HD },
        { "tiny, nothing to gain", 3 * FULL_HD, 4, 90 * SECOND, 0, 0, GENERATION_STAY, 0 },
        { "somebody has an older one", UHD, FULL_HD, 90 * SECOND, 1, MIB, GENERATION_STAY, 0 },
};

static void every_case_has_its_move(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                const struct case_row *c = &cases[i];
                struct generation_facts f = facts(c->slot_bytes, c->need);
                struct generation g = { 0 };
                enum generation_move move;
                uint64_t to = 0;

                if (c->small_for_ns)
                        g.small_since_ns = f.now_ns - c->small_for_ns;
                f.n_old = c->n_old;
                f.old_bytes = c->old_bytes;
                move = generation_next(&g, &config, &f, &to);
                if (move != c->move || to != c->to)
                        fail_msg("%s: move %d to %llu", c->name, move, (unsigned long long)to);
        }
}

static void time_begins_when_the_mode_became_small(void **state)
{
        struct generation g = { 0 };
        struct generation_facts f = facts(UHD, FULL_HD);
        uint64_t to;

        (void)state;
        assert_int_equal(generation_next(&g, &config, &f, &to), GENERATION_STAY);
        f.now_ns += 29 * SECOND;
        assert_int_equal(generation_next(&g, &config, &f, &to), GENERATION_STAY);
        /* one large frame in between, and it begins again */
        f.need = UHD;
        assert_int_equal(generation_next(&g, &config, &f, &to), GENERATION_STAY);
        f.need = FULL_HD;
        f.now_ns += SECOND;
        assert_int_equal(generation_next(&g, &config, &f, &to), GENERATION_STAY);
        f.now_ns += 29 * SECOND;
        assert_int_equal(generation_next(&g, &config, &f, &to), GENERATION_STAY);
        f.now_ns += SECOND;
        assert_int_equal(generation_next(&g, &config, &f, &to), GENERATION_SHRINK);
        assert_int_equal(g.small_since_ns, 0);
}

static void another_ring_of_the_same_capacity_counts_like_any(void **state)
{
        struct generation_facts f = facts(UHD, UHD);

        (void)state;
        assert_true(generation_fits(&config, &f, UHD));
        f.n_old = GENERATION_MAX_OLD;
        assert_false(generation_fits(&config, &f, UHD));
        f.n_old = 1;
        f.old_bytes = config.max_bytes - 2 * f.ring_bytes;
        assert_true(generation_fits(&config, &f, UHD));
        f.old_bytes++;
        assert_false(generation_fits(&config, &f, UHD));
}

/* ---- a guest that never settles ---------------------------------------------------------------------------------- */

/* A model of what exists: the ring in use, and old ones until clients let go, which some never do. */
struct world {
        struct generation g;
        struct generation_facts f;
        uint64_t old[GENERATION_MAX_OLD];
        uint32_t n_rings; /* made since the beginning */
        uint64_t most_bytes;
};

static void replace(struct world *w, uint64_t slot_bytes)
{
        assert_true(w->f.n_old < GENERATION_MAX_OLD);
        w->old[w->f.n_old++] = w->f.ring_bytes;
        w->f.old_bytes += w->f.ring_bytes;
        w->f.slot_bytes = slot_bytes;
        w->f.ring_bytes = ring_bytes(slot_bytes);
        w->n_rings++;
        if (w->f.old_bytes + w->f.ring_bytes > w->most_bytes)
                w->most_bytes = w->f.old_bytes + w->f.ring_bytes;
}

static void release_all(struct world *w)
{
        w->f.n_old = 0;
        w->f.old_bytes = 0;
}

static void step(struct world *w, uint64_t need, uint64_t ns)
{
        uint64_t to;

        w->f.now_ns += ns;
        w->f.need = need;
        switch (generation_next(&w->g, &config, &w->f, &to)) {
        case GENERATION_GROW:
                assert_true(to >= need);
                replace(w, to);
                break;
        case GENERATION_SHRINK:
                assert_true(to >= need && to <= w->f.slot_bytes / 4);
                replace(w, to);
                break;
        case GENERATION_STAY:
                assert_true(need <= w->f.slot_bytes);
                break;
        case GENERATION_REFUSE:
                assert_true(need > w->f.slot_bytes);
                break;
        }
        assert_true(w->f.old_bytes + w->f.ring_bytes <= config.max_bytes);
}

static const uint64_t modes[] = { FULL_HD, UHD, QHD, 640 * 480 * 4, 128 * MIB, 4 };
#define N_MODES (sizeof(modes) / sizeof(modes[0]))

static void modes_that_flip_a_thousand_times_a_second_grow_nothing(void **state)
{
        (void)state;
        for (int clients_let_go = 0; clients_let_go < 2; clients_let_go++) {
                struct world w = { .f = facts(FULL_HD, FULL_HD) };
                uint32_t after_first_second = 0;

                for (uint32_t ms = 0; ms < 60000; ms++) {
                        step(&w, modes[ms % 2], SECOND / 1000);
                        if (clients_let_go)
                                release_all(&w);
                        if (ms == 1000)
                                after_first_second = w.n_rings;
                }
                assert_int_equal(w.n_rings, after_first_second);
                assert_true(w.n_rings <= 2);
        }
}

/* Sizes and pauses of all kinds, clients that let go late or never: bounded, and it works again when they did. */
static void no_sequence_of_modes_exceeds_the_limits(void **state)
{
        (void)state;
        for (unsigned seed = 1; seed <= 50; seed++) {
                struct world w = { .f = facts(FULL_HD, FULL_HD) };

                srand(seed);
                for (int i = 0; i < 20000; i++) {
                        uint64_t need = rand() % 3 ? modes[(unsigned)rand() % N_MODES]
                                                   : 1 + (uint64_t)rand() % (128 * MIB);

                        step(&w, need, rand() % 10 ? SECOND / 1000 : 31 * SECOND);
                        if (rand() % 5000 == 0)
                                release_all(&w);
                }
                release_all(&w);
                step(&w, UHD, SECOND);
                assert_true(w.f.slot_bytes >= UHD);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_case_has_its_move),
                cmocka_unit_test(time_begins_when_the_mode_became_small),
                cmocka_unit_test(another_ring_of_the_same_capacity_counts_like_any),
                cmocka_unit_test(modes_that_flip_a_thousand_times_a_second_grow_nothing),
                cmocka_unit_test(no_sequence_of_modes_exceeds_the_limits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
