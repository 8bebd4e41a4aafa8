/* verdict.c - see verdict.h */
#include "verdict.h"

#include <stdio.h>

void scene_name(const struct scene *scene, char *text, size_t size)
{
        snprintf(text, size, "%s, %u client%s%s", scene->height == 2160 ? "4K" : "1080p",
                scene->n_clients, scene->n_clients == 1 ? "" : "s",
                scene->one_stopped ? ", one stopped" : "");
}

const char *verdict_word(const struct verdict *v)
{
        if (!v->has_target)
                return "-";
        return v->holds ? "holds" : "MISSED";
}

static double median_us(const struct plan *p, const struct figures *rounds)
{
        return figures_of_rounds(rounds, p->options.n_rounds).median;
}

static const struct scene plain = { 1920, 1080, 1, false };

/* Not a target, but what the others are to be read against. */
static unsigned state_floor(const struct plan *p, struct verdict *v)
{
        const struct row *row = plan_find(p, &plain, WAY_FLOOR);
        double us = row ? median_us(p, row->handoff) : 0;

        if (us == 0)
                return 0;
        *v = (struct verdict){ .what = "waking one process on this machine, whatever for",
                .value = us };
        return 1;
}

/* publish -> awake, one client */
static unsigned judge_awake(const struct plan *p, struct verdict *v)
{
        static const enum way_id awake[] = { WAY_EARLY, WAY_WORD, WAY_FD };
        unsigned n = 0;

        for (unsigned i = 0; i < sizeof(awake) / sizeof(awake[0]); i++) {
                const struct row *row = plan_find(p, &plain, awake[i]);
                double us = row && !row->cost_only ? median_us(p, row->handoff) : 0;

                if (us == 0)
                        continue;
                v[n] = (struct verdict){ .value = us,
                        .target = TARGET_AWAKE_US,
                        .has_target = true,
                        .holds = us <= TARGET_AWAKE_US };
                snprintf(v[n].what, sizeof(v[n].what), "publish to awake, 1080p, 1 client, %s",
                        ways[awake[i]].name);
                n++;
        }
        return n;
}

/*
 * What the daemon pays for clients that do not wait. The target is for those that never did; one look at the page of each
 * that has before is what the others cost.
 */
static unsigned judge_flatness(const struct plan *p, struct verdict *v)
{
        static const struct scene many = { 1920, 1080, 256, false };
        static const struct {
                enum way_id way;
                bool has_target;
                const char *what;
        } crowd[] = {
                { WAY_IDLE, true,
                        "cost per frame of 256 clients that do not wait, above that of 1" },
                { WAY_BUSY, false, "the same, of 256 clients that have waited before" },
        };
        unsigned n = 0;

        for (unsigned i = 0; i < sizeof(crowd) / sizeof(crowd[0]); i++) {
                const struct row *a = plan_find(p, &plain, crowd[i].way);
                const struct row *b = plan_find(p, &many, crowd[i].way);
                double us;

                if (!a || !b || median_us(p, a->cost) == 0 || median_us(p, b->cost) == 0)
                        continue;
                us = median_us(p, b->cost) - median_us(p, a->cost);
                v[n] = (struct verdict){ .value = us,
                        .target = TARGET_FLATNESS_US,
                        .has_target = crowd[i].has_target,
                        .holds = us <= TARGET_FLATNESS_US };
                snprintf(v[n].what, sizeof(v[n].what), "%s", crowd[i].what);
                n++;
        }
        return n;
}

static unsigned judge_peer(
        const struct plan *p, const struct row *peer, struct verdict *v, unsigned room)
{
        unsigned n = 0;

        for (unsigned way = 0; way < N_WAYS && n < room; way++) {
                const struct row *ours;
                double ratio;

                if (ways[way].peer || ways[way].floor || ways[way].copies != ways[peer->way].copies)
                        continue;
                ours = plan_find(p, &peer->scene, way);
                ratio = ours ? row_ratio(p, peer, ours) : 0;
                if (ratio == 0)
                        continue;
                v[n] = (struct verdict){ .peer = peer,
                        .ours = ours,
                        .value = ratio,
                        .target = TARGET_RATIO,
                        .is_ratio = true,
                        .has_target = !ways[way].copies,
                        .holds = ratio >= TARGET_RATIO };
                scene_name(&peer->scene, v[n].what, sizeof(v[n].what));
                n++;
        }
        return n;
}

unsigned verdicts_of(const struct plan *p, struct verdict verdict[MAX_VERDICTS])
{
        unsigned n = state_floor(p, verdict);

        n += judge_awake(p, verdict + n);
        n += judge_flatness(p, verdict + n);
        for (unsigned i = 0; i < p->n_rows; i++)
                if (ways[p->row[i].way].peer)
                        n += judge_peer(p, &p->row[i], verdict + n, MAX_VERDICTS - n);
        return n;
}
