/*
 * seqlock.h - the one way in which shared memory of the ring is written and read
 *
 * One writer, any number of readers, which write nothing. The writer makes seq odd, stores, and makes it even; a
 * reader loads an even seq, copies, and keeps the copy if seq is still that. In C11's terms:
 *
 *      writer                                  reader
 *      seq = odd (relaxed)                     at = seq (acquire), even
 *      fence(release)         A                copy (relaxed loads)
 *      stores (relaxed)                        fence(acquire)          B
 *      fence(release), seq = even (release)    seq (relaxed) == at
 *
 * A copy that has one word of a later window met A by way of that word and B, so the last load sees the odd seq or
 * what follows it, and the copy is refused. A copy of an earlier window is ruled out by the acquire load of `at`.
 * models/seqlock.pml leaves each of these out in turn.
 *
 * Descriptors, records and changes are copied by words_load() and words_store(), whose every word is an atomic: no
 * data race, between processes or threads. Pixels are not. A frame is megabytes that only wide and non-temporal
 * stores move at the speed of memory, and C11 has no atomic of that kind. Why a plain copy does what is needed is
 * said at pixels_copy(), the one place that makes it.
 *
 * ThreadSanitizer knows acquire and release of seq, not fences; those are told to it. Not installed: programs use
 * vgpu_client.h.
 */
#ifndef VGPU_SEQLOCK_H
#define VGPU_SEQLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SANITIZE_THREAD__)
#define SEQLOCK_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SEQLOCK_TSAN 1
#endif
#endif

#ifdef SEQLOCK_TSAN
#include <sanitizer/tsan_interface.h>
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
#define TSAN_RELEASE(addr)        __tsan_release((void *)(addr))
#define TSAN_ACQUIRE(addr)        __tsan_acquire((void *)(addr))
#define TSAN_IGNORE_READS_BEGIN() AnnotateIgnoreReadsBegin(__FILE__, __LINE__)
#define TSAN_IGNORE_READS_END()   AnnotateIgnoreReadsEnd(__FILE__, __LINE__)
#else
#define TSAN_RELEASE(addr)        ((void)0)
#define TSAN_ACQUIRE(addr)        ((void)0)
#define TSAN_IGNORE_READS_BEGIN() ((void)0)
#define TSAN_IGNORE_READS_END()   ((void)0)
#endif

/*
 * Order everything before against everything after for readers on other CPUs, non-temporal stores included: those
 * are weakly ordered even on x86 and a release store does not wait for them.
 */
static inline void write_barrier(void)
{
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_sfence();
#endif
        __atomic_thread_fence(__ATOMIC_RELEASE);
}

static inline void seq_open(uint32_t *seq)
{
        /* from an aborted write seq is odd already; it must move all the same */
        uint32_t odd = (__atomic_load_n(seq, __ATOMIC_RELAXED) + 1) | 1;

        __atomic_store_n(seq, odd, __ATOMIC_RELAXED);
        write_barrier();
        TSAN_RELEASE(seq);
}

static inline void seq_close(uint32_t *seq)
{
        write_barrier();
        __atomic_store_n(seq, __atomic_load_n(seq, __ATOMIC_RELAXED) + 1, __ATOMIC_RELEASE);
}

/* Begin to copy. Return: whether there is anything to copy; false while it is written, or was thrown away. */
static inline bool seq_read(const uint32_t *seq, uint32_t *ret_at)
{
        *ret_at = __atomic_load_n(seq, __ATOMIC_ACQUIRE);
        return !(*ret_at & 1);
}

/* Is everything copied since seq_read() gave @at of one window? */
static inline bool seq_held(const uint32_t *seq, uint32_t at)
{
        /* pairs with the barrier of seq_open() */
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        TSAN_ACQUIRE(seq);
        return __atomic_load_n(seq, __ATOMIC_RELAXED) == at;
}

/* @len: a multiple of 8; @shared is aligned to 8, the private side need not be. Word by word, in any order. */
static inline void words_load(void *dst, const void *shared, size_t len)
{
        const uint64_t *from = shared;

        for (size_t i = 0; i < len / sizeof(*from); i++) {
                uint64_t word = __atomic_load_n(&from[i], __ATOMIC_RELAXED);

                memcpy((uint8_t *)dst + i * sizeof(word), &word, sizeof(word));
        }
}

static inline void words_store(void *shared, const void *src, size_t len)
{
        uint64_t *to = shared;

        for (size_t i = 0; i < len / sizeof(*to); i++) {
                uint64_t word;

                memcpy(&word, (const uint8_t *)src + i * sizeof(word), sizeof(word));
                __atomic_store_n(&to[i], word, __ATOMIC_RELAXED);
        }
}

/**
 * pixels_copy() - copy pixels that the writer may be overwriting, between seq_read() and seq_held()
 *
 * Plain loads, against stores that may be going on. By the letter of C11 that is a data race between two threads, and
 * of two processes C11 says nothing; what counts is what a compiler and a CPU may do. No compiler may carry a load of
 * memory that others can see over the acquire load before it or the acquire fence behind it, and it has no use for
 * these bytes but to put them into @dst: nothing is decided by them, so it does not matter if they are read twice or
 * torn. A CPU orders plain and relaxed loads alike. And nobody looks at @dst before seq_held() has said that no
 * store came between: then there was no race.
 *
 * ThreadSanitizer, which goes by the letter, is told to leave out these reads. It does watch the writer's stores,
 * everything else that readers do, and the pixels that a lease keeps: in those nobody may be writing.
 */
static inline void pixels_copy(void *dst, const void *shared, size_t len)
{
        TSAN_IGNORE_READS_BEGIN();
        memcpy(dst, shared, len);
        TSAN_IGNORE_READS_END();
}

#endif /* VGPU_SEQLOCK_H */
