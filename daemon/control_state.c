/*
 * control_state.c - the table of control_state.h
 *
 * Read it by state. What holds in every row is tested over the whole table: one WRITE at most is awaited at any time, what is
 * awaited is forgotten with its region and its writer, and every way back to sending passes through a change or a
 * back-off.
 */
#include "control_state.h"

#include <assert.h>

#define FRESH (CONTROL_DO_FORGET | CONTROL_DO_FORGIVE)

#define TO_AWAY                                                                                    \
        {                                                                                          \
                true, CONTROL_AWAY, FRESH                                                          \
        }
#define TO_WAITING                                                                                 \
        {                                                                                          \
                true, CONTROL_WAITING, FRESH                                                       \
        }
#define TO_SENT                                                                                    \
        {                                                                                          \
                true, CONTROL_SENT, FRESH | CONTROL_DO_SEND                                        \
        }
#define TO_IDLE                                                                                    \
        {                                                                                          \
                true, CONTROL_IDLE, FRESH                                                          \
        }
#define TO_RESTING                                                                                 \
        {                                                                                          \
                true, CONTROL_RESTING, CONTROL_DO_FORGET | CONTROL_DO_ARM_RETRY                    \
        }

struct row {
        bool defined;
        enum control_state state;
        unsigned actions;
};

/* clang-format off */
static const struct row table[CONTROL_N_STATES][CONTROL_N_EVENTS] = {
        [CONTROL_AWAY] = {
                [CONTROL_EV_BOUND]       = { true, CONTROL_IDLE, 0 },
        },
        [CONTROL_IDLE] = {
                [CONTROL_EV_WANTED]      = TO_SENT,
                [CONTROL_EV_UNBOUND]     = TO_AWAY,
        },
        [CONTROL_WAITING] = {
                [CONTROL_EV_WRITER_CAME] = TO_SENT,
                [CONTROL_EV_RESUMED]     = TO_SENT,
                [CONTROL_EV_SETTLED]     = TO_IDLE,
                [CONTROL_EV_UNBOUND]     = TO_AWAY,
        },
        [CONTROL_SENT] = {
                [CONTROL_EV_DONE]        = { true, CONTROL_WRITTEN, CONTROL_DO_KEEP | FRESH },
                [CONTROL_EV_WANTED]      = { true, CONTROL_OUTDATED, 0 },
                [CONTROL_EV_FAILED]      = TO_RESTING,
                [CONTROL_EV_EXHAUSTED]   = { true, CONTROL_GIVEN_UP, CONTROL_DO_FORGET },
                [CONTROL_EV_HELD_BACK]   = TO_WAITING,
                [CONTROL_EV_WRITER_GONE] = TO_WAITING,
                [CONTROL_EV_UNBOUND]     = TO_AWAY,
        },
        [CONTROL_OUTDATED] = {
                [CONTROL_EV_DONE]        = { true, CONTROL_SENT, CONTROL_DO_KEEP | FRESH | CONTROL_DO_SEND },
                [CONTROL_EV_FAILED]      = TO_RESTING,
                /* What failed so often is not what is asked for now. */
                [CONTROL_EV_EXHAUSTED]   = { true, CONTROL_RESTING, FRESH | CONTROL_DO_ARM_RETRY },
                [CONTROL_EV_WRITER_GONE] = TO_WAITING,
                [CONTROL_EV_UNBOUND]     = TO_AWAY,
        },
        [CONTROL_RESTING] = {
                /* Whatever is asked for by then: a change does not cut the back-off short. */
                [CONTROL_EV_RETRY]       = { true, CONTROL_SENT, CONTROL_DO_SEND },
                [CONTROL_EV_WRITER_GONE] = TO_WAITING,
                [CONTROL_EV_UNBOUND]     = TO_AWAY,
        },
        [CONTROL_WRITTEN] = {
                [CONTROL_EV_ACKED]       = { true, CONTROL_APPLIED, 0 },
                [CONTROL_EV_WANTED]      = TO_SENT,
                [CONTROL_EV_WRITER_CAME] = TO_SENT,
                [CONTROL_EV_UNBOUND]     = TO_AWAY,
        },
        [CONTROL_APPLIED] = {
                [CONTROL_EV_WANTED]      = TO_SENT,
                [CONTROL_EV_SETTLED]     = TO_IDLE,
                [CONTROL_EV_WRITER_CAME] = TO_SENT,
                [CONTROL_EV_UNBOUND]     = TO_AWAY,
        },
        [CONTROL_GIVEN_UP] = {
                [CONTROL_EV_WANTED]      = TO_SENT,
                [CONTROL_EV_SETTLED]     = TO_IDLE,
                [CONTROL_EV_WRITER_GONE] = TO_WAITING,
                [CONTROL_EV_UNBOUND]     = TO_AWAY,
        },
};
/* clang-format on */

struct control_step control_next(enum control_state state, enum control_event event)
{
        const struct row *row;

        assert(state < CONTROL_N_STATES && event < CONTROL_N_EVENTS);
        row = &table[state][event];
        if (!row->defined)
                return (struct control_step){ state, 0 };
        return (struct control_step){ row->state, row->actions };
}

const char *control_state_name(enum control_state state)
{
        static const char *const name[CONTROL_N_STATES] = {
                [CONTROL_AWAY] = "away",
                [CONTROL_IDLE] = "idle",
                [CONTROL_WAITING] = "waiting",
                [CONTROL_SENT] = "sent",
                [CONTROL_OUTDATED] = "outdated",
                [CONTROL_RESTING] = "resting",
                [CONTROL_WRITTEN] = "written",
                [CONTROL_APPLIED] = "applied",
                [CONTROL_GIVEN_UP] = "given-up",
        };

        assert(state < CONTROL_N_STATES);
        return name[state];
}

const char *control_event_name(enum control_event event)
{
        static const char *const name[CONTROL_N_EVENTS] = {
                [CONTROL_EV_BOUND] = "bound",
                [CONTROL_EV_UNBOUND] = "unbound",
                [CONTROL_EV_WANTED] = "wanted",
                [CONTROL_EV_SETTLED] = "settled",
                [CONTROL_EV_WRITER_CAME] = "writer-came",
                [CONTROL_EV_WRITER_GONE] = "writer-gone",
                [CONTROL_EV_HELD_BACK] = "held-back",
                [CONTROL_EV_RESUMED] = "resumed",
                [CONTROL_EV_DONE] = "done",
                [CONTROL_EV_FAILED] = "failed",
                [CONTROL_EV_EXHAUSTED] = "exhausted",
                [CONTROL_EV_RETRY] = "retry",
                [CONTROL_EV_ACKED] = "acked",
        };

        assert(event < CONTROL_N_EVENTS);
        return name[event];
}
