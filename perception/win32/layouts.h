/*
 * layouts.h - where the fields of an EPROCESS are, and what some of them hold
 *
 * The table of known builds is generated from eprocess_layouts.csv.
 */
#ifndef WIN32_LAYOUTS_H
#define WIN32_LAYOUTS_H

#include <stddef.h>
#include <stdint.h>

/* KPROCESS.DirectoryTableBase, in every x64 build. */
#define EPROCESS_DIRECTORY_TABLE_BASE 0x28u

/* No field that matters lies beyond; larger than any known process object. */
#define EPROCESS_MAX_BYTES 0x2000u

#define SYSTEM_PID     4u
#define STATUS_PENDING 0x103u /* ExitStatus of a process that has not ended */

/* Where five levels of paging begin the kernel half; four begin it higher. */
#define KERNEL_VA_FIRST UINT64_C(0xff00000000000000)

/* Offsets in bytes; 0 is not known. */
struct win32_offsets {
        uint32_t pid;
        uint32_t links;
        uint32_t ppid;
        uint32_t name;
        uint32_t create_time;
        uint32_t exit_status;
        uint32_t exit_time;
};

struct win32_layout {
        uint32_t build;
        struct win32_offsets offsets;
};

extern const struct win32_layout win32_layouts[];
extern const size_t win32_n_layouts;

#endif /* WIN32_LAYOUTS_H */
