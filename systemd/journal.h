/*
 * journal.h - what the daemon says
 *
 * Under systemd's journal every event is a structured entry: MESSAGE, PRIORITY, MESSAGE_ID and fields to filter on.
 * Anywhere else it is one line on stderr, "vgpud: warning: message", without the fields. All functions may be called
 * from any thread, keep errno, never wait for the journal, and have no result: a daemon does not fail because it could not log.
 * Lines that the journal had no room for are lost; how many, the next one that gets through says before it.
 *
 * Every event says by itself which one it is and where it happened: VGPU_EVENT, VGPU_VM, VGPU_STATE and VGPU_EPOCH.
 *
 * Names that come from a guest or a client are the caller's to quote: journal_escape() them, inside single quotes.
 */
#ifndef VGPU_JOURNAL_H
#define VGPU_JOURNAL_H

#include <stddef.h>
#include <stdint.h>
#include <syslog.h> /* LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG */

#include "systemd/events.h"

enum journal_field_kind {
        JOURNAL_FIELD_END,
        JOURNAL_FIELD_TEXT,
        JOURNAL_FIELD_U64, /* shown in decimal */
        JOURNAL_FIELD_HEX, /* shown as 0x... */
};

/* One field of an event; borrowed for the call. */
struct journal_field {
        enum journal_field_kind kind;
        const char *name; /* upper-case letters, digits, underscores; ours begin with VGPU_ */
        const char *text;
        uint64_t number;
};

#define JOURNAL_TEXT(field_name, value)                                                            \
        {                                                                                          \
                JOURNAL_FIELD_TEXT, (field_name), (value), 0                                       \
        }
#define JOURNAL_U64(field_name, value)                                                             \
        {                                                                                          \
                JOURNAL_FIELD_U64, (field_name), NULL, (value)                                     \
        }
#define JOURNAL_HEX(field_name, value)                                                             \
        {                                                                                          \
                JOURNAL_FIELD_HEX, (field_name), NULL, (value)                                     \
        }

/* JOURNAL_FIELDS(JOURNAL_U64("VGPU_EPOCH", epoch), JOURNAL_TEXT("VGPU_PRODUCER", name)): at most JOURNAL_FIELDS_MAX */
#define JOURNAL_FIELDS(...)                                                                        \
        ((const struct journal_field[]){ __VA_ARGS__, { JOURNAL_FIELD_END, NULL, NULL, 0 } })

#define JOURNAL_FIELDS_MAX 16

/**
 * journal_init() - choose between journal and stderr
 *
 * The journal is chosen when stderr is the stream that $JOURNAL_STREAM names, so a redirected stderr gets its lines.
 * Call it first, and again after stderr became something else. Without it lines go to stderr.
 */
void journal_init(void);

/* Drop what is less important than @priority (LOG_INFO until told otherwise). */
void journal_set_level(int priority);

/* VGPU_VM of all that follows: the virtual machine's name, copied. Once, before there are other threads. */
void journal_set_vm(const char *name);

/* VGPU_STATE and VGPU_EPOCH of all that follows: where the guest is, or is being led. @state: of static storage. */
void journal_set_place(const char *state, uint64_t epoch);

/**
 * journal_event() - say that something happened
 * @event:    what, for its MESSAGE_ID, priority and rate limit (events.h)
 * @fields:   those that the event's row names, ended by JOURNAL_FIELD_END, or NULL: none
 * @fmt:      one line for a person, what we do next included; cut at 1 KiB
 *
 * Past the event's rate limit it is swallowed and counted; the next line of that kind says how many there were.
 */
void journal_event(enum journal_event event, const struct journal_field *fields, const char *fmt,
        ...) __attribute__((format(printf, 3, 4)));

/* A line without identity: for debugging, and for what happens once. Not limited. */
void journal_log(int priority, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * journal_flush() - report what was swallowed or lost and has had no successor
 *
 * Call it now and then (a tick of some seconds). Such a report counts as one of its kind, so that reports are limited, too. Cheap
 * when nothing was swallowed.
 */
void journal_flush(void);

/* The same before exit: there is no next time, so nothing is limited. */
void journal_finish(void);

/* Lines that no rate limit let through, since the start. */
uint64_t journal_n_swallowed(void);

/* Room for @n escaped bytes and the NUL. */
#define JOURNAL_ESCAPED(n) (4 * (n) + 1)

/**
 * journal_escape() - make any bytes fit for a log line inside single quotes
 * @src: bytes, not necessarily text
 * @len: how many
 * @dst: caller's buffer of @cap bytes, @cap >= 4
 *
 * Printable ASCII stays, all else, quotes and backslashes become \xNN. What does not fit is cut before an escape and
 * shown by "..." at the end.
 *
 * Return: @dst, NUL-terminated.
 */
char *journal_escape(const void *src, size_t len, char *dst, size_t cap);

#endif /* VGPU_JOURNAL_H */
