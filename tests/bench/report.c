/* report.c - see report.h */
#include "report.h"

#include <stdio.h>

/* What the bar says. Between copies there is no target: most of their time is the machine's memory. */
#define TARGET_AWAKE_US    50.0
#define TARGET_FLATNESS_US 5.0
#define TARGET_RATIO       4.0

static const struct scene plain = { 1920, 1080, 1, false };
static const struct scene crowd = { 1920, 1080, 256, false };

static const char *scene_name(const struct scene *scene, char *text, size_t size)
{
        snprintf(text, size, "%s, %u client%s%s", scene->height == 2160 ? "4K" : "1080p",
                scene->n_clients, scene->n_clients == 1 ? "" : "s",
                scene->one_stopped ? ", one stopped" : "");
        return text;
}

/* Samples stay in the processes that took them; what arrives here are quantiles of rounds. */
static void give(struct bench_row *row, const struct plan *p, const struct figures *rounds)
{
        struct figures all = figures_of_rounds(rounds, p->options.n_rounds);

        bench_row_give(row, (struct bench_figures){ all.median, all.p95, all.p99, all.max, all.n });
}

/* Why a row has no figures, or what else is to be known about it. */
static void note(struct bench_row *to, const struct row *row)
{
        if (row->outcome == SCENE_SKIPPED)
                bench_row_note(to, "skipped: %s", row->reason);
        else if (row->outcome == SCENE_FAILED)
                bench_row_note(to, "failed: %s", row->reason);
        else if (bench_row_figures(to).n == 0 && row->n_wanted > 0)
                bench_row_note(to, "no client got a frame any more");
        else if (row->n_bad > 0)
                bench_row_note(to, "%llu torn", (unsigned long long)row->n_bad);
}

static bool is_awake_target(const struct row *row)
{
        return scene_equal(&row->scene, &plain) &&
               (row->way == WAY_EARLY || row->way == WAY_WORD || row->way == WAY_FD);
}

static void fill_handoff(struct bench_table *t, const struct plan *p)
{
        for (unsigned i = 0; i < p->n_rows; i++) {
                const struct row *row = &p->row[i];
                struct bench_row *to;
                char scene[BENCH_NAME];

                if (row->cost_only)
                        continue;
                to = bench_row_add(t, scene_name(&row->scene, scene, sizeof(scene)), "%s",
                        ways[row->way].name);
                give(to, p, row->handoff);
                note(to, row);
                if (is_awake_target(row))
                        bench_row_at_most(to, BENCH_OF_MEDIAN, TARGET_AWAKE_US);
        }
}

static double lost_percent(const struct row *row)
{
        if (row->n_wanted == 0 || row->n_got >= row->n_wanted)
                return 0;
        return 100.0 * (double)(row->n_wanted - row->n_got) / (double)row->n_wanted;
}

/* What the hand-offs of the table above cost a client, and what they leave out. */
static void fill_price(struct bench_table *cpu, struct bench_table *lost, const struct plan *p)
{
        for (unsigned i = 0; i < p->n_rows; i++) {
                const struct row *row = &p->row[i];
                char scene[BENCH_NAME];
                struct bench_row *to;

                if (row->cost_only || row->outcome != SCENE_OK)
                        continue;
                scene_name(&row->scene, scene, sizeof(scene));
                to = bench_row_add(cpu, scene, "%s", ways[row->way].name);
                for (unsigned round = 0; round < p->options.n_rounds; round++)
                        if (row->client_us[round] > 0)
                                bench_row_sample(to, round, row->client_us[round]);
                to = bench_row_add(lost, scene, "%s", ways[row->way].name);
                bench_row_sample(to, 0, lost_percent(row));
        }
}

static void fill_cost(struct bench_table *t, const struct plan *p)
{
        for (unsigned way = 0; way < N_WAYS; way++) {
                for (unsigned i = 0; i < p->n_rows; i++) {
                        const struct row *row = &p->row[i];
                        struct bench_row *to;

                        if (row->way != way || !ways[way].what || row->scene.height != 1080 ||
                                row->scene.one_stopped)
                                continue;
                        to = bench_row_add(t, ways[way].what, "%u clients", row->scene.n_clients);
                        give(to, p, row->cost);
                        note(to, row);
                }
        }
}

/*
 * What the daemon pays for clients that do not wait. The target is for those that never did; one look at the page of each
 * that has before is what the others cost.
 */
static void fill_flatness(struct bench_table *t, const struct plan *p)
{
        static const struct {
                enum way_id way;
                bool has_target;
                const char *what;
        } crowds[] = {
                { WAY_IDLE, true, "256 clients that never waited" },
                { WAY_BUSY, false, "256 clients that have waited before" },
        };

        for (unsigned i = 0; i < sizeof(crowds) / sizeof(crowds[0]); i++) {
                const struct row *one = plan_find(p, &plain, crowds[i].way);
                const struct row *all = plan_find(p, &crowd, crowds[i].way);
                struct bench_row *to = bench_row_add(t, "", "%s", crowds[i].what);

                if (crowds[i].has_target)
                        bench_row_at_most(to, BENCH_OF_MEDIAN, TARGET_FLATNESS_US);
                for (unsigned r = 0; one && all && r < p->options.n_rounds; r++)
                        if (one->cost[r].n > 0 && all->cost[r].n > 0)
                                bench_row_sample(to, r, all->cost[r].median - one->cost[r].median);
        }
}

static struct bench_row *compare(
        struct bench_table *t, const struct plan *p, const struct row *peer, const struct row *ours)
{
        char scene[BENCH_NAME], group[2 * BENCH_NAME];
        struct bench_row *to;

        snprintf(group, sizeof(group), "%s, %s", ways[peer->way].name,
                scene_name(&peer->scene, scene, sizeof(scene)));
        to = bench_row_add(t, group, "%s", ways[ours->way].name);
        for (unsigned r = 0; r < p->options.n_rounds; r++)
                if (peer->handoff[r].n > 0 && ours->handoff[r].n > 0)
                        bench_row_sample(to, r, peer->handoff[r].median / ours->handoff[r].median);
        if (!ways[ours->way].copies && !ways[ours->way].floor)
                bench_row_at_least(to, BENCH_OF_MEDIAN, TARGET_RATIO);
        note(to, peer);
        return to;
}

/*
 * One peer by each of our ways that does as much: copies with copies. What a bare futex would be ahead by stands first:
 * no client that sleeps until its frame is there can be ahead by more, and its row says how much of that it is.
 */
static void compare_all(struct bench_table *t, const struct plan *p, const struct row *peer)
{
        struct bench_row *limit = NULL;

        for (unsigned way = 0; way < N_WAYS; way++) {
                const struct row *ours = plan_find(p, &peer->scene, way);
                struct bench_row *to;

                if (!ours || ours->cost_only || ways[way].peer ||
                        ways[way].copies != ways[peer->way].copies)
                        continue;
                to = compare(t, p, peer, ours);
                if (ways[way].floor)
                        limit = to;
                else if (limit && way != WAY_EARLY)
                        bench_row_against(to, limit);
        }
}

static void fill_ratios(struct bench_table *t, const struct plan *p)
{
        for (unsigned i = 0; i < p->n_rows; i++)
                if (ways[p->row[i].way].peer && !p->row[i].cost_only)
                        compare_all(t, p, &p->row[i]);
}

void report_fill(struct bench_report *report, const struct plan *p)
{
        struct bench_table *cpu, *lost;

        fill_handoff(bench_table_add(report, "ring_handoff", "us",
                             "From publishing a frame to a client that is awake and holds it"),
                p);
        cpu = bench_table_add(
                report, "ring_client", "us", "CPU time that a client's process spends on a frame");
        lost = bench_table_add(report, "ring_lost", "%", "Frames that clients did not get");
        fill_price(cpu, lost, p);
        fill_cost(bench_table_add(report, "ring_cost", "us",
                          "The daemon's CPU time for publishing and waking, per frame"),
                p);
        fill_flatness(bench_table_add(report, "ring_flatness", "us",
                              "The same, above what it is with one client"),
                p);
        fill_ratios(bench_table_add(report, "ring_ratio", "times",
                            "A peer's median by ours in the same round"),
                p);
}
