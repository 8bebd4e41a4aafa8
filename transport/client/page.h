/*
 * page.h - the client's own page (struct vgpu_client_page), which the daemon only reads (private to the library)
 */
#ifndef VGPU_CLIENT_PAGE_H
#define VGPU_CLIENT_PAGE_H

#include <stdint.h>

#include "vgpu_ring.h"

/* A zeroed one is empty: there was no page to map. Every function takes it in that state, too. */
struct own_page {
        struct vgpu_client_page *map; /* NULL: empty */
        uint32_t ticket;              /* the last one armed with */
};

/**
 * page_open() - map the page that came with WELCOME, and seal it against other ways of writing it
 * @fd: stays the caller's and is not needed afterwards
 *
 * The file must be large enough and sealed against shrinking: a map of it can then not fault.
 *
 * Return: 0, -EPROTO (not such a file), -ENOMEM.
 */
int page_open(struct own_page *p, int fd);

void page_close(struct own_page *p);

/* Ask to be woken for the next of @changes (VGPU_CHANGE_*; 0: any). Look at the ring once more before sleeping. */
void page_arm(struct own_page *p, uint32_t changes);

/* Spare the daemon the wake-up: nobody sleeps. */
void page_disarm(struct own_page *p);

#endif /* VGPU_CLIENT_PAGE_H */
