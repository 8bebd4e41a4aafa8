/*
 * cast.h - the processes of a scene: start them, hear from them, end them
 */
#ifndef BENCH_CAST_H
#define BENCH_CAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct cast_member {
        pid_t pid;  /* 0: never started, or reaped */
        int pidfd;  /* -1 then */
        bool ready; /* it said so */
};

struct cast {
        char dir[64];
        struct bench_board *board;
        size_t board_bytes;
        int board_fd;
        int said[2];  /* pipe: what they say */
        int input[2]; /* pipe: the producer's input, whose end tells it to end */
        char line[512];
        size_t line_len;
        unsigned n;
        struct cast_member *member;
        char reason[256]; /* why one of them cannot go on, in its words */
        bool skipped;     /* that is for want of something */
};

/* A folder, a board with @n sheets, pipes. Return: 0 or -errno; cast_deinit() in either case. */
int cast_init(struct cast *c, unsigned n);

/* Ends whoever still runs and removes the folder. */
void cast_deinit(struct cast *c);

/* Start member @index. It ends with us, whatever becomes of us. Return: 0 or -errno. */
int cast_start(struct cast *c, unsigned index, const char *programs, const char *program,
        const char *role, uint32_t width, uint32_t height, int log_fd);

/*
 * Listen until members @first .. @first + @n - 1 are ready or, with @n 0, until the deadline. Return: 0, -EPIPE (one has
 * ended or cannot go on: see reason), -ETIMEDOUT, or -EINTR.
 */
int cast_listen(struct cast *c, unsigned first, unsigned n, uint64_t deadline_ns);

#endif /* BENCH_CAST_H */
