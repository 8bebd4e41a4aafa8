/* report.c - see report.h */
#include "report.h"

#include <stdlib.h>

#include "verdict.h"
#include "worker.h"

/* Whether any round of @rounds has a figure. */
static bool has_figures(const struct plan *p, const struct figures *rounds)
{
        return figures_of_rounds(rounds, p->options.n_rounds).n > 0;
}

/* Why a row has no figures, or what else is to be known about it; "" if nothing. */
static void note_of(const struct plan *p, const struct row *row, char *text, size_t size)
{
        text[0] = '\0';
        if (row->outcome == SCENE_SKIPPED)
                snprintf(text, size, "skipped: %s", row->reason);
        else if (row->outcome == SCENE_FAILED)
                snprintf(text, size, "failed: %s", row->reason);
        else if (!has_figures(p, row->handoff) && row->n_wanted > 0)
                snprintf(text, size, "no client got a frame any more");
        else if (row->n_bad > 0)
                snprintf(text, size, "%llu torn", (unsigned long long)row->n_bad);
}

static double lost_percent(const struct row *row)
{
        if (row->n_wanted == 0 || row->n_got >= row->n_wanted)
                return 0;
        return 100.0 * (double)(row->n_wanted - row->n_got) / (double)row->n_wanted;
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void print_figures(FILE *f, const struct plan *p, const struct figures *rounds)
{
        struct figures all = figures_of_rounds(rounds, p->options.n_rounds);

        if (all.n == 0)
                fprintf(f, "%9s %9s %9s %10s %8s", "-", "-", "-", "-", "0");
        else
                fprintf(f, "%9.1f %9.1f %9.1f %10.1f %8llu", all.median, all.p95, all.p99, all.max,
                        (unsigned long long)all.n);
}

static bool has_handoffs(const struct plan *p)
{
        for (unsigned i = 0; i < p->n_rows; i++)
                if (!p->row[i].cost_only)
                        return true;
        return false;
}

static void print_handoff(FILE *f, const struct plan *p)
{
        const struct scene *last = NULL;

        if (!has_handoffs(p))
                return;
        fprintf(f,
                "\nHand-off: from publishing a frame to a client that is awake and holds it, "
                "microseconds\n%-29s %-24s %9s %9s %9s %10s %8s %7s %7s\n",
                "scene", "way", "median", "p95", "p99", "max", "n", "lost", "cpu");
        for (unsigned i = 0; i < p->n_rows; i++) {
                const struct row *row = &p->row[i];
                char name[64] = "", note[320];

                if (row->cost_only)
                        continue;
                if (!last || !scene_equal(last, &row->scene))
                        scene_name(&row->scene, name, sizeof(name));
                last = &row->scene;
                note_of(p, row, note, sizeof(note));
                fprintf(f, "%-29s %-24s ", name, ways[row->way].name);
                if (!has_figures(p, row->handoff) && note[0] != '\0') {
                        fprintf(f, "%s\n", note);
                        continue;
                }
                print_figures(f, p, row->handoff);
                fprintf(f, " %5.1f %% %7.1f%s%s\n", lost_percent(row), row_client_us(p, row),
                        note[0] != '\0' ? "  " : "", note);
        }
}

/* By way, then by number of clients. */
static int compare_cost(const void *a, const void *b)
{
        const struct row *x = *(const struct row *const *)a, *y = *(const struct row *const *)b;

        if (x->way != y->way)
                return x->way < y->way ? -1 : 1;
        return x->scene.n_clients < y->scene.n_clients ? -1 : 1;
}

/* Those of an ordinary 1080p scene. Return: how many. */
static unsigned cost_rows(const struct plan *p, const struct row *rows[MAX_ROWS])
{
        unsigned n = 0;

        for (unsigned i = 0; i < p->n_rows; i++) {
                const struct row *row = &p->row[i];

                if (ways[row->way].what && row->scene.height == 1080 && !row->scene.one_stopped)
                        rows[n++] = row;
        }
        qsort(rows, n, sizeof(rows[0]), compare_cost);
        return n;
}

static void print_cost(FILE *f, const struct plan *p)
{
        const struct row *rows[MAX_ROWS];
        unsigned n = cost_rows(p, rows);

        if (n > 0)
                fprintf(f,
                        "\nThe daemon's own CPU time for publishing and waking, per frame, "
                        "microseconds\n%7s  %-44s %9s %9s %9s %10s %8s\n",
                        "clients", "waiting", "median", "p95", "p99", "max", "n");
        for (unsigned i = 0; i < n; i++) {
                char note[320];

                note_of(p, rows[i], note, sizeof(note));
                fprintf(f, "%7u  %-44s ", rows[i]->scene.n_clients, ways[rows[i]->way].what);
                print_figures(f, p, rows[i]->cost);
                fprintf(f, "%s%s\n", rows[i]->outcome != SCENE_OK ? "  " : "",
                        rows[i]->outcome != SCENE_OK ? note : "");
        }
}

static void print_ratios(FILE *f, const struct verdict *v, unsigned n)
{
        const struct row *peer = NULL;

        for (unsigned i = 0; i < n; i++) {
                char name[64];

                if (!v[i].is_ratio)
                        continue;
                if (!peer)
                        fprintf(f,
                                "\nRatios: the peer's median by ours in the same round, median of "
                                "the "
                                "rounds; the target is %.0f\n",
                                TARGET_RATIO);
                scene_name(&v[i].peer->scene, name, sizeof(name));
                fprintf(f, "%-29s %-24s %6.1f x %-18s %s\n", v[i].peer == peer ? "" : name,
                        v[i].peer == peer ? "" : ways[v[i].peer->way].name, v[i].value,
                        ways[v[i].ours->way].name, verdict_word(&v[i]));
                peer = v[i].peer;
        }
}

/* How many peers one of our ways leaves behind as far as it is to. Return: whether it was compared with any. */
static bool print_way_target(FILE *f, const struct verdict *v, unsigned n, unsigned way)
{
        unsigned with_target = 0, held = 0;

        for (unsigned i = 0; i < n; i++) {
                if (!v[i].is_ratio || !v[i].has_target || v[i].ours->way != way)
                        continue;
                with_target++;
                held += v[i].holds;
        }
        if (with_target > 0)
                fprintf(f, "%-7s every peer at least %.0f times slower than %s: %u of %u ratios\n",
                        held == with_target ? "holds" : "MISSED", TARGET_RATIO, ways[way].name,
                        held, with_target);
        return with_target > 0;
}

static void print_targets(FILE *f, const struct verdict *v, unsigned n)
{
        bool compared = false;

        fputs("\nTargets\n", f);
        for (unsigned i = 0; i < n; i++) {
                if (v[i].is_ratio)
                        continue;
                fprintf(f, "%-7s %s: %.1f us", verdict_word(&v[i]), v[i].what, v[i].value);
                if (v[i].has_target)
                        fprintf(f, ", at most %.0f us", v[i].target);
                fputc('\n', f);
        }
        for (unsigned way = 0; way < N_WAYS; way++)
                compared |= print_way_target(f, v, n, way);
        if (!compared)
                fputs("-       no peer was measured\n", f);
}

void report_tables(FILE *f, const struct plan *p)
{
        static struct verdict verdict[MAX_VERDICTS];
        unsigned n = verdicts_of(p, verdict);

        print_handoff(f, p);
        print_cost(f, p);
        print_ratios(f, verdict, n);
        print_targets(f, verdict, n);
}

/* ---- CSV ------------------------------------------------------------------------------------- */

static void csv_text(FILE *f, const char *text)
{
        fputc('"', f);
        for (; *text != '\0'; text++) {
                if (*text == '"')
                        fputc('"', f);
                fputc(*text, f);
        }
        fputc('"', f);
}

static void csv_row(FILE *f, const struct plan *p, const char *table, const struct row *row,
        const struct figures *rounds, const char *note)
{
        struct figures all = figures_of_rounds(rounds, p->options.n_rounds);

        fprintf(f, "%s,%u,%u,%u,%d,", table, row->scene.width, row->scene.height,
                row->scene.n_clients, row->scene.one_stopped);
        csv_text(f, ways[row->way].name);
        if (all.n > 0)
                fprintf(f, ",,%.3f,%.3f,%.3f,%.3f,%llu,", all.median, all.p95, all.p99, all.max,
                        (unsigned long long)all.n);
        else
                fprintf(f, ",,,,,,0,");
        if (rounds == row->handoff && row->n_wanted > 0)
                fprintf(f, "%.2f", lost_percent(row));
        fputc(',', f);
        if (rounds == row->handoff && row_client_us(p, row) > 0)
                fprintf(f, "%.3f", row_client_us(p, row));
        fprintf(f, ",,,");
        csv_text(f, note);
        fputc('\n', f);
}

static void csv_verdict(FILE *f, const struct verdict *v)
{
        if (v->is_ratio) {
                fprintf(f, "ratio,%u,%u,%u,%d,", v->ours->scene.width, v->ours->scene.height,
                        v->ours->scene.n_clients, v->ours->scene.one_stopped);
                csv_text(f, ways[v->ours->way].name);
                fputc(',', f);
                csv_text(f, ways[v->peer->way].name);
                fprintf(f, ",,,,,,,,%.3f,%s,\"\"\n", v->value, verdict_word(v));
        } else {
                fprintf(f, "target,,,,,,,%.3f,,,,,,,,%s,", v->value, verdict_word(v));
                csv_text(f, v->what);
                fputc('\n', f);
        }
}

void report_csv(FILE *f, const struct plan *p)
{
        static struct verdict verdict[MAX_VERDICTS];
        const struct row *rows[MAX_ROWS];
        unsigned n = verdicts_of(p, verdict), n_cost;
        char note[320];

        fputs("table,width,height,clients,stopped,way,against,median_us,p95_us,p99_us,max_us,n,"
              "lost_percent,cpu_us,ratio,verdict,note\n",
                f);
        for (unsigned i = 0; i < p->n_rows; i++) {
                const struct row *row = &p->row[i];

                if (row->cost_only)
                        continue;
                note_of(p, row, note, sizeof(note));
                csv_row(f, p, "handoff", row, row->handoff, note);
        }
        n_cost = cost_rows(p, rows);
        for (unsigned i = 0; i < n_cost; i++)
                csv_row(f, p, "cost", rows[i], rows[i]->cost, "");
        for (unsigned i = 0; i < n; i++)
                csv_verdict(f, &verdict[i]);
}
