/*
 * scan.h - visit the pages that are mapped in a virtual range, within a budget
 *
 * Finding the kernel image and finding a region both start from "what is mapped here?". The tables belong to the guest
 * and may loop or claim terabytes, so a scan counts the tables it reads and stops when its budget is spent.
 */
#ifndef VMIE_SCAN_H
#define VMIE_SCAN_H

#include "walk.h"

struct scan_page {
        uint64_t gva;
        uint64_t gpa; /* its first byte is in RAM */
        uint64_t len;
        uint64_t entry; /* leaf */
};

/* Return: 0 to go on, > 0 to end the scan, < 0 to fail it. */
typedef int (*scan_visit_fn)(void *ctx, const struct scan_page *page);

struct gva_scan {
        uint64_t first, last; /* inclusive; in one half of the address space */
        uint64_t required;    /* entry bits that every level must have, PTE_P included */
        size_t n_tables_left; /* budget, counted down */
        scan_visit_fn visit;
        void *ctx;
        uint64_t any; /* of a leaf: at least one of these entry bits, 0: whatever they are */
        uint64_t
                align; /* a power of two: only leaves that hold an address which is a multiple of it; 0: all */
};

/**
 * gva_scan() - visit every present leaf that overlaps the range, ascending
 *
 * What is not present, malformed or outside RAM is passed over. Pages are whole: a large one may begin before first.
 *
 * Return: 0 (all visited, or the budget is spent: n_tables_left is 0), what @visit ended it with, -ECANCELED, or a
 * source's error.
 */
int gva_scan(vmie_mem *m, uint64_t cr3, struct gva_scan *s);

#endif /* VMIE_SCAN_H */
