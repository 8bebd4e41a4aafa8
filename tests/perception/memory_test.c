/*
 * memory_test.c - the host's memory runs out: each allocation of the core fails once, and is an answer, not an end
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest_windows.h"

/* The nth allocation from now on fails; 0: none. */
static size_t n_allocations, fail_at;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_malloc(size_t size)
{
        return ++n_allocations == fail_at ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
        return ++n_allocations == fail_at ? NULL : __real_calloc(n, size);
}

static void fail_nth(size_t n)
{
        n_allocations = 0;
        fail_at = n;
}

static size_t allocations(void)
{
        fail_at = 0;
        return n_allocations;
}

static void opening_says_that_memory_ran_out(void **state)
{
        struct guest_windows w;
        struct guest_region r;
        vmie_win32 *v;
        size_t total;

        (void)state;
        standard_guest(&w, &r);
        fail_nth(0);
        v = vmie_win32_open(&w.image.mem, 0, NULL);
        total = allocations();
        assert_non_null(v);
        vmie_win32_close(v);
        assert_int_equal(total, 2);
        for (size_t n = 1; n <= total; n++) {
                struct win32_failure why;

                fail_nth(n);
                v = vmie_win32_open(&w.image.mem, 0, &why);
                fail_at = 0;
                assert_null(v);
                assert_int_equal(why.reason, WIN32_OUT_OF_MEMORY);
        }
        windows_deinit(&w);
}

static void discovery_says_that_memory_ran_out(void **state)
{
        uint64_t cr3, gva, heartbeat;
        struct guest_windows w;
        struct guest_region r;
        vmie_win32 *v;
        size_t n;

        (void)state;
        standard_guest(&w, &r);
        v = vmie_win32_open(&w.image.mem, 0, NULL);
        assert_non_null(v);
        fail_nth(1);
        assert_int_equal(vgpup_discover_all(v, NULL, 0, &n), -ENOMEM);
        fail_nth(1);
        assert_int_equal(vgpup_discover_candidate(v, &cr3, &gva, &heartbeat), -ENOMEM);
        fail_nth(1);
        assert_null(vgpup_open(v));
        fail_at = 0;
        vmie_win32_close(v);
        windows_deinit(&w);
}

static void binding_gives_back_what_it_had_when_memory_runs_out(void **state)
{
        struct vgpup_candidate c;
        struct guest_windows w;
        vgpup_region *region;
        struct guest_region r;
        vmie_win32 *v;
        size_t n, total;

        (void)state;
        standard_guest(&w, &r);
        v = vmie_win32_open(&w.image.mem, 0, NULL);
        assert_non_null(v);
        assert_int_equal(vgpup_discover_all(v, &c, 1, &n), 0);
        fail_nth(0);
        assert_int_equal(vgpup_bind(v, vmie_win32_mem(v), &c, &region), 0);
        total = allocations();
        vgpup_close(region);
        for (n = 1; n <= total; n++) {
                region = NULL;
                fail_nth(n);
                assert_int_equal(vgpup_bind(v, vmie_win32_mem(v), &c, &region), -ENOMEM);
                fail_at = 0;
                assert_null(region);
        }
        vmie_win32_close(v);
        windows_deinit(&w);
}

/* A bound region is read for hours, in a loop that must not wait for memory. */
static void a_bound_region_is_read_without_allocating(void **state)
{
        uint8_t bytes[TEST_STRIDE_BYTES];
        vgpup_geometry geometry;
        vgpup_frame_info info;
        vgpup_status status;
        vgpup_cursor cursor;
        struct guest_windows w;
        vgpup_region *region;
        struct guest_region r;
        struct vgpup_change changes[VGPU_MAX_SLOTS];
        vmie_win32 *v;
        vmie_mem *m;
        uint64_t id;
        uint32_t n;

        (void)state;
        standard_guest(&w, &r);
        v = vmie_win32_open(&w.image.mem, 0, NULL);
        assert_non_null(v);
        m = vmie_win32_mem(v);
        region = vgpup_open(v);
        assert_non_null(region);
        fail_nth(0);
        assert_int_equal(vgpup_peek(region, m, &id), 1);
        assert_int_equal(vgpup_read_changes(region, m, changes, &n), 1);
        assert_int_equal(vgpup_sample_frame(region, m, bytes, sizeof(bytes), &info), 1);
        assert_int_equal(vgpup_read_cursor(region, m, &cursor), 1);
        assert_int_equal(vgpup_read_geometry(region, m, &geometry), 1);
        assert_int_equal(vgpup_read_status(region, m, &status), 0);
        assert_int_equal(allocations(), 0);
        vgpup_close(region);
        vmie_win32_close(v);
        windows_deinit(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(opening_says_that_memory_ran_out),
                cmocka_unit_test(discovery_says_that_memory_ran_out),
                cmocka_unit_test(binding_gives_back_what_it_had_when_memory_runs_out),
                cmocka_unit_test(a_bound_region_is_read_without_allocating),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
