/*
 * guest_clock.h - what the guest's own clock says about the machine it runs in
 *
 * A paused VM is not a dead producer, and a restored snapshot is not the kernel we knew. Both show in
 * KUSER_SHARED_DATA.InterruptTime: it stands still in a paused VM, runs backwards or jumps against the host's monotonic
 * clock after a snapshot was restored or a migration. Windows skips ticks when idle, so nothing is judged over less
 * than GUEST_CLOCK_JUDGE_NS. Pure: the host's time is passed in.
 */
#ifndef VGPUD_GUEST_CLOCK_H
#define VGPUD_GUEST_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define GUEST_CLOCK_JUDGE_NS UINT64_C(250000000)

/*
 * A guest starved of CPU falls behind the host's clock and catches up again, but never gets ahead of where it was: what
 * does, by more than this slack for ticks and drift, lives in another stretch of time.
 */
#define GUEST_CLOCK_JUMP_NS INT64_C(2000000000)

enum guest_clock_verdict {
        GUEST_CLOCK_UNKNOWN, /* not watched for long enough */
        GUEST_CLOCK_RUNNING,
        GUEST_CLOCK_STANDING,
        GUEST_CLOCK_JUMPED, /* not the same stretch of time any more */
};

struct guest_clock {
        bool seen;
        bool moved;        /* ever, since reset */
        uint64_t guest_ns; /* last reading */
        uint64_t moved_ns; /* host time of the last reading that had moved on */
        int64_t ahead_ns; /* most that guest minus host ever was since reset or since the clock last stood */
};

/* Forget: a new epoch begins. */
void guest_clock_reset(struct guest_clock *c);

/* It was not looked at while the machine stood: it may be any time behind now, but not before its last reading. */
void guest_clock_resume(struct guest_clock *c, uint64_t host_ns);

/**
 * guest_clock_update() - take in one reading
 * @guest_ns: InterruptTime in nanoseconds
 * @host_ns:  CLOCK_MONOTONIC at the reading
 */
enum guest_clock_verdict guest_clock_update(
        struct guest_clock *c, uint64_t guest_ns, uint64_t host_ns);

#endif /* VGPUD_GUEST_CLOCK_H */
