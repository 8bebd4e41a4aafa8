/*
 * roots.h - do the processes' page tables lie where the memory layout puts them?
 */
#ifndef WIN32_ROOTS_H
#define WIN32_ROOTS_H

#include "win32.h"

/**
 * roots_check() - hold the memory layout against every process' page-table root
 * @m:    memory; its extents are what is judged
 * @kcr3: System root
 * @list: processes of that kernel
 * @n:    how many
 * @why:  detail names the first root that is not there; written on -EBADMSG
 *
 * Windows keeps a self-reference at one index of every root. A layout that is wrong above the PCI hole shows other pages
 * there, so a piece of RAM in which no root checks out while some fail is not where the layout says. Reads a page and eight
 * bytes per process.
 *
 * Return: 0 (holds, or nothing to judge by), -EBADMSG (contradicted), -ECANCELED, or a source's error.
 */
int roots_check(
        vmie_mem *m, uint64_t kcr3, const process *list, size_t n, struct win32_failure *why);

#endif /* WIN32_ROOTS_H */
