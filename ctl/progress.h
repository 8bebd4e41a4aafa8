/*
 * progress.h - a line on a terminal that says that something is still going on
 *
 * A stage of a probe can take a minute in a large or a hostile guest, and a silent program looks hung. The line is drawn by
 * a thread of its own, so the work goes on undisturbed and knows nothing of it; it appears only when a stage takes long
 * enough for somebody to wonder, and is gone before anything else is printed.
 */
#ifndef CTL_PROGRESS_H
#define CTL_PROGRESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct progress {
        FILE *out; /* NULL: nothing is drawn */
        pthread_t thread;
        int wake_fd;
        pthread_mutex_t lock; /* of what follows, and of the terminal's line */
        const char *stage;    /* NULL: between two */
        uint64_t began_ns;
        unsigned n_drawn; /* of this stage; 0: the line is clear */
        /* Whoever does the work counts here, or in counters of its own; total 0: nobody knows how much there is. */
        const atomic_size_t *done, *total;
        atomic_size_t n_done, n_total;
};

/**
 * progress_start() - begin to watch
 * @p:   caller's memory
 * @out: a terminal, or NULL for no line at all
 *
 * When there is no thread to be had there is no line, and nothing else changes.
 */
void progress_start(struct progress *p, FILE *out);

/* The work is in @stage from now on, a word or two in static storage; counts begin at 0. */
void progress_stage(struct progress *p, const char *stage);

/* How far the stage is. Cheap, from any thread. */
void progress_count(struct progress *p, size_t n_done, size_t n_total);

/* The stage's counters are these, not progress_count()'s. Borrowed until the next stage begins or the line is cleared. */
void progress_follow(struct progress *p, const atomic_size_t *n_done, const atomic_size_t *n_total);

/* The stage is over and the line clear: the caller may print. */
void progress_clear(struct progress *p);

/* Clears the line and ends the thread. */
void progress_stop(struct progress *p);

/**
 * progress_format() - the line itself
 * @turn: counts up; moves the spinner
 *
 * "processes   [########------------]  40 %  3.2 s" with a total, "processes   | 3.2 s" without.
 *
 * Return: @buf.
 */
char *progress_format(char *buf, size_t cap, const char *stage, size_t n_done, size_t n_total,
        uint64_t ms, unsigned turn);

#endif /* CTL_PROGRESS_H */
