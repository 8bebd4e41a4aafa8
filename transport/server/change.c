/*
 * change.c - what an administrator changes while clients are connected: who may, and how many
 *
 * A right that is taken away is gone at once, for those who are here too: who may connect no more is told so and dropped, and
 * what somebody asked of the producer without being allowed to any more is asked no longer. A limit is about who comes: nobody
 * has to go because there are more than a new one allows.
 */
#include "peer.h"

#include <errno.h>
#include <stdio.h>

static bool send_away(struct peer *p)
{
        char text[160];

        if (access_has(&p->server->access[ACCESS_CONNECT], p->fd, &p->cred))
                return false;
        snprintf(text, sizeof(text),
                "uid %u may not be connected to this vgpud any more: an administrator changed who "
                "may.",
                (unsigned)p->cred.uid);
        peer_goodbye(p, VGPU_GOODBYE_DENIED, text);
        return true;
}

/* Return: did it want something that it may not any more? */
static bool judge_again(struct peer *p)
{
        const struct access *access = p->server->access;

        p->may_admin = access_has(&access[ACCESS_ADMIN], p->fd, &p->cred);
        p->may_intend = access_has(&access[ACCESS_INTENT], p->fd, &p->cred);
        if (p->may_intend || p->intent.fields == 0)
                return false;
        peer_tell_intent(p, -EACCES, false, 0, 0);
        p->intent = (struct vgpu_msg_intent){ 0 };
        return true;
}

static int make_access(struct access access[ACCESS_N_RIGHTS], const struct server_access *connect,
        const struct server_access *intent, const struct server_access *admin)
{
        int err = access_init(&access[ACCESS_CONNECT], connect, true);

        if (err == 0)
                err = access_init(&access[ACCESS_INTENT], intent, false);
        if (err == 0)
                err = access_init(&access[ACCESS_ADMIN], admin, false);
        return err;
}

int server_set_access(struct server *s, const struct server_access *connect,
        const struct server_access *intent, const struct server_access *admin)
{
        struct access access[ACCESS_N_RIGHTS] = { 0 }, before;
        bool unwanted = false, kept = false;
        int n = 0, err = make_access(access, connect, intent, admin);

        if (err == 0)
                kept = s->left_with_ring &&
                       !access_covers(&access[ACCESS_CONNECT], &s->access[ACCESS_CONNECT]);

        for (int i = 0; i < ACCESS_N_RIGHTS; i++) {
                before = s->access[i];
                if (err == 0)
                        s->access[i] = access[i];
                access_deinit(err == 0 ? &before : &access[i]);
        }
        if (err < 0)
                return err;
        for (struct peer *p = s->first; p; p = p->next) {
                if (p->goodbye != VGPU_GOODBYE_NONE)
                        continue;
                if (send_away(p))
                        n++;
                else
                        unwanted |= judge_again(p);
        }
        s->counters.dropped_by_admin += n > 0;
        s->counters.outlived += n > 0 || kept;
        if (unwanted)
                s->config.intents_changed(s->config.intents_ctx);
        return n;
}

void server_set_limits(struct server *s, uint32_t max_clients, uint32_t max_clients_user)
{
        uint32_t most = s->config.room < max_clients ? s->config.room : max_clients;

        s->config.max_clients = server_fit_descriptors(most);
        s->config.max_clients_user = max_clients_user != 0 ? max_clients_user : most;
}
