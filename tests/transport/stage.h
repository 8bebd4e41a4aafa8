/*
 * stage.h - a daemon played by the test itself: every message, descriptor and word of it by hand
 *
 * One client at a time. The test looks into the client's page as the daemon would, and can stop between any two
 * steps.
 */
#ifndef STAGE_H
#define STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring.h"
#include "vgpu_client.h"
#include "vgpu_protocol.h"

#define STAGE_SLOTS 4u

struct stage {
        char path[64];
        int listen_fd;
        int sock;      /* the client's connection; -1: none */
        int wake_fd;   /* our end of its wake socket */
        bool edge;     /* it has edges, and no bytes */
        uint64_t life; /* which daemon process we play: the instance */
        uint64_t generation;
        struct ring *ring;
        struct vgpu_client_page *page; /* the client's, as we see it */
        uint32_t served;               /* ticket */
        int page_seals;                /* of the next page; normally SHRINK | GROW */
        size_t page_bytes;
        int page_fd;
        struct vgpu_msg_hello hello; /* the client's last */
        uint32_t knows;              /* VGPU_WANT_* that are granted; normally all */
};

/* Listen, with a ring of generation 1 that streams; no frame in it. */
void stage_start(struct stage *s);
void stage_stop(struct stage *s);

/* A handle with WAIT_DAEMON that has not said hello yet. NULL: defaults. */
struct vgpu_client *stage_client(struct stage *s, const struct vgpu_client_options *options);

/* Its connection and HELLO, waiting for it to try again if need be. */
void stage_accept(struct stage *s, struct vgpu_client *c);
/* Ring, and what HELLO asked for, granted. */
void stage_welcome(struct stage *s);
/* All of that, until the client says that it is connected. Returns what it reported. */
int stage_connect(struct stage *s, struct vgpu_client *c);

/* The connection ends as when the process dies. */
void stage_hang_up(struct stage *s);
/* The same, and what comes next is another process: ring, serials and generation start over. */
void stage_die(struct stage *s);

/* Another ring; the client is sent it. */
void stage_regenerate(struct stage *s, uint64_t slot_bytes);

/* Publish a frame whose every 8 bytes carry its serial, and nothing else: no look, no wake-up. Returns the serial. */
uint64_t stage_publish(struct stage *s);
uint64_t stage_publish_frame(struct stage *s, struct ring_frame *frame);

/* What a daemon does after a change: one byte, or edge, if the client is armed with a ticket not served yet. */
bool stage_wake(struct stage *s);

void stage_send(struct stage *s, const void *msg, size_t len);
/* The next message of this type from the client, which is there already; others are skipped. False: there is none. */
bool stage_receive(struct stage *s, uint32_t type, void *msg, size_t len);

/* Is the descriptor readable now? */
bool readable(int fd);

/* Maps of rings and of pages in this process. */
int count_maps(const char *name);

#endif /* STAGE_H */
