/*
 * control.h - what clients ask of the producer, on its way into the guest
 *
 * Merges intents (control_merge.h), runs the table of control_state.h, and hands what is to be written to the external writer
 * (control_link.h) with what it must find in the guest. The daemon itself has no way to write there. Everything on the
 * loop's thread. One per daemon, and none where no control socket is configured.
 */
#ifndef VGPUD_CONTROL_H
#define VGPUD_CONTROL_H

#include <uv.h>

#include "config/config.h"
#include "control_link.h"
#include "control_merge.h"
#include "control_request.h"
#include "control_state.h"

struct control_patience {
        uint64_t deadline_ms; /* from sending a WRITE to when it must have been begun */
        uint64_t grace_ms;    /* for its answer, after that */
        uint64_t backoff_first_ms, backoff_most_ms;
        unsigned tries; /* of the same thing, then it is given up */
};

/* Tries go on for some ten seconds. */
#define CONTROL_PATIENCE ((struct control_patience){ 1000, 200, 50, 2000, 10 })

/* Where intents go now. Borrowed until the next control_set_target(). */
struct control_target {
        vgpup_region *region;
        vmie_mem *mem;
        uint64_t epoch;
        uint64_t binding; /* tells one bound region from the next */
};

/* How far what clients ask for has come, as struct vgpu_msg_intent_state has it. */
struct control_progress {
        int error;
        bool written;
        uint32_t ctrl_gen, full_frame;
};

struct control {
        uv_loop_t *loop;
        uint8_t instance[16];
        void (*tell)(void *ctx); /* progress may have changed */
        void *tell_ctx;

        struct control_patience patience;
        enum control_state state;

        /* asked for */
        struct control_merge merge;
        bool frame_fresh; /* somebody asked for a whole frame, and no WRITE has said so yet */

        /* written to; region NULL: nothing */
        struct control_target target;
        bool is_based; /* frame_req continues from this producer's full_frame_ack */
        bool is_known; /* @block is what the guest's block says */
        bool is_ours;  /* we have written to it since it was bound, or may have */
        bool is_held;  /* the guest stands still */
        vgpup_control_intent block;
        uint32_t block_gen;                /* its ctrl_gen */
        uint32_t ctrl_gen;                 /* of the last write reported done, 0: none */
        uint32_t frame_req;                /* of the last WRITE */
        uint32_t ctrl_ack, full_frame_ack; /* as the producer last said */

        /* on its way */
        struct control_request request;
        vgpup_control_intent sent;
        unsigned tries;
        uint64_t backoff_ms;
        bool is_silent; /* the writer owes an answer that is overdue */

        struct control_link link;
        struct control_watch *watch; /* of the writer's socket, NULL: none */
        uv_poll_t listener;
        uv_timer_t timer; /* an answer, or the back-off */
        uv_timer_t visit; /* the writer's first message */
        uv_timer_t rest;  /* of a listener that cannot accept */

        struct {
                uint64_t writes; /* sent */
                uint64_t answers[CONTROL_N_VERDICTS];
                uint64_t results[VGPU_CONTROL_N_RESULTS]; /* of the answers */
                uint64_t unanswered;
                uint64_t unreadable; /* the block could not be read */
        } counters;
};

/**
 * control_init() - listen for a writer
 * @c:          must outlive the loop's run
 * @instance:   of this daemon, as in the ring
 * @tell:       called whenever control_progress() may say something else; must not call back but for getters
 * @reterr_why: written on failure
 *
 * Return: 0, or what listening said; control_stop() is right in every case.
 */
int control_init(struct control *c, uv_loop_t *loop, const struct vgpu_config *config,
        const uint8_t instance[16], void (*tell)(void *ctx), void *tell_ctx,
        struct server_failure *reterr_why);

/* Say goodbye and close every handle; the loop must run once more. A zeroed control is fine. */
void control_stop(struct control *c);

/**
 * control_intents() - what is asked for changed
 * @merge:      the intents of all clients
 * @want_frame: somebody asked for a whole frame since the last call
 */
void control_intents(struct control *c, const struct control_merge *merge, bool want_frame);

/* Where intents go from now on; a region of NULL, or none: nowhere. To name the same binding again changes nothing. */
void control_set_target(struct control *c, const struct control_target *target);

/*
 * The guest stands still, or goes on. While it stands nothing is sent; what is with the writer may be answered: a careful one
 * stops the machine for the moment it takes.
 */
void control_hold(struct control *c, bool held);

/* The target's status was read: what the producer has taken up. */
void control_status(struct control *c, const vgpup_status *status);

/* ctrl_gen of the last write reported done into the target's block, 0: none. NULL is fine. */
uint32_t control_ctrl_gen(const struct control *c);

/* Return: true with *ret_progress; false while it is on its way and there is nothing new to tell. */
bool control_progress(const struct control *c, struct control_progress *ret_progress);

/* For `vgpuctl status`: a new object; NULL, JSON's null, for a @c of NULL. */
struct json_object;
struct json_object *control_json(const struct control *c);

/* Is a writer connected, and has it said who it is? */
bool control_has_writer(const struct control *c);

#endif /* VGPUD_CONTROL_H */
