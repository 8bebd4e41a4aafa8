/*
 * epoch.h - guest RAM and the kernel found in it, shared between the loop and the scans it sends out
 *
 * struct ram is one opened RAM file; struct epoch is one life of a guest address space: that RAM, the win32 context and the
 * memory it was opened on. A scan on the worker pool borrows both by reference, so the loop may leave an epoch at once and
 * it is closed when the scan returns. References are taken and dropped on the loop's thread alone.
 */
#ifndef VGPUD_EPOCH_H
#define VGPUD_EPOCH_H

#include <stdint.h>

#include "vgpu_source.h"
#include "win32.h"

struct ram {
        unsigned refs;
        vgpu_source *source;
};

struct epoch {
        unsigned refs;
        struct ram *ram; /* a reference */
        vmie_mem mem;    /* by pread; used by one scan at a time */
        vmie_win32 *v;   /* opened on mem; immutable */
        uint64_t number; /* from 1; 0 until the loop takes it */

        /* For the scan under way: who was there at the one before, so that a new producer is found at once. */
        process *known;
        size_t n_known;
        bool was_brief; /* that one was content with a region in a new process, and nobody has confirmed it */
};

/* Takes over @source. NULL when memory runs out; @source is closed then. */
struct ram *ram_new(vgpu_source *source);
struct ram *ram_ref(struct ram *ram);
/* NULL is fine. Returns NULL. */
struct ram *ram_unref(struct ram *ram);

/**
 * epoch_open() - look for a kernel in @ram
 * @ram:        not referenced until epoch_adopt_ram(): a worker may not touch counts
 * @kcr3:       configured root, 0: find it
 * @cancel:     ends the search early
 * @n_reads:    counts the pieces of memory that it reads
 * @reterr_why: written on failure only
 *
 * Return: an epoch with one reference, or NULL.
 */
struct epoch *epoch_open(struct ram *ram, uint64_t kcr3, const atomic_bool *cancel,
        atomic_uint *n_reads, struct win32_failure *reterr_why);

/* Called on the loop's thread once for each epoch a worker opened. */
void epoch_adopt_ram(struct epoch *epoch);

struct epoch *epoch_ref(struct epoch *epoch);
/* NULL is fine. Returns NULL. */
struct epoch *epoch_unref(struct epoch *epoch);

/* Do both describe the same kernel in the same life? */
bool epoch_same_kernel(const struct epoch *a, const struct epoch *b);

#endif /* VGPUD_EPOCH_H */
