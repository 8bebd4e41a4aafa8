/*
 * private.h - the stores and fences of the writer
 *
 * Compiler builtins, not <stdatomic.h>: the fields of the ABI are plain integers that C and C++ readers share, and the
 * freestanding kernel is built with the same lines.
 */
#ifndef VGPU_PRODUCER_PRIVATE_H
#define VGPU_PRODUCER_PRIVATE_H

#include "vgpu_producer.h"

#define load(at)               __atomic_load_n((at), __ATOMIC_RELAXED)
#define load_acquire(at)       __atomic_load_n((at), __ATOMIC_ACQUIRE)
#define store(at, value)       __atomic_store_n((at), (value), __ATOMIC_RELAXED)
#define store_release(at, val) __atomic_store_n((at), (val), __ATOMIC_RELEASE)

/* Stores before it are visible before stores after it, non-temporal ones included (a release store does not order
 * those). The assembly form needs no SSE in the compiler's target. */
static inline void fence_stores(void)
{
        __atomic_thread_fence(__ATOMIC_RELEASE);
        __asm__ volatile("sfence" ::: "memory");
}

static inline void fence_full(void)
{
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* The value that opens a seqlock. A line that was left odd by a writer that died moves on to the next odd value. */
static inline uint32_t seq_odd(uint32_t seq)
{
        return (seq + 1) | 1;
}

/* Open a seqlock: nothing written afterwards is seen under the old value. Return: the odd value. */
static inline uint32_t seq_open(uint32_t *at)
{
        uint32_t seq = seq_odd(load(at));

        store(at, seq);
        fence_stores();
        return seq;
}

/* Close it: everything written is seen under the new value. Pairs with the reader's acquire load of the same word. */
static inline void seq_close(uint32_t *at, uint32_t odd)
{
        fence_stores();
        store_release(at, odd + 1);
}

#endif /* VGPU_PRODUCER_PRIVATE_H */
