/*
 * copy_x86.c - the loops that move a frame, for what an x86-64 processor may have (see copy.h)
 *
 * Compiled for each by attribute, so that one program runs on all; which one runs is asked of the processor. The two
 * widths are the same two functions: what differs is the register and the names of its instructions. A third, of AVX-512, was
 * slower (docs/performance.md).
 */
#ifdef __x86_64__

#include <immintrin.h>

#include "copy.h"

#define LINE 64u

/* Of a page that will be read soon: the prefetchers of the processor take over once it has begun. */
#define ASK_AHEAD 1024u

#define INLINE static inline __attribute__((always_inline))

static void settle(void)
{
        _mm_sfence();
}

/* ---- one line ---------------------------------------------------------------------------------------------------- */

INLINE __attribute__((target("avx2"))) void line_avx2(uint8_t *dst, const uint8_t *src)
{
        __m256i a = _mm256_loadu_si256((const void *)src);
        __m256i b = _mm256_loadu_si256((const void *)(src + 32));

        _mm256_stream_si256((void *)dst, a);
        _mm256_stream_si256((void *)(dst + 32), b);
}

INLINE void line_sse2(uint8_t *dst, const uint8_t *src)
{
        __m128i a = _mm_loadu_si128((const void *)src);
        __m128i b = _mm_loadu_si128((const void *)(src + 16));
        __m128i c = _mm_loadu_si128((const void *)(src + 32));
        __m128i d = _mm_loadu_si128((const void *)(src + 48));

        _mm_stream_si128((void *)dst, a);
        _mm_stream_si128((void *)(dst + 16), b);
        _mm_stream_si128((void *)(dst + 32), c);
        _mm_stream_si128((void *)(dst + 48), d);
}

/* ---- a run, and four pages --------------------------------------------------------------------------------------- */

#define KIND(isa, line, attribute)                                                                 \
        static attribute void run_##isa(                                                           \
                uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *next)                 \
        {                                                                                          \
                for (size_t at = 0; at < len; at += LINE) {                                        \
                        if (at < ASK_AHEAD)                                                        \
                                __builtin_prefetch(next + at, 0, 0);                               \
                        line(dst + at, src + at);                                                  \
                }                                                                                  \
        }                                                                                          \
                                                                                                   \
        static attribute void pages_##isa(uint8_t *const dst[COPY_LANES],                          \
                const uint8_t *const src[COPY_LANES], const uint8_t *const next[COPY_LANES])       \
        {                                                                                          \
                for (unsigned i = 0; i < COPY_LANES; i++)                                          \
                        __builtin_prefetch(next[i], 0, 0);                                         \
                for (size_t at = 0; at < GVA_PAGE_BYTES; at += LINE) {                             \
                        line(dst[0] + at, src[0] + at);                                            \
                        line(dst[1] + at, src[1] + at);                                            \
                        line(dst[2] + at, src[2] + at);                                            \
                        line(dst[3] + at, src[3] + at);                                            \
                }                                                                                  \
        }

_Static_assert(COPY_LANES == 4, "pages are written out");

KIND(avx2, line_avx2, __attribute__((target("avx2"))))
KIND(sse2, line_sse2, __attribute__((target("sse2"))))

static bool has_avx2(void)
{
        return __builtin_cpu_supports("avx2");
}

const struct copy_kind copy_avx2 = {
        .name = "avx2",
        .way = VGPU_COPY_STREAM,
        .usable = has_avx2,
        .run = run_avx2,
        .pages = pages_avx2,
        .settle = settle,
};

const struct copy_kind copy_sse2 = {
        .name = "sse2",
        .way = VGPU_COPY_STREAM,
        .run = run_sse2,
        .pages = pages_sse2,
        .settle = settle,
};

/* ---- by the processor itself ------------------------------------------------------------------------------------- */

static void run_movsb(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *next)
{
        __builtin_prefetch(next, 0, 0);
        __asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(len) : : "memory");
}

const struct copy_kind copy_movsb = {
        .name = "movsb",
        .way = VGPU_COPY_MOVSB,
        .run = run_movsb,
};

#endif /* __x86_64__ */
