/*
 * hostile.h - clients that keep to nothing: bare messages, and attackers in processes of their own
 *
 * The library never does what these must: greet twice, read nothing, write garbage into its page, hold for ever. An attacker
 * is a process, since it is to be stopped and killed; what it did, and what it found that should have been refused,
 * stands on a board in memory that it shares with the test.
 */
#ifndef VGPU_TEST_HOSTILE_H
#define VGPU_TEST_HOSTILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "message.h"
#include "vgpu_ring.h"

/* Only reached by a test that has failed. */
#define HOSTILE_PATIENCE_MS 60000

struct hostile {
        int fd;
        int ring_fd, wake_fd, page_fd;          /* -1: not granted */
        const struct vgpu_ring_header *ring;    /* NULL: none */
        volatile struct vgpu_client_page *page; /* NULL: not granted */
        struct vgpu_msg_welcome welcome;
};

#define HOSTILE_NONE ((struct hostile){ .fd = -1, .ring_fd = -1, .wake_fd = -1, .page_fd = -1 })

/* A socket connected to @path that never blocks once it is; waits for a place in the daemon's queue. Or -errno. */
int hostile_dial(const char *path);

/* Send one message, which starts with its header. Return: as message_send(). */
int hostile_say(int fd, const void *msg);

/* HELLO. Return: as message_send(). */
int hostile_greet(int fd, uint32_t wants);

/**
 * hostile_hear() - wait for one message
 * @fds: room for MESSAGE_MAX_FDS descriptors, the caller's from now on; NULL: what comes is closed
 *
 * Return: its type, 0 at the end of the conversation or of our patience.
 */
uint32_t hostile_hear(int fd, void *buf, size_t cap, int *fds, size_t *ret_n_fds);

/* Is anything there to be heard, before our patience ends? Reads nothing. Return: 1, 0. */
int hostile_has_news(int fd);

/**
 * hostile_enter() - connect, greet, be welcomed, map what came with it
 *
 * Leaves PAGE unsaid.
 *
 * Return: 0 (hostile_leave()), or a negative errno with nothing held: -ECONNREFUSED with a GOODBYE, -EPROTO with
 * anything else.
 */
int hostile_enter(struct hostile *h, const char *path, uint32_t wants);

/* Seal the page, say PAGE and wait until the daemon has taken it. Return: 0, or a negative errno: -EPROTO if it never does. */
int hostile_settle(const struct hostile *h);

/* Unmap, close. HOSTILE_NONE is fine. */
void hostile_leave(struct hostile *h);

/* The descriptor of a slot of the ring it mapped. */
const struct vgpu_ring_desc *hostile_desc(const struct hostile *h, uint32_t slot);

struct hostile_board {
        uint64_t step;   /* by the attacker: how far it got */
        uint64_t rounds; /* by the attacker: how often it did what it does */
        uint64_t stop;   /* by the test: enough of it */
        char found[160]; /* by the attacker: what went otherwise than it must; "": nothing */
};

/* What an attacker does until it is killed. Where it returns, its process ends. */
typedef void (*hostile_attack)(const char *path, uint64_t arg, struct hostile_board *board);

struct hostile_proc {
        pid_t pid; /* 0: none */
        struct hostile_board *board;
};

/* Return: 0 or -errno. hostile_end() in any case. */
int hostile_start(struct hostile_proc *p, hostile_attack attack, const char *path, uint64_t arg);

/* Stop it and wait until it stands. */
void hostile_freeze(const struct hostile_proc *p);

/* SIGKILL, reap; the board stays. An empty one is fine. */
void hostile_kill(struct hostile_proc *p);

/* The same, and the board goes. */
void hostile_end(struct hostile_proc *p);

/* For attackers. Only what was found first is kept. */
void hostile_found(struct hostile_board *board, const char *what, int error);
void hostile_step(struct hostile_board *board, uint64_t step);
void hostile_round(struct hostile_board *board);

/* Memory that keeps whoever touches it waiting, in the kernel too, with whatever is locked there. */
struct hostile_bog {
        int fd; /* -1: the kernel has no userfaultfd for us */
        void *page;
};

struct hostile_bog hostile_bog(void);

/* Wait until somebody waits there. Return: 1, 0 when our patience is over. */
int hostile_bog_has_somebody(const struct hostile_bog *bog);

/* xorshift, of a state that is not 0 */
uint64_t hostile_random(uint64_t *state);

#endif /* VGPU_TEST_HOSTILE_H */
