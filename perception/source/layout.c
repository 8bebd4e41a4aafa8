/*
 * layout.c - from guest-physical addresses to offsets in the RAM file
 *
 * A RAM backend is one stretch of bytes; a PC is not: chipsets keep the top of the first 4 GiB for devices, and QEMU
 * moves what does not fit below the hole to 4 GiB. How much stays below depends on the machine type alone, as long as
 * nobody gives max-ram-below-4g, hot-plugs memory or splits it over backends.
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

int vgpu_layout_for(enum vgpu_machine machine, uint64_t ram_size, struct vgpu_layout *ret_layout)
{
        uint64_t below = ram_size;

        if ((unsigned)machine >= VGPU_N_MACHINES)
                return -EINVAL;
        if (ram_size == 0 || ram_size % GVA_PAGE_BYTES != 0 || ram_size > GPA_END - ABOVE_HOLE)
                return -EINVAL;
        if (machines[machine].split_from != 0 && ram_size >= machines[machine].split_from)
                below = machines[machine].below;

        *ret_layout = (struct vgpu_layout){
                .piece[0] = { .gpa = 0, .offset = 0, .len = below },
                .n_pieces = 1,
        };
        if (below < ram_size) {
                ret_layout->piece[1] = (struct vgpu_layout_piece){
                        .gpa = ABOVE_HOLE,
                        .offset = below,
                        .len = ram_size - below,
                };
                ret_layout->n_pieces = 2;
        }
        return 0;
}
