/*
 * server.c - who may connect, and what is said to everybody
 */
#include "peer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
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

/*
 * A limit on clients that the limit on open files does not bear out would be kept by refusing for want of descriptors,
 * which is worse in every way: the daemon's own files are what fails next.
 */
uint32_t server_fit_descriptors(uint32_t max_clients)
{
        const uint64_t need = (uint64_t)max_clients * SERVER_FDS_CLIENT + SERVER_FDS_OTHER;
        struct rlimit limit;
        uint64_t fits;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= need)
                return max_clients;
        limit.rlim_cur = limit.rlim_max < need ? limit.rlim_max : need;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
        if (limit.rlim_cur >= need)
                return max_clients;
        fits = limit.rlim_cur > SERVER_FDS_OTHER
                       ? (limit.rlim_cur - SERVER_FDS_OTHER) / SERVER_FDS_CLIENT
                       : 0;
        return fits > 0 ? (uint32_t)fits : 1;
}

static void keep_config(struct server *s, const struct server_config *config)
{
        s->config = *config;
        s->config.path = NULL;
        s->config.connect = s->config.intent = s->config.admin = (struct server_access){ 0 };
        s->config.max_clients = server_fit_descriptors(config->max_clients);
        if (s->config.room < s->config.max_clients)
                s->config.room = s->config.max_clients;
        if (s->config.hello_timeout_ns == 0)
                s->config.hello_timeout_ns = HELLO_TIMEOUT_NS;
        if (s->config.max_clients_user == 0)
                s->config.max_clients_user = s->config.max_clients;
}

static int server_init(
        struct server *s, const struct server_config *config, struct server_failure *why)
{
        int err;

        keep_config(s, config);
        err = access_init(&s->access[ACCESS_CONNECT], &config->connect, true);
        if (err == 0)
                err = access_init(&s->access[ACCESS_INTENT], &config->intent, false);
        if (err == 0)
                err = access_init(&s->access[ACCESS_ADMIN], &config->admin, false);
        if (err == 0)
                err = pages_init(&s->pages, s->config.room);
        if (err == 0)
                err = unread_init(&s->unread, s->config.room);
        if (err == 0)
                err = waker_init(&s->waker, s->config.room, config->wake_batch);
        if (err < 0) {
                *why = (struct server_failure){ .reason = SERVER_FAILED, .error = err };
                return err;
        }
        keep_reserve(s);
        return listener_init(&s->listener, config, why);
}

int server_new(const struct server_config *config, struct server **ret_server,
        struct server_failure *reterr_why)
{
        struct server_failure why = { .reason = SERVER_FAILED, .error = -ENOMEM };
        struct server *s = calloc(1, sizeof(*s));
        int err = -ENOMEM;

        if (s) {
                s->reserve_fd = -1;
                s->listener = (struct listener){ .fd = -1, .lock_fd = -1 };
                err = server_init(s, config, &why);
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
        waker_deinit(&s->waker);
        unread_deinit(&s->unread);
        pages_deinit(&s->pages);
        for (int i = 0; i < ACCESS_N_RIGHTS; i++)
                access_deinit(&s->access[i]);
        free(s);
        return NULL;
}

uint32_t server_max_clients(const struct server *s)
{
        return s->config.max_clients;
}

uint32_t server_wake_batch(const struct server *s)
{
        return s->waker.batch;
}

bool server_measure(struct server *s)
{
        return waker_measure(&s->waker);
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
        s->refusal = reason;
        snprintf(s->refusal_text, sizeof(s->refusal_text), "%s", text);
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

enum vgpu_goodbye server_last_refusal(const struct server *s, const char **ret_text)
{
        *ret_text = s->refusal_text;
        return s->refusal;
}

/* Dropped ones that have not read what they were sent included. */
static uint32_t n_clients_of(const struct server *s, uid_t uid)
{
        uint32_t n = unread_n_of(&s->unread, uid);

        for (const struct peer *p = s->first; p; p = p->next)
                n += p->cred.uid == uid;
        return n;
}

static int refuse_full(struct server *s, int fd)
{
        char text[160];

        snprintf(text, sizeof(text),
                "This vgpud serves %u clients at most: one has to leave, or an administrator to "
                "raise the limit.",
                s->config.max_clients);
        return refuse(s, fd, VGPU_GOODBYE_FULL, text);
}

static int refuse_user_full(struct server *s, int fd, uid_t uid)
{
        char text[160];

        snprintf(text, sizeof(text),
                "uid %u has %u clients here, as many as one user may: close one, or have an "
                "administrator raise the limit.",
                (unsigned)uid, s->config.max_clients_user);
        return refuse(s, fd, VGPU_GOODBYE_FULL, text);
}

static int refuse_stranger(struct server *s, int fd, uid_t uid)
{
        char text[160];

        snprintf(text, sizeof(text),
                "uid %u may not connect to this vgpud: an administrator has to allow the user or "
                "one of its groups.",
                (unsigned)uid);
        return refuse(s, fd, VGPU_GOODBYE_DENIED, text);
}

static int admit(struct server *s, int fd, uint64_t now_ns, struct peer **ret_peer)
{
        struct ucred cred = { 0 };
        socklen_t len = sizeof(cred);
        struct peer *p;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
                return refuse(s, fd, VGPU_GOODBYE_INTERNAL, "vgpud cannot tell who you are.");
        if (!access_has(&s->access[ACCESS_CONNECT], fd, &cred))
                return refuse_stranger(s, fd, cred.uid);
        unread_look(&s->unread);
        if (s->n_peers + s->unread.n >= s->config.max_clients)
                return refuse_full(s, fd);
        if (n_clients_of(s, cred.uid) >= s->config.max_clients_user)
                return refuse_user_full(s, fd, cred.uid);

        listener_refuse_descriptors(fd);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){ SEND_BUFFER }, sizeof(int));
        p = peer_new(s, fd, &cred, now_ns);
        if (!p)
                return refuse(s, fd, VGPU_GOODBYE_INTERNAL, "vgpud has no memory left.");
        p->may_intend = access_has(&s->access[ACCESS_INTENT], fd, &cred);
        p->may_admin = access_has(&s->access[ACCESS_ADMIN], fd, &cred);
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

void server_announce(struct server *s)
{
        if (s->ring)
                ring_announce(s->ring, s->n_early > 0);
}

void server_set_ring(struct server *s, struct ring *ring)
{
        s->ring = ring;
        s->left_with_ring = false;
        server_announce(s);
        for (struct peer *p = s->first; p; p = p->next)
                peer_offer_ring(p);
}

struct peer *server_expire(struct server *s, uint64_t now_ns)
{
        struct peer *late = NULL;

        unread_look(&s->unread);
        for (struct peer *p = s->first; p; p = p->next) {
                peer_catch_up(p);
                if (!late && !p->ready && now_ns >= p->hello_deadline_ns)
                        late = p;
        }
        if (late)
                peer_goodbye(late, VGPU_GOODBYE_TOO_LATE, "No HELLO came in time.");
        return late;
}

struct peer *server_reap(struct server *s)
{
        struct peer *p = s->n_condemned > 0 ? s->first : NULL;

        while (p && p->goodbye == VGPU_GOODBYE_NONE)
                p = p->next;
        return p;
}

uint32_t server_drop_but(struct server *s, pid_t pid, const struct peer *spared)
{
        uint32_t n = 0;

        for (struct peer *p = s->first; p; p = p->next) {
                if (p == spared || p->cred.pid != pid || p->goodbye != VGPU_GOODBYE_NONE)
                        continue;
                peer_goodbye(p, VGPU_GOODBYE_DROPPED, "An administrator dropped this client.");
                n++;
        }
        s->counters.dropped_by_admin += n > 0;
        s->counters.outlived += n > 0;
        return n;
}

uint32_t server_drop(struct server *s, pid_t pid)
{
        return server_drop_but(s, pid, NULL);
}

void server_goodbye_all(struct server *s, enum vgpu_goodbye reason, const char *text)
{
        for (struct peer *p = s->first; p; p = p->next)
                peer_goodbye(p, reason, text);
}
