/*
 * identity.h - what makes 64 bytes the identity line of a region
 */
#ifndef VGPU_IDENTITY_H
#define VGPU_IDENTITY_H

#include <stdbool.h>

#include "vgpu_perception.h"

#define VGPU_LINE_BYTES 64u

/* The first line of the producer block as a local copy. */
struct vgpu_identity {
        uint64_t magic;
        uint32_t abi_version;
        uint32_t producer_bytes;
        uint64_t region_bytes;
        uint32_t control_offset;
        uint32_t control_bytes;
        uint64_t ring_offset;
        uint64_t slot_stride;
        uint32_t slot_count;
        uint32_t heartbeat_period_ms;
        uint32_t producer_pid;
        uint32_t identity_crc;
};

/* The first rule of the ABI that the line breaks, in the order of the fields, its own CRC-32C last. */
enum vgpup_flaw vgpu_identity_flaw(const struct vgpu_identity *id);

/* Does the line keep every rule? */
bool vgpu_identity_valid(const struct vgpu_identity *id);

#endif /* VGPU_IDENTITY_H */
