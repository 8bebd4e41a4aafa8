/*
 * server.h - the daemon's end of the socket: clients, what they hold, what they are told
 *
 * No event loop and no clock inside: descriptors come out for the caller to poll, times go in. Nothing here blocks:
 * every send is MSG_DONTWAIT. Per client the server holds one socket, one end of a wake socket, one mapped page and one
 * small struct; nothing a client does makes it hold more. Clients are hostile: what breaks the protocol is
 * answered with a GOODBYE that says why, and dropped.
 */
#ifndef VGPUD_SERVER_H
#define VGPUD_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ring.h"
#include "vgpu_protocol.h"

struct server;
struct peer;

/**
 * query callback - write a report as JSON text
 * @what: enum vgpu_query, or a number this build does not know
 * @buf:  @cap bytes (VGPU_REPLY_MAX)
 *
 * Called from peer_dispatch(); must not call back into the server but for the getters.
 *
 * Return: bytes written, or a negative errno that the client is given (-EOPNOTSUPP: no such report).
 */
typedef int (*server_query_fn)(void *ctx, uint32_t what, char *buf, size_t cap);

#define SERVER_GROUP_NONE ((gid_t)-1)

/* Who may do something: by uid, or by any of a process' groups (SO_PEERCRED, SO_PEERGROUPS). Arrays are copied. */
struct server_access {
        const uid_t *users;
        size_t n_users;
        const gid_t *groups;
        size_t n_groups;
};

#define SERVER_BATCH_AUTO  UINT32_MAX       /* see server_measure() */
#define SERVER_BATCH_NEVER (UINT32_MAX - 1) /* one by one, however many */

struct server_config {
        int listen_fd; /* >= 0: a listening SOCK_SEQPACKET socket, owned by the server on success; -1: make @path */
        const char *path;          /* absolute */
        mode_t mode;               /* of the socket file */
        gid_t group;               /* of the socket file; SERVER_GROUP_NONE: leave it */
        uint32_t max_clients;      /* in all; see server_max_clients() */
        uint32_t max_clients_user; /* of one uid; 0: as max_clients */
        uint32_t room;             /* how far max_clients may be raised later; less: not at all */
        uint64_t hello_timeout_ns; /* from accept to HELLO; 0: 2 s */
        uint64_t lease_ns;         /* told to clients; 0: no leases are granted */
        /* from so many clients to wake at once it is one io_uring submission instead of a send each */
        uint32_t wake_batch; /* 0: SERVER_BATCH_AUTO */
        /* root and our own uid may everything */
        struct server_access connect; /* empty: everybody who can open the socket */
        struct server_access intent;  /* empty: nobody else */
        struct server_access admin;   /* empty: nobody else */
        server_query_fn query;        /* NULL: every query is -EOPNOTSUPP */
        void *query_ctx;
        /* after a client's intent changed or its socket closed; NULL: intents are -EOPNOTSUPP. Must not free peers */
        void (*intents_changed)(void *ctx);
        void *intents_ctx;
};

enum server_reason {
        SERVER_OK,
        SERVER_PATH_TOO_LONG, /* does not fit a socket address */
        SERVER_FOLDER_MISSING,
        SERVER_FOLDER_DENIED, /* not writable for us */
        SERVER_IN_USE,        /* another daemon answers at the path */
        SERVER_NOT_A_SOCKET,  /* something else is at the path; it is left alone */
        SERVER_GROUP_DENIED,  /* the socket file cannot be given to the group */
        SERVER_BAD_LISTEN_FD, /* the descriptor given is no listening SOCK_SEQPACKET socket */
        SERVER_FAILED,        /* anything else: see error */
        SERVER_N_REASONS,
};

struct server_failure {
        enum server_reason reason;
        int error; /* negative errno, as returned */
};

const char *server_reason_text(enum server_reason reason);

/**
 * server_new() - listen
 * @config:     see there; the path is copied
 * @ret_server: heap-owned; server_free()
 * @reterr_why: written on failure only; may be NULL
 *
 * The socket file of a daemon that died is replaced; that of a living one is -EADDRINUSE (told apart by a lock on
 * PATH.lock, which the kernel drops with its owner, and by connecting). On failure nothing is left behind and a
 * config.listen_fd stays the caller's.
 *
 * Clients may hold SERVER_FDS_CLIENT descriptors each, those under way in messages included, so the limit on open files
 * is raised towards its hard one where it is too low for max_clients; where that is too low as well, fewer clients are
 * served: see server_max_clients().
 *
 * Return: 0, or a negative errno.
 */
int server_new(const struct server_config *config, struct server **ret_server,
        struct server_failure *reterr_why);

#define SERVER_FDS_CLIENT 4u  /* WELCOME's and RING's while unread; who has read them takes fewer */
#define SERVER_FDS_OTHER  64u /* what the process has open besides */

/* What fits the limit on open files: config.max_clients, or fewer. */
uint32_t server_max_clients(const struct server *s);

/* From how many clients on waking is one submission; UINT32_MAX: never, or not known yet. */
uint32_t server_wake_batch(const struct server *s);

/**
 * server_measure() - with SERVER_BATCH_AUTO, a step of finding that out
 *
 * A few hundred microseconds each, 35 of them at most: for the idle time of a server that already serves. Without, clients
 * are written to one by one.
 *
 * Return: whether there is another step to take.
 */
bool server_measure(struct server *s);

/**
 * server_free() - close everything
 *
 * Every peer must have been freed. Removes the socket file if it is still the one server_new() made. NULL is fine.
 * Returns NULL.
 */
struct server *server_free(struct server *s);

/* Poll it for reading, then server_accept(). Owned by the server. */
int server_fd(const struct server *s);

/**
 * server_accept() - take one connection
 * @now_ns:   CLOCK_MONOTONIC
 * @ret_peer: poll peer_fd() for reading from now on
 *
 * Call a few times for each time server_fd() is readable; what is left makes it readable again. Running out of
 * descriptors refuses a client instead of leaving it in the queue to spin on.
 *
 * Return: 1 and *ret_peer, 0 (nobody waits), -ECONNREFUSED (one was refused and told so; counted), or another
 * negative errno that says the listening socket is broken.
 */
int server_accept(struct server *s, uint64_t now_ns, struct peer **ret_peer);

/* The client that server_accept() refused last: why, and what it was told. */
enum vgpu_goodbye server_last_refusal(const struct server *s, const char **ret_text);

/**
 * server_set_ring() - the ring clients get from now on
 * @ring: borrowed until the next call, and told what clients hold; NULL: none
 *
 * Every client that wants a ring is sent the new generation. A client that has not read the message before this one
 * gets no second: it is sent the ring that is newest when it has (retried by server_expire() and peer_dispatch()).
 */
void server_set_ring(struct server *s, struct ring *ring);

/**
 * server_wake() - wake the clients that are armed for a change
 * @changes: VGPU_CHANGE_*; 0: for everybody who is armed
 *
 * After the change was made and ring.h's wake word raised. Cost: one cache line per client with a page, and one system
 * call per client to wake or one for all of them (wake_batch). A client gets one byte for each value it stored in
 * `armed`, so what waits in its socket grows with how often it armed and not with how often something changed; it is
 * a few bytes at most.
 */
void server_wake(struct server *s, uint32_t changes);

/**
 * server_published() - after ring_publish(): look at every client's holds, then wake
 * @now_ns: CLOCK_MONOTONIC
 *
 * The ring is that of server_set_ring(), which must be one. One pass over the clients' pages does both; a client that
 * neither holds nor sleeps costs some 30 ns of it, one that never sent PAGE nothing. No look is a page fault, whatever a
 * client does.
 */
void server_published(struct server *s, uint64_t now_ns);

/**
 * server_expire() - what time brings; call at every tick
 *
 * Retries generations that could not be delivered, then returns one peer whose HELLO is overdue (told so already):
 * drop it and call again until NULL.
 */
struct peer *server_expire(struct server *s, uint64_t now_ns);

/* A peer that was told goodbye and waits for the caller's peer_free(); NULL: none. Ask after peer_dispatch(). */
struct peer *server_reap(struct server *s);

/**
 * server_drop() - tell every client of a process goodbye
 *
 * Their maps live on, so the caller should start a new generation. Return: how many; server_reap() gives them.
 */
uint32_t server_drop(struct server *s, pid_t pid);

/**
 * server_set_access() - change who may do what
 * @connect, @intent, @admin: as in struct server_config; arrays are copied
 *
 * Counts at once and for clients that are connected, too, by what the kernel remembers of their processes: who may connect no
 * more is told goodbye as by server_drop() (DENIED; server_reap() gives them, and the caller should start a new generation), who
 * may want nothing of the producer any more is told so and its intent forgotten. Cost: a system call or two per client, and one
 * message for each that lost a right.
 *
 * Who left may have kept its map of the ring. So when somebody did, and fewer may connect than before, a new generation is due
 * as well: counters.outlived says so in all cases.
 *
 * Return: how many clients were told goodbye; -ENOMEM: all is as before.
 */
int server_set_access(struct server *s, const struct server_access *connect,
        const struct server_access *intent, const struct server_access *admin);

/**
 * server_set_limits() - change how many clients may come
 * @max_clients:      at most config.room count; see server_max_clients() for what fits
 * @max_clients_user: 0: as @max_clients
 *
 * Nobody who is connected is dropped for it.
 */
void server_set_limits(struct server *s, uint32_t max_clients, uint32_t max_clients_user);

/* Send GOODBYE to every client. The caller then frees the peers. */
void server_goodbye_all(struct server *s, enum vgpu_goodbye reason, const char *text);

struct server_counters {
        uint64_t accepted;
        uint64_t refused[VGPU_N_GOODBYES]; /* never became a peer */
        uint64_t dropped[VGPU_N_GOODBYES]; /* NONE: closed by the client itself */
        uint64_t deferred;                 /* generations that had to wait for a client */
        uint64_t wakes;                    /* bytes sent into wake sockets */
        uint64_t wakes_full;     /* those that had room for none, or that the client closed */
        uint64_t batches;        /* submissions in place of single sends */
        uint64_t frame_requests; /* intents that ask for a whole frame */
        uint64_t
                dropped_by_admin; /* rises when server_drop(), server_set_access() or a DROP message dropped somebody */
        uint64_t
                outlived; /* rises when the ring may be mapped by who may not see it any more: a new generation is due */
};

const struct server_counters *server_counters(const struct server *s);

/* Clients now, those before HELLO included. */
uint32_t server_n_peers(const struct server *s);

/* Iterate: NULL gives the first; NULL after the last. The current one may be freed once its successor was taken. */
struct peer *server_next_peer(struct server *s, struct peer *after);

int peer_fd(const struct peer *p);

/* One pointer for the caller, for its poll handle. */
void peer_set_data(struct peer *p, void *data);
void *peer_data(const struct peer *p);

/**
 * peer_dispatch() - read what a client sent; at most a few messages per call
 *
 * Return: 0, or < 0: drop it with peer_free(): -ECONNRESET (it closed), anything else: it was told goodbye with
 * peer_info().goodbye and goodbye_text.
 */
int peer_dispatch(struct peer *p, uint64_t now_ns);

/* Tell a client goodbye; the caller frees it afterwards. @text: a sentence, cut to fit. */
void peer_goodbye(struct peer *p, enum vgpu_goodbye reason, const char *text);

struct peer_info {
        uid_t uid;
        gid_t gid;
        pid_t pid;
        /* raw bytes from the client, NUL-terminated: escape before showing; "" before HELLO */
        const char *name;
        bool ready;           /* HELLO taken */
        uint32_t granted;     /* VGPU_WANT_* */
        uint64_t since_ns;    /* accept */
        uint64_t generation;  /* last one sent */
        uint64_t released;    /* last one it let go */
        bool behind;          /* a newer generation waits for it to read the last */
        uint64_t frames_seen; /* by its own account */
        uint64_t frames_missed;
        uint64_t torn_retries;
        uint64_t leases, lost, last_serial;
        uint32_t n_held;  /* slots it holds now, as we see it */
        uint64_t n_ended; /* its holds that we ended */
        bool armed;
        struct vgpu_msg_intent intent; /* fields 0: none; checked */
        uint32_t frame_requests;       /* how often it asked for a whole frame */
        enum vgpu_goodbye goodbye;     /* why it was or is to be dropped */
        const char *goodbye_text;
};

/* Tell a client how its intent fares; @written, @ctrl_gen, @full_frame as in struct vgpu_msg_intent_state. */
void peer_tell_intent(
        struct peer *p, int error, bool written, uint32_t ctrl_gen, uint32_t full_frame);

/* Strings live as long as @p. */
struct peer_info peer_info(const struct peer *p);

/*
 * Close and forget a client; the caller has stopped polling peer_fd(). One that has not read all it was sent takes its
 * place among the clients until it has, or has closed its end (unread.c). NULL is fine. Returns NULL.
 */
struct peer *peer_free(struct peer *p);

#endif /* VGPUD_SERVER_H */
