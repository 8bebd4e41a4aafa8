/*
 * tell.c - after a change: whose holds stand, who is to be woken
 *
 * One pass over the clients' pages answers both. Per client it touches its page's one line and its seat; nothing else
 * of a client is looked at, so that those who neither hold nor sleep cost a few nanoseconds each.
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

/* Nothing named, nothing kept: a look would find and change nothing. */
static bool holds_nothing(const struct page_seat *seat, const struct vgpu_client_page *page)
{
        uint64_t any = seat->holder.standing;

        for (uint32_t i = 0; i < VGPU_PAGE_HOLDS; i++)
                any |= page->hold[i];
        return any == 0;
}

static bool is_due(struct page_seat *seat, const struct vgpu_client_page *page, uint32_t changes)
{
        if (page->armed == 0 || page->armed == seat->answered || seat->wake_fd < 0)
                return false;
        if (changes != 0 && page->interest != 0 && !(page->interest & changes))
                return false;
        /* also if there is no room for the byte: those before it make the socket readable */
        seat->answered = page->armed;
        return true;
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
        for (uint32_t i = 0; i < pages->end; i++) {
                struct page_seat *seat = &pages->seat[i];
                struct vgpu_client_page page;

                if (i + AHEAD < pages->end)
                        __builtin_prefetch(seat[AHEAD].page);
                if (!seat->page)
                        continue;
                page_load(seat->page, &page);
                if (ring && seat->leases && !holds_nothing(seat, &page))
                        ring_look_at(ring, &seat->holder, page.hold, VGPU_PAGE_HOLDS);
                if (is_due(seat, &page, changes))
                        waker_add(&s->waker, seat->wake_fd);
        }
}

/* What changed before the page was settled was told to nobody there: who sleeps already may sleep on it. */
void tell_settled(struct server *s, uint32_t index)
{
        struct page_seat *seat = &s->pages.seat[index];
        struct vgpu_client_page page;

        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        page_load(seat->page, &page);
        if (is_due(seat, &page, 0))
                waker_add(&s->waker, seat->wake_fd);
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
