/*
 * ram_helper.h - asking for guest RAM that we may not open: the daemon's end of vgpud-ram's socket
 *
 * To connect is to ask (helper/offer.h). The service manager listens for a helper that it starts then, so nothing here waits: the
 * answer is an event. Who answers must be root, or the service manager's own user as ours is: an unprivileged process at that
 * path has nothing to give.
 */
#ifndef VGPUD_RAM_HELPER_H
#define VGPUD_RAM_HELPER_H

#include <uv.h>

#include "config/config.h"
#include "helper/offer.h"

struct ram_helper;

/* @hand holds RAM, and is the callee's; or it is empty, and h->why says why. */
typedef void (*ram_helper_answered_fn)(struct ram_helper *h, struct ram_hand *hand);

struct ram_helper {
        uv_loop_t *loop;
        ram_helper_answered_fn answered;
        void *ctx; /* the owner's */
        char path[CONFIG_SOCKET_MAX];
        bool configured; /* somebody wrote that it is there */

        int fd;          /* -1: not asked */
        uv_poll_t *poll; /* on it */
        uint64_t asked_ns;
        uint64_t again_ns; /* not before: who refused once will, most often, refuse again */
        unsigned n_refusals;
        char why[320]; /* the last answer, if it was none; "" after one that was */
};

/* @config is borrowed for the call. */
void ram_helper_init(struct ram_helper *h, uv_loop_t *loop, const struct vgpu_config *config,
        ram_helper_answered_fn answered, void *ctx);

/**
 * ram_helper_ask() - ask, if it is time to
 *
 * After a refusal the next question waits for a second, doubling up to 8. One that has no answer within 10 s counts as refused.
 *
 * Return: 0 (asked, now or before, or to be asked later: h->why has the last answer), -ENOENT (there is no helper).
 */
int ram_helper_ask(struct ram_helper *h);

/* What it answered was of no use: it has refused once more, with this reason. */
void ram_helper_reject(struct ram_helper *h, const char *why);

/* What it answered was of use, or the machine is another one: what was refused may be granted now. */
void ram_helper_forget(struct ram_helper *h);

/* Stop waiting for an answer; the loop must run once more. */
void ram_helper_stop(struct ram_helper *h);

#endif /* VGPUD_RAM_HELPER_H */
