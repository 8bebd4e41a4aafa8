/* copy_hand.c - see copy_hand.h */
#include "copy_hand.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

static void by_memcpy(const struct hand_frame *f, size_t first, size_t end)
{
        for (size_t i = first; i < end; i++)
                memcpy(f->dst + i * HAND_PAGE, f->page[i], HAND_PAGE);
}

/* Neighbours in one call: what memcpy() is best at. */
static void by_memcpy_of_runs(const struct hand_frame *f, size_t first, size_t end)
{
        for (size_t i = first, next; i < end; i = next) {
                next = i + 1;
                while (next < end && f->page[next] == f->page[next - 1] + HAND_PAGE)
                        next++;
                memcpy(f->dst + i * HAND_PAGE, f->page[i], (next - i) * HAND_PAGE);
        }
}

#ifdef __x86_64__

static void by_movsb(const struct hand_frame *f, size_t first, size_t end)
{
        for (size_t i = first; i < end; i++) {
                const uint8_t *src = f->page[i];
                uint8_t *dst = f->dst + i * HAND_PAGE;
                size_t n = HAND_PAGE;

                __builtin_prefetch(f->page[i + 1]);
                __asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(n) : : "memory");
        }
}

static bool has_avx2(void)
{
        return __builtin_cpu_supports("avx2");
}

static bool has_avx512(void)
{
        return __builtin_cpu_supports("avx512f");
}

#define AVX2   __attribute__((target("avx2")))
#define AVX512 __attribute__((target("avx512f")))

static inline __attribute__((always_inline)) AVX2 void line2(uint8_t *dst, const uint8_t *src)
{
        __m256i a = _mm256_loadu_si256((const void *)src);
        __m256i b = _mm256_loadu_si256((const void *)(src + 32));

        _mm256_stream_si256((void *)dst, a);
        _mm256_stream_si256((void *)(dst + 32), b);
}

/* @ask: how much of the next page is asked for while this one is copied */
static inline __attribute__((always_inline)) AVX2 void one_by_one(
        const struct hand_frame *f, size_t first, size_t end, size_t ask)
{
        for (size_t i = first; i < end; i++) {
                const uint8_t *src = f->page[i], *next = f->page[i + 1];
                uint8_t *dst = f->dst + i * HAND_PAGE;

                for (size_t at = 0; at < HAND_PAGE; at += 64) {
                        if (at < ask)
                                __builtin_prefetch(next + at, 0, 0);
                        line2(dst + at, src + at);
                }
        }
        _mm_sfence();
}

static AVX2 void by_avx2(const struct hand_frame *f, size_t first, size_t end)
{
        one_by_one(f, first, end, HAND_PAGE);
}

static AVX2 void by_avx2_quarter(const struct hand_frame *f, size_t first, size_t end)
{
        one_by_one(f, first, end, HAND_PAGE / 4);
}

static AVX512 void by_avx512(const struct hand_frame *f, size_t first, size_t end)
{
        for (size_t i = first; i < end; i++) {
                const uint8_t *src = f->page[i], *next = f->page[i + 1];
                uint8_t *dst = f->dst + i * HAND_PAGE;

                for (size_t at = 0; at < HAND_PAGE; at += 64) {
                        __builtin_prefetch(next + at, 0, 0);
                        _mm512_stream_si512(
                                (void *)(dst + at), _mm512_loadu_si512((const void *)(src + at)));
                }
        }
        _mm_sfence();
}

static AVX2 void by_fours(const struct hand_frame *f, size_t first, size_t end)
{
        size_t i = first;

        for (; i + 4 <= end; i += 4) {
                uint8_t *dst = f->dst + i * HAND_PAGE;

                for (size_t k = 0; k < 4; k++)
                        __builtin_prefetch(f->page[i + 4 + k], 0, 0);
                for (size_t at = 0; at < HAND_PAGE; at += 64) {
                        line2(dst + at, f->page[i] + at);
                        line2(dst + HAND_PAGE + at, f->page[i + 1] + at);
                        line2(dst + 2 * HAND_PAGE + at, f->page[i + 2] + at);
                        line2(dst + 3 * HAND_PAGE + at, f->page[i + 3] + at);
                }
        }
        by_avx2_quarter(f, i, end);
}

#endif

const struct hand hands[] = {
        { "memcpy, page by page", NULL, by_memcpy },
        { "memcpy, run by run", NULL, by_memcpy_of_runs },
#ifdef __x86_64__
        { "rep movsb", NULL, by_movsb },
        { "AVX2 past caches", has_avx2, by_avx2 },
        { "AVX2 past caches, less asked", has_avx2, by_avx2_quarter },
        { "AVX-512 past caches", has_avx512, by_avx512 },
        { "AVX2, four pages at once", has_avx2, by_fours },
#endif
};
const size_t n_hands = sizeof(hands) / sizeof(hands[0]);

/* ---- two threads ------------------------------------------------------------------------------------------------- */

static struct {
        pthread_t thread;
        atomic_uint asked, done; /* rounds of work */
        atomic_bool looks, stop;
        const struct hand *hand;
        const struct hand_frame *frame;
} helper;

static void *help(void *arg)
{
        unsigned seen = 0;

        (void)arg;
        atomic_store_explicit(&helper.looks, true, memory_order_release);
        while (!atomic_load_explicit(&helper.stop, memory_order_relaxed)) {
                if (atomic_load_explicit(&helper.asked, memory_order_acquire) == seen)
                        continue;
                seen++;
                helper.hand->copy(helper.frame, helper.frame->n_pages / 2, helper.frame->n_pages);
                atomic_store_explicit(&helper.done, seen, memory_order_release);
        }
        return NULL;
}

bool hand_helper_start(void)
{
        atomic_store(&helper.looks, false);
        atomic_store(&helper.stop, false);
        atomic_store(&helper.asked, 0);
        atomic_store(&helper.done, 0);
        if (pthread_create(&helper.thread, NULL, help, NULL) != 0)
                return false;
        while (!atomic_load_explicit(&helper.looks, memory_order_acquire))
                ;
        return true;
}

void hand_helper_stop(void)
{
        atomic_store(&helper.stop, true);
        pthread_join(helper.thread, NULL);
}

void hand_copy(const struct hand *hand, const struct hand_frame *f, unsigned n_threads)
{
        unsigned turn;

        if (n_threads == 1) {
                hand->copy(f, 0, f->n_pages);
                return;
        }
        helper.hand = hand;
        helper.frame = f;
        turn = atomic_fetch_add_explicit(&helper.asked, 1, memory_order_release) + 1;
        hand->copy(f, 0, f->n_pages / 2);
        while (atomic_load_explicit(&helper.done, memory_order_acquire) != turn)
                ;
}
