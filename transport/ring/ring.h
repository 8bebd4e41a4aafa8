/*
 * ring.h - the publisher's side of the ring (vgpu_ring.h)
 *
 * Makes the memfd, seals it so that nobody but this map can ever write it, and puts frames and records into it in
 * the order readers rely on. One thread calls it; nothing is allocated after ring_new(). A ring is one generation:
 * another capacity means another ring, whose config continues generation and serial.
 */
#ifndef VGPUD_RING_H
#define VGPUD_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vgpu_ring.h"

struct ring;

struct ring_config {
        uint32_t slots;      /* VGPU_RING_MIN_SLOTS .. VGPU_RING_MAX_SLOTS */
        uint64_t slot_bytes; /* capacity of a slot, > 0; rounded up to whole pages */
        uint64_t generation; /* from 1; above the ring this one replaces */
        uint64_t serial;     /* serial to count on from without @replaces, normally 0 */
        /* borrowed for the call, NULL for the first: serial, tick and the four records continue from it */
        const struct ring *replaces;
        uint8_t instance[16];
        uint32_t tick_period_ms; /* > 0 */
        /* how long a hold is honoured after its frame stopped being the newest; 0: none is, ever */
        uint64_t lease_ns;
};

/* What is said about a frame; the ring adds seq, serial and publish time. */
struct ring_frame {
        uint64_t frame_id;
        uint64_t epoch;
        uint32_t run_epoch;
        uint32_t producer_pid;
        uint32_t width, height, stride; /* pixels, pixels, bytes; height * stride <= slot_bytes */
        uint32_t fourcc;
        uint64_t modifier;
        uint32_t flags; /* VGPU_RING_FRAME_* */
        uint64_t timestamp_ns;
        /* since the frame published before; 0 or over VGPU_RING_MAX_DAMAGE: whole */
        uint32_t n_damage;
        struct vgpu_ring_rect damage[VGPU_RING_MAX_DAMAGE];
};

/**
 * ring_new() - make and seal a ring
 * @config:   see there
 * @ret_ring: heap-owned; ring_free()
 *
 * Maps the memfd, then seals SHRINK, GROW, FUTURE_WRITE and SEAL and sets mode 0400. The state is VGPU_RING_ABSENT,
 * there is no frame, unless it replaces another ring. Pages of a slot are taken when it is first written.
 *
 * Return: 0, or -EINVAL (config out of range), -ENOMEM, -EMFILE, -ENFILE, or what /proc said when it is not
 * mounted.
 */
int ring_new(const struct ring_config *config, struct ring **ret_ring);

/*
 * Leases. A client's page (struct vgpu_client_page) names frames it wants kept; the publisher looks once per frame,
 * straight after ring_publish(), at every client's page, and ring_slot_begin() goes by what it saw:
 *
 *      ring_look_begin(r, now_ns);
 *      for every client: ring_look_at(r, &client->holder, holds, n);
 *      ring_look_end(r);
 *
 * A hold stands for a client and a slot if it names exactly the slot's frame at the first look after that frame
 * stopped being the newest, and at every look since. At most slots - 2 distinct slots are honoured, over all clients,
 * the one that stopped being newest first losing first; a hold older than the lease time is not honoured any more.
 * So a slot is always free, whatever the pages say, and nothing here waits. With no client left, look all the same:
 * that is what ends the holds of those who are gone. models/lease.pml is the proof.
 */

/* What is remembered of one client from look to look, for one ring. All zero: never looked at. Kept by the caller. */
struct ring_holder {
        uint64_t generation; /* of the ring the rest belongs to */
        uint32_t standing;   /* bit per slot */
        uint32_t reserved;
        uint64_t lost; /* holds ended by us while they stood, over all rings */
};

/* @now_ns: CLOCK_MONOTONIC. */
void ring_look_begin(struct ring *r, uint64_t now_ns);

/*
 * @holds: @n words, a private copy of what the client's page said, each loaded with acquire: what a client read before
 * it let go is then read before the slot is written again. Cost: one comparison a word.
 */
void ring_look_at(struct ring *r, struct ring_holder *holder, const uint64_t *holds, uint32_t n);

void ring_look_end(struct ring *r);

/* Slots held now, and holds ended by the lease time or the limit since ring_new(). */
uint32_t ring_n_held(const struct ring *r);
uint64_t ring_n_lost(const struct ring *r);

/**
 * ring_watch_new() - what tells which retired rings nobody has any more
 *
 * One is enough for all rings of a process, and a user has few of them (fs.inotify.max_user_instances).
 *
 * Return: a descriptor, the caller's to close; it can be polled, too, and is readable when ring_watch_next() may have
 * something. Or a negative errno.
 */
int ring_watch_new(void);

/**
 * ring_retire() - give up the map of a ring that was superseded, and learn when nobody has it any more
 * @watch: of ring_watch_new(), or one of its errors
 *
 * Consumes @r. Of the memory nothing is kept: the kernel frees it when the last client lets go, not when we look.
 *
 * The kernel's own count of references decides: maps, descriptors of every kind, those on their way through a socket. No
 * client can lie about it. (Pages that somebody pinned otherwise, in a pipe or for a device, are not seen; those the
 * kernel limits per user.)
 *
 * Return: what ring_watch_next() will call it, above 0. Or a negative errno, with the ring given up all the same: then
 * nothing can tell.
 */
int ring_retire(struct ring *r, int watch);

/* Return: a ring that nobody has any more, each is told once; 0: none now. One system call, or two. */
int ring_watch_next(int watch);

/* Unmaps and closes; readers keep what they hold. Marks nothing: see ring_close(). NULL is fine. Returns NULL. */
struct ring *ring_free(struct ring *r);

/* The O_RDONLY descriptor to hand to readers; owned by the ring. */
int ring_fd(const struct ring *r);

const struct vgpu_ring_identity *ring_identity(const struct ring *r);

/* Serial of the newest frame, counting on from the ring replaced. */
uint64_t ring_serial(const struct ring *r);

/* Who waits for `soon` is to spin for the frame: more of them than any machine has CPUs for are left out. */
#define RING_ANNOUNCE_MOST 64

/**
 * ring_announce() - whether to say that a frame comes when it begins to be written
 *
 * From the next ring_slot_begin() on: `soon` is raised, with when the frame is due by what the last ones took, and one
 * FUTEX_WAKE of at most RING_ANNOUNCE_MOST waiters made. Off at first. Costs nothing while off.
 */
void ring_announce(struct ring *r, bool on);

/**
 * ring_slot_begin() - open a slot for writing
 *
 * Takes the slot whose frame is the oldest of those nobody holds, never the newest one. Its seq is odd from here on:
 * a reader that was still copying it notices. Exactly one of ring_publish() and ring_slot_abort() follows.
 *
 * Return: slot_bytes writable bytes, page-aligned, the caller's until then. Holds old pixels.
 */
uint8_t *ring_slot_begin(struct ring *r);

/* Which slot is open: an index below slot_count. Between begin and publish or abort. What is in it stays what was last written. */
uint32_t ring_open_slot(const struct ring *r);

/**
 * ring_slot_abort() - give the open slot up
 * @from, @to: the bytes of it that may have been written, up to but not @to; equal: none
 *
 * Zeroes them at once, since a slot is memory that readers see. The others are still those of a frame that was published. seq stays
 * odd: nobody takes it for a frame.
 */
void ring_slot_abort(struct ring *r, size_t from, size_t to);

/*
 * Waiters that one change wakes. Whoever maps a ring can queue as many as it has memory for, and waking a hundred
 * thousand takes 50 ms of our time. Who is left out sees the change when its tick period is over.
 */
#define RING_WAKE_MOST 1024

/**
 * ring_publish() - make the open slot the newest frame and wake readers
 * @frame: checked by assert; damage becomes whole after a change of mode, epoch, run_epoch or producer, for the
 *         first frame of a ring, and when a rectangle leaves the frame
 *
 * Non-temporal stores into the slot before this are ordered by its sfence. One FUTEX_WAKE, unconditional, of at most
 * RING_WAKE_MOST waiters.
 *
 * Return: the frame's serial.
 */
uint64_t ring_publish(struct ring *r, const struct ring_frame *frame);

/*
 * Records. Each is stored under its seqlock and, if it differs from what is there, gets the next serial and wakes.
 * A value that says nothing new costs a comparison. `report`, `heartbeat` and `content_change_ns` are refreshed
 * without waking anybody. Return: whether readers were told.
 */
bool ring_set_liveness(struct ring *r, const struct vgpu_ring_liveness *value);
bool ring_set_cursor(struct ring *r, const struct vgpu_ring_cursor *value);
bool ring_set_geometry(struct ring *r, const struct vgpu_ring_geometry *value);
bool ring_set_status(struct ring *r, const struct vgpu_ring_status *value);

/* Say that the daemon lives; every tick_period_ms. @now_ns: CLOCK_MONOTONIC. Wakes nobody. */
void ring_tick(struct ring *r, uint64_t now_ns);

/* Mark as replaced by @generation and wake: waiters look for the new one. Call after every client was sent it. */
void ring_supersede(struct ring *r, uint64_t generation);

/* State VGPU_RING_CLOSED since @now_ns, and wake: nothing more will come. */
void ring_close(struct ring *r, uint64_t now_ns);

#endif /* VGPUD_RING_H */
