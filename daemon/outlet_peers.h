/*
 * outlet_peers.h - clients on the loop (private to the outlet)
 */
#ifndef VGPUD_OUTLET_PEERS_H
#define VGPUD_OUTLET_PEERS_H

#include "outlet.h"

/* Poll the listening socket. Return: 0, or what libuv said. */
int outlet_peers_init(struct outlet *o);

/* Drop every client and close the listener's handle; they have been told goodbye. */
void outlet_peers_close(struct outlet *o);

/* What time brings: drop who is overdue, listen again after a rest. */
void outlet_peers_tick(struct outlet *o, uint64_t now_ns);

/* Take leave of clients that were told goodbye by what befell others. */
void outlet_peers_reap(struct outlet *o);

/*
 * The map of a client that an administrator dropped, or that left and may not come again, lives on, and must not show what
 * comes: make another ring, if one is due.
 */
void outlet_renew_after_drop(struct outlet *o);

#endif /* VGPUD_OUTLET_PEERS_H */
