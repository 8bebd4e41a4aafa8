/*
 * kernel.h - finding the System page-table root and the kernel image it maps
 */
#ifndef WIN32_KERNEL_H
#define WIN32_KERNEL_H

#include "pe.h"

#define WIN32_KERNEL_NAME "ntoskrnl.exe"

/* A processor start block: what a waking processor is told, left behind in the low megabyte. */
struct low_stub {
        uint64_t gpa;
        uint64_t entry; /* VA inside the kernel image or HAL */
        uint64_t kcr3;
};

/**
 * low_stub_next() - the first start block at or above a page
 * @gpa: where to begin; 0 for the first
 *
 * Return: 1 and *ret_stub, 0 (no more), or a read error.
 */
int low_stub_next(vmie_mem *m, uint64_t gpa, struct low_stub *ret_stub);

/**
 * kernel_find() - the image named ntoskrnl.exe among what is mapped in the kernel range
 * @kcr3:  root
 * @entry: VA in or just above it, e.g. a stub's; 0 when not known
 *
 * Looks in the 32 MiB below @entry first. Bounded.
 *
 * Return: 0, -ENOENT (none), -EBADMSG (it is there and damaged), or a read error. After -ENOENT and -EBADMSG,
 * ret_image->flaw says what was there instead, and base where (0: nowhere in particular).
 */
int kernel_find(vmie_mem *m, uint64_t kcr3, uint64_t entry, struct pe_image *ret_image);

#endif /* WIN32_KERNEL_H */
