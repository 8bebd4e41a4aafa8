/*
 * mtree_fuzz.c - what a monitor may print instead of `info mtree -f`
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mtree.h"

#define RANGES 64

static void require(bool holds, const char *what)
{
        if (holds)
                return;
        fprintf(stderr, "finding: %s\n", what);
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const ids[] = { "ram0", "pc.ram", "node1" };
        struct mtree_range ranges[RANGES];
        struct vgpu_layout layout;
        uint64_t end = 0;
        size_t n = 0;

        if (mtree_parse((const char *)data, size, ranges, RANGES, &n) < 0)
                return 0;
        require(n <= RANGES, "more ranges than there is room for");
        for (size_t i = 0; i < n; i++) {
                require(strnlen(ranges[i].name, MTREE_NAME_MAX) < MTREE_NAME_MAX,
                        "a name without its end");
                require(ranges[i].len > 0 && ranges[i].gpa + (ranges[i].len - 1) >= ranges[i].gpa,
                        "a range that wraps");
        }
        if (mtree_layout(ranges, n, ids, 3, &layout) < 0)
                return 0;
        require(layout.n_pieces > 0 && layout.n_pieces <= VGPU_LAYOUT_MAX, "a layout of no size");
        for (size_t i = 0; i < layout.n_pieces; i++) {
                const struct vgpu_layout_piece *p = &layout.piece[i];

                require(p->gpa >= end && p->len > 0, "pieces that overlap");
                require(p->file < 3, "a piece in no backend");
                end = p->gpa + p->len;
        }
        return 0;
}
