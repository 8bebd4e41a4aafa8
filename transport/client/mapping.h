/*
 * mapping.h - one ring, mapped and checked (private to the library)
 */
#ifndef VGPU_CLIENT_MAPPING_H
#define VGPU_CLIENT_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vgpu_ring.h"

struct mapping {
        const struct vgpu_ring_header *header;
        size_t len;
        uint32_t n_refs; /* one thread's: no atomic */
        struct vgpu_ring_identity
                identity; /* the copy that was checked; the only one that is used */
};

/**
 * mapping_new() - map a ring
 * @fd:      from the daemon; stays the caller's and is not needed afterwards
 * @ret_map: one reference to it; mapping_unref()
 *
 * The file must be sealed against shrinking and as large as its identity says, and everything the identity names
 * must lie inside: a map of it can then not fault, whatever happens to the daemon.
 *
 * Return: 0, -EPROTO (not such a file), -EPROTONOSUPPORT (another major version), -ENOMEM.
 */
int mapping_new(int fd, struct mapping **ret_map);

struct mapping *mapping_ref(struct mapping *m);

/* The last one unmaps. NULL is fine. Returns NULL. */
struct mapping *mapping_unref(struct mapping *m);

/* Are they of one daemon process? */
bool mapping_same_instance(const struct mapping *a, const struct mapping *b);

const struct vgpu_ring_desc *mapping_desc(const struct mapping *m, uint32_t slot);
const uint8_t *mapping_pixels(const struct mapping *m, uint32_t slot);

/**
 * mapping_read_record() - copy a record's value under its seqlock
 * @seq: of the record
 * @src: the value; @len bytes go to @dst
 *
 * Return: whether @dst is one consistent value; false after a bounded number of tries.
 */
bool mapping_read_record(const uint32_t *seq, const void *src, void *dst, size_t len);

/* Copy a slot's descriptor under its seqlock, once. *ret_seq is the (even) seq it was valid under. */
bool mapping_read_desc(
        const struct mapping *m, uint32_t slot, struct vgpu_ring_desc *ret, uint32_t *ret_seq);

/* What the frame of @serial changed, if the ring still knows. */
bool mapping_read_change(const struct mapping *m, uint64_t serial, struct vgpu_ring_change *ret);

#endif /* VGPU_CLIENT_MAPPING_H */
