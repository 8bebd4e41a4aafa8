/*
 * copy_helper_test.c - chunks that two threads take from: each is copied once, and by nobody after that was ended
 */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
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

#define PAGES  (COPY_HELPER_CHUNKS * 16u)
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

static void expect_nothing(const struct stage *s)
{
        for (uint32_t i = 0; i < BYTES; i++)
                assert_int_equal(s->dst[i], MARKER);
}

/* As many chunks as can be out, which are all pages. */
static void offer_all(struct stage *s)
{
        struct copy_chunk *k;
        size_t at = 0;

        while ((k = copy_helper_room(s->helper))) {
                assert_true(k->max >= PAGES / COPY_HELPER_CHUNKS);
                k->source = s->source;
                k->dst = s->dst;
                k->n = PAGES / COPY_HELPER_CHUNKS;
                memcpy(k->piece, s->piece + at, k->n * sizeof(k->piece[0]));
                at += k->n;
                copy_helper_offer(s->helper, k);
        }
        assert_int_equal(at, PAGES);
}

/* Until all of them are done; how many were with @result. */
static unsigned count_done(struct stage *s, int result)
{
        unsigned n = 0, n_as_said = 0;

        while (n < COPY_HELPER_CHUNKS) {
                const struct copy_chunk *k = copy_helper_done(s->helper);

                if (!k) {
                        sched_yield();
                        continue;
                }
                n++;
                n_as_said += k->result == result;
        }
        assert_false(copy_helper_wait(s->helper));
        return n_as_said;
}

static void what_is_offered_is_copied(void **state)
{
        struct stage s;

        (void)state;
        stage_open(&s);
        offer_all(&s);
        copy_helper_call(s.helper);
        assert_int_equal(count_done(&s, 0), COPY_HELPER_CHUNKS);
        expect_pages(&s);
        copy_helper_dismiss(s.helper);
        stage_close(&s);
}

static void who_is_not_called_copies_nothing(void **state)
{
        struct stage s;

        (void)state;
        stage_open(&s);
        offer_all(&s);
        assert_false(copy_helper_wait(s.helper));
        assert_null(copy_helper_done(s.helper));
        for (unsigned i = 0; i < COPY_HELPER_CHUNKS; i++)
                assert_true(copy_helper_work(s.helper));
        assert_false(copy_helper_work(s.helper));
        assert_int_equal(count_done(&s, 0), COPY_HELPER_CHUNKS);
        expect_pages(&s);
        stage_close(&s);
}

static void what_nobody_took_is_taken_back(void **state)
{
        struct stage s;

        (void)state;
        stage_open(&s);
        for (unsigned i = 0; i < 3; i++) {
                offer_all(&s);
                copy_helper_stop(s.helper);
                assert_null(copy_helper_done(s.helper));
        }
        copy_helper_call(s.helper);
        copy_helper_dismiss(s.helper);
        expect_nothing(&s);
        stage_close(&s);
}

/* It may be anywhere when it is ended: asleep, on its way, in the middle of a chunk. */
static void nobody_writes_after_the_end(void **state)
{
        struct stage s;

        (void)state;
        stage_open(&s);
        for (unsigned i = 0; i < 500; i++) {
                copy_helper_call(s.helper);
                offer_all(&s);
                for (unsigned n = 0; n < i % (COPY_HELPER_CHUNKS + 1); n++)
                        copy_helper_work(s.helper);
                copy_helper_stop(s.helper);
                memset(s.dst, MARKER, BYTES);
                copy_helper_dismiss(s.helper);
                sched_yield();
                expect_nothing(&s);
        }
        stage_close(&s);
}

static void two_threads_share_all_chunks(void **state)
{
        struct stage s;

        (void)state;
        stage_open(&s);
        for (unsigned i = 0; i < 500; i++) {
                memset(s.dst, MARKER, BYTES);
                copy_helper_call(s.helper);
                offer_all(&s);
                while (copy_helper_work(s.helper) || copy_helper_wait(s.helper))
                        ;
                assert_int_equal(count_done(&s, 0), COPY_HELPER_CHUNKS);
                copy_helper_dismiss(s.helper);
                expect_pages(&s);
        }
        stage_close(&s);
}

/* Of the only other thread. */
static char state_of_helper(void)
{
        DIR *tasks = opendir("/proc/self/task");
        struct dirent *task;
        char path[64], state = 0;
        FILE *f;

        assert_non_null(tasks);
        while ((task = readdir(tasks))) {
                if (task->d_name[0] == '.' || atoi(task->d_name) == getpid())
                        continue;
                snprintf(path, sizeof(path), "/proc/self/task/%.20s/stat", task->d_name);
                f = fopen(path, "re");
                assert_non_null(f);
                assert_int_equal(fscanf(f, "%*d (%*[^)]) %c", &state), 1);
                fclose(f);
        }
        closedir(tasks);
        return state;
}

static void who_is_called_in_vain_sleeps_until_the_next_call(void **state)
{
        struct stage s;

        (void)state;
        stage_open(&s);
        for (unsigned i = 0; i < 3; i++) {
                copy_helper_call(s.helper);
                while (state_of_helper() != 'S')
                        sched_yield();
                memset(s.dst, MARKER, BYTES);
                offer_all(&s);
                copy_helper_call(s.helper);
                assert_int_equal(count_done(&s, 0), COPY_HELPER_CHUNKS);
                expect_pages(&s);
        }
        stage_close(&s);
}

static void a_file_that_shrinks_is_an_error_in_the_thread_too(void **state)
{
        struct stage s;

        (void)state;
        stage_open(&s);
        assert_int_equal(ftruncate(s.fd, BYTES / 2), 0);
        for (unsigned i = 0; i < 3; i++) {
                offer_all(&s);
                copy_helper_call(s.helper);
                /* the file's pages are offered backwards: what is left can still be read */
                assert_int_equal(count_done(&s, -ESTALE), COPY_HELPER_CHUNKS / 2);
                copy_helper_dismiss(s.helper);
        }
        stage_close(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_offered_is_copied),
                cmocka_unit_test(who_is_not_called_copies_nothing),
                cmocka_unit_test(what_nobody_took_is_taken_back),
                cmocka_unit_test(nobody_writes_after_the_end),
                cmocka_unit_test(two_threads_share_all_chunks),
                cmocka_unit_test(who_is_called_in_vain_sleeps_until_the_next_call),
                cmocka_unit_test(a_file_that_shrinks_is_an_error_in_the_thread_too),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
