/*
 * region.c - a region's life: geometry, identity, publication, retirement
 *
 * The identity line is how a reader knows the region and knows that it is still the same one, so it is complete before
 * the magic appears and stays as it is until the magic is gone.
 */
#include "private.h"

#define PAGE 4096u

uint64_t vgpu_producer_slot_stride(uint32_t width, uint32_t height, uint32_t format)
{
        uint64_t row = (uint64_t)width * vgpu_format_bpp(format);

        /* Neither factor can reach 2^36, but their product can pass 2^64: compare by division. */
        if (row == 0 || height == 0 || row > VGPU_SLOT_STRIDE / height)
                return 0;
        return (row * height + PAGE - 1) / PAGE * PAGE;
}

uint64_t vgpu_producer_region_bytes(uint32_t slot_count, uint64_t slot_stride)
{
        if (slot_count < VGPU_MIN_SLOTS || slot_count > VGPU_MAX_SLOTS)
                return 0;
        if (slot_stride == 0 || slot_stride % PAGE != 0 || slot_stride > VGPU_SLOT_STRIDE)
                return 0;
        return VGPU_RING_OFFSET + slot_count * slot_stride;
}

static bool setup_fits(const struct vgpu_producer_setup *setup, uint64_t mapping_bytes)
{
        uint64_t bytes = vgpu_producer_region_bytes(setup->slot_count, setup->slot_stride);

        return bytes != 0 && bytes <= mapping_bytes && setup->heartbeat_period_ms >= 1 &&
               setup->heartbeat_period_ms <= VGPU_HEARTBEAT_PERIOD_MS;
}

/* CRC-32C, bit by bit: sixty bytes once per mapping do not earn a table. */
static uint32_t crc32c(const uint8_t *bytes, size_t len)
{
        uint32_t crc = ~0u;

        for (size_t i = 0; i < len; i++) {
                crc ^= bytes[i];
                for (int bit = 0; bit < 8; bit++)
                        crc = (crc >> 1) ^ (0x82F63B78u & -(crc & 1));
        }
        return ~crc;
}

/* The identity is prepared in a copy because its checksum covers the magic, which the mapping must not show yet. */
static void publish_identity(struct vgpu_producer *p, const struct vgpu_producer_setup *setup)
{
        vgpu_producer_t *block = p->block;
        union {
                struct {
                        uint64_t magic;
                        uint32_t abi_version, producer_bytes;
                        uint64_t region_bytes;
                        uint32_t control_offset, control_bytes;
                        uint64_t ring_offset, slot_stride;
                        uint32_t slot_count, heartbeat_period_ms, producer_pid, identity_crc;
                } field;
                uint8_t bytes[64];
        } id = { .field = {
                         .magic = VGPU_MAGIC,
                         .abi_version = VGPU_ABI_VERSION,
                         .producer_bytes = VGPU_PRODUCER_BYTES,
                         .region_bytes =
                                 vgpu_producer_region_bytes(setup->slot_count, setup->slot_stride),
                         .control_offset = VGPU_CONTROL_OFFSET,
                         .control_bytes = VGPU_CONTROL_BYTES,
                         .ring_offset = VGPU_RING_OFFSET,
                         .slot_stride = setup->slot_stride,
                         .slot_count = setup->slot_count,
                         .heartbeat_period_ms = setup->heartbeat_period_ms,
                         .producer_pid = setup->pid,
                 } };

        store(&block->abi_version, id.field.abi_version);
        store(&block->producer_bytes, id.field.producer_bytes);
        store(&block->region_bytes, id.field.region_bytes);
        store(&block->control_offset, id.field.control_offset);
        store(&block->control_bytes, id.field.control_bytes);
        store(&block->ring_offset, id.field.ring_offset);
        store(&block->slot_stride, id.field.slot_stride);
        store(&block->slot_count, id.field.slot_count);
        store(&block->heartbeat_period_ms, id.field.heartbeat_period_ms);
        store(&block->producer_pid, id.field.producer_pid);
        store(&block->identity_crc, crc32c(id.bytes, offsetof(vgpu_producer_t, identity_crc)));
        store_release(&block->magic, VGPU_MAGIC);
}

/* Hide the identity before anything under it changes. */
static void withdraw(vgpu_producer_t *block)
{
        store(&block->magic, 0);
        fence_full();
}

static void adopt(struct vgpu_producer *p, const struct vgpu_producer_setup *setup)
{
        p->slot_stride = setup->slot_stride;
        p->slot_count = setup->slot_count;
        p->latest = VGPU_SLOT_NONE;
        p->open_slot = VGPU_SLOT_NONE;
        p->serial = 0;
        for (uint32_t i = 0; i < VGPU_MAX_SLOTS; i++)
                p->left_latest[i] = 0;

        store(&p->block->run_epoch, p->run_epoch);
        store(&p->block->status, VGPU_ST_INIT);
        store(&p->block->backend, setup->backend);
        store(&p->block->error_code, 0);
        store(&p->block->supported_formats, setup->supported_formats);
        store(&p->block->latest, VGPU_SLOT_NONE);
}

bool vgpu_producer_init(struct vgpu_producer *p, void *mapping, uint64_t mapping_bytes,
        const struct vgpu_producer_setup *setup)
{
        uint8_t *base = mapping;

        if (!setup_fits(setup, mapping_bytes))
                return false;

        *p = (struct vgpu_producer){
                .block = mapping,
                .control = (vgpu_control_t *)(base + VGPU_CONTROL_OFFSET),
                .ring = base + VGPU_RING_OFFSET,
                .mapping_bytes = mapping_bytes,
                .run_epoch = setup->run_epoch ? setup->run_epoch : 1,
                .frame_id = setup->last_frame_id,
        };
        withdraw(p->block);
        adopt(p, setup);
        publish_identity(p, setup);
        return true;
}

bool vgpu_producer_reinit(struct vgpu_producer *p, const struct vgpu_producer_setup *setup)
{
        if (!setup_fits(setup, p->mapping_bytes))
                return false;

        withdraw(p->block);
        p->run_epoch++;
        adopt(p, setup);
        publish_identity(p, setup);
        return true;
}

void vgpu_producer_retire(struct vgpu_producer *p)
{
        store(&p->block->status, VGPU_ST_STOPPING);
        withdraw(p->block);
}
