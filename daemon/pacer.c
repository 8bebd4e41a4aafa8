/* pacer.c - see pacer.h */
#include "pacer.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

/* What is further apart is no stream but single frames, and has no next one to be expected. */
#define PERIOD_MOST  (250 * MS)
#define PERIOD_LEAST (500 * US)

#define WINDOW_LEAST (100 * US) /* to either side: what a wake-up may be late */

#define BEAT_LEAST                                                                                 \
        (4 * MS) /* that intervals may differ by for it to be one: displays tick no faster */

#define STRANGE_MOST 2u  /* frames that may be anywhere before they count as a new phase */
#define LOOKS_AHEAD  64u /* looks that may be close together, before the rate of all counts */
#define EXPECT_MOST  4u  /* times that a frame is expected in vain before it is no more */

#define SPIN_STEP (10 * US) /* between looks that do not sleep in between */

/*
 * One latency's terms. Where frames are expected looks are @close apart, or a @looks'th of the window if that is more; elsewhere
 * @sparse, without a beat @unlocked; and never closer than a @patience'th of the time since the last frame, up to @idle. A window
 * of less than a @spin'th of the period is waited through without sleeping: a wake-up costs the processor what ten looks do, and
 * comes late.
 */
struct terms {
        uint64_t close_ns, sparse_ns, unlocked_ns, idle_ns;
        unsigned looks, patience, spin;
        uint64_t most_looks; /* a second */
};

/* clang-format off */
static const struct terms terms[] = {
        /*                               close    sparse   unlocked   idle  looks patience spin */
        [CONFIG_LATENCY_LOW]       = {  30 * US, 2 * MS, 250 * US,   4 * MS, 40,   128,    8, 20000 },
        [CONFIG_LATENCY_BALANCED]  = {  60 * US, 8 * MS, 500 * US,  40 * MS, 16,    64,   32,  4000 },
        [CONFIG_LATENCY_POWERSAVE] = { 500 * US, 16 * MS,   3 * MS,  96 * MS,  6,    16,    0,  1000 },
};
/* clang-format on */

static const struct terms *terms_of(const struct pacer *p)
{
        return &terms[p->config.latency];
}

uint64_t pacer_most_looks(enum config_latency latency)
{
        return terms[latency].most_looks;
}

uint64_t pacer_idle_ns(enum config_latency latency)
{
        return terms[latency].idle_ns;
}

static uint64_t least(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
        return a > b ? a : b;
}

static uint64_t apart(uint64_t a, uint64_t b)
{
        return a > b ? a - b : b - a;
}

void pacer_init(struct pacer *p, const struct pacer_config *config, uint64_t now_ns)
{
        *p = (struct pacer){
                .config = *config,
                .look_ns = now_ns,
                .arrival_ns = now_ns,
                .copy_due_ns = now_ns,
                .look_due_ns = now_ns,
        };
}

/* ---- what frames teach ------------------------------------------------------------------------------------------------ */

/* How many of these are a whole number of times as long as @beat_ns, an eighth of it left or right. */
static unsigned n_fitting(const uint64_t *gap_ns, unsigned n, uint64_t beat_ns)
{
        unsigned fitting = 0;

        for (unsigned i = 0; i < n; i++) {
                uint64_t beats = (gap_ns[i] + beat_ns / 2) / beat_ns;

                fitting += beats > 0 && apart(gap_ns[i], beats * beat_ns) <= beat_ns / 8;
        }
        return fitting;
}

/*
 * What the last intervals have in common: the shortest, when the others are it or, with frames left out, multiples of it;
 * what they differ by, when they are multiples of that (film at 24 frames a second is shown for two and for three ticks of
 * a display); else their median.
 */
static uint64_t common_beat(const struct pacer *p)
{
        unsigned n = p->n_gaps < PACER_GAPS ? p->n_gaps : PACER_GAPS;
        uint64_t sorted[PACER_GAPS], differ;

        for (unsigned i = 0; i < n; i++) {
                unsigned at = i;

                for (; at > 0 && sorted[at - 1] > p->gap_ns[i]; at--)
                        sorted[at] = sorted[at - 1];
                sorted[at] = p->gap_ns[i];
        }
        if (n < PACER_GAPS)
                return n > 0 ? sorted[n / 2] : 0;
        if (n_fitting(sorted, n, most(sorted[0], PERIOD_LEAST)) >= n - 1)
                return sorted[0];
        differ = sorted[n - 1] - sorted[0];
        if (differ >= BEAT_LEAST && n_fitting(sorted, n, differ) >= n - 1)
                return differ;
        return sorted[n / 2];
}

/* Half of the window around a frame that is due. */
static uint64_t window(const struct pacer *p)
{
        return least(
                p->period_ns / 2, 2 * p->error_ns + most(WINDOW_LEAST, 2 * terms_of(p)->close_ns));
}

/* The last intervals say something else than what was thought. Returns whether they did. */
static bool relearn(struct pacer *p, uint64_t arrival_ns)
{
        uint64_t beat = common_beat(p);

        if (apart(beat, p->period_ns) <= p->period_ns / 8)
                return false;
        p->period_ns = most(beat, PERIOD_LEAST);
        p->phase_ns = arrival_ns;
        p->error_ns = p->period_ns / 8;
        p->n_strange = 0;
        return true;
}

/* By how much it was off grows at once and shrinks slowly. */
static void note_error(struct pacer *p, uint64_t error)
{
        if (error > p->error_ns)
                p->error_ns += (error - p->error_ns) / 4;
        else
                p->error_ns -= (p->error_ns - error) / 16;
}

/* It was not where it was expected; that is forgiven @STRANGE_MOST times before the phase begins anew. */
static void take_strange(struct pacer *p, uint64_t due_ns, uint64_t arrival_ns)
{
        note_error(p, least(apart(due_ns, arrival_ns), p->period_ns / 4));
        if (++p->n_strange > STRANGE_MOST) {
                p->phase_ns = arrival_ns;
                p->n_strange = 0;
        } else if (due_ns < arrival_ns) {
                p->phase_ns = due_ns;
        }
}

/* A frame came after @after_ns and not after @seen_ns. */
static void learn(struct pacer *p, uint64_t after_ns, uint64_t seen_ns)
{
        uint64_t arrival_ns = after_ns + (seen_ns - after_ns) / 2, due_ns, error, periods, bend;

        /* A rest is no interval: after it the beat may be what it was. */
        if (arrival_ns - p->arrival_ns <= PERIOD_MOST)
                p->gap_ns[p->n_gaps++ % PACER_GAPS] = arrival_ns - p->arrival_ns;
        p->arrival_ns = arrival_ns;
        if (relearn(p, arrival_ns) || p->period_ns == 0)
                return;
        periods = 1;
        if (arrival_ns > p->phase_ns + p->period_ns)
                periods = (arrival_ns - p->phase_ns + p->period_ns / 2) / p->period_ns;
        due_ns = p->phase_ns + periods * p->period_ns;
        error = after_ns <= due_ns && due_ns <= seen_ns ? 0 : apart(due_ns, arrival_ns);
        /* After a while without frames there is a beat, but it may begin anywhere. */
        if (periods > EXPECT_MOST && error > 0) {
                p->phase_ns = arrival_ns;
                return;
        }
        if (error > most(2 * window(p), p->period_ns / 8)) {
                take_strange(p, due_ns, arrival_ns);
                return;
        }
        p->n_strange = 0;
        /* What kept one frame back keeps no other: beyond what is usual, it is that frame's affair. */
        if (arrival_ns > due_ns)
                error = least(error, window(p));
        note_error(p, error);
        bend = error / (16 * periods);
        if (arrival_ns > due_ns) {
                p->phase_ns = due_ns + error / 2;
                p->period_ns += bend;
        } else {
                p->phase_ns = due_ns - error / 2;
                p->period_ns = most(p->period_ns - bend, PERIOD_LEAST);
        }
}

/* ---- when to look ------------------------------------------------------------------------------------------------------ */

/* Where no frame is expected soon. */
static uint64_t rare(const struct pacer *p, uint64_t now_ns, uint64_t at_least_ns)
{
        const struct terms *t = terms_of(p);

        return least(most(at_least_ns, (now_ns - p->arrival_ns) / t->patience), t->idle_ns);
}

/* Has it kept to its beat? */
static bool is_steady(const struct pacer *p)
{
        return p->error_ns < p->period_ns / 16;
}

/* Between the windows, when the next one opens in @left_ns. */
static uint64_t between(const struct pacer *p, uint64_t left_ns)
{
        const struct terms *t = terms_of(p);

        if (!is_steady(p))
                return 3 * t->unlocked_ns;
        /* The nearer, the closer: a frame that is early is more likely a little early than much. */
        return least(most(left_ns - left_ns / 3, t->unlocked_ns), t->sparse_ns);
}

/* May the window around a due frame be waited through? */
static bool may_spin(const struct pacer *p)
{
        return 2 * window(p) * terms_of(p)->spin < p->period_ns && terms_of(p)->spin > 0;
}

static struct pacer_plan look_in_window(const struct pacer *p, uint64_t now_ns)
{
        const struct terms *t = terms_of(p);
        uint64_t step = most(t->close_ns, 2 * window(p) / t->looks);

        if (may_spin(p))
                return (struct pacer_plan){ now_ns + SPIN_STEP, true };
        return (struct pacer_plan){ now_ns + least(step, rare(p, now_ns, t->unlocked_ns)), false };
}

static struct pacer_plan look_after(const struct pacer *p, uint64_t now_ns)
{
        const struct terms *t = terms_of(p);
        uint64_t due_ns, half, open_ns, next_ns, step;

        if (p->period_ns == 0 || now_ns > p->phase_ns + EXPECT_MOST * p->period_ns)
                return (struct pacer_plan){ now_ns + rare(p, now_ns, t->unlocked_ns), false };
        half = window(p);
        due_ns = p->phase_ns + p->period_ns;
        while (due_ns + p->period_ns - half <= now_ns)
                due_ns += p->period_ns;
        open_ns = due_ns - half;
        if (now_ns < open_ns) {
                step = rare(p, now_ns, between(p, open_ns - now_ns));
                if (open_ns - now_ns < step + t->unlocked_ns / 2)
                        step = open_ns - now_ns;
                return (struct pacer_plan){ now_ns + step, false };
        }
        if (now_ns <= due_ns + half)
                return look_in_window(p, now_ns);
        /* A frame that is late by so much may be later by half of it; but then the next one is due. */
        next_ns = open_ns + p->period_ns;
        step = least(most(t->close_ns, (now_ns - due_ns) / 2), between(p, next_ns - now_ns));
        return (struct pacer_plan){ least(now_ns + step, next_ns), false };
}

/* Takes in one more at @now_ns where one is in step every @each_ns. Returns when the next may be, if @ahead may come early. */
static uint64_t keep_step(uint64_t *due_ns, uint64_t now_ns, uint64_t each_ns, uint64_t ahead)
{
        *due_ns = most(*due_ns, now_ns) + each_ns;
        return *due_ns > ahead * each_ns ? *due_ns - ahead * each_ns : 0;
}

struct pacer_plan pacer_next(struct pacer *p, enum pacer_saw saw, uint64_t look_ns, uint64_t now_ns)
{
        const struct terms *t = terms_of(p);
        struct pacer_plan plan;
        uint64_t may_ns;

        /*
         * One frame may come early: else one that is seen late, at a rate that is just allowed, would put off all that
         * follow for good.
         */
        if (saw == PACER_SAW_FRAME) {
                learn(p, most(p->look_ns, p->arrival_ns), look_ns);
                p->copy_ns = keep_step(&p->copy_due_ns, look_ns, p->config.min_frame_ns, 1);
        }
        p->look_ns = look_ns;
        may_ns = keep_step(&p->look_due_ns, look_ns, 1000 * MS / t->most_looks, LOOKS_AHEAD);
        may_ns = most(may_ns, p->copy_ns);
        plan = look_after(p, now_ns);
        if (plan.at_ns <= now_ns)
                plan.at_ns = now_ns + 1;
        if (plan.at_ns >= may_ns)
                return plan;
        return (struct pacer_plan){ may_ns, false };
}
