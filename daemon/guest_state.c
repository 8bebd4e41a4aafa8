/*
 * guest_state.c - the table of guest_state.h
 *
 * Read it by state. Three things hold in every row and are tested over the whole table: leaving a state that had a scan
 * under way cancels it, a context is never dropped while its region is bound, and RAM is never closed under a context.
 */
#include "guest_state.h"

#include <assert.h>

/* What ends together. */
#define LEAVE_REGION  (GUEST_DO_CANCEL_SCAN | GUEST_DO_STOP_LOOKING | GUEST_DO_UNBIND)
#define LEAVE_CONTEXT (LEAVE_REGION | GUEST_DO_DROP_CONTEXT)
#define LEAVE_RAM     (LEAVE_CONTEXT | GUEST_DO_CLOSE_RAM)

#define TO_ABSENT                                                                                  \
        {                                                                                          \
                true, GUEST_ABSENT, LEAVE_RAM | GUEST_DO_RESET_BACKOFF | GUEST_DO_RETRY            \
        }
#define TO_NEW_EPOCH                                                                               \
        {                                                                                          \
                true, GUEST_ATTACHING, LEAVE_CONTEXT | GUEST_DO_RESET_BACKOFF | GUEST_DO_ATTACH    \
        }
#define TO_STOPPING                                                                                \
        {                                                                                          \
                true, GUEST_STOPPING, LEAVE_RAM | GUEST_DO_CLOSE_RING                              \
        }
#define TO_NEW_KERNEL                                                                              \
        {                                                                                          \
                true, GUEST_SEARCHING,                                                             \
                        LEAVE_CONTEXT | GUEST_DO_TAKE_CONTEXT | GUEST_DO_RESET_BACKOFF |           \
                                GUEST_DO_DISCOVER                                                  \
        }
#define TO_SEARCHING                                                                               \
        {                                                                                          \
                true, GUEST_SEARCHING, LEAVE_REGION | GUEST_DO_RESET_BACKOFF | GUEST_DO_DISCOVER   \
        }
#define TO_STREAMING                                                                               \
        {                                                                                          \
                true, GUEST_STREAMING,                                                             \
                        GUEST_DO_CANCEL_SCAN | GUEST_DO_TAKE_REGION | GUEST_DO_RESET_BACKOFF |     \
                                GUEST_DO_LOOK                                                      \
        }
#define TO_WAIT_IN(state_)                                                                         \
        {                                                                                          \
                true, state_, GUEST_DO_CANCEL_SCAN | GUEST_DO_RESET_BACKOFF | GUEST_DO_RETRY       \
        }
#define TO_STALLED                                                                                 \
        {                                                                                          \
                true, GUEST_STALLED,                                                               \
                        GUEST_DO_STOP_LOOKING | GUEST_DO_RESET_BACKOFF | GUEST_DO_RETRY            \
        }

struct row {
        bool defined;
        enum guest_state state;
        unsigned actions;
};

/* clang-format off */
static const struct row table[GUEST_N_STATES][GUEST_N_EVENTS] = {
        [GUEST_ABSENT] = {
                [GUEST_EV_RAM_APPEARED]       = { true, GUEST_ATTACHING, GUEST_DO_RESET_BACKOFF | GUEST_DO_ATTACH },
                [GUEST_EV_RAM_GONE]           = { true, GUEST_ABSENT, GUEST_DO_RETRY },
                [GUEST_EV_RETRY]              = { true, GUEST_ABSENT, GUEST_DO_OPEN_RAM },
                [GUEST_EV_STOP]               = TO_STOPPING,
        },
        [GUEST_ATTACHING] = {
                [GUEST_EV_ATTACHED]           = { true, GUEST_SEARCHING,
                        GUEST_DO_TAKE_CONTEXT | GUEST_DO_RESET_BACKOFF | GUEST_DO_DISCOVER },
                [GUEST_EV_ATTACH_FAILED]      = { true, GUEST_ATTACHING, GUEST_DO_RETRY },
                [GUEST_EV_RETRY]              = { true, GUEST_ATTACHING, GUEST_DO_ATTACH },
                [GUEST_EV_EPOCH_ENDED]        = { true, GUEST_ATTACHING,
                        GUEST_DO_CANCEL_SCAN | GUEST_DO_RESET_BACKOFF | GUEST_DO_ATTACH },
                [GUEST_EV_HALTED]             = TO_WAIT_IN(GUEST_ATTACHING),
                [GUEST_EV_RAM_GONE]           = TO_ABSENT,
                [GUEST_EV_STOP]               = TO_STOPPING,
        },
        [GUEST_SEARCHING] = {
                [GUEST_EV_CANDIDATES]         = { true, GUEST_CONFIRMING, GUEST_DO_WAIT_HEARTBEAT },
                [GUEST_EV_NO_CANDIDATES]      = { true, GUEST_SEARCHING, GUEST_DO_RETRY },
                [GUEST_EV_STILL_SILENT]       = { true, GUEST_SEARCHING, GUEST_DO_RETRY_LATER },
                [GUEST_EV_RETRY]              = { true, GUEST_SEARCHING, GUEST_DO_DISCOVER },
                [GUEST_EV_CLOCK_STOPPED]      = { true, GUEST_SEARCHING, GUEST_DO_LOOK_AROUND },
                [GUEST_EV_CLOCK_RUNS]         = { true, GUEST_SEARCHING,
                        GUEST_DO_CANCEL_SCAN | GUEST_DO_RESET_BACKOFF | GUEST_DO_DISCOVER },
                [GUEST_EV_HALTED]             = TO_WAIT_IN(GUEST_SEARCHING),
                [GUEST_EV_ATTACHED]           = TO_NEW_KERNEL,
                [GUEST_EV_EPOCH_ENDED]        = TO_NEW_EPOCH,
                [GUEST_EV_RAM_GONE]           = TO_ABSENT,
                [GUEST_EV_STOP]               = TO_STOPPING,
        },
        [GUEST_CONFIRMING] = {
                [GUEST_EV_CONFIRMED]          = TO_STREAMING,
                [GUEST_EV_NOT_CONFIRMED]      = { true, GUEST_SEARCHING, GUEST_DO_RETRY_LATER },
                [GUEST_EV_CLOCK_RUNS]         = { true, GUEST_CONFIRMING,
                        GUEST_DO_RESET_BACKOFF | GUEST_DO_WAIT_HEARTBEAT },
                [GUEST_EV_READ_FAILED]        = { true, GUEST_SEARCHING, GUEST_DO_DISCOVER },
                [GUEST_EV_HALTED]             = TO_WAIT_IN(GUEST_SEARCHING),
                [GUEST_EV_EPOCH_ENDED]        = TO_NEW_EPOCH,
                [GUEST_EV_RAM_GONE]           = TO_ABSENT,
                [GUEST_EV_STOP]               = TO_STOPPING,
        },
        [GUEST_STREAMING] = {
                [GUEST_EV_HEARTBEAT_LOST]     = TO_STALLED,
                [GUEST_EV_CLOCK_STOPPED]      = TO_STALLED,
                [GUEST_EV_HALTED]             = TO_STALLED,
                [GUEST_EV_RUN_EPOCH]          = { true, GUEST_STREAMING, GUEST_DO_REPORT_RUN },
                [GUEST_EV_READ_FAILED]        = TO_SEARCHING,
                [GUEST_EV_EPOCH_ENDED]        = TO_NEW_EPOCH,
                [GUEST_EV_RAM_GONE]           = TO_ABSENT,
                [GUEST_EV_STOP]               = TO_STOPPING,
        },
        [GUEST_STALLED] = {
                [GUEST_EV_HEARTBEAT_RETURNED] = { true, GUEST_STREAMING,
                        GUEST_DO_CANCEL_SCAN | GUEST_DO_RESET_BACKOFF | GUEST_DO_LOOK },
                [GUEST_EV_RETRY]              = { true, GUEST_STALLED, GUEST_DO_LOOK_AROUND },
                [GUEST_EV_CANDIDATES]         = { true, GUEST_STALLED, GUEST_DO_WAIT_HEARTBEAT },
                [GUEST_EV_NO_CANDIDATES]      = { true, GUEST_STALLED, GUEST_DO_RETRY },
                [GUEST_EV_STILL_SILENT]       = { true, GUEST_STALLED, GUEST_DO_RETRY_LATER },
                [GUEST_EV_NOT_CONFIRMED]      = { true, GUEST_STALLED, GUEST_DO_RETRY_LATER },
                [GUEST_EV_CLOCK_RUNS]         = TO_WAIT_IN(GUEST_STALLED),
                [GUEST_EV_CONFIRMED]          = TO_STREAMING,
                [GUEST_EV_RUN_EPOCH]          = { true, GUEST_STALLED, GUEST_DO_REPORT_RUN },
                [GUEST_EV_HALTED]             = TO_WAIT_IN(GUEST_STALLED),
                [GUEST_EV_ATTACHED]           = TO_NEW_KERNEL,
                [GUEST_EV_READ_FAILED]        = TO_SEARCHING,
                [GUEST_EV_EPOCH_ENDED]        = TO_NEW_EPOCH,
                [GUEST_EV_RAM_GONE]           = TO_ABSENT,
                [GUEST_EV_STOP]               = TO_STOPPING,
        },
        /* Nothing leaves STOPPING. */
};
/* clang-format on */

struct guest_step guest_next(enum guest_state state, enum guest_event event)
{
        const struct row *row;

        assert(state < GUEST_N_STATES && event < GUEST_N_EVENTS);
        row = &table[state][event];
        if (!row->defined)
                return (struct guest_step){ state, 0 };
        return (struct guest_step){ row->state, row->actions };
}

const char *guest_state_name(enum guest_state state)
{
        static const char *const name[GUEST_N_STATES] = {
                [GUEST_ABSENT] = "absent",
                [GUEST_ATTACHING] = "attaching",
                [GUEST_SEARCHING] = "searching",
                [GUEST_CONFIRMING] = "confirming",
                [GUEST_STREAMING] = "streaming",
                [GUEST_STALLED] = "stalled",
                [GUEST_STOPPING] = "stopping",
        };

        assert(state < GUEST_N_STATES);
        return name[state];
}

const char *guest_event_name(enum guest_event event)
{
        static const char *const name[GUEST_N_EVENTS] = {
                [GUEST_EV_RAM_APPEARED] = "ram-appeared",
                [GUEST_EV_RAM_GONE] = "ram-gone",
                [GUEST_EV_ATTACHED] = "attached",
                [GUEST_EV_ATTACH_FAILED] = "attach-failed",
                [GUEST_EV_CANDIDATES] = "candidates",
                [GUEST_EV_NO_CANDIDATES] = "no-candidates",
                [GUEST_EV_STILL_SILENT] = "still-silent",
                [GUEST_EV_CONFIRMED] = "confirmed",
                [GUEST_EV_NOT_CONFIRMED] = "not-confirmed",
                [GUEST_EV_READ_FAILED] = "read-failed",
                [GUEST_EV_HEARTBEAT_LOST] = "heartbeat-lost",
                [GUEST_EV_CLOCK_STOPPED] = "clock-stopped",
                [GUEST_EV_CLOCK_RUNS] = "clock-runs",
                [GUEST_EV_HEARTBEAT_RETURNED] = "heartbeat-returned",
                [GUEST_EV_RUN_EPOCH] = "run-epoch",
                [GUEST_EV_EPOCH_ENDED] = "epoch-ended",
                [GUEST_EV_HALTED] = "halted",
                [GUEST_EV_RETRY] = "retry",
                [GUEST_EV_STOP] = "stop",
        };

        assert(event < GUEST_N_EVENTS);
        return name[event];
}
