/*
 * mapping.c - one ring, mapped and checked
 *
 * What is copied under a seqlock is copied by seqlock.h, where it is said why that is no race.
 */
#include "mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
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

static bool history_is_sound(const struct vgpu_ring_identity *id)
{
        uint64_t end = id->history_offset + (uint64_t)id->history_count * id->history_bytes;

        if (!(id->features & VGPU_RING_FEATURE_HISTORY))
                return true;
        return id->history_count > 0 && id->history_offset >= sizeof(struct vgpu_ring_header) &&
               id->history_offset % 8 == 0 && id->history_bytes % 8 == 0 &&
               id->history_bytes >= sizeof(struct vgpu_ring_change) && end <= id->slot_offset;
}

static int check(struct mapping *m)
{
        memcpy(&m->identity, &m->header->identity, sizeof(m->identity));
        if (m->identity.magic != VGPU_RING_MAGIC)
                return -EPROTO;
        if (VGPU_RING_MAJOR(m->identity.version) != VGPU_RING_MAJOR(VGPU_RING_VERSION))
                return -EPROTONOSUPPORT;
        return layout_is_sound(&m->identity, m->len) && history_is_sound(&m->identity) ? 0
                                                                                       : -EPROTO;
}

int mapping_new(int fd, struct mapping **ret_map)
{
        int seals = fcntl(fd, F_GET_SEALS);
        struct mapping *m;
        struct stat st;
        void *map;
        int err;

        if (seals < 0 || !(seals & F_SEAL_SHRINK))
                return -EPROTO;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (st.st_size < (off_t)sizeof(struct vgpu_ring_header) ||
                (uint64_t)st.st_size > VGPU_RING_MAX_BYTES)
                return -EPROTO;

        map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
                return errno == ENOMEM || errno == EAGAIN ? -ENOMEM : -EPROTO;
        m = calloc(1, sizeof(*m));
        if (!m) {
                munmap(map, (size_t)st.st_size);
                return -ENOMEM;
        }
        *m = (struct mapping){ .header = map, .len = (size_t)st.st_size, .n_refs = 1 };
        err = check(m);
        if (err < 0) {
                mapping_unref(m);
                return err;
        }
        *ret_map = m;
        return 0;
}

struct mapping *mapping_ref(struct mapping *m)
{
        m->n_refs++;
        return m;
}

struct mapping *mapping_unref(struct mapping *m)
{
        if (m && --m->n_refs == 0) {
                munmap((void *)m->header, m->len);
                free(m);
        }
        return NULL;
}

bool mapping_same_instance(const struct mapping *a, const struct mapping *b)
{
        return memcmp(a->identity.instance, b->identity.instance, sizeof(a->identity.instance)) ==
               0;
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

bool mapping_read_change(const struct mapping *m, uint64_t serial, struct vgpu_ring_change *ret)
{
        const struct vgpu_ring_identity *id = &m->identity;
        const struct vgpu_ring_change *change;
        uint32_t seq;

        if (!(id->features & VGPU_RING_FEATURE_HISTORY))
                return false;
        change = (const void *)((const uint8_t *)m->header + id->history_offset +
                                serial % id->history_count * id->history_bytes);
        if (!seq_read(&change->seq, &seq))
                return false;
        ret->seq = seq;
        ret->n_damage = __atomic_load_n(&change->n_damage, __ATOMIC_RELAXED);
        ret->serial = __atomic_load_n(&change->serial, __ATOMIC_RELAXED);
        if (ret->n_damage <= VGPU_RING_MAX_DAMAGE)
                words_load(ret->damage, change->damage, ret->n_damage * sizeof(ret->damage[0]));
        return seq_held(&change->seq, seq) && ret->serial == serial;
}
