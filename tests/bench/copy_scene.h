/*
 * copy_scene.h - a simulated guest, a ring, and the daemon's stream between them, in one process
 *
 * Nothing is stood in for: the frames lie in a RAM file behind page tables, and are read and published as the daemon does
 * it. Only the producer's drawing is left out, for a frame that is published again costs the reader the same.
 */
#ifndef BENCH_COPY_SCENE_H
#define BENCH_COPY_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest.h"
#include "stream.h"

struct copy_scene {
        struct guest guest;
        vgpu_source *source;
        vmie_mem mem, scan;
        vmie_win32 *win32;
        struct vgpu_config config;
        uv_loop_t loop;
        struct outlet outlet;
        struct stream stream;
        struct stream_view view;
        uint64_t frame_bytes;
        const uint8_t *ram; /* the RAM file, as any other program could map it */
        uint64_t ram_bytes;
        uint8_t *old_news; /* what is read to empty the caches */
};

/* @s: zero-filled, large: make it static. Ends the program when something cannot be had. */
void copy_scene_open(struct copy_scene *s, uint32_t width, uint32_t height,
        enum machine_paging paging, const struct vgpu_config *config);
void copy_scene_close(struct copy_scene *s);

/* The producer publishes another frame. @damage: what changed since the one before, NULL: everything. */
void copy_scene_produce(struct copy_scene *s, const vgpu_rect_t *damage);

/* Nothing of a frame or of the ring is in a cache afterwards. */
void copy_scene_cool(struct copy_scene *s);

/* Read what is there as a client does that needs every byte. */
void copy_scene_read(const uint8_t *bytes, size_t len);

#endif /* BENCH_COPY_SCENE_H */
