/*
 * win32.h - Windows x64 seen from its System page tables: the kernel, its processes, its clock
 *
 * A vmie_win32 is one kernel in one address-space epoch, opened read-only from a System cr3 (given, or found: through the
 * low stub, else by the entry with which a root refers to itself). It is immutable once open, so several threads may use it, each with a vmie_mem of its own. Offsets inside
 * EPROCESS come from the kernel's accessor exports and the object's shape, checked against the table of known builds
 * (docs/windows-guest.md has the facts and where they come from); an unknown build works when the two agree.
 */
#ifndef VMIE_WIN32_H
#define VMIE_WIN32_H

#include "memmodel.h"

typedef struct vmie_win32 vmie_win32;

enum {
        PROCESS_EXITED = 1u << 0, /* has an exit status or exit time, or has left the list */
        PROCESS_SYSTEM = 1u << 1, /* pid 4: its cr3 is the System cr3 */
};

typedef struct {
        uint64_t cr3;         /* the kernel's own table of the process: maps its user half too */
        uint64_t eprocess;    /* kernel VA */
        uint64_t create_time; /* 100 ns since 1601, guest's clock */
        uint32_t pid;
        uint32_t ppid;
        uint32_t flags;
        char name[16]; /* 15 bytes of the guest's choosing and a NUL: escape before showing */
} process;

/* How far opening got. */
enum win32_stage {
        WIN32_STAGE_KCR3,
        WIN32_STAGE_KERNEL,
        WIN32_STAGE_OFFSETS,
        WIN32_STAGE_PROCESSES,
        WIN32_STAGE_DONE,
};

enum win32_reason {
        WIN32_OK,
        WIN32_NO_STUB,    /* no cr3 given, no start block in the low megabyte, no root to be seen */
        WIN32_STUB_STALE, /* start blocks were there, none led to a kernel */
        WIN32_ROOTS_REJECTED,      /* nor did any page that refers to itself as a root does */
        WIN32_KCR3_UNREADABLE,     /* the root's page is not RAM */
        WIN32_KCR3_NOT_A_ROOT,     /* no entry in its upper half is present */
        WIN32_NO_KERNEL_IMAGE,     /* nothing in the kernel range is ntoskrnl.exe */
        WIN32_KERNEL_DAMAGED,      /* PE or export directory does not hold together */
        WIN32_NO_SYSTEM_PROCESS,   /* PsInitialSystemProcess missing or pointing nowhere */
        WIN32_OFFSETS_UNKNOWN,     /* an offset that two sources could agree on has fewer */
        WIN32_OFFSETS_CONTRADICT,  /* two sources disagree: @detail names them */
        WIN32_SYSTEM_MISSHAPEN,    /* pid 4, the name or a neighbour's link is not there */
        WIN32_NO_SHARED_DATA,      /* KUSER_SHARED_DATA unreadable */
        WIN32_PROCESS_LIST_BROKEN, /* the list does not hold together after retries */
        WIN32_LAYOUT_WRONG,        /* page-table roots are not where the memory layout puts RAM */
        WIN32_OUT_OF_MEMORY,
        WIN32_CANCELED,
};

struct win32_failure {
        enum win32_stage stage;
        enum win32_reason reason;
        uint64_t address;       /* cr3, kernel VA or offset it is about; 0: none */
        struct gva_fault fault; /* the read behind it, when there was one */
        char detail[96]; /* "UniqueProcessId: 0x440 by accessor, 0x2e0 by table"; may be empty */
};

/* One sentence for a person, without the numbers. Static storage. */
const char *win32_reason_text(enum win32_reason reason);
const char *win32_stage_text(enum win32_stage stage);

struct win32_info {
        uint64_t kcr3;
        bool kcr3_from_stub; /* else it was given */
        uint64_t stub_gpa;
        uint64_t kernel_base;
        uint64_t kernel_bytes; /* SizeOfImage */
        uint64_t system_eprocess;
        uint32_t build; /* e.g. 19045 */
        uint32_t major;
        uint32_t minor;
        uint32_t boot_id;    /* 0 before Windows 10 */
        bool build_in_table; /* the layout is one we know, else learnt from the kernel alone */
};

struct win32_clock {
        uint64_t interrupt_time; /* 100 ns since boot, without what was slept through */
        uint64_t system_time;    /* 100 ns since 1601 */
        uint32_t boot_id;
};

/**
 * vmie_win32_open() - find the kernel and learn its layout
 * @m:          memory; BORROWED until vmie_win32_close(); its kcr3 is set on success. Reads should not allocate pages of a
 *              sparse RAM file (pread, not a map)
 * @kcr3:       System page-table root, or 0 to find it
 * @reterr_why: written on failure only; NULL if nobody asks
 *
 * Where m->levels is 0, four and five levels of tables are tried, and it is set to what led to the kernel. Bounded work;
 * stops early when m->cancel is set.
 *
 * Return: heap-owned context, or NULL.
 */
vmie_win32 *vmie_win32_open(vmie_mem *m, uint64_t kcr3, struct win32_failure *reterr_why);

/* Frees the context, never the memory it was opened on. NULL is fine. */
void vmie_win32_close(vmie_win32 *v);

/* The memory the context was opened on: borrowed, not to be used by two threads at once. */
vmie_mem *vmie_win32_mem(vmie_win32 *v);

/* What was found; lives as long as @v. */
const struct win32_info *vmie_win32_info(const vmie_win32 *v);

/**
 * vmie_win32_check() - is this still the kernel that was opened?
 * @v: context
 * @m: any memory over the same guest (vmie_mem_adopt()ed), owned by the calling thread
 *
 * Re-reads the anchors: the image's header, PsInitialSystemProcess, the System process' pid, cr3 and BootId.
 *
 * Return: 0, -ESTALE (another kernel, or none), or a read error.
 */
int vmie_win32_check(const vmie_win32 *v, vmie_mem *m);

/**
 * win32_read_clock() - the guest's own clock from KUSER_SHARED_DATA
 * @m:         memory with kcr3 set
 * @ret_clock: written on 1 only
 *
 * Return: 1, 0 (torn past the retry limit), or a read error.
 */
int win32_read_clock(vmie_mem *m, struct win32_clock *ret_clock);

/**
 * proc_list() - walk the active process list
 * @v:         context; read through vmie_win32_mem(v)
 * @out:       caller's array of @cap; may be NULL when @cap is 0
 * @cap:       entries that fit
 * @ret_total: processes seen, on success; larger than @cap means the list was truncated
 *
 * Starts at System, follows Flink, checks every Blink, never takes more than a bounded number of steps; a walk torn by a
 * change in the list is retried a bounded number of times. Exited processes are listed with PROCESS_EXITED.
 *
 * Return: 0, -EAGAIN (torn past the retry limit), -ELOOP (it cycles or never ends), or a read error.
 */
int proc_list(vmie_win32 *v, process *out, size_t cap, size_t *ret_total);

/**
 * proc_newest() - the end of that list, the process that was started last first
 * @v:     context
 * @m:     any memory over the same guest (vmie_mem_adopt()ed), owned by the calling thread
 * @out:   caller's array of @cap
 * @ret_n: written on success; less than @cap when there are no more (System is never among them)
 *
 * Windows links new processes in at the end, so that a few looks tell whether somebody came. Costs three walks for each process
 * and two more, however long the list is. What proc_list() says of changes under way and of exited processes holds here too.
 *
 * Return: 0, -EAGAIN (torn past the retry limit), or a read error.
 */
int proc_newest(const vmie_win32 *v, vmie_mem *m, process *out, size_t cap, size_t *ret_n);

#endif /* VMIE_WIN32_H */
