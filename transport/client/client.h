/*
 * client.h - what the library's files share (private)
 */
#ifndef VGPU_CLIENT_PRIVATE_H
#define VGPU_CLIENT_PRIVATE_H

#include "early.h"
#include "intent.h"
#include "mapping.h"
#include "page.h"
#include "vgpu_client.h"
#include "vgpu_protocol.h"

/* What is true in each phase. */
enum phase {
        PHASE_OFFLINE, /* no socket; the timer says when to try next, or nothing ever will (gone_for_good) */
        PHASE_HELLO, /* connected, HELLO sent, WELCOME not here yet; the timer is its deadline */
        PHASE_ONLINE,
};

/* A frame the caller holds; its index is that of the word in the page. */
struct held {
        struct mapping *map; /* a reference; NULL: free */
        uint64_t serial;
        uint32_t slot, seq;
};

struct vgpu_client {
        /*
         * What a frame that comes makes us touch, together: it wakes us with cold caches, and each line that is fetched
         * is later by it.
         */
        int epoll_fd; /* holds the three below; what vgpu_client_fd() returns */
        int timer_fd;
        int sock;
        int wake_fd;
        enum phase phase;
        int gone_for_good; /* negative errno once there is no use in trying again */
        uint64_t due_ns;   /* next try in OFFLINE, deadline in HELLO */
        uint32_t granted;  /* by the last WELCOME */
        uint32_t changes;  /* VGPU_CHANGE_* to be woken for, 0: any */
        int reported;      /* mask of the events that the caller wants to hear of */
        bool page_shown;   /* the daemon was told to look at it */
        bool is_armed; /* the last dispatch was left to sleep on: what came since rings, or has rung */
        struct own_page page;
        struct mapping *map; /* the newest ring that came; NULL: none ever did */
        uint64_t attached;   /* generation that came last over this connection */
        uint64_t released;   /* generation the daemon was told to forget, with all older ones */
        uint64_t told_ns;    /* when it was last sent stats */
        uint64_t copied;     /* serial of the last frame copied, 0: none of this instance */
        /* serials already reported as events */
        struct {
                uint64_t frame, liveness, cursor, geometry, status;
                bool overdue;
        } seen;
        struct intent intent;
        struct early early;

        struct held held[VGPU_PAGE_HOLDS];
        struct vgpu_client_stats stats;
        struct vgpu_client_stats welcome; /* what they were then: the daemon counts from there */
        struct vgpu_msg_stats told;       /* what it was last sent */

        char *path;
        char name[32];
        uint32_t flags;
        uint64_t timeout_ns;
        uint32_t daemon_pid;
        uint32_t backoff_ms;
        bool was_online;
        bool connecting;   /* vgpu_client_connect() has not returned: nobody had what is lost */
        int last_error;    /* of the last attempt that failed */
        uint64_t random;   /* spreads retries; never 0 */
        bool turned_away;  /* by the goodbye below, on this connection */
        uint32_t retry_ms; /* its advice */
        uint32_t goodbye;
        char goodbye_text[192];

        _Alignas(uint64_t) uint8_t packet[VGPU_MSG_MAX];
};

uint64_t monotonic_ns(void);

/* ---- client.c: the steps of dispatch ---- */

/* Act on timer and socket, empty the wake descriptor. Return: set of events. */
int client_take(struct vgpu_client *c, uint64_t now_ns);

/* Compare the ring with what was reported. Return: set of events the caller wants to hear of. */
int client_look(struct vgpu_client *c, uint64_t now_ns);

/* Before the look that decides whether to sleep. After client_take(), which empties the descriptor. */
void client_arm(struct vgpu_client *c);

/* failure.c: fill @why with an errno and what it means here; @why may be NULL. Returns @error. */
int failure_set(struct vgpu_client_failure *why, int error, const char *path);

/* ---- connection.c ---- */

/* A connected socket, HELLO sent. Return: descriptor, or a negative errno. */
int connection_open(const char *path, uint32_t wants, const char *name);

/* Start an attempt if none is under way. Return: 0, or a negative errno with the next one scheduled. */
int connection_start(struct vgpu_client *c, uint64_t now_ns);

/* Take every message that has come. Return: set of events. */
int connection_read(struct vgpu_client *c, uint64_t now_ns);

/* Close the socket and the wake descriptor and schedule what follows. @error: why. Return: set of events. */
int connection_lose(struct vgpu_client *c, int error, uint64_t now_ns);

/* Have the daemon look at our page from now on; the first call counts, and those for no page do nothing. */
void connection_show_page(struct vgpu_client *c);

/* Tell the daemon about ourselves, at most once a second. */
void connection_tell_stats(struct vgpu_client *c, uint64_t now_ns);

/* Tell the daemon of rings that are not mapped any more. */
void connection_release(struct vgpu_client *c);

/* What a daemon's goodbye means to a caller. */
int goodbye_errno(uint32_t reason);

/* ---- retry.c ---- */

/* Arm the timer for c->due_ns, or disarm it (0). */
void retry_arm(struct vgpu_client *c, uint64_t due_ns);

/* The connection is lost, or there was none: arm it for the next attempt. */
void retry_schedule(struct vgpu_client *c, uint64_t now_ns);

/* ---- frame.c ---- */

/* A frame in its slot, as its confirmed descriptor has it. */
struct frame_source {
        uint32_t slot, seq;
        struct vgpu_ring_desc desc;
};

/* The newest frame's publish word. Return: 1, 0 (none newer than serial @after), -EPROTO. */
int frame_newest(const struct vgpu_client *c, uint64_t after, uint64_t *ret_word);

/* Its descriptor. Return: 1 (confirmed and sound), -EAGAIN (overtaken), -EPROTO. */
int frame_read(const struct vgpu_client *c, uint64_t word, struct frame_source *ret);

void frame_describe(
        const struct vgpu_client *c, const struct vgpu_ring_desc *d, struct vgpu_client_frame *ret);

/* It was delivered. */
void frame_account(struct vgpu_client *c, const struct vgpu_client_frame *f);

/* ---- damage.c ---- */

/**
 * damage_since() - what @newest differs in from the frame of serial @base
 * @base: 0: none
 * @f:    width and height are set; gets damage and n_damage
 */
void damage_since(const struct mapping *m, uint64_t base, const struct vgpu_ring_desc *newest,
        struct vgpu_client_frame *f);

/* ---- lease.c ---- */

/* Let go of every map that is only held; nobody is told. */
void lease_drop_all(struct vgpu_client *c);

/* ---- snapshot.c ---- */

/* When the tick will be (or became) overdue, CLOCK_MONOTONIC; 0 without a ring. */
uint64_t tick_overdue_ns(const struct vgpu_client *c);

/* Compare the ring with what was reported. Return: set of events. */
int ring_events(struct vgpu_client *c, uint64_t now_ns);

/* Does anything still vouch for the newest frame? */
bool ring_is_stale(const struct vgpu_client *c, uint64_t now_ns);

#endif /* VGPU_CLIENT_PRIVATE_H */
