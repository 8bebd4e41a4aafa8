/*
 * relay.h - a small daemon for tests: one server, one ring, no guest
 *
 * Turned by hand inside a test (relay_turn), which makes every order of events a test can name deterministic, or run in
 * a process of its own (relay_fork) where a client blocks or the daemon has to be killed.
 */
#ifndef RELAY_H
#define RELAY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ring.h"
#include "server.h"
#include "vgpu_client.h"

#define RELAY_WIDTH    64u
#define RELAY_HEIGHT   32u
#define RELAY_STRIDE   (RELAY_WIDTH * 4)
#define RELAY_BYTES    (RELAY_STRIDE * RELAY_HEIGHT)
#define RELAY_TICK_MS  20u
#define RELAY_LEASE_NS UINT64_C(200000000)
#define RELAY_FOURCC   0x34325258u /* XR24 */

struct relay {
        char dir[32];
        char path[64];
        struct server *server;
        struct ring *ring;
        uint64_t now_ns;   /* the time the server is told */
        int turns_dropped; /* peers freed by relay_turn() */
        enum vgpu_goodbye last_goodbye;
        char last_text[192];
};

uint64_t test_now_ns(void);

/* Listen in a fresh folder with a first ring; fails the test if that does not work. */
void relay_start(struct relay *r);
void relay_start_with(struct relay *r, const struct server_config *config);
/* Free everything but the folder, as a daemon that ends well does. */
void relay_stop(struct relay *r);
/* ... and the folder. */
void relay_remove(struct relay *r);

/* Accept and read whatever is there; drop whom the server says to drop. */
void relay_turn(struct relay *r);

/* Turn and dispatch until the client has reported all of @events. Returns what it reported. */
int relay_turn_until(struct relay *r, struct vgpu_client *c, int events);

/* A connected client without a thread: connect lazily, then turn until it is there. */
struct vgpu_client *relay_client(struct relay *r, uint32_t flags);

/* Publish a frame whose every 8 bytes carry its serial; wake. Returns the serial. */
uint64_t relay_publish(struct relay *r);
uint64_t relay_publish_frame(struct relay *r, struct ring_frame *frame);
struct ring_frame relay_frame(uint64_t frame_id);

/* Is it the frame that relay_publish() made? */
bool frame_is_whole(const void *pixels, size_t bytes, uint64_t serial);

/* Replace the ring by one of another capacity, as on a mode change. */
void relay_regenerate(struct relay *r, uint64_t slot_bytes);

/*
 * A process that listens at @path and publishes every @period_us. Ends by SIGKILL, or by itself when its parent dies.
 * Returns once it listens.
 */
pid_t relay_fork(const char *path, uint32_t period_us, size_t frame_bytes);

/* The same, with frames made by @frame (which also paces) called for ever. */
pid_t relay_fork_with(
        const char *path, size_t frame_bytes, void (*frame)(struct relay *r, uint32_t n));
void process_kill(pid_t pid);

/* Status of a child that has to end with 0. */
int process_wait(pid_t pid);

int count_fds(void);

/* Become nobody. Returns whether that worked (it takes root). */
bool become_nobody(void);

#endif /* RELAY_H */
