/*
 * find_daemon.h - the daemon's own loop, run step by step, to see when it finds what and how long it is busy
 *
 * A file of its own because the simulated guest and the daemon's both are a struct guest.
 */
#ifndef BENCH_FIND_DAEMON_H
#define BENCH_FIND_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

struct find_daemon;

/* Ends the program with a message when it cannot. Ended by find_daemon_close(). */
struct find_daemon *find_daemon_open(const char *ram_path);
void find_daemon_close(struct find_daemon *d);

/* One turn of the loop, at most some milliseconds long. Return: nanoseconds of processor time that the turn took. */
uint64_t find_daemon_turn(struct find_daemon *d);

/* Is a scan under way on another thread? */
bool find_daemon_is_scanning(const struct find_daemon *d);
bool find_daemon_is_streaming(const struct find_daemon *d);
bool find_daemon_is_searching(const struct find_daemon *d);

/* CLOCK_MONOTONIC when it last found a region that it did not know; 0: never. */
uint64_t find_daemon_found_ns(const struct find_daemon *d);

/* Scans sent out so far. */
uint64_t find_daemon_n_scans(const struct find_daemon *d);

#endif /* BENCH_FIND_DAEMON_H */
