/*
 * find_scene.h - a crowded guest to find things in, beside a RAM file that says what was allocated in it
 *
 * Some hundred processes with as many pages as a busy desktop has: half of them private and writable, in pages that lie
 * anywhere in RAM as they do after some hours of work, and half of images, which all processes share and may only read.
 */
#ifndef BENCH_FIND_SCENE_H
#define BENCH_FIND_SCENE_H

#include "guest.h"
#include "vgpu_perception.h"
#include "vgpu_source.h"

struct find_size {
        uint64_t ram_bytes;
        uint32_t n_processes;
        uint64_t n_pages; /* mapped in user space, at least */
};

struct find_scene {
        struct guest guest;
        vgpu_source *source;
        vmie_mem scan;     /* by pread */
        uint8_t *old_news; /* what is read to empty the caches */
        uint64_t n_pages;  /* that were mapped */
};

/* Ends the program with a message when it cannot. @s: zeroed, large. */
void find_scene_open(struct find_scene *s, const struct find_size *size);
void find_scene_close(struct find_scene *s);

/* Let nothing of the guest be in the processor's caches. */
void find_scene_cool(struct find_scene *s);

/* 512-byte blocks that the RAM file takes on the host. */
uint64_t find_scene_blocks(const struct find_scene *s);

#endif /* BENCH_FIND_SCENE_H */
