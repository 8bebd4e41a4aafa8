/*
 * mtree.h - where QEMU put RAM, from what its monitor prints
 *
 * `info mtree -f` is text for people, but it is the one place that shows the guest's address space as it is: any machine
 * type, max-ram-below-4g, hot-plugged and NUMA backends. The flat view of the address space "memory" is the one that
 * CPUs see. Pure functions over bytes that a broken or hostile monitor may have made up.
 */
#ifndef VGPUD_MTREE_H
#define VGPUD_MTREE_H

#include <stddef.h>
#include <stdint.h>

#include "vgpu_source.h"

#define MTREE_NAME_MAX 128 /* of a backend's id, with its NUL; longer ones are passed over */

struct mtree_range {
        uint64_t gpa;
        uint64_t len;
        uint64_t offset; /* in its backend */
        char name[MTREE_NAME_MAX];
};

/**
 * mtree_parse() - the RAM ranges of the system address space
 * @text: what the monitor printed; need not end in a NUL
 * @out:  @cap ranges at most, in the order printed, which is ascending
 *
 * ROM, devices and whatever does not read as a range are passed over. A name is a backend's id or something of the
 * machine's own (pc.bios, vga.vram): the caller knows its backends.
 *
 * Return: 0 and *ret_n, -ENODATA (no such address space in it), or -E2BIG (more than @cap).
 */
int mtree_parse(const char *text, size_t len, struct mtree_range *out, size_t cap, size_t *ret_n);

/**
 * mtree_layout() - the ranges of known backends, as a layout
 * @ids: names of the backends; their places become the pieces' file numbers
 *
 * What the chipset maps over the same backend's bytes between 640 KiB and 1 MiB comes and goes while firmware runs; the
 * backend's own bytes are RAM throughout here, as nobody keeps page tables there.
 *
 * Return: 0 and *ret_layout, -ENODATA (none of the backends is mapped), -EINVAL (ranges that overlap or run backwards),
 * -E2BIG.
 */
int mtree_layout(const struct mtree_range *ranges, size_t n_ranges, const char *const *ids,
        size_t n_ids, struct vgpu_layout *ret_layout);

#endif /* VGPUD_MTREE_H */
