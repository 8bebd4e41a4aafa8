/*
 * identity.c - what makes 64 bytes the identity line of a region (see identity.h)
 */
#include "identity.h"
#include "memmodel.h"

_Static_assert(sizeof(struct vgpu_identity) == VGPU_LINE_BYTES, "identity is one line");
_Static_assert(
        offsetof(struct vgpu_identity, identity_crc) == offsetof(vgpu_producer_t, identity_crc),
        "laid out as in the block");

/* Bit by bit: it runs over 60 bytes of a page that already carries the magic. */
static uint32_t crc32c(const void *bytes, size_t len)
{
        const uint32_t reflected_polynomial = UINT32_C(0x82f63b78);
        const uint8_t *at = bytes;
        uint32_t crc = UINT32_MAX;

        for (size_t i = 0; i < len; i++) {
                crc ^= at[i];
                for (int bit = 0; bit < 8; bit++)
                        crc = (crc >> 1) ^ (crc & 1 ? reflected_polynomial : 0);
        }
        return ~crc;
}

enum vgpup_flaw vgpu_identity_flaw(const struct vgpu_identity *id)
{
        if (id->magic != VGPU_MAGIC)
                return VGPUP_FLAW_MAGIC;
        if (VGPU_ABI_MAJOR(id->abi_version) != VGPU_ABI_MAJOR(VGPU_ABI_VERSION))
                return VGPUP_FLAW_ABI;
        if (id->producer_bytes != VGPU_PRODUCER_BYTES ||
                id->control_offset != VGPU_CONTROL_OFFSET ||
                id->control_bytes != VGPU_CONTROL_BYTES || id->ring_offset != VGPU_RING_OFFSET)
                return VGPUP_FLAW_LAYOUT;
        if (id->slot_stride == 0 || id->slot_stride % GVA_PAGE_BYTES != 0 ||
                id->slot_stride > VGPU_SLOT_STRIDE)
                return VGPUP_FLAW_SLOT_STRIDE;
        if (id->slot_count < VGPU_MIN_SLOTS || id->slot_count > VGPU_MAX_SLOTS)
                return VGPUP_FLAW_SLOT_COUNT;
        if (id->region_bytes != id->ring_offset + id->slot_count * id->slot_stride)
                return VGPUP_FLAW_REGION_BYTES;
        if (id->heartbeat_period_ms < 1 || id->heartbeat_period_ms > VGPU_HEARTBEAT_PERIOD_MS)
                return VGPUP_FLAW_PERIOD;
        if (id->identity_crc != crc32c(id, offsetof(struct vgpu_identity, identity_crc)))
                return VGPUP_FLAW_CHECKSUM;
        return VGPUP_FLAW_NONE;
}

bool vgpu_identity_valid(const struct vgpu_identity *id)
{
        return vgpu_identity_flaw(id) == VGPUP_FLAW_NONE;
}

const char *vgpup_flaw_text(enum vgpup_flaw flaw)
{
        switch (flaw) {
        case VGPUP_FLAW_NONE:
                return "no flaw";
        case VGPUP_FLAW_MAGIC:
                return "its magic is not written, or was taken back";
        case VGPUP_FLAW_ABI:
                return "it follows another major version of the region ABI";
        case VGPUP_FLAW_LAYOUT:
                return "its blocks are not where the region ABI puts them";
        case VGPUP_FLAW_SLOT_STRIDE:
                return "its slot stride is impossible";
        case VGPUP_FLAW_SLOT_COUNT:
                return "its slot count is out of range";
        case VGPUP_FLAW_REGION_BYTES:
                return "its size is not that of its slots";
        case VGPUP_FLAW_PERIOD:
                return "its heartbeat period is out of range";
        case VGPUP_FLAW_CHECKSUM:
                return "its identity checksum is wrong";
        case VGPUP_FLAW_PID:
                return "it names another process than the one it is in";
        case VGPUP_FLAW_GONE:
                return "it changed or went away while it was looked at";
        }
        return "unknown flaw";
}
