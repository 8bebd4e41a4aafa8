/*
 * pages.h - guest-physical memory and who has which page of it
 *
 * `struct phys` is the whole difference between building a machine in a RAM file on the host and in the memory of the
 * virtual machine we run in. `struct pages` hands out its 4 KiB pages and takes them back; a page that comes back is the
 * first to go out again, which is what makes a stale reader see foreign bytes.
 */
#ifndef PAGES_H
#define PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_BYTES       UINT64_C(0x1000)
#define LARGE_PAGE_BYTES UINT64_C(0x200000)
#define HUGE_PAGE_BYTES  UINT64_C(0x40000000)
#define PHYS_HIGH        UINT64_C(0x100000000) /* what lies at or above is "above the hole" */
#define PHYS_MAX_EXTENTS 16

struct phys_extent {
        uint64_t gpa, len; /* both multiples of 4096 */
};

struct phys {
        /* Pointer to the byte at @gpa, good to the end of its 4 KiB page (of its extent, where the environment maps it so).
         * Called only for addresses inside the extents. */
        void *(*at)(void *ctx, uint64_t gpa);
        void *ctx;
        struct phys_extent
                extents[PHYS_MAX_EXTENTS]; /* RAM the builder may use, rising, disjoint */
        size_t n_extents;
};

enum pages_where {
        PAGES_LOW,  /* below 4 GiB */
        PAGES_HIGH, /* above; falls back to low where there is none */
        PAGES_BOTH, /* either, at random */
};

#define PAGES_RECYCLED 32768u

/* Private to pages.c, but the caller's memory. */
struct pages {
        const struct phys *phys;
        uint64_t *used; /* a bit per page, extent after extent */
        uint64_t n_pages;
        uint64_t n_used;
        uint64_t first[PHYS_MAX_EXTENTS]; /* index of the extent's first page */
        uint64_t cursor[2];               /* next-fit position, low and high */
        uint64_t random;                  /* generator state */
        uint64_t n_low;                   /* pages below 4 GiB: they come first */
        /* Pages that came back: a stack that forgets its oldest. */
        uint32_t recycled_top, n_recycled;
        uint64_t recycled[PAGES_RECYCLED];
};

/* Bytes of storage that pages_start() needs for this memory. */
size_t pages_storage_bytes(const struct phys *phys);

/**
 * pages_start() - everything free, except what lies below 1 MiB
 * @pg: caller's memory
 * @phys: borrowed for the life of @pg
 * @storage: pages_storage_bytes(), aligned to 8, not inside the extents; borrowed likewise
 * @seed: of the generator
 */
void pages_start(struct pages *pg, const struct phys *phys, void *storage, uint64_t seed);

/* One page: the last that came back where it fits @where, else the next free one. Return: its gpa, 0 when there is none. */
uint64_t pages_alloc(struct pages *pg, enum pages_where where);

/* One page anywhere at random, recycled pages among them. Return: its gpa, 0 when there is none. */
uint64_t pages_alloc_random(struct pages *pg, enum pages_where where);

/* @n adjoining pages whose gpa is a multiple of @align (a power of two >= 4096). Return: the first gpa, 0 when there are none. */
uint64_t pages_alloc_run(struct pages *pg, uint64_t n, uint64_t align, enum pages_where where);

/* Take one given page out of the free ones. Return: false when it is not RAM or already taken. */
bool pages_claim(struct pages *pg, uint64_t gpa);

/* Give a page back. Its bytes stay as they are. */
void pages_free(struct pages *pg, uint64_t gpa);

/* Pointer to the byte at @gpa. */
static inline void *phys_at(const struct phys *phys, uint64_t gpa)
{
        return phys->at(phys->ctx, gpa);
}

/* The deterministic generator of the whole builder (splitmix64). */
uint64_t pages_random(struct pages *pg);

#endif /* PAGES_H */
