/*
 * anchors.h - what tells one guest kernel from the next, as a value
 *
 * A reboot often leaves the page-table root at the same physical page, so an equal cr3 proves nothing. The anchors are
 * copies of what a context was opened on; whoever holds them can check a kernel, or a process in it, through any memory
 * value, without the context.
 */
#ifndef WIN32_ANCHORS_H
#define WIN32_ANCHORS_H

#include "layouts.h"
#include "win32.h"

/* Signature, file header, and the optional header through CheckSum: a build's time stamp and sizes. */
#define WIN32_NT_HEADER_BYTES 92u

struct win32_anchors {
        uint64_t kcr3;
        uint64_t kernel_base;
        uint32_t nt_offset; /* e_lfanew */
        uint32_t boot_id;
        bool has_boot_id;
        uint8_t nt_header[WIN32_NT_HEADER_BYTES];
        uint64_t system_pointer; /* VA of PsInitialSystemProcess */
        uint64_t system_eprocess;
        struct win32_offsets offsets;
        uint32_t object_end; /* of what is read of a process object */
};

/* The anchors of an open context; live as long as @v. */
const struct win32_anchors *win32_anchors_of(const vmie_win32 *v);

/* Return: 0, -ESTALE (another kernel, or none), or a read error. */
int win32_anchors_check(const struct win32_anchors *a, vmie_mem *m);

/**
 * win32_process_check() - is @p still that process, alive and on the list?
 * @a: the kernel it was listed in
 * @m: memory, owned by the calling thread
 * @p: as listed
 *
 * pid, CreateTime, cr3, ExitStatus, ExitTime where the layout is known, and both neighbours' links. A list that is being
 * changed just now is looked at again a bounded number of times.
 *
 * Return: 0, -ESTALE, or a read error.
 */
int win32_process_check(const struct win32_anchors *a, vmie_mem *m, const process *p);

#endif /* WIN32_ANCHORS_H */
