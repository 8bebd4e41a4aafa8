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

/* Where a page is from when it is made until its client has gone. */
struct page_seat {
        bool taken;
        bool leases;    /* its holds are honoured */
        int wake_fd;    /* -1: not granted */
        bool edge;      /* what it is woken by; a byte otherwise */
        int memfd;      /* until it is settled, then -1 */
        uint32_t watch; /* PAGES_NONE: not settled, there is nothing to look at yet */
        struct ring_holder holder;
};

/*
 * A settled page, and what a pass needs of its client while that neither holds nor sleeps. Together in one array, since
 * it runs once per frame: who has a page and never uses it is not even in it.
 */
struct page_watch {
        const struct vgpu_client_page *page;
        uint32_t seat;
        /* the ticket in `armed` that got its byte; a client that arms again stores another one */
        uint32_t answered;
        bool leases; /* as its seat's */
};

struct pages {
        uint8_t *base; /* a reservation of max pages; settled ones are mapped into it */
        size_t page_bytes;
        uint32_t max;
        struct page_seat *seat;
        struct page_watch *watch; /* n_watched of max, in no order */
        uint32_t n_watched;
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
 * Each word of a settled page is loaded once, into a copy that holds still: whatever is in the page is a value.
 */

/* Return: the ticket that waits for its byte, 0: none. */
static inline uint32_t page_ticket(const struct page_watch *watch)
{
        /* acquire: who sees the ticket sees what it is for, since the client stores `interest` first */
        uint32_t ticket = __atomic_load_n(&watch->page->armed, __ATOMIC_ACQUIRE);

        return ticket == watch->answered ? 0 : ticket;
}

static inline uint32_t page_interest(const struct page_watch *watch)
{
        return __atomic_load_n(&watch->page->interest, __ATOMIC_RELAXED);
}

/* With acquire, as ring_look_at() wants them. Return: whether there is any. */
static inline bool page_holds(const struct page_watch *watch, uint64_t ret_hold[VGPU_PAGE_HOLDS])
{
        uint64_t any = 0;

        for (uint32_t i = 0; i < VGPU_PAGE_HOLDS; i++) {
                ret_hold[i] = __atomic_load_n(&watch->page->hold[i], __ATOMIC_ACQUIRE);
                any |= ret_hold[i];
        }
        return any != 0;
}

#endif /* VGPUD_PAGES_H */
