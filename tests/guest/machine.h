/*
 * machine.h - a Windows-like x64 machine, written into guest-physical memory
 *
 * Builds what an introspecting host finds in a Windows guest: the processor start block, page tables with a
 * self-reference, a kernel image with exports and accessor code, process objects on their list with address spaces of
 * their own, the shared user data page with its clock, and a shared section that a producer can publish a region in. It
 * also lives: processes start and end in the order Windows does it, and their pages are used again.
 *
 * Freestanding: no libc, no clock, no allocation (memset() and memcpy() come from the environment), everything in the
 * caller's `struct machine`. Deterministic by seed. A host may be reading all the while, so a structure is complete
 * before a pointer to it is stored. Functions that need memory return false when the RAM is exhausted, and then
 * machine.error says what could not be made; the machine is then fit only for another machine_boot().
 */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pages.h"

#define MACHINE_BUILD_FUTURE  29999u /* NtBuildNumbers of the layouts that are in no table */
#define MACHINE_BUILD_FUTURE2 30303u
#define MACHINE_BUILD_FUTURE3 31415u
#define MACHINE_MAX_PROCESSES 6400u
#define MACHINE_MAX_FOREIGN   4u
#define MACHINE_POOL_FREE     64u
#define MACHINE_MAX_WOUNDS    64u

/* Field offsets in EPROCESS; DirectoryTableBase is at 0x28 and ActiveProcessLinks at pid + 8 everywhere. */
struct machine_layout {
        const char *name;
        const char *builds; /* build numbers, separated by blanks */
        uint16_t pid, links, ppid, image_name, peb, create_time, exit_time, exit_status, vad_root,
                section_base;
        uint16_t object_table, audit_name, thread_list, user_dtb; /* user_dtb 0: not known */
};

extern const struct machine_layout
        machine_layouts[]; /* generated from eprocess_layouts.csv, then the made-up ones */
extern const size_t machine_n_layouts;

/* The layout for a build number (the made-up ones included), or NULL. */
const struct machine_layout *machine_layout_of(uint32_t build);

enum machine_pool { MACHINE_NONPAGED, MACHINE_PAGED, MACHINE_N_POOLS };

enum machine_paging {
        MACHINE_CONTIGUOUS, /* 4 KiB entries over adjoining pages */
        MACHINE_SCATTER,    /* 4 KiB entries over random pages */
        MACHINE_LARGE,      /* 2 MiB entries; the region's address is then a multiple of 2 MiB */
        MACHINE_HUGE,       /* 1 GiB entries; likewise */
};

/* A PML4 entry that is not the builder's own but must be in the kernel half of every address space: how the virtual
 * machine's own code and its direct map stay mapped under every cr3. */
struct machine_foreign_slot {
        uint32_t index; /* 256..511; not 495 (shared user data) nor 496 (kernel image) */
        uint64_t entry;
};

struct machine_config {
        uint32_t build;
        uint32_t n_processes; /* at boot, without the producer; 40..6000 */
        uint64_t seed;
        uint32_t boot_id;
        bool no_stub; /* leave the processor start block out */
        bool la57;    /* five levels of tables; not with foreign slots */
        bool kpti; /* user processes have a second root, for user mode; only where the layout has a place for it */
        bool keep_ram; /* this boot neither clears low RAM nor uses the usual PML4 page: the old life's remains stay */
        enum machine_paging paging; /* of the region */
        enum pages_where
                place; /* of the region, the producer's tables and a share of the other processes */
        struct machine_foreign_slot foreign[MACHINE_MAX_FOREIGN];
        size_t n_foreign;
};

struct machine_process {
        bool alive;
        bool lingers; /* has exited, and is listed until somebody closes a handle */
        uint32_t pid, ppid;
        char name[16];
        uint64_t cr3;      /* gpa of the root (PML4, or PML5 with la57), low 12 bits clear */
        uint64_t user_cr3; /* root that user mode runs on, 0: the same */
        uint64_t eprocess; /* kernel VA */
        uint64_t eprocess_gpa;
        uint64_t create_time; /* 100 ns since 1601 */
        uint64_t peb;         /* user VA, 0 for System and Registry */
        uint64_t image_base;  /* user VA */
        uint64_t next_va;     /* where the next user mapping may go */
        uint64_t pool; /* kernel VA of its page of the paged pool (handle table, VAD, names) */
};

/* A word that was broken: what it was, and what it was made. */
struct machine_wound {
        uint64_t gpa, was, is;
};

/* The section that is mapped into the producer. */
struct machine_region {
        uint64_t gva;           /* user VA; 0: none */
        uint64_t bytes;         /* multiple of the page size used */
        uint64_t leaf_bytes;    /* that page size */
        uint64_t segment;       /* kernel VA of its prototype PTEs, one per 4 KiB */
        uint64_t home;          /* kernel VA of the gpa of each, for when no entry has it */
        uint64_t segment_pages; /* of the pool, for either */
};

/* What a 4 KiB page of the region can be, by its entry in the producer's tables. Where the bytes stay readable they are the
 * same bytes. From build 17763 on, every other transition entry has a physical address bit flipped and says so. */
enum machine_state {
        MACHINE_VALID,
        MACHINE_TRANSITION, /* out of the working set, the page not yet anybody else's */
        MACHINE_PROTOTYPE,  /* names its prototype PTE, which is valid */
        MACHINE_PROTOTYPE_TRANSITION,
        MACHINE_PROTOTYPE_ZERO,     /* behind it, a page nobody has touched: zeros */
        MACHINE_PROTOTYPE_PAGEFILE, /* behind it, a page that is on disk */
        MACHINE_PROTOTYPE_VAD,      /* a prototype PTE to be found by the VAD tree */
        MACHINE_DEMAND_ZERO,        /* zeros */
        MACHINE_PAGEFILE,           /* on disk */
        MACHINE_NO_ENTRY,           /* the whole entry 0 */
        MACHINE_N_STATES,
};

extern const char *const machine_state_names[MACHINE_N_STATES];

struct machine {
        const struct phys *phys;
        struct machine_config cfg;
        const struct machine_layout *layout;
        const char *error; /* what could not be made, NULL: nothing failed */
        struct pages pages;
        void *storage;

        uint64_t kcr3;        /* gpa of the System root */
        uint32_t levels;      /* of page tables: 4 or 5 */
        uint32_t self_slot;   /* index of the self-reference in every root */
        uint64_t shadow_root; /* kpti: what a user root's kernel half is copied from */
        uint64_t kernel_base; /* VA of the kernel image */
        uint64_t kernel_bytes;
        uint64_t kernel_gpa;                 /* of its first byte; the image is one physical run */
        uint64_t list_head;                  /* VA of PsActiveProcessHead */
        uint64_t shared_gpa;                 /* of the shared user data page */
        uint64_t ntdll_gpa;                  /* of a page that every user process maps */
        uint64_t stub_gpa;                   /* 0: none */
        uint64_t pool_next[MACHINE_N_POOLS]; /* next never used VA of each pool */
        /* pages that came back, still mapped, as pool pages are */
        uint64_t pool_free[MACHINE_N_POOLS][MACHINE_POOL_FREE];
        uint32_t n_pool_free[MACHINE_N_POOLS];
        uint64_t boot_time; /* system time at guest boot, 100 ns since 1601 */
        uint64_t now;       /* last tick, 100 ns since boot */
        uint32_t next_pid;
        uint32_t given_pid;       /* of the next process; 0: a new one */
        uint32_t slots_taken[16]; /* a bit per PML4 index in use by the builder */

        struct machine_process processes[MACHINE_MAX_PROCESSES]; /* [0] is System */
        uint32_t n_processes;             /* entries in use, dead ones included */
        struct machine_process *producer; /* NULL: none */
        struct machine_region region;
        struct machine_wound wounds[MACHINE_MAX_WOUNDS];
        uint32_t n_wounds;
};

/**
 * machine_init() - bind a machine to its memory
 * @m: caller's memory, large (some 100 KiB): make it static
 * @phys: borrowed for the life of the machine; its first extent must hold at least one page below 640 KiB and
 *        32 MiB from 1 MiB on
 * @storage: pages_storage_bytes(phys) outside the extents; borrowed likewise
 */
void machine_init(struct machine *m, const struct phys *phys, void *storage);

/**
 * machine_boot() - build everything, from the start block to the last process, without a producer
 * @m: initialised; a machine that is running is rebooted
 * @cfg: copied
 *
 * The kernel base, the self-reference, the pool addresses and every page follow from (seed, boot_id), so a reboot with the
 * next boot_id moves them. The clock reads 0 until machine_tick().
 */
bool machine_boot(struct machine *m, const struct machine_config *cfg);

/* Advance the guest's clock to @ns since its boot, with Windows' High2, Low, High1 order. A real guest does this every 15.6 ms
 * at most; more often is fine. */
void machine_tick(struct machine *m, uint64_t ns);

/**
 * machine_start_process() - a new process at the end of the list
 * @m: booted
 * @name: image name, cut to 15 bytes in the object and whole in the audit name
 * @ppid: its parent
 * @user: with an address space's user half (PEB, image, stack, heap); false for System and its like
 *
 * Return: the process, owned by the machine; NULL when RAM or the table is exhausted.
 */
struct machine_process *machine_start_process(
        struct machine *m, const char *name, uint32_t ppid, bool user);

/* The next process gets this pid, as Windows gives out again those of the dead. */
static inline void machine_give_pid(struct machine *m, uint32_t pid)
{
        m->given_pid = pid;
}

/**
 * machine_exit_process() - end a process as Windows does
 *
 * Exit status, exit time, off the list, then the address space is torn down: its pages and tables return to the allocator
 * with their bytes as they are, then the object itself. If it is the producer, the region goes with it. Never called under
 * that process's own cr3.
 */
void machine_exit_process(struct machine *m, struct machine_process *p);

/**
 * machine_linger_process() - end a process that somebody holds a handle to
 *
 * As machine_exit_process(), but the object stays, on the list, with its old root in it. A later machine_exit_process() takes
 * it away.
 */
void machine_linger_process(struct machine *m, struct machine_process *p);

/**
 * machine_map_private() - give a process more memory, as an allocation of its own
 * @bytes: multiple of 4096, zero-filled, in 4 KiB pages
 *
 * Return: its address, a multiple of 64 KiB; 0 when RAM is exhausted.
 */
uint64_t machine_map_private(struct machine *m, struct machine_process *p, uint64_t bytes);

/**
 * machine_map_image() - let a process see pages that others see as well, as the images of libraries are
 * @gpa: of the first of adjoining pages, which nobody gives back while a process has them mapped
 * @bytes: multiple of 4096; read only, in 4 KiB pages
 *
 * The process must not end, for then its pages are given back, these with them. Return: as machine_map_private().
 */
uint64_t machine_map_image(
        struct machine *m, struct machine_process *p, uint64_t gpa, uint64_t bytes);

/**
 * machine_start_producer() - a process `producer.exe` with a zero-filled shared section of @bytes mapped in it
 *
 * Return: true with machine.producer and machine.region set.
 */
bool machine_start_producer(struct machine *m, uint64_t bytes);

/**
 * machine_set_state() - move one page of the region into a state, or back to valid
 * @m: with a region
 * @offset: of any byte of the page in the region
 *
 * The page itself keeps its bytes and stays the section's, whatever its entries say, so every state can be left again.
 *
 * Return: true; false when the page is part of a large one, or none of the region.
 */
bool machine_set_state(struct machine *m, uint64_t offset, enum machine_state state);

/**
 * machine_trim() - let go of the pages of [@offset, @offset + @len) of the region
 * @state: of every one; MACHINE_N_STATES: each page in turn into one whose bytes can still be read
 *
 * Return: as machine_set_state(), of the first page that failed.
 */
bool machine_trim(struct machine *m, uint64_t offset, uint64_t len, enum machine_state state);

/**
 * machine_begin_page_in() - bring a page of the region in from disk, as far as the read that takes its time
 * @ret_aside: where its bytes wait meanwhile; the caller's to hand back
 *
 * The entry is one of transition and names the page already, and the page still holds somebody else's bytes. Nobody writes
 * there until machine_end_page_in() has made it valid.
 *
 * Return: as machine_set_state(); false as well when RAM is exhausted.
 */
bool machine_begin_page_in(struct machine *m, uint64_t offset, uint64_t *ret_aside);
void machine_end_page_in(struct machine *m, uint64_t offset, uint64_t aside);

/* Unmap the producer's section and map a new, zero-filled one of @bytes, elsewhere in the same process. */
bool machine_remap_region(struct machine *m, uint64_t bytes);

/* Let other processes use pages that were given back: up to @n are mapped into a living process and filled with its bytes. */
bool machine_reuse_pages(struct machine *m, uint32_t n);

/* Damage that a reader must survive. */
enum machine_break {
        MACHINE_BREAK_LIST_CYCLE, /* a Flink leads back into the list's middle */
        MACHINE_BREAK_LIST_BLINK, /* a Blink does not point at its neighbour */
        MACHINE_BREAK_LIST_WILD,  /* a Flink leads where nothing is mapped */
        MACHINE_BREAK_ROOT_LOOP,  /* user slots of several roots point at the roots themselves */
        MACHINE_N_BREAKS,
};

extern const char *const machine_break_names[MACHINE_N_BREAKS];

/* Break something, or put right what was broken. Return: false when there is no more room to remember what was there. */
bool machine_break(struct machine *m, enum machine_break what);
void machine_mend(struct machine *m);

/* The builder's own view of its tables. Return: the gpa behind @gva under @cr3, 0 when it is not mapped. @ret_leaf_bytes
 * (may be NULL) is the size of the page it lies in. */
uint64_t machine_translate(
        const struct machine *m, uint64_t cr3, uint64_t gva, uint64_t *ret_leaf_bytes);

#endif /* MACHINE_H */
