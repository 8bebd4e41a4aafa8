/*
 * worker.h - what every process of a benchmark has in common: its orders, its samples, its frames
 *
 * A scene is one producer and some clients, each a program of its own. Its processes share one anonymous memfd, the
 * board: when to measure, and a sheet of samples per process. So nothing is written to a pipe or a file while it is
 * being measured. A worker is started as
 *      PROGRAM ROLE INDEX FOLDER WIDTH HEIGHT
 * with the board as descriptor 3. It says on its standard output when it is ready or why it cannot be, and ends when
 * it is killed; producers also end when their standard input does.
 */
#ifndef BENCH_WORKER_H
#define BENCH_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_BOARD_FD    3
#define BENCH_FPS         60u
#define BENCH_PERIOD_NS   (UINT64_C(1000000000) / BENCH_FPS)
#define BENCH_MAX_SAMPLES 8192u /* per process and scene: two minutes of frames */
#define BENCH_SLOTS       4u    /* frames that every producer has room for */
#define BENCH_SKIPPED     77    /* exit status: what it needs is not here */

/* One process's figures. Writer: that process. */
struct bench_sheet {
        uint64_t n;     /* frames handed over, or got, within the window */
        uint64_t n_bad; /* of them, those whose two stamps disagree: overwritten while held */
        /* CPU time of the whole process, at the first and at the last of them */
        uint64_t cpu_first_ns, cpu_last_ns;
        uint64_t ns[BENCH_MAX_SAMPLES];
};

/* Writer of the window: whoever runs the scene, once everybody is ready. */
struct bench_board {
        uint64_t from_ns; /* CLOCK_MONOTONIC; frames handed over from here... */
        uint64_t to_ns;   /* ...to here count; 0: not decided yet */
        struct bench_sheet sheet[];
};

struct bench_worker {
        const char *role;
        const char *dir; /* of the scene: sockets are in it */
        unsigned index;  /* 0: the producer */
        uint32_t width, height;
        size_t frame_bytes; /* 4 per pixel */
        struct bench_board *board;
        struct bench_sheet *sheet;
        uint8_t *source; /* a frame to fill from, private to the process; producers only */
};

/* Takes the orders from the command line; ends the program with a usage message if there are none. */
void bench_worker_init(struct bench_worker *w, int argc, char **argv);

/* Tell whoever runs the scene that this process takes part from now on. */
void bench_ready(const struct bench_worker *w);

/* Tell why it cannot, and end: with BENCH_SKIPPED if that is for want of something, else with 1. */
_Noreturn void bench_skip(const struct bench_worker *w, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
_Noreturn void bench_fail(const struct bench_worker *w, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

uint64_t bench_now(void);

/* Note a duration that belongs to what was handed over at @stamp_ns, if that lies within the window. */
void bench_sample(struct bench_worker *w, uint64_t stamp_ns, uint64_t ns);

/* The producer's work on a frame, the same for every transport: one copy from private memory. */
void bench_fill(struct bench_worker *w, void *frame);

/*
 * For transports that carry no time of their own: CLOCK_MONOTONIC goes into the first and the last eight bytes of the
 * frame, after the fill and just before the frame is handed over.
 */
void bench_stamp(const struct bench_worker *w, void *frame);

/* The client's end of that: it holds @frame now. Reads first and last bytes, notes how long it took to get here. */
void bench_take(struct bench_worker *w, const void *frame);

/* Absolute CLOCK_MONOTONIC timer with the frame period, non-blocking. Return: its descriptor. */
int bench_frame_timer(const struct bench_worker *w);

/* Sleep until it is time for a frame. Return: false when the producer is to end. */
bool bench_wait_frame(const struct bench_worker *w, int timer);

#endif /* BENCH_WORKER_H */
