/*
 * watch.h - clients of the soak, each in a thread of its own
 *
 * A verifier checks every byte of the frames it is given; a prober copies nothing and notes how late it is told; a visitor is
 * a verifier that leaves after a few frames and comes again. All of them outlive their daemon.
 */
#ifndef SOAK_WATCH_H
#define SOAK_WATCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "latency.h"
#include "verify.h"

enum watch_kind { WATCH_VERIFIES, WATCH_PROBES, WATCH_VISITS };

/* What one has seen. */
struct watch_counts {
        uint64_t frames; /* taken; a prober's: published */
        uint64_t torn, foreign, backwards;
        uint64_t visits, reconnects;
};

struct watch_tally {
        struct watch_counts counts;
        struct latency latency; /* of a prober: publish to holding the descriptor */
};

struct watch {
        enum watch_kind kind;
        const char *socket; /* outlives the watch */
        uint32_t n_stripes;
        pthread_t thread;
        bool started;
        _Atomic bool stop;
        pthread_mutex_t lock; /* of the tally */
        struct watch_tally tally;
        uint64_t last_serial; /* the thread's own, as all that follows */
        struct verify verify;
};

/* @w: zero-filled, large: make it static; its first three fields set. Return: 0 or -errno. */
int watch_start(struct watch *w);

/* What came since the last call. */
void watch_take(struct watch *w, struct watch_tally *ret);

/* Ends the thread; what it saw until then is still to be taken. */
void watch_stop(struct watch *w);

#endif /* SOAK_WATCH_H */
