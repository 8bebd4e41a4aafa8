/*
 * copy_helper_test.c - a second thread gathers as the first would, also when the file shrinks under it
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "copy_helper.h"

#define PAGES  64u
#define BYTES  (PAGES * GVA_PAGE_BYTES)
#define MARKER 0xa5

struct stage {
        int fd;
        vgpu_source *source;
        struct copy_helper *helper;
        struct gva_extent piece[PAGES]; /* the file's pages backwards */
        uint8_t *dst;
};

static void stage_open(struct stage *s)
{
        uint8_t page[GVA_PAGE_BYTES];
        char path[32];

        s->fd = memfd_create("guest", MFD_CLOEXEC);
        assert_true(s->fd >= 0);
        for (uint64_t i = 0; i < PAGES; i++) {
                memset(page, (int)i + 1, sizeof(page));
                assert_int_equal(
                        pwrite(s->fd, page, sizeof(page), (off_t)(i * sizeof(page))), sizeof(page));
                s->piece[i] = (struct gva_extent){ (PAGES - 1 - i) * GVA_PAGE_BYTES,
                        i * GVA_PAGE_BYTES, GVA_PAGE_BYTES };
        }
        snprintf(path, sizeof(path), "/proc/self/fd/%d", s->fd);
        s->source = vgpu_source_open(path, VGPU_MACHINE_FLAT, 0, NULL);
        assert_non_null(s->source);
        assert_true(vgpu_source_is_shareable(s->source));
        assert_int_equal(copy_helper_new(&s->helper), 0);
        s->dst = aligned_alloc(GVA_PAGE_BYTES, BYTES);
        assert_non_null(s->dst);
        memset(s->dst, MARKER, BYTES);
}

static void stage_close(struct stage *s)
{
        free(s->dst);
        assert_null(copy_helper_free(s->helper));
        vgpu_source_close(s->source);
        close(s->fd);
}

static void expect_pages(const struct stage *s)
{
        for (uint32_t i = 0; i < BYTES; i++)
                assert_int_equal(s->dst[i], PAGES - i / GVA_PAGE_BYTES);
}

static void what_is_asked_for_is_copied(void **state)
{
        struct stage s;

        (void)state;
        stage_open(&s);
        copy_helper_ask(s.helper, s.source, s.piece, PAGES, s.dst);
        assert_int_equal(copy_helper_wait(s.helper), 0);
        expect_pages(&s);
        stage_close(&s);
}

static void what_has_not_begun_can_be_taken_back(void **state)
{
        struct stage s;

        (void)state;
        stage_open(&s);
        for (unsigned i = 0; i < 500; i++) {
                memset(s.dst, MARKER, BYTES);
                copy_helper_ask(s.helper, s.source, s.piece, PAGES, s.dst);
                if (copy_helper_take_back(s.helper)) {
                        for (uint32_t at = 0; at < BYTES; at += GVA_PAGE_BYTES)
                                assert_int_equal(s.dst[at], MARKER);
                        continue;
                }
                assert_int_equal(copy_helper_wait(s.helper), 0);
                expect_pages(&s);
        }
        stage_close(&s);
}

static void a_file_that_shrinks_is_an_error_in_the_thread_too(void **state)
{
        struct stage s;
        int result;

        (void)state;
        stage_open(&s);
        assert_int_equal(ftruncate(s.fd, BYTES / 2), 0);
        for (unsigned i = 0; i < 3; i++) {
                copy_helper_ask(s.helper, s.source, s.piece, PAGES, s.dst);
                assert_int_equal(copy_helper_wait(s.helper), -ESTALE);
                assert_false(copy_helper_is_done(s.helper, &result));
        }
        /* what is left can still be read */
        copy_helper_ask(s.helper, s.source, s.piece + PAGES / 2, PAGES / 2, s.dst);
        assert_int_equal(copy_helper_wait(s.helper), 0);
        stage_close(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_asked_for_is_copied),
                cmocka_unit_test(what_has_not_begun_can_be_taken_back),
                cmocka_unit_test(a_file_that_shrinks_is_an_error_in_the_thread_too),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
