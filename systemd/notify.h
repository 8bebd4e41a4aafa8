/*
 * notify.h - the service manager's view of the daemon
 *
 * Each function is a message to systemd and nothing at all when the daemon was not started by it. One thread only (the
 * loop's). Nothing here waits for the manager, not even for room in its queue, and a message that cannot be sent is not an error;
 * READY=1, for which it waits, is sent again with the next status.
 */
#ifndef VGPU_NOTIFY_H
#define VGPU_NOTIFY_H

#include <stdint.h>

/* Start-up, or the reload that notify_reloading() began, is done. */
void notify_ready(void);

/* A reload begins; notify_ready() ends it. */
void notify_reloading(void);

/* Shutting down; what follows may take a moment. */
void notify_stopping(void);

/**
 * notify_status() - the line that `systemctl status` shows
 * @fmt: one line, text_clean()ed, cut at 511 bytes
 *
 * Sent only when it differs from the one before, so it may be called on every tick.
 */
void notify_status(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * notify_watchdog_interval_ms() - how often notify_alive() is wanted
 *
 * Half of the unit's WatchdogSec=, as systemd advises.
 *
 * Return: milliseconds, at least 1; 0 when nobody watches.
 */
uint64_t notify_watchdog_interval_ms(void);

/* Everything that has to goes on: feed the watchdog. */
void notify_alive(void);

#endif /* VGPU_NOTIFY_H */
