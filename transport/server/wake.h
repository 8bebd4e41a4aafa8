/*
 * wake.h - edges and bytes for the clients' wake sockets, one by one or many at once (private to server/)
 */
#ifndef VGPUD_WAKE_H
#define VGPUD_WAKE_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#define WAKER_TRIAL_MOST                                                                           \
        128u /* clients; where a submission loses against so many sends it is not used at all */

/* How far the search for the crossover has come. */
struct waker_trial {
        uint32_t size;     /* clients that are tried now; 0: nothing is left to find out */
        uint32_t best;     /* the fewest for which a submission won; UINT32_MAX: none yet */
        uint32_t n_rounds; /* of this size */
        uint64_t each_ns, batch_ns; /* the quickest round of each way */
};

struct waker {
        struct io_uring uring;
        bool has_uring;
        uint32_t
                batch; /* from so many on it is one submission; UINT32_MAX without io_uring and until measured */
        struct waker_trial trial;
        bool has_edges; /* this kernel makes them */
        uint32_t max;
        uint32_t n, n_edges;
        int *fd;   /* whom to send a byte, n of max */
        int *edge; /* whom to give an edge, n_edges of max */
};

struct waker_result {
        uint32_t woken;
        uint32_t refused; /* the last byte was not taken yet, or the client closed its end */
        bool batched;
};

/**
 * waker_init() - get ready for @max at once
 * @batch: as server_config.wake_batch; what is to be measured is left to waker_measure()
 *
 * Without io_uring (old kernel, seccomp, no memory) everything is done one by one. An all-zero one is what
 * waker_deinit() takes, too.
 *
 * Return: 0, -ENOMEM.
 */
int waker_init(struct waker *w, uint32_t max, uint32_t batch);
void waker_deinit(struct waker *w);

/**
 * waker_measure() - one step towards from how many on a submission pays
 *
 * At most 256 bytes through sockets of its own, a few hundred microseconds, and not between waker_add() and
 * waker_flush(). Until the last step everything is sent one by one, which is never wrong. 35 steps at most.
 *
 * Return: whether there is another step to take.
 */
bool waker_measure(struct waker *w);

/**
 * waker_pair() - a wake socket
 * @edge:           it is to be woken by edges, which takes waker.has_edges; by bytes otherwise
 * @ret_client_end: to pass to the client, then to close
 *
 * Return: our end, or a negative errno.
 */
int waker_pair(bool edge, int *ret_client_end);

/* Remember one end that waker_pair() gave, with what it was asked for; at most @max until the next flush. */
static inline void waker_add(struct waker *w, int fd, bool edge)
{
        if (edge)
                w->edge[w->n_edges++] = fd;
        else
                w->fd[w->n++] = fd;
}

/* Wake each that was added. Never waits. */
struct waker_result waker_flush(struct waker *w);

#endif /* VGPUD_WAKE_H */
