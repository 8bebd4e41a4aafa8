/* pacer_sim.c - see pacer_sim.h */
#include "pacer_sim.h"

#include <stdio.h>
#include <stdlib.h>

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)

#define LENGTH   (20 * S)
#define LOOK_NS  (3 * US) /* a look without a copy */
#define COPY_NS  (900 * US)
#define MOST_RUN 2000000u /* looks that a run may have at all */

uint64_t sim_random(uint64_t *state, uint64_t n)
{
        /* Knuth's MMIX generator: its high bits are the good ones. */
        *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return n > 0 ? (*state >> 33) % n : 0;
}

/* ---- traces ---------------------------------------------------------------------------------------------------------- */

static void begin(struct sim_trace *t, const char *name)
{
        t->n = 0;
        snprintf(t->name, sizeof(t->name), "%s", name);
}

/* Return: is there room for more? */
static bool add(struct sim_trace *t, uint64_t at_ns)
{
        if (t->n > 0 && at_ns <= t->at_ns[t->n - 1])
                at_ns = t->at_ns[t->n - 1] + US;
        t->at_ns[t->n++] = at_ns;
        return t->n < SIM_FRAMES && at_ns < LENGTH;
}

void sim_clock(struct sim_trace *t, const char *name, double fps, uint64_t jitter_us,
        unsigned drops, double ppm)
{
        const double period = 1e9 / fps / (1 + ppm / 1e6);
        uint64_t state = 1;

        begin(t, name);
        for (size_t i = 1;; i++) {
                uint64_t at = 3 * MS + (uint64_t)((double)i * period);

                if (sim_random(&state, 1000) < drops)
                        continue;
                if (!add(t, at + sim_random(&state, 2 * jitter_us * US + 1)))
                        return;
        }
}

void sim_late(struct sim_trace *t, const char *name, double fps, unsigned late, uint64_t most_us)
{
        uint64_t state = 7;

        begin(t, name);
        for (size_t i = 1;; i++) {
                uint64_t at = 3 * MS + (uint64_t)((double)i * 1e9 / fps);

                at += sim_random(&state, 50 * US);
                if (sim_random(&state, 1000) < late)
                        at += sim_random(&state, most_us * US);
                if (!add(t, at))
                        return;
        }
}

void sim_variable(struct sim_trace *t, const char *name, uint64_t least_us, uint64_t most_us)
{
        const uint64_t span = most_us - least_us;
        uint64_t state = 2, at = 3 * MS, gap = least_us + span / 2;

        begin(t, name);
        do {
                gap += sim_random(&state, span / 4);
                gap = gap > span / 8 + least_us ? gap - span / 8 : least_us;
                gap = gap > most_us ? most_us : gap;
                at += gap * US;
        } while (add(t, at));
}

void sim_pulldown(struct sim_trace *t, const char *name)
{
        uint64_t state = 3;
        size_t i = 0;

        begin(t, name);
        while (add(t, 3 * MS + (i * 5 + 1) / 2 * (50 * MS / 3) + sim_random(&state, 100 * US)))
                i++;
}

void sim_desktop(struct sim_trace *t, const char *name, double fps)
{
        uint64_t state = 4, at = 3 * MS;

        begin(t, name);
        for (;;) {
                unsigned burst = sim_random(&state, 8) == 0 ? (unsigned)(fps / 2) : 0;

                at += (30 + sim_random(&state, 1000)) * MS;
                if (!add(t, at))
                        return;
                while (burst-- > 0) {
                        at += (uint64_t)(1e9 / fps) - 100 * US + sim_random(&state, 200 * US);
                        if (!add(t, at))
                                return;
                }
        }
}

void sim_restless(struct sim_trace *t, const char *name)
{
        uint64_t state = 5, at = 3 * MS, gap = 1, left = 0;

        begin(t, name);
        do {
                if (left-- == 0) {
                        left = sim_random(&state, 40);
                        gap = 10 + sim_random(&state, 1 << (6 + sim_random(&state, 10)));
                }
                at += gap * US;
        } while (add(t, at));
}

bool sim_load(struct sim_trace *t, const char *path, const char *name)
{
        FILE *f = fopen(path, "re");
        uint64_t at = 3 * MS;
        char line[128];

        begin(t, name);
        if (!f)
                return false;
        while (fgets(line, sizeof(line), f)) {
                if (line[0] == '#')
                        continue;
                at += strtoull(line, NULL, 10) * US;
                if (!add(t, at))
                        break;
        }
        fclose(f);
        return t->n > 0;
}

/* ---- a run ------------------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

/* The most of these rising times that lie within one second. */
static uint64_t densest(const uint64_t *at, size_t n)
{
        uint64_t best = 0;

        for (size_t from = 0, to = 0; to < n; to++) {
                while (at[to] - at[from] > S)
                        from++;
                if (to - from + 1 > best)
                        best = to - from + 1;
        }
        return best;
}

/* How late a timer wakes us: mostly little, now and then much. */
static uint64_t wake_up(uint64_t *state)
{
        if (sim_random(state, 200) == 0)
                return 100 * US + sim_random(state, 200 * US);
        return 5 * US + sim_random(state, 50 * US);
}

static struct pacer_plan poll_next(uint64_t now_ns, uint64_t seen_ns)
{
        return (struct pacer_plan){ .at_ns = now_ns + (now_ns - seen_ns >= S ? 16 * MS : MS) };
}

void sim_run(const struct sim_trace *t, const struct pacer_config *config, struct sim_result *ret)
{
        static uint64_t latency[SIM_FRAMES], looks[MOST_RUN], copies[SIM_FRAMES];
        uint64_t state = 6, now = 0, seen_ns = 0;
        struct pacer_plan plan = { 0 };
        struct pacer pacer;
        size_t next = 0;

        *ret = (struct sim_result){ .n_frames = t->n };
        if (config)
                pacer_init(&pacer, config, now);
        while (next < t->n && ret->n_looks < MOST_RUN) {
                uint64_t look = plan.at_ns + (plan.spin ? 200 : wake_up(&state));
                bool seen = t->at_ns[next] <= look;

                ret->n_wakes += !plan.spin;
                if (plan.spin)
                        ret->waits_ns += look + LOOK_NS - now;
                looks[ret->n_looks++] = look;
                while (next + 1 < t->n && t->at_ns[next + 1] <= look)
                        next++;
                if (seen) {
                        copies[ret->n_seen] = look;
                        latency[ret->n_seen++] = look - t->at_ns[next++];
                        seen_ns = look;
                }
                now = look + LOOK_NS + (seen ? COPY_NS : 0);
                plan = config ? pacer_next(&pacer, seen ? PACER_SAW_FRAME : PACER_SAW_NOTHING, look,
                                        now)
                              : poll_next(now, seen_ns);
                if (plan.at_ns <= now)
                        abort(); /* a time that stands still would be a run without end */
        }
        ret->densest = densest(looks, ret->n_looks);
        ret->copies = densest(copies, ret->n_seen);
        qsort(latency, ret->n_seen, sizeof(latency[0]), by_value);
        ret->p50_ns = latency[ret->n_seen / 2];
        ret->p99_ns = latency[ret->n_seen * 99 / 100];
        ret->max_ns = latency[ret->n_seen - 1];
}
