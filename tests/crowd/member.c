/* member.c - see member.h */
#include "member.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "pattern.h"
#include "verify.h"
#include "vgpu_client.h"

#define ROWS_BYTES (64u << 10) /* judged of a frame that is not judged whole */
#define NAP_MS     200         /* bounds how late an end is noticed */

struct member {
        struct vgpu_client *client;
        struct crowd_tally *tally;
        enum crowd_kind kind;
        bool all_bytes;
        uint32_t random;
        uint8_t *buf;
        size_t cap;
};

static volatile sig_atomic_t stop;

static void on_term(int signal)
{
        (void)signal;
        stop = 1;
}

static void put(uint64_t *to, uint64_t value)
{
        __atomic_store_n(to, value, __ATOMIC_RELAXED);
}

static void add(uint64_t *to, uint64_t value)
{
        put(to, *to + value);
}

/* xorshift: any rows will do, but each member's are its own. */
static uint32_t random_below(struct member *m, uint32_t limit)
{
        m->random ^= m->random << 13;
        m->random ^= m->random >> 17;
        m->random ^= m->random << 5;
        return m->random % limit;
}

/* ---- judging --------------------------------------------------------------------------------- */

struct rows {
        uint32_t first, n;
};

static struct rows choose_rows(struct member *m, const struct vgpu_client_frame *f)
{
        struct rows rows = { 0, f->height };

        if (m->all_bytes || f->stride == 0 || f->bytes <= ROWS_BYTES)
                return rows;
        rows.n = ROWS_BYTES / f->stride > 0 ? ROWS_BYTES / f->stride : 1;
        rows.first = random_below(m, f->height - rows.n + 1);
        return rows;
}

static void judge(struct member *m, const struct vgpu_client_frame *f, struct rows rows,
        const uint8_t *pixels)
{
        struct crowd_tally *t = m->tally;
        struct pattern_count count = { .foreign = 1 };
        uint32_t format = verify_format(f->fourcc);

        if (format && f->bytes == (uint64_t)f->height * f->stride)
                pattern_check_rows(pixels, rows.first, rows.n, f->width, f->height, f->stride,
                        format, f->frame_id, f->producer_pid, &count);
        add(&t->torn, count.torn);
        add(&t->foreign, count.foreign);
        add(&t->whole, rows.n == f->height);
}

static void account(struct member *m, const struct vgpu_client_frame *f)
{
        struct crowd_tally *t = m->tally;

        add(&t->missed, f->missed);
        put(&t->serial, f->serial);
        put(&t->frame_id, f->frame_id);
        put(&t->mode, (uint64_t)f->width << 32 | f->height);
        put(&t->generation, f->generation);
        if (f->generation < CROWD_GENERATIONS)
                put(&t->generations, t->generations | UINT64_C(1) << f->generation);
        /* last: who waits for frames finds the rest in place */
        add(&t->frames, 1);
}

/* ---- taking: 1, 0 or < 0 ----------------------------------------------------------------------- */

static int make_room(struct member *m, size_t bytes)
{
        if (bytes <= m->cap)
                return 0;
        free(m->buf);
        m->buf = malloc(bytes);
        m->cap = m->buf ? bytes : 0;
        return m->buf ? 0 : -ENOMEM;
}

static int take_copy(struct member *m)
{
        struct vgpu_client_frame f;
        struct rows rows;
        int r;

        r = vgpu_client_peek(m->client, &f);
        if (r <= 0)
                return r;
        rows = choose_rows(m, &f);
        r = make_room(m, (size_t)rows.n * f.stride);
        if (r < 0)
                return r;
        r = vgpu_client_copy_rows(m->client, rows.first, rows.n, m->buf, m->cap, &f);
        if (r == -ERANGE || r == -ENOSPC)
                return 1; /* of another size by now: look again */
        if (r <= 0)
                return r;
        judge(m, &f, rows, m->buf);
        account(m, &f);
        return 1;
}

/*
 * Only what was read while the hold stood may be judged, and whether it did is known afterwards; so the verdict is
 * made on a tally of its own.
 */
static int take_lease(struct member *m)
{
        struct crowd_tally verdict = { 0 }, *real = m->tally;
        struct vgpu_client_frame f;
        const void *pixels;
        struct rows rows;
        int r;

        r = vgpu_client_acquire(m->client, &f, &pixels);
        if (r <= 0)
                return r;
        rows = choose_rows(m, &f);
        m->tally = &verdict;
        judge(m, &f, rows, (const uint8_t *)pixels + (size_t)rows.first * f.stride);
        m->tally = real;
        r = vgpu_client_release(m->client, f.serial);
        if (r < 0)
                return r;
        if (r == 0) {
                add(&real->lost, 1);
                return 1;
        }
        add(&real->torn, verdict.torn);
        add(&real->foreign, verdict.foreign);
        add(&real->whole, verdict.whole);
        account(m, &f);
        return 1;
}

static int take(struct member *m)
{
        int r;

        do {
                r = m->kind == CROWD_LEASE ? take_lease(m) : take_copy(m);
        } while (r == 1 && !stop);
        return r == -ENODATA ? 0 : r;
}

/* ---- waiting ----------------------------------------------------------------------------------- */

static int wait_for_news(struct member *m)
{
        struct pollfd pfd = { .fd = vgpu_client_fd(m->client), .events = POLLIN };

        if (m->kind != CROWD_FD)
                return vgpu_client_wait(m->client, NAP_MS);
        if (poll(&pfd, 1, NAP_MS) < 0 && errno != EINTR)
                return -errno;
        return vgpu_client_dispatch(m->client);
}

static int live(struct member *m)
{
        while (!stop) {
                int events = wait_for_news(m), r;
                struct vgpu_client_state state;

                if (events < 0)
                        return events;
                if (events & VGPU_CLIENT_DISCONNECTED)
                        add(&m->tally->disconnects, 1);
                if (events & VGPU_CLIENT_INSTANCE) {
                        add(&m->tally->instances, 1);
                        put(&m->tally->generations, 0);
                        put(&m->tally->serial, 0);
                }
                r = take(m);
                if (r < 0)
                        return r;
                vgpu_client_state(m->client, &state);
                put(&m->tally->online, state.connected);
        }
        return 0;
}

static uint32_t client_flags(enum crowd_kind kind)
{
        uint32_t flags = VGPU_CLIENT_WAIT_DAEMON;

        if (kind == CROWD_WORD)
                flags |= VGPU_CLIENT_NO_WAKE_FD;
        if (kind == CROWD_LEASE)
                flags |= VGPU_CLIENT_LEASES;
        return flags;
}

int member_run(const char *socket, enum crowd_kind kind, bool all_bytes, struct crowd_tally *tally)
{
        const struct vgpu_client_options options = {
                .flags = client_flags(kind),
                .name = crowd_kind_name(kind),
        };
        struct member m = { .tally = tally, .kind = kind, .all_bytes = all_bytes };
        struct sigaction sa = { .sa_handler = on_term };
        int r;

        sigaction(SIGTERM, &sa, NULL);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        m.random = (uint32_t)getpid() * 2654435761u | 1;
        r = vgpu_client_connect(socket, &options, &m.client, NULL);
        if (r == 0)
                r = live(&m);
        put(&tally->online, 0);
        put(&tally->failed, (uint64_t)-r);
        vgpu_client_close(m.client);
        free(m.buf);
        return r == 0 ? 0 : 1;
}
