/*
 * guest_trim.c - which pages of the region go into which state, and when they come back
 *
 * A page that was written a moment ago is never in transition in a real guest, and a reader has to wait before it believes
 * one that is. So frames that follow each other go through prototype PTEs only, unless a state was asked for by name; a
 * frame that is trimmed by command goes through all the readable ones.
 */
#include "guest.h"

#define ROUND(list) (sizeof(list) / sizeof((list)[0]))

static const enum machine_state hot[] = { MACHINE_PROTOTYPE, MACHINE_VALID, MACHINE_PROTOTYPE };
static const enum machine_state unread[] = { MACHINE_NO_ENTRY, MACHINE_DEMAND_ZERO,
        MACHINE_PROTOTYPE_ZERO, MACHINE_PAGEFILE, MACHINE_PROTOTYPE_PAGEFILE, MACHINE_PROTOTYPE_VAD,
        MACHINE_TRANSITION, MACHINE_PROTOTYPE_TRANSITION };

/* The pages of [@from, @to), each into the next state of the round. */
static void set_states(
        struct guest *g, uint64_t from, uint64_t to, const enum machine_state *states, size_t n)
{
        for (uint64_t at = from, i = 0; at < to; at += PAGE_BYTES, i++)
                machine_set_state(&g->machine, at, states[i % n]);
}

static uint64_t latest_slot(const struct guest *g)
{
        const struct vgpu_producer *w = &g->producer.writer;

        return VGPU_RING_OFFSET + w->latest * w->slot_stride;
}

bool guest_trim(struct guest *g, enum machine_state state)
{
        const struct vgpu_producer *w = &g->producer.writer;

        if (!g->machine.producer)
                return guest_fail(g, "there is no producer", 0);
        if (w->latest == VGPU_SLOT_NONE)
                return guest_fail(g, "there is no frame yet", 0);
        g->producer.trims = true;
        return machine_trim(&g->machine, latest_slot(g), w->slot_stride, state) ||
               guest_fail(g, "large pages are never trimmed", 0);
}

void guest_trim_published(struct guest *g)
{
        const struct guest_options *o = &g->options;
        uint64_t slot = latest_slot(g), bytes = g->producer.writer.slot_stride;

        if (o->trims && o->trim_state == MACHINE_N_STATES)
                set_states(g, slot, slot + bytes, hot, ROUND(hot));
        else if (o->trims)
                machine_trim(&g->machine, slot, bytes, o->trim_state);
}

void guest_trim_neighbours(struct guest *g)
{
        if (g->options.trims)
                set_states(g, VGPU_CONTROL_OFFSET + PAGE_BYTES, VGPU_RING_OFFSET, unread,
                        ROUND(unread));
}

void guest_fault_in(struct guest *g, uint64_t offset, uint64_t len)
{
        for (uint64_t at = 0; at < len; at += PAGE_BYTES)
                machine_set_state(&g->machine, offset + at, MACHINE_VALID);
}
