/*
 * layout.c - from guest-physical addresses to offsets in the RAM file
 *
 * A RAM backend is one stretch of bytes; a PC is not: chipsets keep the top of the first 4 GiB for devices, and QEMU
 * moves what does not fit below the hole to 4 GiB. How much stays below depends on the machine type alone, as long as
 * nobody gives max-ram-below-4g or hot-plugs memory. Several backends are laid out as if they were one.
 */
#include <errno.h>
#include <string.h>

#include "vgpu_source.h"

#define ABOVE_HOLE UINT64_C(0x100000000)
#define GPA_END    (PTE_PFN + GVA_PAGE_BYTES) /* first address that no page-table entry can name */

static const struct {
        const char *name;
        uint64_t split_from; /* RAM of this size and more is split; 0: never */
        uint64_t below;      /* what then stays below the hole */
} machines[VGPU_N_MACHINES] = {
        [VGPU_MACHINE_Q35] = { "q35", 0xb0000000, 0x80000000 },
        [VGPU_MACHINE_PC] = { "pc", 0xe0000000, 0xc0000000 },
        [VGPU_MACHINE_MICROVM] = { "microvm", 0xc0000000, 0xc0000000 },
        [VGPU_MACHINE_FLAT] = { "flat", 0, 0 },
};

const char *vgpu_machine_name(enum vgpu_machine machine)
{
        return (unsigned)machine < VGPU_N_MACHINES ? machines[machine].name : "unknown";
}

int vgpu_machine_from_name(const char *name, enum vgpu_machine *ret)
{
        for (size_t i = 0; i < VGPU_N_MACHINES; i++) {
                if (strcmp(name, machines[i].name) == 0) {
                        *ret = (enum vgpu_machine)i;
                        return 0;
                }
        }
        return -EINVAL;
}

/* What lies at [offset, offset + len) of the files as if they were one goes to @gpa, cut where a file ends. */
static int place(struct vgpu_layout *l, const uint64_t *sizes, size_t n_files, uint64_t offset,
        uint64_t len, uint64_t gpa)
{
        for (size_t i = 0; i < n_files && len > 0; i++) {
                uint64_t n;

                if (offset >= sizes[i]) {
                        offset -= sizes[i];
                        continue;
                }
                n = sizes[i] - offset < len ? sizes[i] - offset : len;
                if (l->n_pieces == VGPU_LAYOUT_MAX)
                        return -EINVAL;
                l->piece[l->n_pieces++] = (struct vgpu_layout_piece){
                        .gpa = gpa, .offset = offset, .len = n, .file = (uint32_t)i
                };
                gpa += n;
                len -= n;
                offset = 0;
        }
        return 0;
}

static int add_sizes(const uint64_t *sizes, size_t n_files, uint64_t *ret_total)
{
        uint64_t total = 0;

        for (size_t i = 0; i < n_files; i++) {
                if (sizes[i] == 0 || sizes[i] % GVA_PAGE_BYTES != 0 ||
                        __builtin_add_overflow(total, sizes[i], &total))
                        return -EINVAL;
        }
        *ret_total = total;
        return total != 0 && total <= GPA_END - ABOVE_HOLE ? 0 : -EINVAL;
}

int vgpu_layout_split(enum vgpu_machine machine, const uint64_t *sizes, size_t n_files,
        struct vgpu_layout *ret_layout)
{
        struct vgpu_layout l = { .n_pieces = 0 };
        uint64_t total, below;
        int r;

        if ((unsigned)machine >= VGPU_N_MACHINES || n_files > VGPU_SOURCE_FILES_MAX ||
                add_sizes(sizes, n_files, &total) < 0)
                return -EINVAL;
        below = total;
        if (machines[machine].split_from != 0 && total >= machines[machine].split_from)
                below = machines[machine].below;

        r = place(&l, sizes, n_files, 0, below, 0);
        if (r == 0)
                r = place(&l, sizes, n_files, below, total - below, ABOVE_HOLE);
        if (r == 0)
                *ret_layout = l;
        return r;
}

int vgpu_layout_for(enum vgpu_machine machine, uint64_t ram_size, struct vgpu_layout *ret_layout)
{
        return vgpu_layout_split(machine, &ram_size, 1, ret_layout);
}

static bool continues(const struct vgpu_layout_piece *p, const struct vgpu_layout_piece *next)
{
        return next->file == p->file && next->gpa == p->gpa + p->len &&
               next->offset == p->offset + p->len;
}

/* The piece from @i on with all that continues it; *i is then the first that does not. */
static struct vgpu_layout_piece take_whole(const struct vgpu_layout *l, size_t *i)
{
        struct vgpu_layout_piece whole = l->piece[(*i)++];

        while (*i < l->n_pieces && continues(&whole, &l->piece[*i]))
                whole.len += l->piece[(*i)++].len;
        return whole;
}

bool vgpu_layout_equal(const struct vgpu_layout *a, const struct vgpu_layout *b)
{
        size_t i = 0, k = 0;

        while (i < a->n_pieces && k < b->n_pieces) {
                struct vgpu_layout_piece p = take_whole(a, &i), q = take_whole(b, &k);

                if (p.gpa != q.gpa || p.offset != q.offset || p.len != q.len || p.file != q.file)
                        return false;
        }
        return i == a->n_pieces && k == b->n_pieces;
}
