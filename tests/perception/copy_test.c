/*
 * copy_test.c - every kind of copy that this processor has moves the bytes it is told to, and no other
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "copy.h"

#define PAGE   GVA_PAGE_BYTES
#define PAGES  300u /* more than a batch */
#define MARKER 0xa5

static uint8_t *source, *to, *want;

static int set_up(void **state)
{
        (void)state;
        source = aligned_alloc(PAGE, PAGES * PAGE);
        to = aligned_alloc(PAGE, PAGES * PAGE);
        want = aligned_alloc(PAGE, PAGES * PAGE);
        assert_true(source && to && want);
        for (size_t i = 0; i < PAGES * PAGE; i++)
                source[i] = (uint8_t)(i * 7 + i / 256 * 13 + i / PAGE);
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        free(source);
        free(to);
        free(want);
        return 0;
}

/* A stretch as the test's own words would move it; then all memory is compared, for nothing else may have changed. */
static void add(struct copy_batch *b, size_t dst, size_t src, size_t len)
{
        copy_add(b, to + dst, source + src, len);
        memcpy(want + dst, source + src, len);
}

static void begin(struct copy_batch *b, const struct copy_kind *kind)
{
        b->kind = kind;
        b->n = 0;
        memset(to, MARKER, PAGES * PAGE);
        memset(want, MARKER, PAGES * PAGE);
}

static void finish(struct copy_batch *b)
{
        copy_finish(b);
        copy_settle(b->kind);
        assert_memory_equal(to, want, PAGES * PAGE);
}

static void for_each_kind(void (*check)(const struct copy_kind *kind))
{
        size_t n;
        const struct copy_kind *const *kinds = copy_kinds(&n);

        for (size_t i = 0; i < n; i++) {
                if (copy_kind_usable(kinds[i]))
                        check(kinds[i]);
                else
                        print_message("%s: not on this processor\n", kinds[i]->name);
        }
}

static void check_edges(const struct copy_kind *kind)
{
        static const size_t lens[] = { 0, 1, 63, 64, 65, 511, 512, 513, 1000, 4095, 4096, 4097,
                8192, 12288 + 100 };
        static const size_t shifts[] = { 0, 1, 4, 63, 64, 4000, 4095 };
        struct copy_batch b;

        for (size_t l = 0; l < sizeof(lens) / sizeof(lens[0]); l++)
                for (size_t s = 0; s < sizeof(shifts) / sizeof(shifts[0]); s++)
                        for (size_t d = 0; d < sizeof(shifts) / sizeof(shifts[0]); d++) {
                                begin(&b, kind);
                                add(&b, PAGE + shifts[d], PAGE + shifts[s], lens[l]);
                                finish(&b);
                        }
}

static void a_stretch_of_any_length_goes_anywhere(void **state)
{
        (void)state;
        for_each_kind(check_edges);
}

static void check_scatter(const struct copy_kind *kind)
{
        struct copy_batch b;

        begin(&b, kind);
        for (size_t i = 0; i < PAGES; i++)
                add(&b, i * PAGE, i * 97 % PAGES * PAGE, PAGE);
        finish(&b);
}

static void pages_that_lie_apart_come_in_order(void **state)
{
        (void)state;
        for_each_kind(check_scatter);
}

static void check_random(const struct copy_kind *kind)
{
        struct copy_batch b;

        for (unsigned seed = 0; seed < 12; seed++) {
                size_t at = 0;

                srand(seed);
                begin(&b, kind);
                while (at < PAGES * PAGE) {
                        size_t whole = (size_t)(rand() % 6) * PAGE;
                        size_t len = rand() % 4 ? whole : (size_t)rand() % (3 * PAGE);
                        size_t src = (size_t)(rand() % (int)PAGES) * PAGE;

                        if (rand() % 8 == 0)
                                src += (size_t)rand() % PAGE;
                        if (rand() % 5 == 0)
                                at += (size_t)rand() % PAGE;
                        if (at + len > PAGES * PAGE || src + len > PAGES * PAGE)
                                break;
                        add(&b, at, src, len);
                        at += len;
                }
                finish(&b);
        }
}

static void any_mixture_of_stretches_is_what_it_would_be_one_by_one(void **state)
{
        (void)state;
        for_each_kind(check_random);
}

static void each_way_has_a_kind_that_runs_here(void **state)
{
        static const enum vgpu_copy ways[] = { VGPU_COPY_AUTO, VGPU_COPY_PLAIN, VGPU_COPY_STREAM,
                VGPU_COPY_MOVSB };

        (void)state;
        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
                assert_true(copy_kind_usable(copy_kind_for(ways[i])));
        assert_string_equal(copy_kind_for(VGPU_COPY_PLAIN)->name, "plain");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_stretch_of_any_length_goes_anywhere),
                cmocka_unit_test(pages_that_lie_apart_come_in_order),
                cmocka_unit_test(any_mixture_of_stretches_is_what_it_would_be_one_by_one),
                cmocka_unit_test(each_way_has_a_kind_that_runs_here),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
