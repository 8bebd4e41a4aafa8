/*
 * early.c - being awake before the frame is there
 *
 * Most of a hand-off is the time it takes to wake a process: an interrupt to a CPU that sleeps, more so if that CPU is
 * a virtual one. Writing a frame takes longer than that. So the daemon raises `soon` when it begins to write, and says
 * by when it is likely to be done; we sleep on both words, are awake by then, and see the wake word move within
 * nanoseconds.
 *
 * Nothing depends on it. `soon` and `due_ns` are hints: whatever they say, we sleep only on words loaded before the look
 * that found nothing, so no change is slept on, and the time spun per announcement is bounded. A frame may be thrown away
 * after it was announced; after a row of announcements that nothing followed we sleep through them until something does.
 */
#include "client.h"
#include "spin.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_US     UINT64_C(1000)
#define NS_PER_S      UINT64_C(1000000000)
#define LEAST_SPIN_NS (300 * NS_PER_US)
#define MOST_SPIN_NS  (10000 * NS_PER_US)
#define FAR_NS        NS_PER_S /* no frame takes that long to write: who says so means something else */
#define MOST_MISSES   8u
#define LOOKS         32 /* at the word, between two at the clock */

void early_init(struct early *e, uint32_t spin_us)
{
        *e = (struct early){ .spin_ns = spin_us * NS_PER_US };
        if (e->spin_ns > MOST_SPIN_NS)
                e->spin_ns = MOST_SPIN_NS;
}

/* The longer a frame is written, the less can be said of when it is done: a quarter of the time, and that is bounded. */
static uint64_t spin_for(const struct early *e, uint64_t now_ns, uint64_t due_ns)
{
        uint64_t spin_ns = due_ns > now_ns ? (due_ns - now_ns) / 4 : 0;

        if (e->spin_ns > 0)
                return e->spin_ns;
        if (spin_ns > MOST_SPIN_NS)
                return MOST_SPIN_NS;
        return spin_ns > LEAST_SPIN_NS ? spin_ns : LEAST_SPIN_NS;
}

bool early_works(const struct early *e, const struct mapping *m)
{
        return !e->refused && (m->identity.features & VGPU_RING_FEATURE_SOON);
}

static struct timespec timespec_of(uint64_t ns)
{
        return (struct timespec){ .tv_sec = (time_t)(ns / NS_PER_S),
                .tv_nsec = (long)(ns % NS_PER_S) };
}

/* Until either word is not what it was. Return: 0, or a negative errno. */
static int sleep_on_both(struct early *e, const struct vgpu_ring_header *h, uint32_t wake,
        uint32_t soon, uint64_t end_ns)
{
        struct futex_waitv words[2] = {
                { .val = wake, .uaddr = (uintptr_t)&h->wake, .flags = FUTEX_32 },
                { .val = soon, .uaddr = (uintptr_t)&h->soon, .flags = FUTEX_32 },
        };
        struct timespec end = timespec_of(end_ns);

        if (syscall(SYS_futex_waitv, words, 2, 0, &end, CLOCK_MONOTONIC) >= 0 || errno == EAGAIN ||
                errno == ETIMEDOUT)
                return 0;
        /* an older kernel, or a filter of system calls that does not know it: the caller sleeps on the wake word */
        if (errno != EINTR)
                e->refused = true;
        return errno == EINTR ? -EINTR : 0;
}

/* Return: whether the wake word moved. */
static bool spin(const uint32_t *word, uint32_t wake, uint64_t end_ns)
{
        do {
                for (int i = 0; i < LOOKS; i++) {
                        if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != wake)
                                return true;
                        spin_pause();
                }
        } while (monotonic_ns() < end_ns);
        return false;
}

/*
 * A frame is being written. Half of the time to spin lies before it is due: that also covers how late a timer wakes us,
 * which is its slack (50 us unless set otherwise) and the waking itself. Return: 0 (look again), or -EINTR.
 */
static int await_frame(
        struct early *e, const struct vgpu_ring_header *h, uint32_t wake, uint64_t end_ns)
{
        const uint64_t due_ns = __atomic_load_n(&h->due_ns, __ATOMIC_RELAXED);
        uint64_t now = monotonic_ns(), spin_ns = spin_for(e, now, due_ns), begin_ns;

        if (due_ns < spin_ns || due_ns > now + FAR_NS || due_ns + spin_ns < now)
                return 0;
        begin_ns = due_ns - spin_ns / 2;
        if (begin_ns > end_ns)
                begin_ns = end_ns;
        if (begin_ns > now) {
                struct timespec nap = timespec_of(begin_ns - now);

                if (syscall(SYS_futex, &h->wake, FUTEX_WAIT, wake, &nap, NULL, 0) < 0 &&
                        errno == EINTR)
                        return -EINTR;
                now = monotonic_ns();
        }
        if (spin(&h->wake, wake, now + spin_ns < end_ns ? now + spin_ns : end_ns))
                e->n_missed = 0;
        else
                e->n_missed++;
        return 0;
}

int early_nap(
        struct early *e, const struct mapping *m, uint32_t wake, uint32_t soon, uint64_t nap_ns)
{
        const struct vgpu_ring_header *h = m->header;
        uint64_t end_ns = monotonic_ns() + nap_ns;
        int err = sleep_on_both(e, h, wake, soon, end_ns);

        if (err < 0 || e->refused)
                return err;
        if (__atomic_load_n(&h->wake, __ATOMIC_ACQUIRE) != wake) {
                e->n_missed = 0;
                return 0;
        }
        if (__atomic_load_n(&h->soon, __ATOMIC_ACQUIRE) == soon || e->n_missed >= MOST_MISSES)
                return 0;
        return await_frame(e, h, wake, end_ns);
}
