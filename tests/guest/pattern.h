/*
 * pattern.h - frames that prove themselves
 *
 * A frame is a picture a person can judge (eight colour bars from white on the left to black on the right, darker
 * towards the bottom, an orange mark top left, a white mark bottom right, a bright bar that moves with the frame_id)
 * whose lowest bits say, for every 64 bytes of it, which frame they belong to. Rows are cut into blocks of 64 bytes from
 * their first byte, padding up to the stride included; the last block of a row may be shorter.
 *
 * Freestanding, no state, no allocation; the same code runs in the simulated guest, in the virtual machine and in tests.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include <stddef.h>
#include <stdint.h>

/* What a check found. Every block of the frame is counted once. */
struct pattern_count {
        uint64_t good;          /* every byte is the expected one */
        uint64_t torn;          /* every byte is right for another frame of the same seed */
        uint64_t foreign;       /* anything else: other memory, another producer, a flipped bit */
        uint64_t first_bad;     /* offset of the first block that is not good; UINT64_MAX: none */
        uint32_t first_torn_id; /* frame_id found in the first torn block */
};

/**
 * pattern_fill() - draw a frame
 * @pixels: height * stride bytes, aligned to 4
 * @width: pixels, >= 1
 * @height: pixels, >= 1
 * @stride: bytes, a multiple of 4, >= width * bytes per pixel
 * @format: any VGPU_FMT_*
 * @frame_id: the low 32 bits go into the stamp
 * @seed: the producer's pid, so that two producers' frames differ
 *
 * Writes every byte up to the stride. Costs about what writing the memory costs.
 */
void pattern_fill(void *pixels, uint32_t width, uint32_t height, uint32_t stride, uint32_t format,
        uint64_t frame_id, uint32_t seed);

/* The same for some rows: @pixels is the first byte of row @first_row, and first_row + n_rows <= height. */
void pattern_fill_rows(void *pixels, uint32_t first_row, uint32_t n_rows, uint32_t width,
        uint32_t height, uint32_t stride, uint32_t format, uint64_t frame_id, uint32_t seed);

/**
 * pattern_check() - compare every byte of a frame with what it must be
 * @pixels: as pattern_fill() wrote them, perhaps
 * @ret_count: the verdict, block by block
 *
 * The other arguments are those of pattern_fill(). In a last block shorter than 64 bytes the stamp is not whole, so there "torn"
 * is told only for the 64 frames on either side of @frame_id.
 */
void pattern_check(const void *pixels, uint32_t width, uint32_t height, uint32_t stride,
        uint32_t format, uint64_t frame_id, uint32_t seed, struct pattern_count *ret_count);

/**
 * pattern_check_rows() - the same for some rows of a frame
 * @pixels: the first byte of row @first_row
 * @first_row: from the top
 * @n_rows: first_row + n_rows <= height
 *
 * ret_count->first_bad is an offset in the whole frame. Cost: that of the rows, and of a picture's tile per 1/32 of the
 * height that is touched.
 */
void pattern_check_rows(const void *pixels, uint32_t first_row, uint32_t n_rows, uint32_t width,
        uint32_t height, uint32_t stride, uint32_t format, uint64_t frame_id, uint32_t seed,
        struct pattern_count *ret_count);

/**
 * pattern_color() - the picture without the stamp
 *
 * For tests of what a person sees (a screenshot): the colour of pixel (x, y) as 0xRRGGBB. The stamp changes at most the
 * lowest two bits of a channel.
 */
uint32_t pattern_color(uint32_t width, uint32_t height, uint32_t x, uint32_t y, uint64_t frame_id);

#endif /* PATTERN_H */
