/*
 * goodbye.h - the last words on a socket, to a client or to an external writer
 */
#ifndef VGPUD_GOODBYE_H
#define VGPUD_GOODBYE_H

#include "vgpu_protocol.h"

/**
 * send_goodbye() - say why a socket will be closed
 * @fd:   stays the caller's, to close next
 * @text: a sentence, cut to fit
 *
 * Never waits; whoever does not read it does not learn it. Takes a bounded number of unread packets, since closing a socket
 * on them would lose what was said.
 */
void send_goodbye(int fd, enum vgpu_goodbye reason, const char *text);

#endif /* VGPUD_GOODBYE_H */
