/*
 * guest.h - the guest as the daemon lives it: RAM, epoch, region, and the timers and scans between them
 *
 * Runs the table of guest_state.h. Owns what is held in each state; callbacks turn what happened into an event and
 * guest_post() runs the actions. One per daemon; everything on the loop's thread but the scans.
 */
#ifndef VGPUD_GUEST_H
#define VGPUD_GUEST_H

#include <uv.h>

#include "config/config.h"
#include "control.h"
#include "epoch.h"
#include "guest_clock.h"
#include "guest_state.h"
#include "histogram.h"
#include "monitor.h"
#include "outlet.h"
#include "ram_helper.h"
#include "ram_shelf.h"
#include "scan.h"
#include "stream.h"
#include "systemd/journal.h"
#include "vm_process.h"

struct guest {
        uv_loop_t *loop;
        const struct vgpu_config *config;
        struct outlet *outlet;
        struct control *control; /* told where intents go; NULL: nowhere */

        enum guest_state state;
        uint64_t since_ns;                 /* in this state, CLOCK_MONOTONIC */
        uint64_t state_ns[GUEST_N_STATES]; /* in each state, before this time in it */
        void (*changed)(
                void *ctx); /* told of every other state, when all about it is done; NULL: nobody */
        void *changed_ctx;
        uint64_t phase_ns;  /* since then it waits for the same thing; candidates come and go */
        uint64_t outage_ns; /* without frames since then */
        char reason[256];   /* why it is not streaming; "" when it is */
        char logged[256];   /* the last reason that got a line of its own */
        char seen[256];     /* the last reason why there is no RAM */
        uint64_t seen_ns;   /* since when it is that one */

        /* QEMU, as far as the configuration says where it is */
        bool has_monitor, has_process;
        struct monitor monitor;
        struct vm_process process;

        /* RAM that is opened by somebody who may */
        struct ram_helper helper;
        struct ram_shelf shelf;
        int asked_for;  /* the process that the helper was last asked about; 0: none */
        bool is_asking; /* no reason yet: an answer is on its way */

        struct ram *ram;
        char ram_name[CONFIG_TEXT_MAX]; /* what is opened, or looked for */
        bool layout_by_qemu;
        struct epoch *epoch;
        uint64_t n_epochs;
        vmie_mem mem; /* the epoch's RAM through the map; the loop's own */
        vgpup_region *region;
        uint64_t n_bindings;

        /* QEMU reset the machine under this kernel: until it is written over, it is there and dead */
        bool has_relic;
        struct win32_info relic;
        uint64_t relic_clock;

        /* found, on its way to being taken */
        struct epoch *next_epoch;
        vgpup_region *next_region;

        /* being confirmed */
        struct vgpup_candidate candidate[SCAN_MAX_CANDIDATES];
        size_t n_candidates;
        size_t n_silent;     /* of these, the first: waited for in vain */
        struct epoch *other; /* another kernel whose clock we watch */
        uint64_t other_clock;
        uint64_t confirm_until_ms; /* of the loop's clock */

        struct scan *scan; /* under way, or NULL */
        bool scan_wanted;  /* another one when that is back */
        enum scan_kind wanted;
        uint64_t n_scans; /* sent out */
        uint64_t
                search_took_ns; /* the last search of everybody, in processor time; 0: none in this epoch */

        /* between those: who came lately is searched again and again */
        process lost;        /* the last producer of this epoch; pid 0: none */
        struct scan *brief;  /* under way beside the other, or NULL */
        bool brief_is_spent; /* it had its say since everybody was searched */
        uint64_t brief_due_ns;
        uint64_t newcomer_ns; /* when there last was one */

        /* what the guest's clocks say */
        struct guest_clock clock;
        enum guest_clock_verdict verdict;
        uint64_t heartbeat;
        uint64_t heartbeat_ns; /* host time it last moved */
        uint32_t run_epoch;

        struct stream stream;
        struct pacer pacer;
        int look_fd;                         /* timerfd */
        uint64_t n_steps, n_pulses, n_looks; /* for the watchdog: these go on while it lives */
        uint64_t looked_ns; /* when the last look ended, 0: none since looks began */
        struct histogram look_time,
                poll_gap; /* of a look; from the end of one to the end of the next */

        uv_poll_t look;
        uv_timer_t retry, confirm, pulse, glance;
        uv_fs_event_t watch;
        uint64_t backoff_ms;
};

/**
 * guest_init() - begin with nothing known
 *
 * Everything is borrowed and must outlive guest_deinit(). The first event comes from the loop.
 *
 * Return: 0, or what libuv or timerfd_create() said; the outlet is closed then, and the loop runs out.
 */
int guest_init(
        struct guest *g, uv_loop_t *loop, const struct vgpu_config *config, struct outlet *outlet);

/* Go by what is live of [pace] and [guest] in the configuration now: the next look's time, the next choice of a producer. */
void guest_reload(struct guest *g);

/* RAM that the service manager passed is taken out of @p. To be called before the loop runs. */
void guest_take_passed(struct guest *g, struct passed *p);

/* Leave everything, end in GUEST_STOPPING, close the outlet and all handles; a scan still under way is cancelled and waited
 * for by the loop. */
void guest_stop(struct guest *g);

/* After the loop has run out. An all-zero guest is fine. */
void guest_deinit(struct guest *g);

/* Take in an event: the new state, its actions, and what clients are told. */
void guest_post(struct guest *g, enum guest_event event);

/* Say why; kept for status and journal. */
void guest_set_reason(struct guest *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The bound producer, or NULL. */
const struct vgpup_candidate *guest_producer(const struct guest *g);

#define GUEST_NAME_MAX JOURNAL_ESCAPED(sizeof(((process *)0)->name))

/* The bound producer's name, fit to be shown inside single quotes; there must be one. Returns @buf. */
const char *guest_producer_name(const struct guest *g, char buf[GUEST_NAME_MAX]);

#endif /* VGPUD_GUEST_H */
