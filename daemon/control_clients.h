/*
 * control_clients.h - between the clients of the socket and the one intent that is made of theirs
 */
#ifndef VGPUD_CONTROL_CLIENTS_H
#define VGPUD_CONTROL_CLIENTS_H

#include "control.h"
#include "server.h"

/* The intents of all clients, merged. */
struct control_merge control_clients_merge(struct server *s);

/* Tell every client that asks for something; who was told the same before is not told again. */
void control_clients_tell(struct server *s, const struct control_progress *progress);

#endif /* VGPUD_CONTROL_CLIENTS_H */
