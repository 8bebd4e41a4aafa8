/*
 * shared.h - KUSER_SHARED_DATA: the page the kernel shows every process
 */
#ifndef WIN32_SHARED_H
#define WIN32_SHARED_H

#include "win32.h"

struct shared_facts {
        uint32_t build; /* 0 before Windows 10 */
        uint32_t major, minor;
        uint32_t boot_id; /* 0 before Windows 10 */
};

/* Return: 0, or a read error. */
int shared_read_facts(vmie_mem *m, uint64_t kcr3, struct shared_facts *ret_facts);

/* Return: 0, or a read error. */
int shared_read_boot_id(vmie_mem *m, uint64_t kcr3, uint32_t *ret_boot_id);

/* 100 ns of running guest. Return: 1, 0 (torn past the retry limit), or a read error. */
int shared_read_interrupt_time(vmie_mem *m, uint64_t kcr3, uint64_t *ret_time);

/* The wall clock, 100 ns since 1601. Return: as shared_read_interrupt_time(). */
int shared_read_system_time(vmie_mem *m, uint64_t kcr3, uint64_t *ret_time);

#endif /* WIN32_SHARED_H */
