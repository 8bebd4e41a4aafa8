/*
 * pace_daemon.h - what the real daemon spends: processor time, looks, copies, system calls
 */
#ifndef BENCH_PACE_DAEMON_H
#define BENCH_PACE_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon_proc.h"

struct pace_daemon {
        struct daemon_proc proc;
        int calls_fd; /* counts system calls; -1: this machine cannot */
};

/* Since the daemon was started. */
struct pace_spent {
        uint64_t at_ns; /* CLOCK_MONOTONIC of the reading */
        uint64_t cpu_ns;
        uint64_t looks;
        uint64_t frames;         /* copied and checked */
        uint64_t copy_ns;        /* what those took, from the look's begin */
        uint64_t calls;          /* 0 where they are not counted */
        uint64_t copy_median_ns; /* of all so far, up to a quarter too long */
};

/* @latency: [pace] latency. Ends the program with a message when it cannot. */
void pace_daemon_start(struct pace_daemon *d, const char *ram, const char *latency);
void pace_daemon_stop(struct pace_daemon *d);

/* at_ns, cpu_ns and calls: costs the daemon nothing. */
void pace_daemon_clock(const struct pace_daemon *d, struct pace_spent *ret);

/* The rest. Asks the daemon, which costs it some of what pace_daemon_clock() measures: outside of what is measured. */
void pace_daemon_ask(const struct pace_daemon *d, struct pace_spent *ret);

#endif /* BENCH_PACE_DAEMON_H */
