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
static const enum machine_state readable[] = { MACHINE_TRANSITION, MACHINE_PROTOTYPE,
        MACHINE_PROTOTYPE_TRANSITION, MACHINE_VALID, MACHINE_TRANSITION };
static const enum machine_state unread[] = { MACHINE_NO_ENTRY, MACHINE_DEMAND_ZERO,
        MACHINE_PROTOTYPE_ZERO, MACHINE_PAGEFILE, MACHINE_PROTOTYPE_PAGEFILE, MACHINE_PROTOTYPE_VAD,
        MACHINE_TRANSITION, MACHINE_PROTOTYPE_TRANSITION };

/* The pages of [@from, @to), each into the next state of the round. */
static bool set_states(
        struct guest *g, uint64_t from, uint64_t to, const enum machine_state *states, size_t n)
{
        for (uint64_t at = from, i = 0; at < to; at += PAGE_BYTES, i++)
                if (!machine_set_state(&g->machine, at, states[i % n]))
                        return guest_fail(g, "large pages are never trimmed", 0);
        return true;
}

static bool trim_latest(struct guest *g, const enum machine_state *states, size_t n)
{
        const struct vgpu_producer *w = &g->producer.writer;
        uint64_t from = VGPU_RING_OFFSET + w->latest * w->slot_stride;

        return set_states(g, from, from + w->slot_stride, states, n);
}

bool guest_trim(struct guest *g, enum machine_state state)
{
        if (!g->machine.producer)
                return guest_fail(g, "there is no producer", 0);
        if (g->producer.writer.latest == VGPU_SLOT_NONE)
                return guest_fail(g, "there is no frame yet", 0);
        g->producer.trims = true;
        if (state == MACHINE_N_STATES)
                return trim_latest(g, readable, ROUND(readable));
        return trim_latest(g, &state, 1);
}

void guest_trim_published(struct guest *g)
{
        const struct guest_options *o = &g->options;

        if (o->trims && o->trim_state == MACHINE_N_STATES)
                trim_latest(g, hot, ROUND(hot));
        else if (o->trims)
                trim_latest(g, &o->trim_state, 1);
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
