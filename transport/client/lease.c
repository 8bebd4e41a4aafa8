/*
 * lease.c - frames held where they lie
 *
 * The client's half of models/lease.pml, to be read beside it; transport/ring/lease.c is the daemon's. Both sides
 * store a word and then look at the other's:
 *
 *      client                                  daemon
 *      hold = word                             publish = the next frame's word
 *      fence(seq_cst)                          fence(seq_cst)
 *      publish == word still: held             look at holds: honour those that name the frame before
 *
 * If the client finds its word in `publish` after its fence, the daemon's store of the next one comes later in memory, and
 * so does the daemon's look, which then finds the hold. Otherwise the hold may have come too late and counts for nothing.
 *
 * A hold is honoured for a while and never waited for, so the slot's seq has the last word on what was read. It cannot be
 * asked of a ring that is gone: a held frame keeps its ring's map.
 */
#include "client.h"

#include <errno.h>

#include "seqlock.h"

#define ACQUIRE_TRIES 8

/* The order that matters is that of the fence: this store, then the second load of publish. */
static void hold_set(struct vgpu_client *c, const struct held *h, uint64_t word)
{
        /* without a page there is nobody to tell: a daemon that lives on writes as it likes, and seq says so */
        if (!c->page.map)
                return;
        __atomic_store_n(&c->page.map->hold[h - c->held], word, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Release: everything read from the slot was read before the daemon may write it. */
static void hold_clear(struct vgpu_client *c, const struct held *h)
{
        if (c->page.map)
                __atomic_store_n(&c->page.map->hold[h - c->held], 0, __ATOMIC_RELEASE);
}

/*
 * Hold the frame that @word names if it is still the newest. The descriptor is read once the hold is confirmed; that it
 * has another serial by then takes a daemon that ended the hold at once.
 *
 * Return: 1, -EAGAIN (it is not, or was overtaken), -EPROTO.
 */
static int hold_frame(
        struct vgpu_client *c, struct held *h, uint64_t word, struct frame_source *ret_source)
{
        int got = -EAGAIN;

        hold_set(c, h, word);
        if (__atomic_load_n(&c->map->header->publish, __ATOMIC_ACQUIRE) == word)
                got = frame_read(c, word, ret_source);
        if (got != 1)
                hold_clear(c, h);
        return got;
}

static struct held *held_find(const struct vgpu_client *c, uint64_t serial)
{
        for (size_t i = 0; i < VGPU_PAGE_HOLDS; i++) {
                if (c->held[i].map && c->held[i].serial == serial)
                        return (struct held *)&c->held[i];
        }
        return NULL;
}

/* For @serial, which must tell holds apart: another instance counts from 1 again. */
static struct held *held_free(struct vgpu_client *c, uint64_t serial)
{
        if (held_find(c, serial))
                return NULL;
        for (size_t i = 0; i < VGPU_PAGE_HOLDS; i++) {
                if (!c->held[i].map)
                        return &c->held[i];
        }
        return NULL;
}

int vgpu_client_acquire(
        struct vgpu_client *c, struct vgpu_client_frame *ret_frame, const void **ret_pixels)
{
        if (!c->map)
                return -ENODATA;
        if (!(c->granted & VGPU_WANT_LEASE))
                return -EOPNOTSUPP;
        for (int i = 0; i < ACQUIRE_TRIES; i++) {
                struct frame_source source;
                struct held *h;
                uint64_t word;
                int got = frame_newest(c, c->copied, &word);

                if (got <= 0)
                        return got;
                h = held_free(c, VGPU_RING_WORD_SERIAL(word));
                if (!h)
                        return -EBUSY;
                got = hold_frame(c, h, word, &source);
                if (got == -EAGAIN) {
                        c->stats.torn_retries++;
                        continue;
                }
                if (got < 0)
                        return got;

                *h = (struct held){
                        .map = mapping_ref(c->map),
                        .serial = source.desc.serial,
                        .slot = source.slot,
                        .seq = source.seq,
                };
                frame_describe(c, &source.desc, ret_frame);
                frame_account(c, ret_frame);
                c->stats.leases++;
                *ret_pixels = mapping_pixels(h->map, h->slot);
                return 1;
        }
        return 0;
}

static int is_intact(const struct held *h)
{
        const struct vgpu_ring_desc *d = mapping_desc(h->map, h->slot);

        /* seq counts to 2^31 frames, the serial for ever */
        return seq_held(&d->seq, h->seq) &&
               __atomic_load_n(&d->serial, __ATOMIC_RELAXED) == h->serial;
}

int vgpu_client_intact(const struct vgpu_client *c, uint64_t serial)
{
        const struct held *h = held_find(c, serial);

        return h ? is_intact(h) : -ENOENT;
}

int vgpu_client_release(struct vgpu_client *c, uint64_t serial)
{
        struct held *h = held_find(c, serial);
        int intact;

        if (!h)
                return -ENOENT;
        intact = is_intact(h);
        if (!intact)
                c->stats.lost++;
        hold_clear(c, h);
        h->map = mapping_unref(h->map);
        connection_release(c);
        return intact;
}

void lease_drop_all(struct vgpu_client *c)
{
        for (size_t i = 0; i < VGPU_PAGE_HOLDS; i++)
                c->held[i].map = mapping_unref(c->held[i].map);
}
