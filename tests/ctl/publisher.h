/*
 * publisher.h - the least there is of a daemon: a ring, a socket and what a test wants said
 *
 * So that readers are tested against frames that are wrong in a known way, which the daemon itself never
 * publishes.
 */
#ifndef TEST_PUBLISHER_H
#define TEST_PUBLISHER_H

#include <stdbool.h>
#include <stdint.h>

#include "ring.h"
#include "server.h"
#include "vgpu_stream.h"

#define PUBLISHER_PID 4321u /* the producer's, as the frames have it */

struct publisher {
        char dir[64];
        char path[80]; /* of the socket */
        struct server *server;
        struct ring *ring;
        uint64_t frame_id;    /* of the newest frame */
        const char *status;   /* JSON text for a status query; NULL: there is no such report */
        const char *clients;  /* likewise for a clients query */
        const char *metrics;  /* and for one of metrics */
        unsigned n_instances; /* daemons this has been */
};

/* Listens in a folder of its own, with a ring whose slots hold @slot_bytes and whose state is streaming. */
void publisher_init(struct publisher *p, uint64_t slot_bytes);
void publisher_deinit(struct publisher *p);

/* Ends as a killed daemon does, without a word, and comes back as another one. */
void publisher_restart(struct publisher *p, uint64_t slot_bytes);

/* Accepts, answers and drops; to be called again and again. */
void publisher_turn(struct publisher *p);

/* Has somebody said hello? */
bool publisher_has_reader(struct publisher *p);

void publisher_set_state(struct publisher *p, enum vgpu_ring_state state, uint64_t epoch);

/*
 * The next frame's description, for the caller to change: epoch 1, run 1, PUBLISHER_PID, the next frame_id, no
 * padding.
 */
struct ring_frame publisher_frame(
        struct publisher *p, uint32_t width, uint32_t height, const char *fourcc);

/* Publishes @pixels (height * stride bytes) and wakes readers. */
void publisher_publish(struct publisher *p, const struct ring_frame *frame, const void *pixels);

uint32_t publisher_fourcc(const char *text);

#endif /* TEST_PUBLISHER_H */
