/*
 * pattern.c - draw and check the proving picture
 *
 * A block is sixteen 32-bit words. Each gives four of its bits that matter least to the eye, so a block carries four
 * 16-bit words: the frame_id in two of them and, in the other two, a hash of the block's place, the frame_id and the
 * seed. Bit i of each word sits in word i of the block, which makes the stamp sixteen independent masks: the compiler's
 * generic vectors do four at a time, and scalar code does them as well where there is no SSE.
 *
 * The picture below the stamp is constant over a band of rows, so it is worked out once per band and tile of columns,
 * and what is left per block is one hash and the stamp.
 */
#include "pattern.h"

#include <stdbool.h>

#include "vgpu_stream.h"

#define BLOCK_WORDS 16u
#define TILE_BLOCKS 64u
#define TILE_WORDS  (TILE_BLOCKS * BLOCK_WORDS)
#define BANDS       32u
#define NEARBY      64u /* frames on either side that a short block is tried against */

typedef uint32_t v4u __attribute__((vector_size(16), aligned(4), may_alias));

/* A picture's constants. */
struct picture {
        uint32_t width, height, stride, format;
        uint32_t frame, seed;
        uint32_t bit[4]; /* the word's bits that carry the stamp */
};

static struct picture picture_of(uint32_t width, uint32_t height, uint32_t stride, uint32_t format,
        uint64_t frame_id, uint32_t seed)
{
        struct picture p = { width, height, stride, format, (uint32_t)frame_id, seed,
                { 1u << 0, 1u << 1, 1u << 8, 1u << 16 } };

        if (format == VGPU_FMT_BGRA1010102 || format == VGPU_FMT_RGBA1010102) {
                p.bit[2] = 1u << 10;
                p.bit[3] = 1u << 20;
        } else if (format == VGPU_FMT_RGBA16F) {
                p.bit[2] = 1u << 16;
                p.bit[3] = 1u << 17;
        }
        return p;
}

static uint32_t band_of(uint32_t height, uint32_t y)
{
        return (uint32_t)((uint64_t)y * BANDS / height);
}

/* First row of a band; equal to the next band's first row when the picture has fewer rows than bands. */
static uint32_t band_start(uint32_t height, uint32_t band)
{
        return (uint32_t)(((uint64_t)band * height + BANDS - 1) / BANDS);
}

static bool in_moving_bar(uint32_t width, uint32_t x, uint32_t frame)
{
        uint32_t step = width >= 240 ? width / 240 : 1;
        uint32_t left = (uint32_t)((uint64_t)frame * step % width);
        uint32_t from_left = x >= left ? x - left : x + width - left;

        return from_left < (width + 15) / 16;
}

/* Every channel is a multiple of 4, so the stamp's bits are free in every format. */
static uint32_t color_in_band(uint32_t width, uint32_t x, uint32_t band, uint32_t frame)
{
        static const uint8_t bars[8] = { 7, 6, 3, 2, 5, 4, 1, 0 }; /* red 4, green 2, blue 1 */
        uint32_t on = 0xC0 - 4 * band, off = 0x10;
        uint32_t bar = bars[(uint64_t)x * 8 / width];

        if (band < BANDS / 8 && x < width / 8)
                return 0xFC8000;
        if (band >= BANDS - BANDS / 8 && x >= width - width / 8)
                return 0xFCFCFC;
        if (in_moving_bar(width, x, frame))
                return 0xE0E0E0;
        return (bar & 4 ? on : off) << 16 | (bar & 2 ? on : off) << 8 | (bar & 1 ? on : off);
}

uint32_t pattern_color(uint32_t width, uint32_t height, uint32_t x, uint32_t y, uint64_t frame_id)
{
        return color_in_band(width, x, band_of(height, y), (uint32_t)frame_id);
}

/* c / 256 as a half float. */
static uint32_t half_of(uint32_t c)
{
        uint32_t e = 31u - (uint32_t)__builtin_clz(c | 1);

        return c ? (e + 7) << 10 | ((c << (10 - e)) & 0x3FF) : 0;
}

/* The word at @index of a row. */
static uint32_t word_of(const struct picture *p, uint32_t index, uint32_t band)
{
        uint32_t x = p->format == VGPU_FMT_RGBA16F ? index / 2 : index;
        uint32_t rgb, r, g, b;

        if (x >= p->width)
                return 0;
        rgb = color_in_band(p->width, x, band, p->frame);
        r = rgb >> 16;
        g = rgb >> 8 & 0xFF;
        b = rgb & 0xFF;
        switch (p->format) {
        case VGPU_FMT_BGRA8888:
                return 0xFF000000 | rgb;
        case VGPU_FMT_BGRX8888:
                return rgb; /* X is not alpha: whoever takes it for that shows nothing */
        case VGPU_FMT_RGBA8888:
                return 0xFF000000 | b << 16 | g << 8 | r;
        case VGPU_FMT_RGBX8888:
                return b << 16 | g << 8 | r;
        case VGPU_FMT_BGRA1010102:
                return 0xC0000000 | r << 22 | g << 12 | b << 2;
        case VGPU_FMT_RGBA1010102:
                return 0xC0000000 | b << 22 | g << 12 | r << 2;
        default: /* RGBA16F; an alpha just below one, as the stamp adds to it */
                return index % 2 ? 0x3BFCu << 16 | half_of(b) : half_of(g) << 16 | half_of(r);
        }
}

static void draw_tile(const struct picture *p, uint32_t first_word, uint32_t n_words, uint32_t band,
        uint32_t *tile)
{
        for (uint32_t i = 0; i < n_words; i++)
                tile[i] = word_of(p, first_word + i, band);
        for (uint32_t i = n_words; i % BLOCK_WORDS != 0; i++)
                tile[i] = 0;
}

static uint32_t mix(uint32_t h)
{
        h ^= h >> 16;
        h *= 0x85EBCA6B;
        h ^= h >> 13;
        h *= 0xC2B2AE35;
        return h ^ h >> 16;
}

static uint32_t row_hash(const struct picture *p, uint32_t y)
{
        return mix(mix(p->frame * 0x9E3779B1 ^ mix(p->seed)) + y);
}

static uint32_t block_hash(uint32_t row, uint32_t block)
{
        return mix(row + block * 0x9E3779B1);
}

/* A whole block as it must be. Vectors stay inside a function: a target without SSE cannot pass them. */
static inline __attribute__((always_inline)) void expect_block(
        const struct picture *p, const uint32_t *tile, uint32_t hash, v4u out[4])
{
        const uint32_t word[4] = { p->frame, p->frame >> 16, hash, hash >> 16 };

#pragma GCC unroll 4
        for (uint32_t k = 0; k < 4; k++) {
                const uint32_t one = 1u << 4 * k;
                const v4u lane = { one, one << 1, one << 2, one << 3 };

                out[k] = ((const v4u *)tile)[k];
#pragma GCC unroll 4
                for (int i = 0; i < 4; i++) {
                        v4u w = { word[i], word[i], word[i], word[i] };
                        v4u b = { p->bit[i], p->bit[i], p->bit[i], p->bit[i] };

                        out[k] |= (v4u)((w & lane) == lane) & b;
                }
        }
}

/* A tile's place in the frame, walked by fill and check alike. */
struct tile {
        uint32_t first_word, n_words, band;
        uint32_t words[TILE_WORDS];
};

static void fill_row(
        const struct picture *p, const struct tile *t, uint32_t y, uint32_t *restrict to)
{
        uint32_t row = row_hash(p, y), block = t->first_word / BLOCK_WORDS;
        uint32_t whole = t->n_words / BLOCK_WORDS * BLOCK_WORDS;
        v4u want[4];

        for (uint32_t i = 0; i < whole; i += BLOCK_WORDS) {
                expect_block(p, t->words + i, block_hash(row, block++), want);
                for (uint32_t k = 0; k < 4; k++)
                        ((v4u *)(to + i))[k] = want[k];
        }
        if (whole < t->n_words) {
                expect_block(p, t->words + whole, block_hash(row, block), want);
                for (uint32_t i = whole; i < t->n_words; i++)
                        to[i] = ((const uint32_t *)want)[i - whole];
        }
}

/* A tile's rows that lie in [first, end), each counted from the row @pixels begins with. */
static void fill_tile(const struct picture *p, const struct tile *t, uint32_t first, uint32_t end,
        uint8_t *pixels)
{
        uint32_t from = band_start(p->height, t->band), to = band_start(p->height, t->band + 1);

        from = from < first ? first : from;
        to = to > end ? end : to;
        for (uint32_t y = from; y < to; y++)
                fill_row(p, t, y,
                        (uint32_t *)(pixels + (uint64_t)(y - first) * p->stride) + t->first_word);
}

void pattern_fill_rows(void *pixels, uint32_t first_row, uint32_t n_rows, uint32_t width,
        uint32_t height, uint32_t stride, uint32_t format, uint64_t frame_id, uint32_t seed)
{
        const struct picture p = picture_of(width, height, stride, format, frame_id, seed);
        const uint32_t words = stride / 4, end = first_row + n_rows;
        struct tile t;

        for (t.band = n_rows ? band_of(height, first_row) : BANDS;
                t.band < BANDS && band_start(height, t.band) < end; t.band++) {
                for (t.first_word = 0; t.first_word < words; t.first_word += TILE_WORDS) {
                        uint32_t left = words - t.first_word;

                        t.n_words = left < TILE_WORDS ? left : TILE_WORDS;
                        draw_tile(&p, t.first_word, t.n_words, t.band, t.words);
                        fill_tile(&p, &t, first_row, end, pixels);
                }
        }
}

void pattern_fill(void *pixels, uint32_t width, uint32_t height, uint32_t stride, uint32_t format,
        uint64_t frame_id, uint32_t seed)
{
        pattern_fill_rows(pixels, 0, height, width, height, stride, format, frame_id, seed);
}

/* Words of @got that differ from the block (@block, @y) of @p's frame. */
static bool block_is(
        const struct picture *p, uint32_t y, uint32_t block, const uint32_t *got, uint32_t n_words)
{
        uint32_t tile[BLOCK_WORDS];
        v4u want[4];

        draw_tile(p, block * BLOCK_WORDS, n_words, band_of(p->height, y), tile);
        expect_block(p, tile, block_hash(row_hash(p, y), block), want);
        for (uint32_t i = 0; i < n_words; i++)
                if (got[i] != ((const uint32_t *)want)[i])
                        return false;
        return true;
}

/* Is the block right for another frame? A whole one says which; a short one is tried against the frames nearby. */
static bool find_torn(const struct picture *p, uint32_t y, uint32_t block, const uint32_t *got,
        uint32_t n_words, uint32_t *ret_frame)
{
        struct picture other = *p;

        if (n_words == BLOCK_WORDS) {
                other.frame = 0;
                for (uint32_t i = 0; i < BLOCK_WORDS; i++) {
                        other.frame |= (got[i] & p->bit[0] ? 1u : 0u) << i;
                        other.frame |= (got[i] & p->bit[1] ? 1u : 0u) << (i + 16);
                }
                *ret_frame = other.frame;
                return block_is(&other, y, block, got, n_words);
        }
        for (uint32_t d = 1; d <= 2 * NEARBY; d++) {
                other.frame = d % 2 ? p->frame - (d + 1) / 2 : p->frame + d / 2;
                *ret_frame = other.frame;
                if (block_is(&other, y, block, got, n_words))
                        return true;
        }
        return false;
}

static void count_bad(const struct picture *p, uint32_t y, uint32_t block, const uint32_t *got,
        uint32_t n_words, struct pattern_count *count)
{
        uint64_t at = (uint64_t)y * p->stride + (uint64_t)block * BLOCK_WORDS * 4;
        uint32_t frame;

        if (at < count->first_bad)
                count->first_bad = at;
        if (!find_torn(p, y, block, got, n_words, &frame)) {
                count->foreign++;
                return;
        }
        if (count->torn++ == 0)
                count->first_torn_id = frame;
}

static void check_row(const struct picture *p, const struct tile *t, uint32_t y,
        const uint32_t *from, struct pattern_count *count)
{
        uint32_t row = row_hash(p, y), block = t->first_word / BLOCK_WORDS;
        v4u want[4];

        for (uint32_t i = 0; i < t->n_words; i += BLOCK_WORDS, block++) {
                uint32_t n = t->n_words - i < BLOCK_WORDS ? t->n_words - i : BLOCK_WORDS;
                uint64_t wrong = 0;

                expect_block(p, t->words + i, block_hash(row, block), want);
                if (n == BLOCK_WORDS) {
                        v4u diff = { 0, 0, 0, 0 };

                        for (uint32_t k = 0; k < 4; k++)
                                diff |= want[k] ^ ((const v4u *)(from + i))[k];
                        wrong = diff[0] | diff[1] | diff[2] | diff[3];
                } else {
                        for (uint32_t k = 0; k < n; k++)
                                wrong |= from[i + k] ^ ((const uint32_t *)want)[k];
                }
                if (wrong == 0)
                        count->good++;
                else
                        count_bad(p, y, block, from + i, n, count);
        }
}

/* A tile's rows that lie in [first, end), each counted from the row @pixels begins with. */
static void check_tile(const struct picture *p, const struct tile *t, uint32_t first, uint32_t end,
        const uint8_t *pixels, struct pattern_count *count)
{
        uint32_t from = band_start(p->height, t->band), to = band_start(p->height, t->band + 1);

        from = from < first ? first : from;
        to = to > end ? end : to;
        for (uint32_t y = from; y < to; y++)
                check_row(p, t, y,
                        (const uint32_t *)(pixels + (uint64_t)(y - first) * p->stride) +
                                t->first_word,
                        count);
}

void pattern_check_rows(const void *pixels, uint32_t first_row, uint32_t n_rows, uint32_t width,
        uint32_t height, uint32_t stride, uint32_t format, uint64_t frame_id, uint32_t seed,
        struct pattern_count *ret_count)
{
        const struct picture p = picture_of(width, height, stride, format, frame_id, seed);
        const uint32_t words = stride / 4, end = first_row + n_rows;
        struct pattern_count count = { .first_bad = UINT64_MAX };
        struct tile t;

        for (t.band = n_rows ? band_of(height, first_row) : BANDS;
                t.band < BANDS && band_start(height, t.band) < end; t.band++) {
                for (t.first_word = 0; t.first_word < words; t.first_word += TILE_WORDS) {
                        uint32_t left = words - t.first_word;

                        t.n_words = left < TILE_WORDS ? left : TILE_WORDS;
                        draw_tile(&p, t.first_word, t.n_words, t.band, t.words);
                        check_tile(&p, &t, first_row, end, pixels, &count);
                }
        }
        *ret_count = count;
}

void pattern_check(const void *pixels, uint32_t width, uint32_t height, uint32_t stride,
        uint32_t format, uint64_t frame_id, uint32_t seed, struct pattern_count *ret_count)
{
        pattern_check_rows(
                pixels, 0, height, width, height, stride, format, frame_id, seed, ret_count);
}
