/*
 * stripes.h - frames that prove themselves and change little
 *
 * The screen is cut into stripes of rows, and frame N draws the stripe N modulo their number. So every stripe shows the pattern
 * of the newest frame whose turn it was: a frame is a function of its id, can be checked byte by byte like any other, and yet
 * differs from the one before in one stripe only. With one stripe it is the plain pattern.
 *
 * Freestanding, like pattern.c.
 */
#ifndef STRIPES_H
#define STRIPES_H

#include <stdint.h>

#include "pattern.h"

#define MAX_STRIPES 256u

/* What all of a frame's stripes have in common; the fields are those of pattern_fill(). */
struct stripes {
        uint32_t n; /* 1..MAX_STRIPES; may exceed the height: some are empty then */
        uint32_t width, height, stride, format;
        uint32_t seed;
};

/* First row of a stripe; that of number @s->n is the height. */
uint32_t stripes_row(const struct stripes *s, uint32_t stripe);

/* The stripe that a frame draws. */
uint32_t stripes_turn(const struct stripes *s, uint64_t frame_id);

/**
 * stripes_draw() - make a buffer show a frame
 * @pixels: height * stride bytes that show frame @held, or anything when that is 0
 * @held:   an older frame of the same stripes; 0: none
 *
 * Cost: that of the stripes whose turn it was since, or of a whole frame.
 */
void stripes_draw(const struct stripes *s, void *pixels, uint64_t held, uint64_t frame_id);

/* As pattern_check(), with each stripe held against the frame that drew it last. */
void stripes_check(const struct stripes *s, const void *pixels, uint64_t frame_id,
        struct pattern_count *ret_count);

#endif /* STRIPES_H */
