/*
 * lease.h - which slots clients hold, and which one is written next
 *
 * Plain arithmetic over what the publisher saw: no atomics, no clock, no memory shared with anybody, so that every
 * case is a line in a test and models/lease.pml can be read beside it. ring.c supplies the order of loads and
 * stores, the caller the holds and the time.
 *
 * One look after each frame:
 *      lease_look_begin(b, now); lease_look(b, ...) for every client; lease_look_end(b)
 */
#ifndef VGPUD_LEASE_H
#define VGPUD_LEASE_H

#include <stdint.h>

#include "vgpu_ring.h"

#define LEASE_NO_SLOT UINT32_MAX

/* Sets of slots are bits of a uint32_t. */
struct lease_book {
        uint64_t
                lease_ns; /* how long a hold is honoured after its frame stopped being the newest */
        uint64_t word[VGPU_RING_MAX_SLOTS];     /* frame in the slot, as published; 0: none */
        uint64_t since_ns[VGPU_RING_MAX_SLOTS]; /* first look after it stopped being the newest */
        uint64_t n_lost; /* holds that were ended while they stood, over all clients */
        uint32_t n_slots;
        uint32_t newest;   /* slot, or LEASE_NO_SLOT */
        uint32_t fresh;    /* stopped being the newest since the last look */
        uint32_t expired;  /* at this look */
        uint32_t held;     /* by anybody, at this look so far */
        uint32_t dropped;  /* held at the last look, and over the limit there */
        uint32_t honoured; /* what lease_choose() keeps away from */
};

/* @n_slots: VGPU_RING_MIN_SLOTS .. VGPU_RING_MAX_SLOTS. @lease_ns: 0 honours no hold. */
void lease_init(struct lease_book *b, uint32_t n_slots, uint64_t lease_ns);

/* The slot to write next: never the newest, never an honoured one; of the others the oldest. There always is one. */
uint32_t lease_choose(const struct lease_book *b);

/* @slot is being written: its frame is gone. */
void lease_open(struct lease_book *b, uint32_t slot);

/* @slot carries the newest frame now. @word: VGPU_RING_WORD(), above all before. */
void lease_publish(struct lease_book *b, uint32_t slot, uint64_t word);

void lease_look_begin(struct lease_book *b, uint64_t now_ns);

/**
 * lease_look() - take in what one client holds
 * @standing: the client's holds that count, from look to look; 0 at first
 * @holds:    @n words as the client wrote them, garbage included
 *
 * Return: how many of its holds were ended since the last look, by the lease time or by the limit, while they stood.
 */
uint32_t lease_look(struct lease_book *b, uint32_t *standing, const uint64_t *holds, uint32_t n);

/* Honour what is held, up to the limit. */
void lease_look_end(struct lease_book *b);

#endif /* VGPUD_LEASE_H */
