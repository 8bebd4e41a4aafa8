/* guest_private.h - between guest.c (the machine) and its parts */
#ifndef VGPUD_GUEST_PRIVATE_H
#define VGPUD_GUEST_PRIVATE_H

#include "guest.h"

#define GUEST_PULSE_MS          100 /* how often clock and heartbeat are looked at, at least */
#define GUEST_RAM_PULSES        4 /* pulses for each look at RAM's files, which costs as much again */
#define GUEST_SPIN_NS           UINT64_C(500000) /* that looks may keep the loop waiting */
#define GUEST_GAP_NS            UINT64_C(2000000) /* between looks, for other things to be done with one */
#define GUEST_EARLY_MS          20                /* those that are due so soon */
#define GUEST_BACKOFF_FIRST_MS  20
#define GUEST_BACKOFF_SEARCH_MS 250 /* a producer that comes back is to be found at once */
#define GUEST_BACKOFF_MOST_MS   1000
#define GUEST_SEARCH_MOST_MS    5000 /* where searching everybody takes long */
#define GUEST_SEARCH_SHARE      20   /* of the time it may take one part */
#define GUEST_BACKOFF_STILL_MS                                                                     \
        2000 /* while the guest's clock stands: that it goes on shows at once */

/* guest.c */
void guest_tell(struct guest *g);

/* guest_ram.c: which files are RAM, and where */
void guest_open_ram(struct guest *g);
void guest_on_helper(struct ram_helper *h, struct ram_hand *hand);

/* guest_vm.c: what QEMU and its process say */
int guest_vm_init(struct guest *g);
/* At once, and then with the shortest waits. */
void guest_look_again(struct guest *g);
void guest_vm_stop(struct guest *g);
/* May guest memory be read now? */
bool guest_may_read(const struct guest *g);
/* And has QEMU said nothing since that we have not taken in? Takes a struct guest. */
bool guest_is_quiet(void *guest);
/* Has QEMU said that it does not run, ended, or gone from its monitor's socket? */
bool guest_is_known_off(const struct guest *g);
/* Is the machine known to be off, with its clock standing? Then the reason is set. */
bool guest_is_off(struct guest *g);

/* guest_newcomers.c: while a producer is looked for, who came lately is looked at often */
void guest_watch_newcomers(struct guest *g);
void guest_ignore_newcomers(struct guest *g);

/* guest_search.c */
void guest_scan(struct guest *g, enum scan_kind kind);
/* Drops what is being looked for and what was found but not taken by this event. */
void guest_cancel_scan(struct guest *g);
void guest_wait_heartbeat(struct guest *g);
void guest_clock_goes_on(struct guest *g);
/* Regions in a process that came lately; the search of everybody is called back. */
void guest_take_newcomers(struct guest *g, struct scan *scan);
void guest_on_retry(uv_timer_t *timer);

/* guest_pulse.c */
void guest_say_clock_stands(struct guest *g);
void guest_on_pulse(uv_timer_t *timer);
void guest_pulse_now(struct guest *g); /* a whole one, RAM's files included */
void guest_on_look(uv_poll_t *poll, int status, int events);
void guest_look_at(struct guest *g, uint64_t when_ns);
void guest_report_run(struct guest *g);

/* guest_log.c: what an event means to an admin, once, where the decision is made */
void guest_log_event(struct guest *g, enum guest_event event, enum guest_state next);
void guest_log_found(const struct guest *g);

#endif /* VGPUD_GUEST_PRIVATE_H */
