/*
 * server.c - who may connect, and what is said to everybody
 */
#include "peer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HELLO_TIMEOUT_NS UINT64_C(2000000000)
#define SEND_BUFFER                                                                                \
        131072 /* bytes a client may leave unread; room for one largest message and change */

const char *server_reason_text(enum server_reason reason)
{
        static const char *const text[SERVER_N_REASONS] = {
                [SERVER_OK] = "listening",
                [SERVER_PATH_TOO_LONG] = "the socket's path is too long (107 bytes at most)",
                [SERVER_FOLDER_MISSING] = "the socket's folder does not exist",
                [SERVER_FOLDER_DENIED] = "the socket's folder is not writable",
                [SERVER_IN_USE] = "another program answers at the socket's path",
                [SERVER_NOT_A_SOCKET] = "something that is no socket is at the socket's path",
                [SERVER_GROUP_DENIED] = "the socket cannot be given to the configured group",
                [SERVER_BAD_LISTEN_FD] =
                        "the descriptor passed in is no listening SOCK_SEQPACKET socket",
                [SERVER_FAILED] = "the socket could not be made",
        };

        return (unsigned)reason < SERVER_N_REASONS ? text[reason] : "unknown";
}

/* May fail just when it was needed; there is another try with every connection. */
static void keep_reserve(struct server *s)
{
        if (s->reserve_fd < 0)
                s->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int server_new(const struct server_config *config, struct server **ret_server,
        struct server_failure *reterr_why)
{
        struct server_failure why = { .reason = SERVER_FAILED, .error = -ENOMEM };
        struct server *s = calloc(1, sizeof(*s));
        int err = -ENOMEM;

        if (s) {
                s->config = *config;
                s->config.path = NULL;
                if (s->config.hello_timeout_ns == 0)
                        s->config.hello_timeout_ns = HELLO_TIMEOUT_NS;
                if (s->config.max_clients_user == 0)
                        s->config.max_clients_user = s->config.max_clients;
                s->reserve_fd = -1;
                keep_reserve(s);
                err = listener_init(&s->listener, config, &why);
        }
        if (err < 0) {
                server_free(s);
                if (reterr_why)
                        *reterr_why = why;
                return err;
        }
        *ret_server = s;
        return 0;
}

struct server *server_free(struct server *s)
{
        if (!s)
                return NULL;
        assert(!s->first);
        listener_deinit(&s->listener);
        if (s->reserve_fd >= 0)
                close(s->reserve_fd);
        free(s);
        return NULL;
}

int server_fd(const struct server *s)
{
        return s->listener.fd;
}

const struct server_counters *server_counters(const struct server *s)
{
        return &s->counters;
}

uint32_t server_n_peers(const struct server *s)
{
        return s->n_peers;
}

struct peer *server_next_peer(struct server *s, struct peer *after)
{
        return after ? after->next : s->first;
}

static int refuse(struct server *s, int fd, enum vgpu_goodbye reason, const char *text)
{
        send_goodbye(fd, reason, text);
        close(fd);
        s->counters.refused[reason]++;
        return -ECONNREFUSED;
}

/*
 * Out of descriptors: the client would stay in the queue and its socket readable, and the loop would spin on it.
 * Give up the reserve for as long as it takes to say so.
 */
static int refuse_for_want_of_fds(struct server *s)
{
        int fd, err = -EMFILE;

        if (s->reserve_fd < 0)
                return err;
        close(s->reserve_fd);
        s->reserve_fd = -1;
        fd = accept4(s->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
                err = refuse(s, fd, VGPU_GOODBYE_INTERNAL, "vgpud has no descriptors left.");
        else if (errno == EAGAIN)
                err = 0; /* accept takes a descriptor before it looks whether anybody waits */
        keep_reserve(s);
        return err;
}

static uint32_t n_peers_of(const struct server *s, uid_t uid)
{
        uint32_t n = 0;

        for (const struct peer *p = s->first; p; p = p->next)
                n += p->cred.uid == uid;
        return n;
}

static int admit(struct server *s, int fd, uint64_t now_ns, struct peer **ret_peer)
{
        struct ucred cred = { 0 };
        socklen_t len = sizeof(cred);
        struct peer *p;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
                return refuse(s, fd, VGPU_GOODBYE_DENIED, "vgpud cannot tell who you are.");
        if (s->n_peers >= s->config.max_clients)
                return refuse(s, fd, VGPU_GOODBYE_FULL, "vgpud serves as many clients as it may.");
        if (n_peers_of(s, cred.uid) >= s->config.max_clients_user)
                return refuse(s, fd, VGPU_GOODBYE_FULL, "This user has as many clients as it may.");

        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){ SEND_BUFFER }, sizeof(int));
        p = peer_new(s, fd, &cred, now_ns);
        if (!p)
                return refuse(s, fd, VGPU_GOODBYE_INTERNAL, "vgpud has no memory left.");
        s->counters.accepted++;
        *ret_peer = p;
        return 1;
}

int server_accept(struct server *s, uint64_t now_ns, struct peer **ret_peer)
{
        int fd;

        keep_reserve(s);
        do {
                fd = accept4(s->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
        if (fd >= 0)
                return admit(s, fd, now_ns, ret_peer);
        if (errno == EAGAIN)
                return 0;
        if (errno == EMFILE || errno == ENFILE)
                return refuse_for_want_of_fds(s);
        return -errno;
}

void server_set_ring(struct server *s, const struct ring *ring)
{
        s->ring = ring;
        for (struct peer *p = s->first; p; p = p->next)
                peer_offer_ring(p);
}

void server_wake(struct server *s)
{
        for (struct peer *p = s->first; p; p = p->next)
                peer_wake(p);
}

struct peer *server_expire(struct server *s, uint64_t now_ns)
{
        struct peer *late = NULL;

        for (struct peer *p = s->first; p; p = p->next) {
                if (p->behind)
                        peer_offer_ring(p);
                if (!late && !p->ready && now_ns >= p->hello_deadline_ns)
                        late = p;
        }
        if (late)
                peer_goodbye(late, VGPU_GOODBYE_TOO_LATE, "No HELLO came in time.");
        return late;
}

void server_goodbye_all(struct server *s, enum vgpu_goodbye reason, const char *text)
{
        for (struct peer *p = s->first; p; p = p->next)
                peer_goodbye(p, reason, text);
}
