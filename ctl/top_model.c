/* top_model.c - taking reports in: what was before, since when the daemon is away, and the states of the last minutes */
#include "top.h"

#include <string.h>

#include "field.h"

#define NS_PER_S UINT64_C(1000000000)

void top_init(struct top *t)
{
        *t = (struct top){ 0 };
        memset(t->history, ' ', sizeof t->history);
}

static void put(struct top_reports *r)
{
        json_object_put(r->status);
        json_object_put(r->clients);
        json_object_put(r->metrics);
        *r = (struct top_reports){ 0 };
}

void top_deinit(struct top *t)
{
        put(&t->now);
        put(&t->before);
}

static char letter_of(const char *state)
{
        static const struct {
                const char *state;
                char letter;
        } letters[] = {
                { "streaming", '#' },
                { "confirming", '+' },
                { "searching", '?' },
                { "attaching", 'o' },
                { "stalled", '!' },
                { "stopping", 'x' },
                { "absent", '.' },
        };

        for (size_t i = 0; state && i < sizeof letters / sizeof letters[0]; i++)
                if (strcmp(letters[i].state, state) == 0)
                        return letters[i].letter;
        return '-';
}

/* What was not asked for in between is taken to have lasted. */
static void remember(struct top *t, uint64_t second, char letter)
{
        uint64_t n = t->history_s && second > t->history_s ? second - t->history_s : 1;
        char last = t->history[TOP_HISTORY - 1];

        if (t->history_s && second == t->history_s) {
                t->history[TOP_HISTORY - 1] = letter;
                return;
        }
        if (n > TOP_HISTORY)
                n = TOP_HISTORY;
        memmove(t->history, t->history + n, TOP_HISTORY - n);
        memset(t->history + TOP_HISTORY - n, last, n);
        t->history[TOP_HISTORY - 1] = letter;
        t->history_s = second;
}

void top_take(struct top *t, const struct top_reports *reports)
{
        struct top_reports r = *reports;

        remember(t, r.at_ns / NS_PER_S, r.status ? letter_of(field_raw(r.status, "state")) : '-');
        if (!r.status) {
                if (!t->away_ns)
                        t->away_ns = r.at_ns;
                t->now.at_ns = r.at_ns;
                put(&r);
                return;
        }
        put(&t->before);
        t->before = t->now;
        t->now = r;
        /* Another daemon counts from 0, and time that it was away is no time of counting. */
        if (t->away_ns || field_u64(t->before.status, "pid") != field_u64(r.status, "pid"))
                put(&t->before);
        t->away_ns = 0;
}

const char *top_sort_name(enum top_sort sort)
{
        static const char *const names[TOP_N_SORTS] = {
                [TOP_BY_MISSED] = "missed",
                [TOP_BY_LAG] = "lag",
                [TOP_BY_FPS] = "fps",
                [TOP_BY_NAME] = "name",
        };

        return names[sort];
}
