/*
 * software_pte.h - what Windows writes into a last-level entry whose valid bit is clear
 *
 * Both are vmie_mem.software functions. Since Windows 10 1809 a clear bit 4 may mean that one high bit of the address was
 * flipped, so that no processor reads ahead through the entry.
 */
#ifndef WIN32_SOFTWARE_PTE_H
#define WIN32_SOFTWARE_PTE_H

#include "memmodel.h"

#define WIN32_FIRST_SWIZZLING_BUILD 17763u

struct pte_software win32_pte(const vmie_mem *m, uint64_t entry);
struct pte_software win32_pte_swizzled(const vmie_mem *m, uint64_t entry);

#endif /* WIN32_SOFTWARE_PTE_H */
