/* control_clients.c - see control_clients.h */
#include "control_clients.h"

struct control_merge control_clients_merge(struct server *s)
{
        struct control_merge merge = CONTROL_MERGE_NONE;

        for (struct peer *p = server_next_peer(s, NULL); p; p = server_next_peer(s, p)) {
                struct vgpu_msg_intent intent = peer_info(p).intent;

                control_merge_add(&merge, &intent);
        }
        return merge;
}

void control_clients_tell(struct server *s, const struct control_progress *progress)
{
        for (struct peer *p = server_next_peer(s, NULL); p; p = server_next_peer(s, p))
                if (peer_info(p).intent.fields)
                        peer_tell_intent(p, progress->error, progress->written, progress->ctrl_gen,
                                progress->full_frame);
}
