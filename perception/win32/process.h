/*
 * process.h - process objects and the list they hang in
 */
#ifndef WIN32_PROCESS_H
#define WIN32_PROCESS_H

#include "anchors.h"

/* Listed at most; also what a buffer for all of them must hold. */
#define PROCESS_LIST_MAX 8192u

/* proc_list() for those who have no context yet, or memory of their own. */
int process_list(const struct win32_anchors *a, uint64_t kernel_bytes, vmie_mem *m, process *out,
        size_t cap, size_t *ret_total);

/* proc_newest() likewise. */
int process_newest(const struct win32_anchors *a, uint64_t kernel_bytes, vmie_mem *m, process *out,
        size_t cap, size_t *ret_n);

/* Bytes of a process object up to the end of the last field that is read. */
uint32_t process_object_end(const struct win32_offsets *o);

#endif /* WIN32_PROCESS_H */
