/*
 * source_uring.c - RAM files and images that cannot be mapped, read by io_uring
 *
 * A frame is thousands of scattered pages, and a system call for each costs more than its copy. Here a submission takes as
 * many stretches as fit into the registered buffers; those that lie side by side in the file become one read.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#include "source.h"

#define BUFFER_BYTES (UINT64_C(1) << 20)
#define DEPTH        256

/* One read: @len bytes of a file into the buffer at @at. */
struct run {
        uint32_t file;
        uint64_t offset, len, at;
};

struct source_uring {
        struct io_uring ring;
        uint8_t *buffer; /* registered */
        struct run run[DEPTH];
        size_t n_runs;
        struct source_stretch part[4 * DEPTH]; /* where each stretch of the buffer goes, in order */
        size_t n_parts;
        uint64_t filled;
        bool broken; /* reads of an earlier batch may still be under way: the buffer is theirs */
};

static void forget(struct source_uring *u)
{
        u->n_runs = u->n_parts = u->filled = 0;
}

/* Adds as much of @t as there is room for, and takes it off. False: no room at all. */
static bool add_stretch(struct source_uring *u, struct source_stretch *t)
{
        uint64_t room = BUFFER_BYTES - u->filled, n = t->len < room ? t->len : room;
        struct run *last = u->n_runs > 0 ? &u->run[u->n_runs - 1] : NULL;
        bool joins = last != NULL && last->file == t->piece->file &&
                     last->offset + last->len == t->offset;

        if (n == 0 || u->n_parts == 4 * DEPTH || (!joins && u->n_runs == DEPTH))
                return false;
        if (joins)
                last->len += n;
        else
                u->run[u->n_runs++] = (struct run){ t->piece->file, t->offset, n, u->filled };
        u->part[u->n_parts] = *t;
        u->part[u->n_parts++].len = n;
        u->filled += n;
        t->offset += n;
        t->dst += n;
        t->len -= n;
        return true;
}

/* What a read brought, or did not: the rest of a short one is fetched by hand, and says why it was short. */
static int finish_run(const vgpu_source *s, const struct run *run, int got)
{
        uint8_t *to = s->uring->buffer + run->at;
        uint64_t done = got > 0 ? (uint64_t)got : 0;

        if (got < 0 && got != -EAGAIN && got != -EINTR)
                return -EIO;
        if (done == run->len)
                return 0;
        return source_pread(s->file[run->file].fd, to + done, run->len - done, run->offset + done);
}

/* All completions are taken in whatever happens: none may be left for the next batch. */
static int read_runs(vgpu_source *s)
{
        struct source_uring *u = s->uring;
        int r = 0, submitted;

        for (size_t i = 0; i < u->n_runs; i++) {
                struct io_uring_sqe *e = io_uring_get_sqe(&u->ring);

                io_uring_prep_read_fixed(e, s->file[u->run[i].file].fd, u->buffer + u->run[i].at,
                        (unsigned)u->run[i].len, u->run[i].offset, 0);
                io_uring_sqe_set_data64(e, i);
        }
        submitted = io_uring_submit_and_wait(&u->ring, (unsigned)u->n_runs);
        u->broken = submitted != (int)u->n_runs;
        if (u->broken)
                return -EIO;
        for (size_t i = 0; i < u->n_runs; i++) {
                struct io_uring_cqe *c = NULL;
                int one;

                do
                        one = io_uring_wait_cqe(&u->ring, &c);
                while (one == -EINTR);
                u->broken = one < 0;
                if (u->broken)
                        return -EIO;
                one = finish_run(s, &u->run[c->user_data], c->res);
                io_uring_cqe_seen(&u->ring, c);
                if (r == 0)
                        r = one;
        }
        return r;
}

static int flush(vgpu_source *s)
{
        struct source_uring *u = s->uring;
        const uint8_t *from = u->buffer;
        int r = u->n_runs > 0 ? read_runs(s) : 0;

        for (size_t i = 0; i < u->n_parts && r == 0; i++) {
                memcpy(u->part[i].dst, from, u->part[i].len);
                from += u->part[i].len;
        }
        forget(u);
        return r;
}

static int gather_by_uring(vgpu_source *s, const struct gva_extent *extents, size_t n_extents,
        uint64_t base_offset, uint8_t *dst)
{
        struct source_walk walk = { s, extents, n_extents, base_offset, dst, 0, 0, NULL };
        struct source_stretch t;
        int r = s->uring->broken ? -EIO : 0;

        while (r == 0 && source_next_stretch(&walk, &t)) {
                while (r == 0 && t.len > 0)
                        if (!add_stretch(s->uring, &t))
                                r = flush(s);
        }
        if (r == 0)
                r = flush(s);
        forget(s->uring);
        return r;
}

/* Words and lines are one read each, and nothing is to be batched: pread is the shorter way. */
static const struct source_way by_uring = {
        .scan = &source_pread_ops,
        .frame = &source_pread_ops,
        .gather = gather_by_uring,
};

int source_uring_start(vgpu_source *s)
{
        struct source_uring *u;
        struct iovec buffer;
        int r;

        if (s->uring != NULL)
                return 0;
        if (s->n_files == 0 || s->file[0].fd < 0)
                return -EINVAL;
        u = calloc(1, sizeof(*u));
        if (u == NULL)
                return -ENOMEM;
        u->buffer = aligned_alloc(GVA_PAGE_BYTES, BUFFER_BYTES);
        r = u->buffer != NULL ? io_uring_queue_init(DEPTH, &u->ring, 0) : -ENOMEM;
        if (r < 0) {
                free(u->buffer);
                free(u);
                return r;
        }
        buffer = (struct iovec){ u->buffer, BUFFER_BYTES };
        r = io_uring_register_buffers(&u->ring, &buffer, 1);
        s->uring = u;
        if (r < 0) {
                source_uring_stop(s);
                return r;
        }
        s->way = &by_uring;
        return 0;
}

void source_uring_stop(vgpu_source *s)
{
        if (s->uring == NULL)
                return;
        io_uring_queue_exit(&s->uring->ring);
        free(s->uring->buffer);
        free(s->uring);
        s->uring = NULL;
}
