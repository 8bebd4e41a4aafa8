/*
 * copy_helper.c - see copy_helper.h
 *
 * A chunk's state says whose it is. Only the loop's thread offers and frees; either thread turns OFFERED into TAKEN, by a
 * compare-and-swap, and who did turns it into DONE. So there is no order among chunks, no index that could run over, and no
 * lock that a thread could hold while it does not run.
 */
#include "copy_helper.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <uv.h>

#include "spin.h"

/* How long the helper looks for chunks in vain after a call. From one to the first chunk it is a quarter. */
#define IDLE_NS UINT64_C(200000)

/* How long the loop's thread looks whether the helper is done, before it sleeps: one chunk, or two. */
#define WAIT_NS UINT64_C(100000)

enum state {
        FREE,
        OFFERED,
        TAKEN,
        DONE,
};

/* One thread sleeps in it until the other has changed something. */
struct bed {
        uv_sem_t sem;
        atomic_bool taken;
};

struct copy_helper {
        uv_thread_t thread;
        unsigned offered; /* the one that was offered last */
        struct copy_chunk chunk[COPY_HELPER_CHUNKS];
        struct gva_extent piece[COPY_HELPER_CHUNKS][COPY_HELPER_CHUNK_PIECES];

        /* What both threads look at, apart from the rest. */
        alignas(64) atomic_int state[COPY_HELPER_CHUNKS];
        atomic_uint next; /* where to look first, so that chunks are taken in order, nearly */
        atomic_uint calls;
        atomic_bool wanted; /* between call and dismissal */
        atomic_bool ends;
        struct bed helpers, loops;
};

/* ---- sleep ------------------------------------------------------------------------------------------------------- */

/*
 * Who sleeps takes the bed first and then asks whether there is a reason to; who wakes makes the reason go away first and then
 * looks at the bed. In one order of both, which sequential consistency is, one of the two sees the other; and whichever finds the
 * bed taken ends that, so that there is a post for each wait.
 */
static void sleep_while(struct copy_helper *h, struct bed *bed,
        bool (*reason)(struct copy_helper *h, unsigned what), unsigned what)
{
        atomic_store(&bed->taken, true);
        if (reason(h, what) || !atomic_exchange(&bed->taken, false))
                uv_sem_wait(&bed->sem);
}

static void wake(struct bed *bed)
{
        if (atomic_exchange(&bed->taken, false))
                uv_sem_post(&bed->sem);
}

/* ---- chunks, by either thread ------------------------------------------------------------------------------------ */

/* Acquires what was stored before it was offered. */
static bool take(struct copy_helper *h, unsigned *ret_i)
{
        unsigned first = atomic_load_explicit(&h->next, memory_order_relaxed);

        for (unsigned n = 0; n < COPY_HELPER_CHUNKS; n++) {
                unsigned i = (first + n) % COPY_HELPER_CHUNKS;
                int expected = OFFERED;

                if (atomic_load_explicit(&h->state[i], memory_order_relaxed) != OFFERED)
                        continue;
                if (!atomic_compare_exchange_strong_explicit(&h->state[i], &expected, TAKEN,
                            memory_order_acquire, memory_order_relaxed))
                        continue;
                atomic_store_explicit(&h->next, i + 1, memory_order_relaxed);
                *ret_i = i;
                return true;
        }
        return false;
}

static void copy(struct copy_chunk *k)
{
        k->result = vgpu_source_gather(k->source, k->piece, k->n, 0, k->dst);
}

/* ---- the helper's thread ----------------------------------------------------------------------------------------- */

/* Until it is dismissed, or was called in vain. Returns how many calls it has heard. */
static unsigned serve(struct copy_helper *h)
{
        unsigned i, heard = atomic_load(&h->calls);
        uint64_t since_ns = uv_hrtime();

        while (atomic_load_explicit(&h->wanted, memory_order_relaxed)) {
                unsigned calls = atomic_load(&h->calls);
                bool took = take(h, &i);

                if (took) {
                        copy(&h->chunk[i]);
                        atomic_store(&h->state[i], DONE);
                        wake(&h->loops);
                }
                if (took || calls != heard)
                        since_ns = uv_hrtime();
                else if (uv_hrtime() - since_ns > IDLE_NS)
                        break;
                heard = calls;
                spin_pause();
        }
        return heard;
}

static bool not_called(struct copy_helper *h, unsigned calls)
{
        return atomic_load(&h->calls) == calls;
}

static void help(void *arg)
{
        struct copy_helper *h = arg;
        unsigned calls = 0;

        /* It is there for another processor: where none is free it waits behind the loop's thread, and is not put before it. */
        sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){ 0 });
        for (;;) {
                sleep_while(h, &h->helpers, not_called, calls);
                if (atomic_load(&h->ends))
                        return;
                calls = serve(h);
        }
}

/* Signals are the loop's. What a fault of this thread's own raises must reach it: a RAM file that shrinks is a SIGBUS. */
static int start_thread(struct copy_helper *h)
{
        sigset_t all, before;
        int r;

        sigfillset(&all);
        sigdelset(&all, SIGBUS);
        sigdelset(&all, SIGSEGV);
        sigdelset(&all, SIGFPE);
        sigdelset(&all, SIGILL);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = uv_thread_create(&h->thread, help, h);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return r;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static int start(struct copy_helper *h)
{
        int r = uv_sem_init(&h->helpers.sem, 0);

        if (r < 0)
                return r;
        r = uv_sem_init(&h->loops.sem, 0);
        if (r < 0) {
                uv_sem_destroy(&h->helpers.sem);
                return r;
        }
        r = start_thread(h);
        if (r < 0) {
                uv_sem_destroy(&h->helpers.sem);
                uv_sem_destroy(&h->loops.sem);
        }
        return r;
}

int copy_helper_new(struct copy_helper **ret_helper)
{
        struct copy_helper *h = aligned_alloc(alignof(struct copy_helper), sizeof(*h));
        int r;

        if (!h)
                return -ENOMEM;
        *h = (struct copy_helper){ 0 };
        for (unsigned i = 0; i < COPY_HELPER_CHUNKS; i++) {
                h->chunk[i].piece = h->piece[i];
                h->chunk[i].max = COPY_HELPER_CHUNK_PIECES;
        }
        r = start(h);
        if (r < 0)
                free(h);
        else
                *ret_helper = h;
        return r;
}

struct copy_helper *copy_helper_free(struct copy_helper *h)
{
        if (!h)
                return NULL;
        copy_helper_dismiss(h);
        atomic_store(&h->ends, true);
        atomic_fetch_add(&h->calls, 1);
        wake(&h->helpers);
        uv_thread_join(&h->thread);
        uv_sem_destroy(&h->helpers.sem);
        uv_sem_destroy(&h->loops.sem);
        free(h);
        return NULL;
}

void copy_helper_call(struct copy_helper *h)
{
        atomic_store_explicit(&h->wanted, true, memory_order_relaxed);
        atomic_fetch_add(&h->calls, 1);
        wake(&h->helpers);
}

void copy_helper_dismiss(struct copy_helper *h)
{
        atomic_store_explicit(&h->wanted, false, memory_order_relaxed);
}

/* ---- chunks, by the loop's thread -------------------------------------------------------------------------------- */

static int state_of(struct copy_helper *h, unsigned i)
{
        return atomic_load_explicit(&h->state[i], memory_order_acquire);
}

struct copy_chunk *copy_helper_room(struct copy_helper *h)
{
        for (unsigned n = 1; n <= COPY_HELPER_CHUNKS; n++) {
                unsigned i = (h->offered + n) % COPY_HELPER_CHUNKS;

                if (state_of(h, i) == FREE)
                        return &h->chunk[i];
        }
        return NULL;
}

void copy_helper_offer(struct copy_helper *h, struct copy_chunk *k)
{
        h->offered = (unsigned)(k - h->chunk);
        /* pairs with take() */
        atomic_store_explicit(&h->state[h->offered], OFFERED, memory_order_release);
}

bool copy_helper_work(struct copy_helper *h)
{
        unsigned i;

        if (!take(h, &i))
                return false;
        copy(&h->chunk[i]);
        atomic_store_explicit(&h->state[i], DONE, memory_order_relaxed);
        return true;
}

const struct copy_chunk *copy_helper_done(struct copy_helper *h)
{
        for (unsigned i = 0; i < COPY_HELPER_CHUNKS; i++) {
                /* pairs with serve() */
                if (state_of(h, i) != DONE)
                        continue;
                atomic_store_explicit(&h->state[i], FREE, memory_order_relaxed);
                return &h->chunk[i];
        }
        return NULL;
}

static bool is_taken(struct copy_helper *h, unsigned i)
{
        return atomic_load(&h->state[i]) == TAKEN;
}

bool copy_helper_wait(struct copy_helper *h)
{
        uint64_t since_ns;
        unsigned i = 0;

        while (i < COPY_HELPER_CHUNKS && !is_taken(h, i))
                i++;
        if (i == COPY_HELPER_CHUNKS)
                return false;
        since_ns = uv_hrtime();
        while (is_taken(h, i) && uv_hrtime() - since_ns < WAIT_NS)
                spin_pause();
        if (is_taken(h, i))
                sleep_while(h, &h->loops, is_taken, i);
        return true;
}

void copy_helper_stop(struct copy_helper *h)
{
        for (unsigned i = 0; i < COPY_HELPER_CHUNKS; i++) {
                int expected = OFFERED;

                atomic_compare_exchange_strong_explicit(
                        &h->state[i], &expected, FREE, memory_order_relaxed, memory_order_relaxed);
        }
        while (copy_helper_wait(h))
                ;
        while (copy_helper_done(h))
                ;
}
