/* rings.c - see rings.h */
#include "rings.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "vgpu_stream.h"

/* A first ring for the mode most guests have; memory is taken as frames are written. */
#define FIRST_SLOT_BYTES (UINT64_C(1920) * 1080 * 4)

/* More than what is in front of a ring's slots, whatever their number: only for the capacity of the first one. */
#define HEADER_ROOM (UINT64_C(64) * VGPU_RING_PAGE)

static struct generation_config policy_of(const struct vgpu_config *config)
{
        uint64_t room = (config->ring.max_bytes - HEADER_ROOM) / config->ring.slots;
        uint64_t least = room < FIRST_SLOT_BYTES ? room : FIRST_SLOT_BYTES;

        return (struct generation_config){
                .slots = config->ring.slots,
                .max_bytes = config->ring.max_bytes,
                .least_bytes = least & ~(uint64_t)(VGPU_RING_PAGE - 1),
                .most_bytes = VGPU_SLOT_STRIDE,
                .shrink_after_ns = GENERATION_SHRINK_AFTER_NS,
                .max_old = GENERATION_MAX_OLD,
        };
}

static int make(struct rings *r, uint64_t slot_bytes, uint64_t now_ns, struct ring **ret_ring)
{
        struct ring_config config = {
                .slots = r->config.slots,
                .slot_bytes = slot_bytes,
                .generation = r->n_generations + 1,
                .replaces = r->current,
                .tick_period_ms = r->tick_period_ms,
                .lease_ns = r->lease_ns,
        };
        int ret;

        memcpy(config.instance, r->instance, sizeof(config.instance));
        ret = ring_new(&config, ret_ring);
        if (ret < 0)
                return ret;
        r->n_generations++;
        ring_tick(*ret_ring, now_ns);
        return 0;
}

int rings_init(
        struct rings *r, const struct vgpu_config *config, uint32_t tick_period_ms, uint64_t now_ns)
{
        int ret;

        *r = (struct rings){
                .tick_period_ms = tick_period_ms,
                .lease_ns = config->ring.lease_ms * UINT64_C(1000000),
                .config = policy_of(config),
                .watch = -1,
        };
        if (getrandom(r->instance, sizeof(r->instance), 0) != sizeof(r->instance))
                return -EIO;
        ret = make(r, r->config.least_bytes, now_ns, &r->current);
        if (ret == 0)
                r->watch = ring_watch_new();
        return ret;
}

void rings_set_max_bytes(struct rings *r, const struct vgpu_config *config)
{
        struct generation_config policy = policy_of(config);

        r->config.max_bytes = policy.max_bytes;
        r->config.least_bytes = policy.least_bytes;
}

static void forget(struct rings *r, uint32_t i)
{
        r->old_bytes -= r->old[i].bytes;
        r->old[i] = r->old[--r->n_old];
}

void rings_deinit(struct rings *r)
{
        if (r->current && r->watch >= 0)
                close(r->watch);
        r->current = ring_free(r->current);
        r->n_old = 0;
}

static struct generation_facts facts_of(const struct rings *r, uint64_t now_ns)
{
        const struct vgpu_ring_identity *id = ring_identity(r->current);

        return (struct generation_facts){
                .now_ns = now_ns,
                .need = r->need,
                .slot_bytes = id->slot_bytes,
                .ring_bytes = id->total_bytes,
                .n_old = r->n_old,
                .old_bytes = r->old_bytes,
        };
}

enum generation_move rings_next(
        struct rings *r, uint64_t need, uint64_t now_ns, uint64_t *ret_slot_bytes)
{
        struct generation_facts facts = facts_of(r, now_ns);
        enum generation_move move;

        if (need == 0 && r->need == 0)
                return GENERATION_STAY;
        if (need != 0)
                facts.need = need;
        move = generation_next(&r->policy, &r->config, &facts, ret_slot_bytes);
        if (move != GENERATION_REFUSE)
                r->need = facts.need;
        return move;
}

bool rings_fits_again(const struct rings *r)
{
        struct generation_facts facts = facts_of(r, 0);

        return generation_fits(&r->config, &facts, facts.slot_bytes);
}

static void publish_again(struct ring *to, const struct vgpu_ring_desc *desc, const uint8_t *pixels)
{
        struct ring_frame frame = {
                .frame_id = desc->frame_id,
                .epoch = desc->epoch,
                .run_epoch = desc->run_epoch,
                .producer_pid = desc->producer_pid,
                .width = desc->width,
                .height = desc->height,
                .stride = desc->stride,
                .fourcc = desc->fourcc,
                .modifier = desc->modifier,
                .flags = desc->flags,
                .timestamp_ns = desc->timestamp_ns,
        };

        memcpy(ring_slot_begin(to), pixels, (size_t)desc->height * desc->stride);
        ring_publish(to, &frame);
}

/*
 * A guest at rest may show nothing newer for hours, and who comes now is sent the new ring. Read as any client reads; nobody
 * writes meanwhile. Without a map for it the next frame has to do.
 */
static void carry_frame(const struct ring *from, struct ring *to)
{
        const struct vgpu_ring_identity *id = ring_identity(from);
        const uint8_t *map = mmap(NULL, id->total_bytes, PROT_READ, MAP_SHARED, ring_fd(from), 0);
        const struct vgpu_ring_desc *desc;
        uint64_t word;
        uint32_t slot;

        if (map == MAP_FAILED)
                return;
        word = ((const struct vgpu_ring_header *)map)->publish;
        slot = VGPU_RING_WORD_SLOT(word);
        desc = (const void *)(map + id->desc_offset + (size_t)slot * id->desc_bytes);
        if (word != 0 && (uint64_t)desc->height * desc->stride <= ring_identity(to)->slot_bytes)
                publish_again(to, desc, map + id->slot_offset + slot * id->slot_bytes);
        munmap((void *)map, id->total_bytes);
}

int rings_replace(
        struct rings *r, uint64_t slot_bytes, bool carry, uint64_t now_ns, struct ring **ret_old)
{
        struct ring *ring;
        int ret;

        ret = make(r, slot_bytes, now_ns, &ring);
        if (ret < 0)
                return ret;
        if (carry)
                carry_frame(r->current, ring);
        *ret_old = r->current;
        r->current = ring;
        return 0;
}

void rings_retire(struct rings *r, struct ring *old)
{
        uint64_t bytes = ring_identity(old)->total_bytes;

        assert(r->n_old < GENERATION_MAX_OLD); /* generation_fits() */
        r->lost += ring_n_lost(old);
        if (r->watch < 0)
                r->watch = ring_watch_new();
        r->old[r->n_old].number = ring_retire(old, r->watch);
        r->old[r->n_old].bytes = bytes;
        r->old_bytes += bytes;
        r->n_old++;
        rings_forget(r);
}

uint32_t rings_forget(struct rings *r)
{
        uint32_t before = r->n_old;
        int gone;

        while ((gone = ring_watch_next(r->watch)) > 0)
                for (uint32_t i = r->n_old; i-- > 0;)
                        if (r->old[i].number == gone)
                                forget(r, i);
        return before - r->n_old;
}

uint64_t rings_n_lost(const struct rings *r)
{
        return r->lost + ring_n_lost(r->current);
}
