/*
 * spots.h - places where a region may begin, gathered from page tables and looked at in the order of memory
 *
 * Pages that are neighbours in a process lie anywhere in RAM, and a look into each costs the host a miss in every table on the
 * way to it. Neighbours in RAM share those tables, so places are collected over many processes, and looked at by where they are.
 * What is found goes back into the order of collection: who comes first is decided there.
 */
#ifndef VGPU_SPOTS_H
#define VGPU_SPOTS_H

#include "memmodel.h"

#define SPOTS_MAX 65536u

struct spot {
        uint64_t gva, gpa;
        uint32_t owner; /* whose address space it is in: the caller's number */
        bool hit;       /* it looks like something */
};

struct spots {
        size_t n;
        uint64_t bucket_bytes; /* of guest-physical addresses */
        uint32_t order[SPOTS_MAX];
        struct spot spot[SPOTS_MAX];
};

/* Takes a malloc()ed one. */
void spots_init(struct spots *s, const vmie_mem *m);

/* There must be room. */
static inline void spots_add(struct spots *s, uint64_t gva, uint64_t gpa, uint32_t owner)
{
        s->spot[s->n++] = (struct spot){ gva, gpa, owner, false };
}

/* Fills s->order[]: the numbers of all spots, those near each other in RAM behind each other. */
void spots_sort(struct spots *s);

#endif /* VGPU_SPOTS_H */
