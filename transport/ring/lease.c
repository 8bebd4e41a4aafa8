/*
 * lease.c - which slots clients hold, and which one is written next
 *
 * A slot that is no longer the newest can be overwritten by the very next frame, so a hold is worth something only
 * if it stood when that began: it enters `standing` at one look alone, the first after its frame stopped being the
 * newest, and leaves it at the first look that does not find it. Setting it again later is too late, and its age
 * cannot be renewed.
 *
 * One slot is the newest and one must be free to write, hence slots - 2 may be held. The frame that stopped being
 * the newest first loses first: its holder had the longest time, and everybody else's hold is younger.
 */
#include "lease.h"

#include <assert.h>
#include <string.h>

static uint32_t bit(uint32_t slot)
{
        return UINT32_C(1) << slot;
}

static uint32_t count(uint32_t slots)
{
        return (uint32_t)__builtin_popcount(slots);
}

/* Words rise with the serial: the smallest is the frame published, and so retired, first. No frame is older still. */
static uint32_t oldest_of(const struct lease_book *b, uint32_t slots)
{
        uint32_t best = LEASE_NO_SLOT;

        for (uint32_t i = 0; i < b->n_slots; i++) {
                if (!(slots & bit(i)))
                        continue;
                if (best == LEASE_NO_SLOT || b->word[i] < b->word[best])
                        best = i;
        }
        return best;
}

static uint32_t newest_set(const struct lease_book *b)
{
        return b->newest == LEASE_NO_SLOT ? 0 : bit(b->newest);
}

void lease_init(struct lease_book *b, uint32_t n_slots, uint64_t lease_ns)
{
        assert(n_slots >= VGPU_RING_MIN_SLOTS && n_slots <= VGPU_RING_MAX_SLOTS);

        memset(b, 0, sizeof(*b));
        b->n_slots = n_slots;
        b->lease_ns = lease_ns;
        b->newest = LEASE_NO_SLOT;
}

uint32_t lease_choose(const struct lease_book *b)
{
        uint32_t all = bit(b->n_slots) - 1;

        return oldest_of(b, all & ~newest_set(b) & ~b->honoured);
}

void lease_open(struct lease_book *b, uint32_t slot)
{
        b->word[slot] = 0;
        b->fresh &= ~bit(slot);
}

void lease_publish(struct lease_book *b, uint32_t slot, uint64_t word)
{
        b->fresh |= newest_set(b);
        b->newest = slot;
        b->word[slot] = word;
}

void lease_look_begin(struct lease_book *b, uint64_t now_ns)
{
        b->expired = 0;
        b->held = 0;
        for (uint32_t i = 0; i < b->n_slots; i++) {
                if (b->fresh & bit(i))
                        b->since_ns[i] = now_ns;
                if (now_ns - b->since_ns[i] >= b->lease_ns)
                        b->expired |= bit(i);
        }
}

/* Slots whose present frame is among @holds. A word names its slot, so each costs one comparison. */
static uint32_t named(const struct lease_book *b, const uint64_t *holds, uint32_t n)
{
        uint32_t slots = 0;

        for (uint32_t i = 0; i < n; i++) {
                uint32_t slot = VGPU_RING_WORD_SLOT(holds[i]);

                if (holds[i] != 0 && slot < b->n_slots && b->word[slot] == holds[i])
                        slots |= bit(slot);
        }
        return slots;
}

uint32_t lease_look(struct lease_book *b, uint32_t *standing, const uint64_t *holds, uint32_t n)
{
        uint32_t mask = named(b, holds, n);
        /* over the limit at the last look: gone by now even if the slot has a new frame already */
        uint32_t lost = *standing & b->dropped;
        uint32_t stands = (*standing & ~b->dropped & mask & ~newest_set(b)) | (mask & b->fresh);

        lost |= stands & b->expired;
        stands &= ~b->expired;
        b->held |= stands;
        *standing = stands;
        if (lost == 0)
                return 0;
        b->n_lost += count(lost);
        return count(lost);
}

void lease_look_end(struct lease_book *b)
{
        b->fresh = 0;
        b->dropped = 0;
        b->honoured = b->held;
        while (count(b->honoured) > b->n_slots - 2) {
                uint32_t slot = oldest_of(b, b->honoured);

                b->honoured &= ~bit(slot);
                b->dropped |= bit(slot);
        }
}
