/*
 * fuzz_guest.h - an input as a guest: a few words for the call, then memory in pieces
 *
 * Input, little-endian: struct fuzz_head, then pieces until it ends. Each piece is a header and its bytes: where they
 * go, and before which read of the call (0: before it starts), so that an input can change the guest under the reader.
 * The pieces go onto empty RAM or onto the standard guest of tests/perception; a whole guest fits in a few kilobytes,
 * because what is not named is zero or the standard guest's.
 */
#ifndef FUZZ_GUEST_H
#define FUZZ_GUEST_H

#include "guest_windows.h"

#define FUZZ_ON_EMPTY   1u /* pieces go onto empty RAM, not onto the standard guest */
#define FUZZ_LEVELS_5   2u
#define FUZZ_TWO_PIECES 4u /* of RAM, with a hole between */

#define FUZZ_HOLE_BEGIN 0x100000u
#define FUZZ_HOLE_BYTES 0x40000000u

struct fuzz_head {
        uint8_t flags;
        uint8_t choice; /* the target's own */
        uint16_t len;   /* likewise */
        uint32_t reserved;
        uint64_t root;
        uint64_t gva;
};

struct fuzz_piece {
        uint16_t page;   /* of the array, modulo its pages */
        uint16_t offset; /* in it */
        uint16_t when;   /* before this read; 0: before the call */
        uint16_t len;    /* bytes that follow; cut to the page and to the input */
};

struct fuzz_guest {
        struct guest_windows w; /* with the standard guest's memory */
        struct guest_region r;
        struct fuzz_head head;
        vmie_win32 *v;       /* opened on the standard guest */
        vgpup_region *bound; /* to its region; one for each input */
        uint8_t *standard;   /* copy of the memory */
        uint8_t *touched;    /* a byte for each page */
        struct gpa_extent whole;
        const uint8_t *pieces;
        size_t n_pieces_bytes;
        size_t at; /* pieces before have been applied */
};

/* The one guest of this process, made on first use. */
struct fuzz_guest *fuzz_guest(void);

/**
 * fuzz_guest_load() - the guest this input describes
 *
 * Return: false for an input too short to be one. After true, fuzz_guest_reset() follows.
 */
bool fuzz_guest_load(struct fuzz_guest *g, const uint8_t *data, size_t size);
void fuzz_guest_reset(struct fuzz_guest *g);

/* Count reads from here. */
void fuzz_guest_call(struct fuzz_guest *g);

/* Aborts when the call since took more reads than its bound: no guest may keep us. */
void fuzz_guest_called(struct fuzz_guest *g, size_t bound);

/* A finding that is not a crash. */
void fuzz_require(bool holds, const char *what);

#endif /* FUZZ_GUEST_H */
