/*
 * wake.c - edges and bytes for the clients' wake sockets, one by one or many at once
 *
 * What a client can poll must not be able to stop us. An eventfd is one open file description: its holder clears
 * O_NONBLOCK, fills the counter, and our write hangs. A pipe has two, but one mutex, which a read() holds while it
 * copies into the reader's memory; a reader whose memory is a map of a FUSE file answers that page fault when it likes, and
 * O_NONBLOCK does not keep a writer from waiting for the mutex. Sending on a socket takes no lock that is held over
 * an access to anybody's memory, so it is a pair of stream sockets: a byte goes in, or it does not.
 *
 * A byte is a buffer, made here and unmade there: a third of what waking a client takes, once a copied frame has emptied
 * the caches. So there is a way without one. An end that is shut down already and shut down again tells all who wait at
 * the other end that its state changed, which is what an epoll calls an edge. Nothing is stored and nothing has to be
 * read, so it cannot run full either; the two locks of it are held for a few stores. The kernel promises that to nobody,
 * so it is tried out first (edges_work()); a client has to ask for it, since poll() by itself sees no edges.
 */
#include "wake.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "server.h"

#define MAX_ENTRIES 4096u /* of one submission; more clients take several */

/* ---- one by one -------------------------------------------------------------------------------- */

static void count(struct waker_result *result, bool sent)
{
        if (sent)
                result->woken++;
        else
                result->refused++;
}

/* -1 stands for one that is done. */
static void send_each(struct waker *w, struct waker_result *result)
{
        for (uint32_t i = 0; i < w->n; i++) {
                if (w->fd[i] >= 0)
                        count(result, send(w->fd[i], "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1);
        }
}

/* ---- edges ------------------------------------------------------------------------------------- */

static bool give_edge(int fd)
{
        return shutdown(fd, SHUT_WR) == 0;
}

static void give_edges(struct waker *w, struct waker_result *result)
{
        for (uint32_t i = 0; i < w->n_edges; i++)
                count(result, give_edge(w->edge[i]));
}

/* Is there one for each, and none by itself? */
static bool edges_come(int epoll_fd, int ours)
{
        struct epoll_event event;

        for (int i = 0; i < 2; i++) {
                if (epoll_wait(epoll_fd, &event, 1, 0) != 0 || !give_edge(ours) ||
                        epoll_wait(epoll_fd, &event, 1, 0) != 1)
                        return false;
        }
        return epoll_wait(epoll_fd, &event, 1, 0) == 0;
}

static bool edges_work(void)
{
        struct epoll_event event = { .events = EPOLLIN | EPOLLET };
        int theirs = -1, ours = waker_pair(true, &theirs);
        int epoll_fd;
        bool work;

        if (ours < 0)
                return false;
        epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        /* readable it is from the start */
        work = epoll_fd >= 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, theirs, &event) == 0 &&
               epoll_wait(epoll_fd, &event, 1, 0) == 1 && edges_come(epoll_fd, ours);
        if (epoll_fd >= 0)
                close(epoll_fd);
        close(theirs);
        close(ours);
        return work;
}

/* ---- many at once ------------------------------------------------------------------------------ */

static void stop_uring(struct waker *w)
{
        if (w->has_uring)
                io_uring_queue_exit(&w->uring);
        w->has_uring = false;
        w->batch = UINT32_MAX;
}

static uint32_t reap(struct waker *w, struct waker_result *result)
{
        struct io_uring_cqe *cqe;
        uint32_t n = 0;

        while (io_uring_peek_cqe(&w->uring, &cqe) == 0) {
                count(result, cqe->res == 1);
                w->fd[cqe->user_data] = -1;
                io_uring_cqe_seen(&w->uring, cqe);
                n++;
        }
        return n;
}

/*
 * MSG_DONTWAIT makes the kernel answer at once in place of arming a poll or handing over to a worker, so every
 * completion is there when the submission returns. Should one not be, this kernel is not to be relied on: leave.
 */
static bool submit(struct waker *w, uint32_t first, uint32_t n, struct waker_result *result)
{
        for (uint32_t i = first; i < first + n; i++) {
                struct io_uring_sqe *sqe = io_uring_get_sqe(&w->uring);

                if (!sqe)
                        return false;
                io_uring_prep_send(sqe, w->fd[i], "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
                io_uring_sqe_set_data64(sqe, i);
        }
        if (io_uring_submit(&w->uring) != (int)n)
                return false;
        return reap(w, result) == n;
}

static bool send_batch(struct waker *w, struct waker_result *result)
{
        for (uint32_t first = 0; first < w->n; first += MAX_ENTRIES) {
                uint32_t n = w->n - first < MAX_ENTRIES ? w->n - first : MAX_ENTRIES;

                if (!submit(w, first, n, result)) {
                        reap(w, result);
                        stop_uring(w);
                        return false;
                }
        }
        return true;
}

struct waker_result waker_flush(struct waker *w)
{
        struct waker_result result = { 0 };

        give_edges(w, &result);
        w->n_edges = 0;
        if (w->n >= w->batch && w->n > 0)
                result.batched = send_batch(w, &result);
        if (!result.batched)
                send_each(w, &result);
        w->n = 0;
        return result;
}

/* ---- from how many on -------------------------------------------------------------------------- */

#define TRIAL_PAIRS  8u
#define TRIAL_ROUNDS 5u

static uint64_t clock_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void trial_close(const int *ours, const int *theirs)
{
        for (uint32_t i = 0; i < TRIAL_PAIRS; i++) {
                if (ours[i] >= 0)
                        close(ours[i]);
                if (theirs[i] >= 0)
                        close(theirs[i]);
        }
}

static bool trial_open(int *ours, int *theirs)
{
        bool whole = true;

        for (uint32_t i = 0; i < TRIAL_PAIRS; i++) {
                int ends[2] = { -1, -1 };

                whole &= socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) ==
                         0;
                ours[i] = ends[0];
                theirs[i] = ends[1];
        }
        return whole;
}

static uint64_t trial_run(
        struct waker *w, const int *ours, const int *theirs, uint32_t n, bool batch)
{
        struct waker_result result = { 0 };
        char bytes[WAKER_TRIAL_MOST];
        uint64_t begin, end;

        for (uint32_t i = 0; i < n; i++)
                waker_add(w, ours[i % TRIAL_PAIRS], false);
        begin = clock_ns();
        if (!batch)
                send_each(w, &result);
        else
                send_batch(w, &result);
        end = clock_ns();
        w->n = 0;
        for (uint32_t i = 0; i < TRIAL_PAIRS; i++) {
                while (read(theirs[i], bytes, sizeof(bytes)) > 0)
                        ;
        }
        return end - begin;
}

/* One round of both ways; false: it could not be run, or io_uring is not to be relied on. */
static bool trial_round(struct waker *w, struct waker_trial *t)
{
        int ours[TRIAL_PAIRS], theirs[TRIAL_PAIRS];
        bool whole = trial_open(ours, theirs);

        if (whole) {
                uint64_t each = trial_run(w, ours, theirs, t->size, false),
                         batch = trial_run(w, ours, theirs, t->size, true);

                t->each_ns = each < t->each_ns ? each : t->each_ns;
                t->batch_ns = batch < t->batch_ns ? batch : t->batch_ns;
                t->n_rounds++;
        }
        trial_close(ours, theirs);
        return whole && w->has_uring;
}

static void trial_begin(struct waker_trial *t, uint32_t size, uint32_t best)
{
        *t = (struct waker_trial){
                .size = size,
                .best = best,
                .each_ns = UINT64_MAX,
                .batch_ns = UINT64_MAX,
        };
}

static bool settle(struct waker *w, uint32_t batch)
{
        w->trial.size = 0;
        w->batch = batch;
        if (batch == UINT32_MAX)
                stop_uring(w);
        return false;
}

/* Downwards from the most for as long as a batch wins: a crossover is one point, below it nothing is gained. */
bool waker_measure(struct waker *w)
{
        struct waker_trial *t = &w->trial;

        if (t->size == 0)
                return false;
        if (!trial_round(w, t))
                return settle(w, w->has_uring ? t->best : UINT32_MAX);
        if (t->n_rounds < TRIAL_ROUNDS)
                return true;
        if (t->batch_ns >= t->each_ns)
                return settle(w, t->best);
        if (t->size / 2 < 2)
                return settle(w, t->size);
        trial_begin(t, t->size / 2, t->size);
        return true;
}

/* ---- lifetime ---------------------------------------------------------------------------------- */

int waker_init(struct waker *w, uint32_t max, uint32_t batch)
{
        uint32_t entries = max < MAX_ENTRIES ? max : MAX_ENTRIES;

        *w = (struct waker){ .max = max, .batch = UINT32_MAX };
        w->fd = calloc(max, sizeof(*w->fd));
        w->edge = calloc(max, sizeof(*w->edge));
        if (!w->fd || !w->edge)
                return -ENOMEM;
        w->has_edges = edges_work();
        if (batch == SERVER_BATCH_NEVER || io_uring_queue_init(entries, &w->uring, 0) < 0)
                return 0;
        w->has_uring = true;
        if (batch != 0 && batch != SERVER_BATCH_AUTO)
                w->batch = batch;
        else if (max >= 2)
                trial_begin(&w->trial, max < WAKER_TRIAL_MOST ? max : WAKER_TRIAL_MOST, UINT32_MAX);
        else
                stop_uring(w);
        return 0;
}

void waker_deinit(struct waker *w)
{
        stop_uring(w);
        free(w->fd);
        free(w->edge);
        *w = (struct waker){ 0 };
}

int waker_pair(bool edge, int *ret_client_end)
{
        int ends[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0)
                return -errno;
        /* no room for more than a few bytes, and none at all for what the client might send: data, descriptors */
        setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &(int){ 0 }, sizeof(int));
        shutdown(ends[0], edge ? SHUT_RDWR : SHUT_RD);
        *ret_client_end = ends[1];
        return ends[0];
}
