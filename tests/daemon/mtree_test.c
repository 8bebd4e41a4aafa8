/*
 * mtree_test.c - where RAM is, from what QEMU printed
 *
 * mtree/ holds what Debian's QEMU 7.2 said for machines of several sizes, byte for byte. The machines whose layout the table
 * of machine types knows must come out as the table has them; the others as they were asked for.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mtree.h"

#define GIB (UINT64_C(1) << 30)

static char *read_capture(const char *name, size_t *ret_len)
{
        char path[512];
        char *text = NULL;
        size_t cap = 0;
        ssize_t n;
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s.mtree", MTREE_DIR, name);
        f = fopen(path, "re");
        assert_non_null(f);
        n = getdelim(&text, &cap, '\0', f);
        assert_true(n > 0);
        fclose(f);
        *ret_len = (size_t)n;
        return text;
}

static int layout_of(
        const char *text, size_t len, const char *const *ids, size_t n_ids, struct vgpu_layout *ret)
{
        struct mtree_range ranges[64];
        size_t n = 0;
        int r = mtree_parse(text, len, ranges, 64, &n);

        return r < 0 ? r : mtree_layout(ranges, n, ids, n_ids, ret);
}

static struct vgpu_layout must_lay_out(const char *name, const char *const *ids, size_t n_ids)
{
        struct vgpu_layout l;
        size_t len;
        char *text = read_capture(name, &len);

        assert_int_equal(layout_of(text, len, ids, n_ids, &l), 0);
        free(text);
        return l;
}

static void machines_of_the_table_are_laid_out_as_it_says(void **state)
{
        static const struct {
                const char *name;
                enum vgpu_machine machine;
                uint64_t gib;
        } machines[] = {
                { "q35-1", VGPU_MACHINE_Q35, 1 },
                { "q35-3", VGPU_MACHINE_Q35, 3 },
                { "q35-6", VGPU_MACHINE_Q35, 6 },
                { "pc-1", VGPU_MACHINE_PC, 1 },
                { "pc-3", VGPU_MACHINE_PC, 3 },
                { "pc-6", VGPU_MACHINE_PC, 6 },
                { "microvm", VGPU_MACHINE_MICROVM, 4 },
        };
        static const char *const ids[] = { "ram0" };

        (void)state;
        for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
                struct vgpu_layout l = must_lay_out(machines[i].name, ids, 1), want;

                assert_int_equal(
                        vgpu_layout_for(machines[i].machine, machines[i].gib * GIB, &want), 0);
                if (!vgpu_layout_equal(&l, &want))
                        fail_msg("%s is laid out in another way", machines[i].name);
        }
}

static void numa_nodes_are_files_of_their_own(void **state)
{
        static const char *const ids[] = { "n1", "n0" };
        const struct vgpu_layout want = {
                .piece = { { 0, 0, GIB, 1 }, { GIB, 0, GIB, 0 }, { 4 * GIB, GIB, 2 * GIB, 0 } },
                .n_pieces = 3,
        };
        struct vgpu_layout l = must_lay_out("numa", ids, 2);

        (void)state;
        assert_true(vgpu_layout_equal(&l, &want));
}

static void a_plugged_dimm_is_where_it_was_plugged(void **state)
{
        static const char *const ids[] = { "my.ram", "hot" };
        const struct vgpu_layout want = {
                .piece = { { 0, 0, 2 * GIB, 0 }, { 4 * GIB, 0, GIB, 1 } },
                .n_pieces = 2,
        };
        struct vgpu_layout l = must_lay_out("dimm", ids, 2);

        (void)state;
        assert_true(vgpu_layout_equal(&l, &want));
}

static void what_is_no_backend_is_no_ram(void **state)
{
        static const char *const ids[] = { "ram", "ram00", "am0", "pc.rom" };
        struct vgpu_layout l;
        size_t len;
        char *text = read_capture("q35-6", &len);

        (void)state;
        assert_int_equal(layout_of(text, len, ids, 4, &l), -ENODATA);
        assert_int_equal(layout_of(text, len, ids, 0, &l), -ENODATA);
        free(text);
}

#define VIEW  "FlatView #1\r\n AS \"memory\", root: system\r\n"
#define RANGE "  0000000000000000-000000000009ffff (prio 0, ram): "

static void an_accelerator_behind_the_name_is_no_part_of_it(void **state)
{
        static const char text[] = VIEW RANGE
                "ram0 KVM\r\n"
                "  0000000000100000-00000000001fffff (prio 0, ram): ram0 @0000000000100000 KVM\r\n";
        static const char *const ids[] = { "ram0" };
        struct vgpu_layout l;

        (void)state;
        assert_int_equal(layout_of(text, sizeof(text) - 1, ids, 1, &l), 0);
        assert_int_equal(l.n_pieces, 1);
        assert_int_equal(l.piece[0].len, 2 << 20);
}

static void only_the_view_of_memory_counts(void **state)
{
        static const char other[] = "FlatView #0\n AS \"I/O\", root: io\n" RANGE "ram0\n";
        static const char after[] =
                VIEW "FlatView #2\n AS \"cpu-smm-0\", root: memory\n" RANGE "ram0\n";
        static const char *const ids[] = { "ram0" };
        struct vgpu_layout l;

        (void)state;
        assert_int_equal(layout_of(other, sizeof(other) - 1, ids, 1, &l), -ENODATA);
        assert_int_equal(layout_of(after, sizeof(after) - 1, ids, 1, &l), -ENODATA);
        assert_int_equal(layout_of("", 0, ids, 1, &l), -ENODATA);
}

static void ranges_that_contradict_each_other_are_refused(void **state)
{
        static const char overlap[] =
                VIEW RANGE "ram0\n  0000000000090000-00000000000fffff (prio 0, ram): ram0\n";
        static const char backwards[] =
                VIEW "  0000000000100000-00000000001fffff (prio 0, ram): ram0\n" RANGE "ram0\n";
        static const char *const ids[] = { "ram0" };
        struct vgpu_layout l;

        (void)state;
        assert_int_equal(layout_of(overlap, sizeof(overlap) - 1, ids, 1, &l), -EINVAL);
        assert_int_equal(layout_of(backwards, sizeof(backwards) - 1, ids, 1, &l), -EINVAL);
}

static void a_damaged_line_is_passed_over(void **state)
{
        static const char *const damaged[] = {
                "  0000000000000000-000000000009ffff (prio 0, ram):",
                "  000000000000000-000000000009ffff (prio 0, ram): ram0",
                "  0000000000000000-00000000000gffff (prio 0, ram): ram0",
                "  0000000000000001-0000000000000000 (prio 0, ram): ram0",
                "  0000000000000000-ffffffffffffffff (prio 0, ram): ram0",
                "  0000000000000000-000000000009ffff (prio 0, ram): ram0 @12",
                "  0000000000000000-000000000009ffff (prio 0, nv-ram): ram0",
                "  0000000000000000-000000000009ffff (prio 0, rom): ram0",
        };
        static const char *const ids[] = { "ram0" };

        (void)state;
        for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
                char text[256];
                struct vgpu_layout l;
                int len = snprintf(text, sizeof(text), VIEW "%s\n", damaged[i]);

                assert_int_equal(layout_of(text, (size_t)len, ids, 1, &l), -ENODATA);
        }
}

/* Cut off anywhere, in memory of exactly its length: never a byte beyond. */
static void half_a_text_is_read_to_its_end_and_no_further(void **state)
{
        size_t len;
        char *text = read_capture("numa", &len);
        struct mtree_range ranges[64];
        size_t n;

        (void)state;
        for (size_t cut = 0; cut < len; cut += 7) {
                char *half = malloc(cut + 1);

                memcpy(half, text, cut);
                half = realloc(half, cut ? cut : 1);
                mtree_parse(half, cut, ranges, 64, &n);
                free(half);
        }
        assert_int_equal(mtree_parse(text, len, ranges, 1, &n), -E2BIG);
        free(text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(machines_of_the_table_are_laid_out_as_it_says),
                cmocka_unit_test(numa_nodes_are_files_of_their_own),
                cmocka_unit_test(a_plugged_dimm_is_where_it_was_plugged),
                cmocka_unit_test(what_is_no_backend_is_no_ram),
                cmocka_unit_test(an_accelerator_behind_the_name_is_no_part_of_it),
                cmocka_unit_test(only_the_view_of_memory_counts),
                cmocka_unit_test(ranges_that_contradict_each_other_are_refused),
                cmocka_unit_test(a_damaged_line_is_passed_over),
                cmocka_unit_test(half_a_text_is_read_to_its_end_and_no_further),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
