/*
 * message.h - one protocol message in, one out
 *
 * What the daemon and the client library share of vgpu_protocol.h: the checks before a header is believed, and
 * packets with descriptors attached. Nothing here blocks or raises SIGPIPE.
 */
#ifndef VGPUD_MESSAGE_H
#define VGPUD_MESSAGE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vgpu_protocol.h"

#define MESSAGE_MAX_FDS 4

enum message_flaw {
        MESSAGE_OK,
        MESSAGE_SHORT,    /* no room for a header */
        MESSAGE_NOT_OURS, /* another magic */
        MESSAGE_MAJOR,    /* another major version; nothing past the header means anything */
        MESSAGE_LENGTH,   /* header.length is not the packet's */
};

/* Check the header at the start of a packet of @len bytes. */
enum message_flaw message_check(const void *packet, size_t len);

/* A header for a message of @len bytes. */
struct vgpu_msg_header message_header(enum vgpu_msg_type type, size_t len);

/**
 * message_send() - send one packet
 * @head: starts with its struct vgpu_msg_header, whose length is @head_len + @tail_len
 * @tail: more bytes of the same packet; NULL with @tail_len 0
 * @fds:  at most MESSAGE_MAX_FDS descriptors to pass; stay the caller's
 *
 * Return: 0, -EAGAIN (the receiver's queue is full), -EPIPE (it has gone), another negative errno.
 */
int message_send(int fd, const void *head, size_t head_len, const void *tail, size_t tail_len,
        const int *fds, size_t n_fds);

/**
 * message_recv() - receive one packet
 * @buf:       @cap bytes, aligned for uint64_t
 * @fds:       room for MESSAGE_MAX_FDS descriptors (close-on-exec), the caller's from now on; NULL: none is taken,
 *             the kernel discards what was attached
 * @ret_n_fds: set on every return; NULL with @fds NULL
 *
 * Return: bytes, 0 (the other end closed), -EAGAIN, -EMSGSIZE (larger than @cap), -EBADMSG (descriptors where none
 * may be, or more than fit), another negative errno.
 */
ssize_t message_recv(int fd, void *buf, size_t cap, int *fds, size_t *ret_n_fds);

#endif /* VGPUD_MESSAGE_H */
