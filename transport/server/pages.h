/*
 * pages.h - the clients' own pages (struct vgpu_client_page), side by side (private to server/)
 */
#ifndef VGPUD_PAGES_H
#define VGPUD_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring.h"

struct peer;

#define PAGES_NONE UINT32_MAX

/* What the pass over all clients needs of one; together in one array, since it runs once per frame. */
struct page_seat {
        const struct vgpu_client_page
                *page; /* NULL: not settled, there is nothing to look at yet */
        bool taken;
        bool leases; /* its holds are honoured */
        int wake_fd; /* -1: not granted */
        int memfd;   /* until it is settled, then -1 */
        /* the ticket in `armed` that got its byte; a client that arms again stores another one */
        uint32_t answered;
        struct ring_holder holder;
};

struct pages {
        uint8_t *base; /* a reservation of max pages; settled ones are mapped into it */
        size_t page_bytes;
        uint32_t max;
        uint32_t end; /* no seat at or past it is taken */
        struct page_seat *seat;
};

/* An all-zero one is what pages_deinit() takes, too. Return: 0 or a negative errno. */
int pages_init(struct pages *pages, uint32_t max);
void pages_deinit(struct pages *pages);

/**
 * pages_take() - make a page
 * @ret_index: its seat, which has the memfd to pass to the client
 *
 * Return: 0, -ENOSPC (every seat is taken), or another negative errno.
 */
int pages_take(struct pages *pages, uint32_t *ret_index);

/**
 * pages_settle() - map a page that its client has mapped and sealed
 *
 * From here on nothing but its content can change, and a look at it never faults.
 *
 * Return: 0, -EPERM (it is not sealed FUTURE_WRITE), or another negative errno.
 */
int pages_settle(struct pages *pages, uint32_t index);

/* Forget a page; its seat's wake_fd stays the caller's. */
void pages_leave(struct pages *pages, uint32_t index);

/*
 * Each word of a settled page once, into a copy that holds still: whatever is in the page is a value. Holds with
 * acquire, as ring_look_at() wants them.
 */
static inline void page_load(const struct vgpu_client_page *page, struct vgpu_client_page *ret_page)
{
        /* who sees the ticket sees what it is for: the client stores `interest` first */
        ret_page->armed = __atomic_load_n(&page->armed, __ATOMIC_ACQUIRE);
        ret_page->interest = __atomic_load_n(&page->interest, __ATOMIC_RELAXED);
        for (uint32_t i = 0; i < VGPU_PAGE_HOLDS; i++)
                ret_page->hold[i] = __atomic_load_n(&page->hold[i], __ATOMIC_ACQUIRE);
}

#endif /* VGPUD_PAGES_H */
