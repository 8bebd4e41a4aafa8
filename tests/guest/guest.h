/*
 * guest.h - a simulated guest at work: machine, producer, clock
 *
 * One thread: guest_run_due() does what is due and says when to be called again; the commands change things in between.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest_clock.h"
#include "guest_options.h"
#include "guest_producer.h"
#include "machine.h"
#include "ram.h"

#define GUEST_CHURNED 32

/* Processes that are there beside the producer. */
struct guest_company {
        struct machine_process *rival_process; /* publishes too; NULL: none */
        struct guest_producer rival;
        bool churns;
        uint64_t next_churn_ns;
        struct machine_process *churned[GUEST_CHURNED]; /* that come and go; NULL: place is free */
};

struct guest {
        struct guest_options options;
        struct ram ram;
        struct machine machine;
        void *storage;
        struct guest_clock clock;
        uint64_t next_tick_ns;          /* guest time */
        struct guest_producer producer; /* meaningful while machine.producer is there */
        struct guest_company company;
        enum guest_cursor cursor;
        int32_t cursor_x, cursor_y;
        bool quit;
        char why[256]; /* reason of the last failure, for a person */
};

#define GUEST_NEVER UINT64_MAX

/**
 * guest_open() - make the RAM, boot the machine and start the producer the options ask for
 * @g: zero-filled, large: make it static
 * @options: copied
 *
 * Return: true; false with g->why set. guest_close() is right in both cases.
 */
bool guest_open(struct guest *g, const struct guest_options *options);
void guest_close(struct guest *g);

/**
 * guest_run_due() - clock ticks, heartbeats and frames whose time has come
 *
 * Return: the host's CLOCK_MONOTONIC, in ns, of the next one; GUEST_NEVER while the machine is paused.
 */
uint64_t guest_run_due(struct guest *g);

/* What can be done to it. False: it failed and g->why says why. */
bool guest_restart_producer(struct guest *g);
bool guest_kill_producer(struct guest *g);
bool guest_reboot(struct guest *g, bool elsewhere);
bool guest_break_run(struct guest *g);
bool guest_set_mode(struct guest *g, const struct guest_mode *mode);
bool guest_set_hung(struct guest *g, bool hung);
void guest_pause(struct guest *g);
void guest_resume(struct guest *g); /* ends a pause and a hang */

/**
 * guest_trim() - let go of the pages of the newest frame, as a memory manager does when nobody uses them
 * @state: of each of its pages; MACHINE_N_STATES: in turn each one whose bytes can still be read
 *
 * The producer faults a slot's pages in before it writes there. Return: false with g->why set.
 */
bool guest_trim(struct guest *g, enum machine_state state);

/* Make all pages of [@offset, @offset + @len) of the region valid. */
void guest_fault_in(struct guest *g, uint64_t offset, uint64_t len);

/* A second process that publishes, small and slow; and its end. */
bool guest_start_rival(struct guest *g);
bool guest_kill_rival(struct guest *g);

/* Put up @n regions that are none: identities with a wrong CRC, another's pid, most of the pages missing, or no life in
 * them, in turn, in processes all over the list. */
bool guest_add_decoys(struct guest *g, uint32_t n);

/* Have processes come and go, a few every millisecond. */
void guest_set_churn(struct guest *g, bool on);

/* One line of facts, key=value, without an end of line. */
void guest_facts(const struct guest *g, char *line, size_t size);

/**
 * guest_command() - carry out one line
 * @line: without its end of line
 * @answer: one line, `ok ...` or `error reason`, without its end of line
 */
void guest_command(struct guest *g, const char *line, char *answer, size_t size);

/* Between the guest's own files. */
bool guest_fail(struct guest *g, const char *what, int error); /* sets g->why; returns false */
bool guest_machine_failed(struct guest *g);  /* likewise, from the machine's own reason */
void guest_trim_published(struct guest *g);  /* after each frame, what the options ask for */
void guest_trim_neighbours(struct guest *g); /* pages of the region that nobody reads */
bool guest_company_boot(struct guest *g);
uint64_t guest_company_run(struct guest *g, uint64_t now); /* guest time of the next; GUEST_NEVER */

#endif /* GUEST_H */
