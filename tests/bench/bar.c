/* bar.c - see bar.h */
#include "bar.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>

const struct bar_row bar[] = {
        { "sample and publish of a frame",
                "at most 1.10 of the best copy by hand of the same bytes", "copy", "copy", "*",
                "sample and publish?(, *)" },
        { "page walk and revalidation", "at most 3 % of the copy, in scattered 4 KiB pages", "copy",
                "copy", "*scattered*", "walk and revalidation*" },
        { "a small change, with damage", "a caret in 4K costs at most 2 % of a whole frame", "copy",
                "copy", "4K*", "*a caret" },
        { "publish to client awake, 1 client", "at most 50 us, median", "ring", "ring_handoff", "*",
                "*" },
        { "the same, beside what a user would pick instead, by the quickest way",
                "ahead of every peer by 4 times", "ring", "ring_ratio", "*", "*awake before" },
        { "... by a client that sleeps until its frame is there",
                "ahead of every peer by 4 times; a bare futex beside it", "ring", "ring_ratio", "*",
                "!(*awake before)" },
        { "daemon's cost per frame, 256 clients that nobody waits on", "within 5 us of 1 client",
                "ring", "ring_flatness", "*", "*" },
        { "guest publishes to client has it, 60 fps 1080p",
                "copy + 150 us median, copy + 500 us p99", "pace", "pace_latency", "*", "*" },
        { "the daemon's processor time meanwhile", "at most 3 % of a core besides the copy", "pace",
                "pace_cpu", "*", "[!i]*" },
        { "idle desktop", "at most 0.3 % of a core", "pace", "pace_cpu", "*", "idle" },
        { "attach: kernel, offsets, process list; 300 processes, 8 GiB", "at most 20 ms, cold",
                "find", "find", "*", "attach*" },
        { "discovery over 300 processes, 2 million mapped pages", "at most 100 ms, cold", "find",
                "find", "*", "discovery*" },
        { "a restarted producer, from its identity on", "at most 20 ms", "find", "find", "*",
                "a restarted producer*" },
        { "what a scan delays a frame or a client by", "at most 1 ms", "find", "find", "*",
                "longest*" },
        { "host memory allocated in the guest's RAM file", "0 pages", "find", "find-cost", "*",
                "pages allocated*" },
        { "memory", "ring + 16 MiB", "footprint", "memory", "*", "*" },
        { "start to READY", "at most 50 ms", "footprint", "start", "*", "to READY" },
        { "start to first frame", "at most the heartbeat's period + 100 ms", "footprint", "start",
                "*", "*first frame" },
};

const size_t n_bar = sizeof(bar) / sizeof(bar[0]);

bool bar_counts(const struct bar_row *row, const struct figures_record *r)
{
        return r->target[0] != '\0' && fnmatch(row->table, r->table, FNM_EXTMATCH) == 0 &&
               fnmatch(row->group, r->group, FNM_EXTMATCH) == 0 &&
               fnmatch(row->row, r->row, FNM_EXTMATCH) == 0;
}

struct bar_verdict bar_judge(const struct bar_row *row, const struct figures_file *file)
{
        struct bar_verdict v = {
                .holds = BENCH_NOT_MEASURED, .n_runs = file->n_runs, .reason = ""
        };

        for (size_t i = 0; i < file->n_records; i++) {
                const struct figures_record *r = &file->record[i];
                struct figures_excess by;

                if (!bar_counts(row, r))
                        continue;
                if (!figures_excess(r, &by)) {
                        v.reason = r->note;
                        continue;
                }
                v.n++;
                v.n_held += by.excess <= 0;
                if (v.worst && by.excess <= v.by.excess)
                        continue;
                v.worst = r;
                v.by = by;
        }
        if (v.n > 0)
                v.holds = v.n_held == v.n ? BENCH_HOLDS : BENCH_MISSED;
        return v;
}

const char *bar_verdict_text(
        const struct bar_row *row, const struct bar_verdict *v, char *text, size_t size)
{
        char number[32], where[2 * BENCH_NAME + 8];

        if (!v->worst) {
                snprintf(text, size, "not measured: %s%s",
                        v->reason[0] != '\0' ? v->reason : "script/bench ",
                        v->reason[0] != '\0' ? "" : row->program);
                return text;
        }
        bench_number(v->by.value, number, sizeof(number));
        snprintf(where, sizeof(where), "%s%s%s", v->worst->group,
                v->worst->group[0] != '\0' ? ": " : "", v->worst->row);
        if (v->holds == BENCH_HOLDS && v->n == 1)
                snprintf(text, size, "yes: %s", number);
        else if (v->holds == BENCH_HOLDS)
                snprintf(text, size, "yes: %s at worst (%s)", number, where);
        else if (v->n == 1)
                snprintf(text, size, "no: %s, %.0f %% beyond", number, 100 * v->by.excess);
        else
                snprintf(text, size, "no: %s, %.0f %% beyond (%s); %u of %u hold", number,
                        100 * v->by.excess, where, v->n_held, v->n);
        return text;
}

const char *bar_runs_text(const struct figures_excess *by, unsigned n_runs, char *text, size_t size)
{
        double least = INFINITY, most = -INFINITY;
        size_t at = 0;
        char number[32];

        text[0] = '\0';
        if (n_runs < 2)
                return text;
        for (unsigned i = 0; i < n_runs && at < size; i++) {
                double value = by->run[i];

                at += (size_t)snprintf(text + at, size - at, "%s%s", i > 0 ? ", " : "",
                        isnan(value) ? "-" : bench_number(value, number, sizeof(number)));
                least = fmin(least, value);
                most = fmax(most, value);
        }
        if (at < size)
                snprintf(text + at, size - at, ", spread %s",
                        bench_number(most - least, number, sizeof(number)));
        return text;
}
