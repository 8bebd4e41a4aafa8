/*
 * intent.c - what a client wants of the producer: checked, kept, answered
 *
 * How the intents of several clients become one, and who writes it into the guest, is the daemon's business.
 */
#include <errno.h>
#include <string.h>

#include "message.h"
#include "peer.h"
#include "vgpu_stream.h"

#define FIELDS_KNOWN (VGPU_INTENT_STATE | VGPU_INTENT_FPS | VGPU_INTENT_CURSOR | VGPU_INTENT_FRAME)
#define FPS_MAX      1000u

static bool makes_sense(const struct vgpu_msg_intent *m)
{
        if (m->fields & ~FIELDS_KNOWN)
                return false;
        if ((m->fields & VGPU_INTENT_STATE) && m->state > VGPU_CMD_STOP)
                return false;
        if ((m->fields & VGPU_INTENT_FPS) && m->fps > FPS_MAX)
                return false;
        return !(m->fields & VGPU_INTENT_CURSOR) || m->draw_cursor <= 1;
}

static int judge(const struct peer *p, const struct vgpu_msg_intent *m)
{
        if (!p->server->config.intents_changed)
                return -EOPNOTSUPP;
        if (!p->may_intend)
                return -EACCES;
        return makes_sense(m) ? 0 : -EINVAL;
}

/* What does not fit its queue is sent when there is room, and only the last of it: it holds all there is to know. */
void peer_offer_intent_state(struct peer *p)
{
        int err;

        if (!p->untold || p->goodbye != VGPU_GOODBYE_NONE)
                return;
        err = message_send(p->fd, &p->intent_state, sizeof(p->intent_state), NULL, 0, NULL, 0);
        p->untold = err == -EAGAIN;
}

static void tell(struct peer *p, uint32_t cookie, int error)
{
        p->intent_state = (struct vgpu_msg_intent_state){
                .header = message_header(VGPU_MSG_INTENT_STATE, sizeof(p->intent_state)),
                .cookie = cookie,
                .error = error,
        };
        p->untold = true;
        peer_offer_intent_state(p);
}

int peer_take_intent(struct peer *p, const void *packet)
{
        const struct vgpu_msg_intent *msg = packet;
        struct server *s = p->server;
        int error = judge(p, msg);

        if (error == 0) {
                p->intent = *msg;
                if (msg->fields & VGPU_INTENT_FRAME) {
                        p->frame_requests++;
                        s->counters.frame_requests++;
                }
        }
        tell(p, msg->cookie, error);
        if (error == 0)
                s->config.intents_changed(s->config.intents_ctx);
        return 0;
}

void peer_tell_intent(
        struct peer *p, int error, bool written, uint32_t ctrl_gen, uint32_t full_frame)
{
        const struct vgpu_msg_intent_state state = {
                .header = message_header(VGPU_MSG_INTENT_STATE, sizeof(p->intent_state)),
                .cookie = p->intent.cookie,
                .error = error,
                .written = written,
                .ctrl_gen = ctrl_gen,
                .full_frame = full_frame,
        };

        /* One client's wishes must not make messages for all the others. */
        if (memcmp(&state, &p->intent_state, sizeof(state)) == 0)
                return;
        p->intent_state = state;
        p->untold = true;
        peer_offer_intent_state(p);
}
