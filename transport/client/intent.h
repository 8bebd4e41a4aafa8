/*
 * intent.h - what this client wants of the producer (private to the library)
 */
#ifndef VGPU_CLIENT_INTENT_H
#define VGPU_CLIENT_INTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "vgpu_client.h"
#include "vgpu_protocol.h"

/* A zeroed one asks for nothing. */
struct intent {
        struct vgpu_client_intent want; /* VGPU_INTENT_FRAME is taken out once it was sent */
        struct vgpu_client_intent_state state;
        uint32_t cookie; /* of the last one set */
        bool unsent;     /* the daemon has yet to be told */
        bool asked_frame;
        uint32_t ctrl_gen, full_frame; /* what the producer acknowledges, once written */
};

/* Send what was not, if there is a daemon. */
void intent_send(struct vgpu_client *c);

/* The daemon has gone: another has to be told. Return: set of events. */
int intent_lost(struct vgpu_client *c);

/* Return: set of events. */
int intent_take(struct vgpu_client *c, const struct vgpu_msg_intent_state *msg);

/* Has the producer acknowledged it? Return: set of events. */
int intent_look(struct vgpu_client *c);

#endif /* VGPU_CLIENT_INTENT_H */
