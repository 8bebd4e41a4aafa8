/*
 * window.h - the span between first reads and rechecks, inside which bytes of a region count
 *
 * A process that ended leaves page tables behind that the guest uses again. A stale translation then reads another
 * program's memory. So everything that leaves the core is read inside a window: opening it reads the kernel's anchors,
 * the process object, the page-table entries and the identity line, in this order; closing it reads them again the
 * other way round. The innermost check, a seqlock, belongs to whoever reads the value.
 */
#ifndef VGPU_WINDOW_H
#define VGPU_WINDOW_H

#include "anchors.h"
#include "identity.h"
#include "settle.h"
#include "../memmodel/gather.h"

struct window {
        struct win32_anchors anchors;
        process proc;
        uint64_t region_gva;
        struct vgpu_identity identity; /* as bound */
        struct gather_page block; /* entries of the producer block's page, as of the last opening */
        struct gpa_trace trace;   /* where the last opening read */
        struct settle settle; /* of the region's pages; with no room: none may be in transition */
};

void window_init(struct window *w, const struct win32_anchors *a, const process *p,
        uint64_t region_gva, const struct vgpu_identity *identity);

/**
 * window_open() - first reads
 *
 * Return: 1, 0 (the block's page is in transition and has not stood), -ESTALE (another kernel, process or identity), or
 * a read error.
 */
int window_open(struct window *w, vmie_mem *m);

/**
 * window_gather() - where the bytes of parts of the region are
 * @frame: receives entries and pieces
 * @gva:   in the region; offsets count from it
 * @parts: as gather_add() takes them, one after the other
 *
 * Return: 1, 0 (a page is in transition and has not stood), or a read error.
 */
int window_gather(struct window *w, vmie_mem *m, struct gva_gather *frame, uint64_t gva,
        const struct gva_part *parts, size_t n);

/* Copies from the producer block through the translation the window was opened with. Return: 0, or a read error. */
int window_read(const struct window *w, vmie_mem *m, uint32_t offset, void *dst, size_t len);

/**
 * window_close() - rechecks
 * @frame: entries of a slot that were used as well, or NULL
 *
 * Return: 1 (what was read inside counts), 0 (an entry changed), -ESTALE, or a read error.
 */
int window_close(const struct window *w, vmie_mem *m, const struct gva_gather *frame);

#endif /* VGPU_WINDOW_H */
