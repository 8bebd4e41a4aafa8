/*
 * journal_socket.h - entries to the journal, which is never waited for
 *
 * sd_journal_sendv() sleeps while the queue of journald's socket is full, which all programs share: a journald that waits for
 * a disk, or is stopped, would hold up whoever says a word. So this is the same datagram, sent without waiting.
 *
 * Private to this folder. Any thread.
 */
#ifndef VGPU_JOURNAL_SOCKET_H
#define VGPU_JOURNAL_SOCKET_H

#include <sys/uio.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* Fields of one entry, at most. */
#define JOURNAL_SOCKET_FIELDS 32

/**
 * journal_socket_send() - one entry
 * @field: NAME=value each; a value may have newlines in it
 * @n:     at most JOURNAL_SOCKET_FIELDS
 *
 * Return: 0, -EAGAIN (journald has no room for it now), or what socket() and sendmsg() say.
 */
int journal_socket_send(const struct iovec *field, int n);

#endif /* VGPU_JOURNAL_SOCKET_H */
