/*
 * process.h - what a running process takes, as the kernel counts it
 *
 * Of a daemon's memory two things are not its own: the guest's RAM that it maps, whose every page it has looked at counts as
 * resident, and the ring, which is what it is for. They are told apart by the names of the files.
 */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process_memory {
        uint64_t rss_bytes, pss_bytes;    /* without the following two */
        uint64_t guest_bytes, ring_bytes; /* resident */
};

struct process_holds {
        unsigned n_fds, n_threads, n_maps;
};

/* Takes as long as a walk over all of its page tables. Return: false when it is gone or may not be looked at. */
bool process_memory(pid_t pid, struct process_memory *ret);

bool process_holds(pid_t pid, struct process_holds *ret);

/* CPU time of all its threads, ended ones included, in nanoseconds; 0 when it is gone. */
uint64_t process_cpu_ns(pid_t pid);

#endif /* BENCH_PROCESS_H */
