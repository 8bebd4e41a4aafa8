/*
 * mapping.c - one ring, mapped and checked
 *
 * What is copied under a seqlock is copied by seqlock.h, where it is said why that is no race.
 */
#include "mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "seqlock.h"

#define RECORD_TRIES 1024
#define MAX_TICK_MS  60000u

static bool layout_is_sound(const struct vgpu_ring_identity *id, uint64_t file_bytes)
{
        uint64_t descs_end;

        if (id->slot_count == 0 || id->slot_count > VGPU_RING_MAX_SLOTS || id->slot_bytes == 0 ||
                id->slot_bytes > VGPU_RING_MAX_BYTES || id->total_bytes > VGPU_RING_MAX_BYTES ||
                id->total_bytes > file_bytes)
                return false;
        if (id->desc_offset < sizeof(struct vgpu_ring_header) || id->desc_offset % 8 != 0 ||
                id->desc_bytes < sizeof(struct vgpu_ring_desc) || id->desc_bytes % 8 != 0)
                return false;
        if (id->tick_period_ms == 0 || id->tick_period_ms > MAX_TICK_MS || id->generation == 0)
                return false;

        descs_end = id->desc_offset + (uint64_t)id->slot_count * id->desc_bytes;
        return descs_end <= id->slot_offset && id->slot_offset <= id->total_bytes &&
               id->slot_count * id->slot_bytes <= id->total_bytes - id->slot_offset;
}

static int check(struct mapping *m)
{
        memcpy(&m->identity, &m->header->identity, sizeof(m->identity));
        if (m->identity.magic != VGPU_RING_MAGIC)
                return -EPROTO;
        if (VGPU_RING_MAJOR(m->identity.version) != VGPU_RING_MAJOR(VGPU_RING_VERSION))
                return -EPROTONOSUPPORT;
        return layout_is_sound(&m->identity, m->len) ? 0 : -EPROTO;
}

int mapping_open(struct mapping *m, int fd)
{
        int seals = fcntl(fd, F_GET_SEALS);
        struct mapping new = { 0 };
        struct stat st;
        void *map;
        int err;

        if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) < 0)
                return -EPROTO;
        if (st.st_size < (off_t)sizeof(struct vgpu_ring_header) ||
                (uint64_t)st.st_size > VGPU_RING_MAX_BYTES)
                return -EPROTO;

        map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
                return errno == ENOMEM ? -ENOMEM : -EPROTO;
        new.header = map;
        new.len = (size_t)st.st_size;
        err = check(&new);
        if (err < 0) {
                mapping_close(&new);
                return err;
        }
        *m = new;
        return 0;
}

void mapping_close(struct mapping *m)
{
        if (m->header)
                munmap((void *)m->header, m->len);
        *m = (struct mapping){ 0 };
}

const struct vgpu_ring_desc *mapping_desc(const struct mapping *m, uint32_t slot)
{
        const uint8_t *base = (const uint8_t *)m->header;

        return (const void *)(base + m->identity.desc_offset +
                              (size_t)slot * m->identity.desc_bytes);
}

const uint8_t *mapping_pixels(const struct mapping *m, uint32_t slot)
{
        const uint8_t *base = (const uint8_t *)m->header;

        return base + m->identity.slot_offset + slot * m->identity.slot_bytes;
}

bool mapping_seq_held(const uint32_t *seq, uint32_t at)
{
        return seq_held(seq, at);
}

bool mapping_read_record(const uint32_t *seq, const void *src, void *dst, size_t len)
{
        for (int i = 0; i < RECORD_TRIES; i++) {
                uint32_t at;

                if (!seq_read(seq, &at))
                        continue;
                words_load(dst, src, len);
                if (seq_held(seq, at))
                        return true;
        }
        return false;
}

/* Only as many rectangles as there are: a descriptor is eight cache lines, most frames fill three. */
static void load_desc(struct vgpu_ring_desc *ret, const struct vgpu_ring_desc *d)
{
        const size_t first = offsetof(struct vgpu_ring_desc, serial);
        const size_t len = offsetof(struct vgpu_ring_desc, damage) - first;
        uint32_t n = __atomic_load_n(&d->n_damage, __ATOMIC_RELAXED);

        ret->n_damage = n;
        words_load(&ret->serial, &d->serial, len);
        if (n <= VGPU_RING_MAX_DAMAGE)
                words_load(ret->damage, d->damage, n * sizeof(d->damage[0]));
}

bool mapping_read_desc(
        const struct mapping *m, uint32_t slot, struct vgpu_ring_desc *ret, uint32_t *ret_seq)
{
        const struct vgpu_ring_desc *d = mapping_desc(m, slot);

        if (!seq_read(&d->seq, ret_seq))
                return false;
        ret->seq = *ret_seq;
        load_desc(ret, d);
        return seq_held(&d->seq, *ret_seq);
}
