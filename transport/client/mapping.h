/*
 * mapping.h - one ring, mapped and checked (private to the library)
 */
#ifndef VGPU_CLIENT_MAPPING_H
#define VGPU_CLIENT_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vgpu_ring.h"

/* A zeroed one is empty; mapping_close() takes it in any state. */
struct mapping {
        const struct vgpu_ring_header *header; /* NULL: empty */
        size_t len;
        struct vgpu_ring_identity
                identity; /* the copy that was checked; the only one that is used */
};

/**
 * mapping_open() - map a ring
 * @fd: from the daemon; stays the caller's and is not needed afterwards
 *
 * The file must be sealed against shrinking and as large as its identity says, and everything the identity names
 * must lie inside: a map of it can then not fault, whatever happens to the daemon.
 *
 * Return: 0, -EPROTO (not such a file), -EPROTONOSUPPORT (another major version), -ENOMEM.
 */
int mapping_open(struct mapping *m, int fd);

void mapping_close(struct mapping *m);

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

/* Is everything copied since seq was @seq still of that window? */
bool mapping_seq_held(const uint32_t *seq, uint32_t at);

#endif /* VGPU_CLIENT_MAPPING_H */
