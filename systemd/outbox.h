/*
 * outbox.h - what goes to the service manager, which is never waited for
 *
 * Its socket has a queue of so many messages for all services together (net.unix.max_dgram_qlen), and sd_notify() sleeps while
 * that is full: for as long as the manager is busy, or for ever when it has frozen. Whoever streams frames must not sleep with
 * it. What may get lost is tried once; what has to arrive is kept here, and goes out in its order when there is room.
 *
 * Private to this folder. One thread only (the loop's).
 */
#ifndef VGPU_OUTBOX_H
#define VGPU_OUTBOX_H

/* Messages kept, of that many bytes each: all RAM that the store may hold, out of it and into it, and a READY=1. */
#define OUTBOX_MAX      40
#define OUTBOX_TEXT_MAX 160

/**
 * outbox_send() - a message that may get lost
 * @text: assignments, as of sd_notify(3)
 *
 * Return: 0 (on its way, or there is no manager), -EAGAIN (the manager's queue is full), -EINVAL (its address in $NOTIFY_SOCKET
 * is none of a unix socket), or what socket() and sendmsg() say.
 */
int outbox_send(const char *text);

/**
 * outbox_owe() - a message that has to arrive
 * @text: as of outbox_send(), of less than OUTBOX_TEXT_MAX bytes
 * @fd:   goes along; borrowed, -1: none
 *
 * At once if it can, or with a later outbox_flush(); never before one that was owed earlier. The same words twice in a row are owed
 * once. With a descriptor it is owed for want of room only: any other failure would keep the descriptor open for ever. Is the box
 * full, the message is lost, and the journal hears of it.
 */
void outbox_owe(const char *text, int fd);

/* What is owed with these words is not any more; what went along with it is closed. */
void outbox_withdraw(const char *text);

/* Sends what is owed, as far as there is room for it. Nothing owed costs nothing. */
void outbox_flush(void);

#endif /* VGPU_OUTBOX_H */
