/*
 * machine_private.h - what the machine's files share
 */
#ifndef MACHINE_PRIVATE_H
#define MACHINE_PRIVATE_H

#include "machine.h"

#define PTE_PRESENT  UINT64_C(0x001)
#define PTE_WRITE    UINT64_C(0x002)
#define PTE_USER     UINT64_C(0x004)
#define PTE_ACCESSED UINT64_C(0x020)
#define PTE_DIRTY    UINT64_C(0x040)
#define PTE_LARGE    UINT64_C(0x080)
#define PTE_GLOBAL   UINT64_C(0x100)
#define PTE_SOFT                                                                                   \
        (UINT64_C(0x0a0) << 52 |                                                                   \
                UINT64_C(0x800)) /* Windows' own bits, which no reader may take for address */
#define PTE_NX        (UINT64_C(1) << 63)
#define PTE_ADDRESS   UINT64_C(0x000FFFFFFFFFF000)
#define PTE_PER_TABLE 512u

#define LEAF_KERNEL_CODE (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY | PTE_GLOBAL)
#define LEAF_KERNEL_DATA (LEAF_KERNEL_CODE | PTE_NX)
#define LEAF_USER_DATA   (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED | PTE_DIRTY | PTE_NX)
#define LEAF_USER_CODE   (PTE_PRESENT | PTE_USER | PTE_ACCESSED)
#define LEAF_USER_CONST  (PTE_PRESENT | PTE_USER | PTE_ACCESSED | PTE_NX)
#define REGION_PROTOTYPE (PTE_PRESENT | PTE_WRITE | PTE_DIRTY | PTE_NX | PTE_SOFT)

#define SLOT_SHARED_DATA 495u
#define SLOT_KERNEL      496u
#define VA_SHARED_DATA   UINT64_C(0xFFFFF78000000000)
#define VA_USER_SHARED   UINT64_C(0x7FFE0000) /* the same page, as user code sees it */

#define STATUS_PENDING 0x103u

/* Everything stored so far is visible before anything stored later. */
static inline void publish_barrier(void)
{
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void put16(void *at, uint16_t v)
{
        __builtin_memcpy(at, &v, sizeof(v));
}

static inline void put32(void *at, uint32_t v)
{
        __builtin_memcpy(at, &v, sizeof(v));
}

/* One aligned store: a host may read the word meanwhile. */
static inline void put64(void *at, uint64_t v)
{
        __atomic_store_n((uint64_t *)at, v, __ATOMIC_RELEASE);
}

static inline uint64_t get64(const void *at)
{
        return __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED);
}

static inline uint64_t random_below(struct machine *m, uint64_t n)
{
        return pages_random(&m->pages) % n;
}

/* Say what could not be made. Return: false, for the caller to pass on. */
static inline bool machine_fail(struct machine *m, const char *what)
{
        if (!m->error)
                m->error = what;
        return false;
}

/* machine_paging.c */
void *page_at(const struct machine *m, uint64_t gpa); /* pointer into RAM */
void *kernel_at(const struct machine *m,
        uint64_t va); /* through the System table, good to the end of the page; NULL */
bool paging_map(struct machine *m, uint64_t root, uint64_t va, uint64_t gpa, uint64_t leaf,
        uint64_t leaf_bytes, enum pages_where tables);
/* The entry that maps or would map @va, valid or not; NULL where a table is missing. */
uint64_t *paging_entry(const struct machine *m, uint64_t root, uint64_t va, uint64_t *ret_bytes);
/* The same, only where it is valid. */
uint64_t *paging_leaf(const struct machine *m, uint64_t root, uint64_t va, uint64_t *ret_bytes);
uint64_t paging_new_space(
        struct machine *m, enum pages_where where); /* root with the kernel half; 0: no RAM */
uint64_t paging_new_user_root(struct machine *m, enum pages_where where); /* kpti; 0: no RAM */
/* kpti: what the process's root says of the user half, its user root says too. */
void paging_mirror(struct machine *m, const struct machine_process *p);
void paging_free_space(struct machine *m, uint64_t root);
bool paging_build_kernel(struct machine *m);
/* kpti: the little of the kernel that user mode sees. Once the image is there. */
bool paging_build_shadow(struct machine *m);
uint64_t pool_alloc(
        struct machine *m, enum machine_pool pool); /* VA of one zeroed page; 0: no RAM */
void pool_free(struct machine *m, enum machine_pool pool, uint64_t va);
uint64_t pool_alloc_run(struct machine *m, enum machine_pool pool, uint64_t n);
void pool_free_run(struct machine *m, uint64_t va, uint64_t n);

/* machine_kernel.c */
bool kernel_image_build(struct machine *m);
void kernel_set_initial_process(struct machine *m, uint64_t eprocess);

/* machine_process.c */
bool process_build_initial(struct machine *m);

/* machine_user.c */
bool user_half_build(struct machine *m, struct machine_process *p);

/* machine_region.c */
void region_release(struct machine *m, bool clear_entries);

#endif /* MACHINE_PRIVATE_H */
