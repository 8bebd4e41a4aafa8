/*
 * copy_hand.h - the roofline: copies of a frame written by hand, with nothing around them
 *
 * Each gets the frame as a list of pages, worked out beforehand, and does nothing but move them. The best of them is what
 * the machine can do, and what the daemon's own way is held against.
 */
#ifndef BENCH_COPY_HAND_H
#define BENCH_COPY_HAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HAND_PAGE 4096u

/* Pages behind the last that may be asked for; the caller fills them with anything readable. */
#define HAND_AHEAD 8u

struct hand_frame {
        const uint8_t *const *page; /* n_pages + HAND_AHEAD */
        size_t n_pages;
        uint8_t *dst; /* aligned to a page */
};

struct hand {
        const char *name;
        bool (*usable)(void); /* NULL: always */
        void (*copy)(const struct hand_frame *f, size_t first, size_t end);
};

extern const struct hand hands[];
extern const size_t n_hands;

/* A second thread that waits for its half by looking, not by sleeping; it looks when this returns. False: there is none. */
bool hand_helper_start(void);
void hand_helper_stop(void);

/* @n_threads: 1, or 2 with a helper. */
void hand_copy(const struct hand *hand, const struct hand_frame *f, unsigned n_threads);

#endif /* BENCH_COPY_HAND_H */
