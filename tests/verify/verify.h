/*
 * verify.h - a reader that believes nothing: every byte of every delivered frame is checked
 *
 * Frames of the simulated guests prove by their pattern which frame of which producer each 64 bytes belong to.
 * The seed of the pattern is the producer's pid, and the ring's slot descriptor carries the pid of the process
 * that drew the frame, inside the same seqlock window as its pixels: a producer restart while a frame is held
 * is no race, and a block is never accepted for another pid.
 */
#ifndef VERIFY_H
#define VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "latency.h"
#include "stripes.h"
#include "vgpu_client.h"

struct verify_tally {
        uint64_t frames;
        uint64_t missed;          /* gaps between serials: published, not delivered here */
        uint64_t missed_checking; /* of those, while an earlier frame was being checked */
        uint64_t torn;            /* frames with blocks of another frame of the same producer */
        uint64_t foreign;         /* frames with blocks that are nothing of this producer's */
        uint64_t backwards;       /* frames delivered though not newer than the one before */
        uint64_t stale;           /* delivered marked stale */
        uint64_t bytes_checked;
        uint64_t check_ns;          /* spent on that */
        uint64_t first_ns, last_ns; /* when the first and the last frame were held */
        struct latency latency;     /* publish to holding the copied frame */
        struct latency awaited;     /* the same, for frames published while this client waited */
};

struct verify {
        struct vgpu_client *client;
        uint32_t n_stripes; /* as the guest draws; 0 is 1 */
        struct verify_tally tally;
        struct vgpu_client_frame frame; /* the last one delivered; serial 0: none */
        struct pattern_count last;      /* its verdict */
        uint64_t last_serial;           /* of this daemon process; 0: none */
        uint64_t connected_ns;          /* what was published before says nothing about latency */
        void *pixels;
        size_t cap;
};

/* The VGPU_FMT_* whose pixels a fourcc names, 0: none. */
uint32_t verify_format(uint32_t fourcc);

/**
 * verify_frame() - one frame's verdict into a tally
 * @n_stripes: as the guest draws, see stripes.h; 1: whole frames
 * @pixels: frame->bytes of them
 *
 * A frame whose descriptor allows no check is foreign.
 *
 * Return: whether every byte was right.
 */
bool verify_frame(struct verify_tally *tally, const struct vgpu_client_frame *frame,
        uint32_t n_stripes, const void *pixels, struct pattern_count *ret_count);

/**
 * verify_take() - copy and check the newest frame if there is one
 * @wait_began_ns: since when this client had been waiting for it
 *
 * Return: 1 (v->frame and v->last tell of it), 0 (nothing new), or < 0.
 */
int verify_take(struct verify *v, uint64_t wait_began_ns);

/*
 * To be called once connected (with VGPU_CLIENT_RECONNECTED), then with what the library reports, before
 * verify_take().
 */
void verify_dispatched(struct verify *v, int events);

/* Closes the client and frees the buffer. */
void verify_deinit(struct verify *v);

/* Frames delivered per second between the first and the last. */
double verify_fps(const struct verify_tally *tally);

/* Nothing was wrong and there was something to judge. */
bool verify_passed(const struct verify_tally *tally);

#endif /* VERIFY_H */
