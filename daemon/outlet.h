/*
 * outlet.h - what local clients see: the ring, the socket, and the tick that says the daemon lives
 *
 * The outlet replaces the ring when a mode or an administrator asks for it (rings.h); records and liveness carry over. It polls
 * the server's descriptors on the loop and wakes clients after every change. It knows nothing of guests: the guest tells
 * it what is true, the stream fills its slots.
 */
#ifndef VGPUD_OUTLET_H
#define VGPUD_OUTLET_H

#include <stdbool.h>
#include <uv.h>

#include "config/config.h"
#include "histogram.h"
#include "rings.h"
#include "server.h"

#define OUTLET_TICK_MS 100

/* Who else is asked, or told, what comes from clients. Any may be NULL. */
struct outlet_hooks {
        server_query_fn query;              /* answers `vgpuctl`'s questions */
        void (*intents_changed)(void *ctx); /* see struct server_config */
        void *ctx;                          /* of both */
};

struct outlet {
        uv_loop_t *loop;
        const struct vgpu_config *config;
        struct server *server;
        struct rings rings;
        uv_poll_t listener;
        uv_timer_t tick;
        uint32_t n_ticks;
        bool heard; /* a client spoke or left since the last tick: an old ring may be free */

        /* clients take turns; outlet_peers.c */
        uint64_t turn_ms; /* the loop's time when this one began */
        uint64_t turn_ns; /* what clients took of it */
        uint64_t round;   /* in which everybody who has something to say is served once */
        bool put_off;     /* somebody was not, for want of time */

        struct vgpu_ring_liveness liveness; /* last told */

        /* of what is published, and what that takes; all of uv_hrtime() */
        uint64_t published_ns; /* the newest frame, 0: none yet */
        struct histogram frame_interval, publish_time, wake_time;

        uint64_t n_outlived; /* the server's count of it, as far as it led to another ring */
        bool renew_told;     /* it was said that such a ring has no room yet */
};

/**
 * outlet_init() - make the first ring and listen
 * @listen_fd:  passed by the service manager, or -1: make the configured socket. Owned by the outlet on success
 * @hooks:      copied
 * @reterr_why: what is wrong with the socket; written when the result says it is
 *
 * Return: 0; SERVER failures as server_new() returns them with @reterr_why; ring failures with reason SERVER_OK.
 */
int outlet_init(struct outlet *o, uv_loop_t *loop, const struct vgpu_config *config, int listen_fd,
        const struct outlet_hooks *hooks, struct server_failure *reterr_why);

/**
 * outlet_tick_early() - who is awake does the loop's tick, too
 * @within_ms: a tick that is due by then is done now, and the next is due a period later
 *
 * May drop clients and replace the ring, as any tick.
 */
void outlet_tick_early(struct outlet *o, uint64_t within_ms);

/**
 * outlet_reload() - go by what is live of [ring] and [access] in the configuration now
 *
 * Who may connect no more is dropped, and the ring replaced so that he sees nothing newer; a lower limit drops nobody.
 *
 * Return: 0, -ENOMEM: the limits changed, rights did not.
 */
int outlet_reload(struct outlet *o);

/* Say goodbye, close the ring and every handle. The loop must run once more. */
void outlet_close(struct outlet *o);

/* Free what outlet_close() left; after the loop has run out. An all-zero outlet is fine. */
void outlet_deinit(struct outlet *o);

/* Tell where the guest stands; wakes clients when it differs. */
void outlet_set_liveness(struct outlet *o, enum vgpu_ring_state state, uint64_t epoch,
        uint32_t run_epoch, uint32_t producer_pid);
void outlet_set_cursor(struct outlet *o, const struct vgpu_ring_cursor *cursor);
void outlet_set_geometry(struct outlet *o, const struct vgpu_ring_geometry *geometry);
void outlet_set_status(struct outlet *o, const struct vgpu_ring_status *status);

/**
 * outlet_fit() - make sure a slot holds the next frame
 * @bytes: of the frame
 *
 * May replace the ring by a larger or smaller one (generation.h); records carry over, and clients are sent it before the first
 * frame in it.
 *
 * Return: 0; -ENOSPC (rings would take more than [ring] max_bytes, or clients still have too many old ones); or what
 * ring_new() said. On failure the old ring stays.
 */
int outlet_fit(struct outlet *o, uint64_t bytes);

/* Of the ring in use; another one has other slots. */
uint64_t outlet_generation(const struct outlet *o);

/* See ring_slot_begin(), ring_open_slot(), ring_slot_abort(), ring_publish(). */
uint8_t *outlet_begin(struct outlet *o);
uint32_t outlet_open_slot(const struct outlet *o);
void outlet_abort(struct outlet *o, size_t from, size_t to);
void outlet_publish(struct outlet *o, const struct ring_frame *frame);

/* Those who read the ring; who only asks a question is none. */
uint32_t outlet_n_clients(const struct outlet *o);

#endif /* VGPUD_OUTLET_H */
