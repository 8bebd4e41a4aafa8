/* scene.c - see scene.h */
#include "scene.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cast.h"
#include "worker.h"

#define NS_PER_MS  UINT64_C(1000000)
#define READY_NS   (30000 * NS_PER_MS) /* hundreds of processes on few cores take their time */
#define WARM_UP_NS (500 * NS_PER_MS)   /* every slot was mapped by everybody after that */
#define SETTLE_NS  (500 * NS_PER_MS)   /* for the last frames to be got */

static int compare(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

static size_t sheet_len(const struct bench_sheet *s)
{
        uint64_t n = __atomic_load_n(&s->n, __ATOMIC_ACQUIRE);

        return n < BENCH_MAX_SAMPLES ? (size_t)n : BENCH_MAX_SAMPLES;
}

/* Append the samples of @s. Return: 0 or -ENOMEM. */
static int append(uint64_t **ns, size_t *n, const struct bench_sheet *s)
{
        size_t more = sheet_len(s);
        uint64_t *grown = realloc(*ns, (*n + more + 1) * sizeof(**ns));

        if (!grown)
                return -ENOMEM;
        memcpy(grown + *n, s->ns, more * sizeof(**ns));
        *ns = grown;
        *n += more;
        return 0;
}

/* Mean over the clients. */
static double client_us(const struct cast *c, unsigned n_measured)
{
        uint64_t ns = 0, n = 0;

        for (unsigned i = 1; i <= n_measured; i++) {
                const struct bench_sheet *s = &c->board->sheet[i];

                if (s->n < 2)
                        continue;
                ns += s->cpu_last_ns - s->cpu_first_ns;
                n += s->n - 1;
        }
        return n > 0 ? (double)ns / 1000 / (double)n : 0;
}

static int collect(const struct scene *scene, const struct cast *c, unsigned n_frames,
        struct scene_result *ret)
{
        const unsigned n_measured = scene->n_clients - scene->one_stopped;
        int err = append(&ret->cost_ns, &ret->n_cost, &c->board->sheet[0]);

        for (unsigned i = 1; i <= n_measured && err == 0; i++) {
                err = append(&ret->ns, &ret->n, &c->board->sheet[i]);
                ret->n_bad += c->board->sheet[i].n_bad;
        }
        ret->client_us = client_us(c, n_measured);
        ret->n_wanted = (uint64_t)n_measured * n_frames;
        if (err == 0) {
                qsort(ret->ns, ret->n, sizeof(ret->ns[0]), compare);
                qsort(ret->cost_ns, ret->n_cost, sizeof(ret->cost_ns[0]), compare);
        }
        return err;
}

/* Start @n members and wait until they are ready. */
static int enter(struct cast *c, unsigned first, unsigned n, const char *program, const char *role,
        const struct scene *scene, const struct scene_options *o)
{
        for (unsigned i = first; i < first + n; i++) {
                int err = cast_start(
                        c, i, o->programs, program, role, scene->width, scene->height, o->log_fd);

                if (err < 0)
                        return err;
        }
        return cast_listen(c, first, n, bench_now() + READY_NS);
}

static int measure(const struct scene *scene, struct cast *c, const struct scene_options *o)
{
        uint64_t from_ns;
        int err;

        if (scene->one_stopped && kill(c->member[scene->n_clients].pid, SIGSTOP) < 0)
                return -errno;
        from_ns = bench_now() + WARM_UP_NS;
        c->board->from_ns = from_ns;
        __atomic_store_n(
                &c->board->to_ns, from_ns + o->n_frames * BENCH_PERIOD_NS, __ATOMIC_RELEASE);
        err = cast_listen(c, 0, 0, c->board->to_ns + SETTLE_NS);
        return err == -ETIMEDOUT ? 0 : err;
}

/* Member 0 is the producer, then the clients, then the daemon if there is one. */
static int play(const struct scene *scene, const struct way *way, const struct scene_options *o,
        struct cast *c)
{
        int err = 0;

        if (way->daemon)
                err = enter(c, scene->n_clients + 1, 1, way->daemon, way->daemon_role, scene, o);
        if (err == 0)
                err = enter(c, 0, 1, way->producer, way->producer_role, scene, o);
        if (err == 0)
                err = enter(c, 1, scene->n_clients, way->client, way->client_role, scene, o);
        if (err == 0)
                err = measure(scene, c, o);
        return err;
}

static void explain(const struct cast *c, int err, struct scene_result *ret)
{
        ret->outcome = c->skipped ? SCENE_SKIPPED : SCENE_FAILED;
        if (err == -EPIPE)
                snprintf(ret->reason, sizeof(ret->reason), "%s", c->reason);
        else if (err == -ETIMEDOUT)
                snprintf(ret->reason, sizeof(ret->reason), "not everybody was ready after %u s",
                        (unsigned)(READY_NS / (1000 * NS_PER_MS)));
        else
                snprintf(ret->reason, sizeof(ret->reason), "%s", strerror(-err));
}

void scene_run(const struct scene *scene, const struct way *way,
        const struct scene_options *options, struct scene_result *ret)
{
        struct cast c;
        int err;

        *ret = SCENE_RESULT_NONE;
        if (*options->interrupted) {
                ret->outcome = SCENE_INTERRUPTED;
                return;
        }
        if (way->skip) {
                ret->outcome = SCENE_SKIPPED;
                snprintf(ret->reason, sizeof(ret->reason), "%s", way->skip);
                return;
        }
        err = cast_init(&c, scene->n_clients + 2);
        if (err == 0)
                err = play(scene, way, options, &c);
        if (err == 0)
                err = collect(scene, &c, options->n_frames, ret);
        if (err < 0)
                explain(&c, err, ret);
        if (*options->interrupted)
                ret->outcome = SCENE_INTERRUPTED;
        cast_deinit(&c);
}

void scene_result_deinit(struct scene_result *r)
{
        free(r->ns);
        free(r->cost_ns);
        *r = SCENE_RESULT_NONE;
}
