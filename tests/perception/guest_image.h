/*
 * guest_image.h - a guest's memory in an array: RAM, page tables, and a reader that can be tampered with
 *
 * Everything a test wants to happen "while the core is reading" hangs on the count of reads: the nth can fail, or a
 * function can change the guest just before it.
 */
#ifndef GUEST_IMAGE_H
#define GUEST_IMAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "memmodel.h"

#define MARKER 0xa5

#define GUEST_MAX_EXTENTS 4

struct guest_image {
        vmie_mem mem;
        struct gpa_extent extents[GUEST_MAX_EXTENTS];
        size_t n_extents;
        uint8_t *ram; /* the extents one after another */
        size_t ram_bytes;
        uint64_t next_page; /* of the allocator */

        size_t n_reads;
        uint64_t last_gpa; /* of the read being served */
        size_t fail_at;    /* this read and all later ones fail; 0: none */
        int fail_with;
        size_t change_at; /* @change is called before this read; 0: never */
        void (*change)(void *ctx);
        void *change_ctx;
        /* Called before every read that touches this range, when set. */
        uint64_t watch_gpa, watch_bytes;
        void (*on_watch)(void *ctx, size_t nth);
        void *watch_ctx;
        size_t n_watched;
};

/* RAM in one extent from 0. Pages are handed out from 1 MiB on. */
void image_init(struct guest_image *g, size_t ram_bytes);

/* RAM in several extents, whose sum is the array. */
void image_init_extents(struct guest_image *g, const struct gpa_extent *extents, size_t n);
void image_deinit(struct guest_image *g);

/* Forget counts, failures and changes. */
void image_calm(struct guest_image *g);

void *image_at(struct guest_image *g, uint64_t gpa);
uint64_t image_get64(struct guest_image *g, uint64_t gpa);
void image_put64(struct guest_image *g, uint64_t gpa, uint64_t value);

/* A zeroed page. */
uint64_t image_page(struct guest_image *g);

/* Make tables as needed down to @level and store a leaf there (1: 4 KiB, 2: 2 MiB, 3: 1 GiB). @flags beside PTE_P. */
void image_map(struct guest_image *g, uint64_t cr3, uint64_t gva, uint64_t gpa, unsigned level,
        uint64_t flags);

/* Where the entry of @level for @gva is. */
uint64_t image_entry(struct guest_image *g, uint64_t cr3, uint64_t gva, unsigned level);

/* A walk of the test's own. 0: not mapped. */
uint64_t image_translate(struct guest_image *g, uint64_t cr3, uint64_t gva);
void image_write(struct guest_image *g, uint64_t cr3, uint64_t gva, const void *src, size_t len);
void image_read(struct guest_image *g, uint64_t cr3, uint64_t gva, void *dst, size_t len);

#endif /* GUEST_IMAGE_H */
