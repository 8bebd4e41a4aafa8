/*
 * root_scan.h - finding page-table roots by the entry with which Windows lets them refer to themselves
 */
#ifndef WIN32_ROOT_SCAN_H
#define WIN32_ROOT_SCAN_H

#include "memmodel.h"

/* Where a scan stands; zeroed: at the beginning. */
struct root_scan {
        uint64_t next_gpa;
        size_t n_pages; /* read so far */
};

/**
 * root_scan_next() - the next page that looks like a root
 * @m:        memory; holes that its source knows of are passed over unread
 * @s:        moves on
 * @ret_root: written on 1 only
 *
 * Ascending. Windows makes its first root early, far down in memory; the scan gives up after a bounded number of pages.
 *
 * Return: 1, 0 (no more), -ECANCELED, or a source's error.
 */
int root_scan_next(vmie_mem *m, struct root_scan *s, uint64_t *ret_root);

#endif /* WIN32_ROOT_SCAN_H */
