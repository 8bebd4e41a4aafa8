/*
 * intent.c - what this client wants of the producer, and how far that has come
 *
 * One intent at a time: the last. It is sent when there is a daemon, and again to every daemon after, because one that
 * has started anew knows nothing of it. Asking for one whole frame is different: it is an act, not a state, and is never
 * repeated.
 */
#include "intent.h"

#include <errno.h>

#include "client.h"
#include "message.h"

#define FIELDS_KNOWN (VGPU_INTENT_STATE | VGPU_INTENT_FPS | VGPU_INTENT_CURSOR | VGPU_INTENT_FRAME)
#define MAX_STATE    3u /* VGPU_CMD_STOP */

static int move(struct intent *in, uint32_t progress, int32_t error)
{
        if (in->state.progress == progress && in->state.error == error)
                return 0;
        in->state.progress = progress;
        in->state.error = error;
        return VGPU_CLIENT_INTENT;
}

int vgpu_client_set_intent(struct vgpu_client *c, const struct vgpu_client_intent *intent)
{
        struct intent *in = &c->intent;

        if (intent->fields & ~FIELDS_KNOWN)
                return -EINVAL;
        if ((intent->fields & VGPU_INTENT_STATE) && intent->state > MAX_STATE)
                return -EINVAL;
        if ((intent->fields & VGPU_INTENT_CURSOR) && intent->draw_cursor > 1)
                return -EINVAL;
        in->want = *intent;
        in->asked_frame = intent->fields & VGPU_INTENT_FRAME;
        in->cookie++;
        in->unsent = true;
        in->state = (struct vgpu_client_intent_state){
                .progress = intent->fields ? VGPU_CLIENT_INTENT_SENT : VGPU_CLIENT_INTENT_NONE,
        };
        intent_send(c);
        return 0;
}

void vgpu_client_intent_state(struct vgpu_client *c, struct vgpu_client_intent_state *ret)
{
        *ret = c->intent.state;
}

static int say(const struct vgpu_client *c)
{
        const struct intent *in = &c->intent;
        const struct vgpu_msg_intent msg = {
                .header = message_header(VGPU_MSG_INTENT, sizeof(msg)),
                .cookie = in->cookie,
                .fields = in->want.fields,
                .state = in->want.state,
                .fps = in->want.fps,
                .draw_cursor = in->want.draw_cursor,
        };

        return message_send(c->sock, &msg, sizeof(msg), NULL, 0, NULL, 0);
}

void intent_send(struct vgpu_client *c)
{
        struct intent *in = &c->intent;

        if (!in->unsent || c->phase != PHASE_ONLINE || say(c) < 0)
                return;
        in->unsent = false;
        in->want.fields &= ~VGPU_INTENT_FRAME;
}

int intent_lost(struct vgpu_client *c)
{
        struct intent *in = &c->intent;

        /* what was sent may never have been read; only a frame that was asked for is not asked for twice */
        in->unsent = in->want.fields != 0;
        in->asked_frame = in->want.fields & VGPU_INTENT_FRAME;
        return move(in, in->unsent ? VGPU_CLIENT_INTENT_SENT : VGPU_CLIENT_INTENT_NONE, 0);
}

int intent_take(struct vgpu_client *c, const struct vgpu_msg_intent_state *msg)
{
        struct intent *in = &c->intent;

        /* about one before; or nothing is asked for, and there is nothing to tell */
        if (msg->cookie != in->cookie || in->unsent ||
                in->state.progress == VGPU_CLIENT_INTENT_NONE)
                return 0;
        in->ctrl_gen = msg->ctrl_gen;
        in->full_frame = msg->full_frame;
        if (msg->error != 0 && msg->error != -ENOTCONN)
                return move(in, VGPU_CLIENT_INTENT_REFUSED, msg->error);
        return move(in, msg->written ? VGPU_CLIENT_INTENT_WRITTEN : VGPU_CLIENT_INTENT_TAKEN,
                msg->error);
}

/* Counters wrap. */
static bool reached(uint32_t ack, uint32_t at)
{
        return (int32_t)(ack - at) >= 0;
}

int intent_look(struct vgpu_client *c)
{
        struct intent *in = &c->intent;
        struct vgpu_ring_status status;

        if (in->state.progress != VGPU_CLIENT_INTENT_WRITTEN ||
                vgpu_client_status(c, &status) != 1 || status.ctrl_ack != in->ctrl_gen ||
                (in->asked_frame && !reached(status.full_frame_ack, in->full_frame)))
                return 0;
        return move(in, VGPU_CLIENT_INTENT_APPLIED, 0);
}
