/*
 * limit.h - a token bucket that remembers what it refused (private)
 *
 * Pure: time comes in, so a test needs no clock.
 */
#ifndef VGPU_SYSTEMD_LIMIT_H
#define VGPU_SYSTEMD_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/* All zero is a full bucket. */
struct limit {
        uint64_t
                spent_ns; /* time that has to pass until the bucket is full again, counted from @since_ns */
        uint64_t since_ns;
        uint64_t n_swallowed;   /* refused since the last that was let through */
        uint64_t swallowing_ns; /* since when, if any was */
};

/**
 * limit_take() - may one more happen?
 * @l:          the bucket
 * @burst:      that many at once, 0: any number
 * @interval_s: in which that many come back
 * @now_ns:     a monotonic clock
 *
 * Return: true, or false and it is counted.
 */
bool limit_take(struct limit *l, uint32_t burst, uint32_t interval_s, uint64_t now_ns);

/* Like limit_take(), without counting a refusal. */
bool limit_peek(const struct limit *l, uint32_t burst, uint32_t interval_s, uint64_t now_ns);

#endif /* VGPU_SYSTEMD_LIMIT_H */
