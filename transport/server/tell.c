/*
 * tell.c - after a change: whose holds stand, who is to be woken
 *
 * One pass over the clients' settled pages answers both. Of a client that neither holds nor sleeps it touches the one
 * line of its page and its entry among those watched, and nothing else. What that costs is the miss for the line, and
 * the translation of the page, whose entry a copied frame has evicted too: some 30 ns. Clients whose page is not
 * settled cost nothing at all, which is why the library has its page looked at when it first uses it, and not before.
 *
 * No wake-up is lost (Dekker's two flags):
 *      we:         store the change and the wake word; fence; load armed
 *      a client:   store armed;                        fence; look at the ring
 * Both fences are seq_cst: whichever comes second has the other's store before its load. Either we see it armed, or it
 * sees the change and does not sleep. The same fence stands between the publish word and the holds, where a client's
 * is between its hold and its second look at the publish word.
 */
#include "peer.h"

#include <assert.h>

/* Far enough ahead for a miss to be over when its turn comes: a look takes some 5 ns, a line from another core 60. */
#define AHEAD 12u

static void look_at_holds(struct server *s, struct ring *ring, const struct page_watch *watch)
{
        struct ring_holder *holder = &s->pages.seat[watch->seat].holder;
        uint64_t hold[VGPU_PAGE_HOLDS];

        /* nothing named, nothing kept: a look would find and change nothing */
        if (page_holds(watch, hold) || holder->standing != 0)
                ring_look_at(ring, holder, hold, VGPU_PAGE_HOLDS);
}

static void look_at_ticket(struct server *s, struct page_watch *watch, uint32_t changes)
{
        const uint32_t ticket = page_ticket(watch);
        const struct page_seat *seat;
        uint32_t interest;

        if (ticket == 0)
                return;
        interest = page_interest(watch);
        seat = &s->pages.seat[watch->seat];
        if (seat->wake_fd < 0 || (changes != 0 && interest != 0 && !(interest & changes)))
                return;
        /* also if there is no room for the byte: those before it make the socket readable */
        watch->answered = ticket;
        waker_add(&s->waker, seat->wake_fd, seat->edge);
}

static void wake_due(struct server *s)
{
        struct waker_result result = waker_flush(&s->waker);

        s->counters.wakes += result.woken;
        s->counters.wakes_full += result.refused;
        s->counters.batches += result.batched;
}

/* @ring: whose holds to look at; NULL: none. */
static void pass(struct server *s, struct ring *ring, uint32_t changes)
{
        struct pages *pages = &s->pages;

        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        for (uint32_t i = 0; i < pages->n_watched; i++) {
                struct page_watch *watch = &pages->watch[i];

                if (i + AHEAD < pages->n_watched)
                        __builtin_prefetch(watch[AHEAD].page);
                if (ring && watch->leases)
                        look_at_holds(s, ring, watch);
                look_at_ticket(s, watch, changes);
        }
}

/* What changed before the page was settled was told to nobody there: who sleeps already may sleep on it. */
void tell_settled(struct server *s, uint32_t index)
{
        struct pages *pages = &s->pages;

        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        look_at_ticket(s, &pages->watch[pages->seat[index].watch], 0);
        wake_due(s);
}

void server_wake(struct server *s, uint32_t changes)
{
        pass(s, NULL, changes);
        wake_due(s);
}

void server_published(struct server *s, uint64_t now_ns)
{
        assert(s->ring);

        ring_look_begin(s->ring, now_ns);
        pass(s, s->ring, VGPU_CHANGE_FRAME);
        ring_look_end(s->ring);
        wake_due(s);
}
