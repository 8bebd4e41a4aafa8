/*
 * ram.h - the virtual machine's memory: what the boot loader says there is, and the direct map over it
 */
#ifndef VGPU_VM_RAM_H
#define VGPU_VM_RAM_H

#include <stdint.h>

#define RAM_MAX_EXTENTS 8

struct ram_extent {
        uint64_t gpa; /* 4 KiB aligned */
        uint64_t len;
};

/* What the PVH start info said, copied: the machine will be built over it. */
struct ram {
        struct ram_extent extent[RAM_MAX_EXTENTS]; /* usable RAM, rising */
        unsigned int n_extents;
        uint64_t free_from;    /* first address above this image, 2 MiB aligned */
        uint64_t direct_entry; /* what every PML4 has at VM_DIRECT_SLOT */
        uint64_t total;        /* as given to QEMU, the firmware's share included */
        char command_line[512];
};

/**
 * ram_init() - take over the start info and map all of RAM at VM_DIRECT_BASE
 * @start_info: its physical address, below 1 GiB
 *
 * Runs under the boot tables and leaves them in force, with the direct map now complete: RAM in 2 MiB pages, and,
 * uncached, the devices just below 4 GiB. Panics when there is no memory map, or more RAM than the tables hold.
 */
void ram_init(struct ram *ret_ram, uint64_t start_info);

/** ram_at() - where @gpa is in the direct map; the page must be RAM or a device ram_init() mapped */
void *ram_at(uint64_t gpa);

#endif /* VGPU_VM_RAM_H */
