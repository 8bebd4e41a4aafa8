/*
 * offer.h - what the RAM helper sends: one message with the guest's RAM, or why there is none
 *
 * Who connects to the helper asks by that alone: there is no request, so there is nothing in it to get wrong or to lie
 * about. The answer is one message of a fixed size over SOCK_SEQPACKET, with the descriptors of the files in their order, and a
 * pidfd behind them when the process that has them is known. Both ends are of one build on one host.
 */
#ifndef VGPU_RAM_OFFER_H
#define VGPU_RAM_OFFER_H

#include <stddef.h>
#include <stdint.h>

#include "vgpu_source.h"

#define RAM_OFFER_MAGIC   UINT32_C(0x4d415256) /* "VRAM" */
#define RAM_OFFER_VERSION 1u
#define RAM_OFFER_FDS     (VGPU_SOURCE_FILES_MAX + 1)

struct ram_offer_file {
        uint64_t dev, ino, size; /* as fstat() of its descriptor has them */
        uint64_t begin, end;     /* where the process has it mapped; 0: not known */
};

struct ram_offer {
        uint32_t magic, version;
        uint32_t n_files; /* 0: there is a reason */
        int32_t pid; /* of the process that has them all mapped; 0: not known, and no pidfd is sent */
        struct ram_offer_file file[VGPU_SOURCE_FILES_MAX];
        char reason[256]; /* why there are none: a sentence without its full stop */
};

_Static_assert(sizeof(struct ram_offer) == 16 + VGPU_SOURCE_FILES_MAX * 40 + 256, "no padding");

/* An offer and its descriptors. */
struct ram_hand {
        struct ram_offer offer;
        int fd[RAM_OFFER_FDS]; /* those of the files, then the pidfd if offer.pid is set */
        size_t n_fds;
};

#define RAM_HAND_EMPTY                                                                             \
        ((struct ram_hand){ .offer = { .magic = RAM_OFFER_MAGIC, .version = RAM_OFFER_VERSION } })

/**
 * ram_hand_send() - without waiting
 *
 * Return: 0, or what sendmsg() said. The descriptors stay @hand's.
 */
int ram_hand_send(int socket, const struct ram_hand *hand);

/**
 * ram_hand_receive() - take a message and believe nothing in it
 *
 * Each file must be what the message says, regular, and open for reading only; the reason has no control characters.
 *
 * Return: 0, and the descriptors are the caller's; -EAGAIN (nothing there yet), -ECONNRESET (closed without an answer), -EPROTO
 * (the message is none, or its descriptors are not what it says), -EPERM (a descriptor could write to the guest), or what
 * recvmsg() said; @ret is untouched then, and nothing is left open.
 */
int ram_hand_receive(int socket, struct ram_hand *ret);

/* Closes its descriptors. */
void ram_hand_close(struct ram_hand *hand);

#endif /* VGPU_RAM_OFFER_H */
