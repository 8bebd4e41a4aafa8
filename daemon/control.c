/* control.c - events in, actions out: see control.h. The writer's end of it is in control_writer.c. */
#include "control.h"

#include <errno.h>
#include <string.h>

#include "control_private.h"
#include "systemd/journal.h"

bool control_has_writer(const struct control *c)
{
        return c->link.fd >= 0 && c->link.ready;
}

uint32_t control_ctrl_gen(const struct control *c)
{
        return c ? c->ctrl_gen : 0;
}

bool control_progress(const struct control *c, struct control_progress *ret_progress)
{
        *ret_progress = (struct control_progress){ 0 };
        switch (c->state) {
        case CONTROL_WRITTEN:
        case CONTROL_APPLIED:
                ret_progress->written = true;
                ret_progress->ctrl_gen = c->ctrl_gen;
                ret_progress->full_frame = c->block.full_frame_req;
                return true;
        case CONTROL_GIVEN_UP:
                ret_progress->error = -EIO;
                return true;
        case CONTROL_AWAY:
        case CONTROL_WAITING:
                ret_progress->error = control_has_writer(c) ? 0 : -ENOTCONN;
                return true;
        default:
                return false;
        }
}

/* ---- what is wanted ------------------------------------------------------------------------------------------------ */

static bool is_out(const struct control *c)
{
        return c->state == CONTROL_SENT || c->state == CONTROL_OUTDATED;
}

/* Does the block, or what is on its way there, say something else than what is asked for? */
static bool is_wanted(const struct control *c)
{
        bool asking = c->merge.n_asking > 0;

        if (c->frame_fresh)
                return true;
        if (is_out(c))
                return control_merge_differs(&c->merge, &c->sent);
        if (!c->is_known)
                return asking || c->is_ours;
        if (asking && !c->is_ours)
                return true;
        /* Nobody asks, and nobody ever has: such a block is left alone. */
        if (c->block_gen == 0)
                return false;
        return control_merge_differs(&c->merge, &c->block);
}

static void reconsider(struct control *c)
{
        if (!c->target.region)
                return;
        if (is_wanted(c))
                control_post(c, CONTROL_EV_WANTED);
        else if (c->merge.n_asking == 0)
                control_post(c, CONTROL_EV_SETTLED);
}

void control_intents(struct control *c, const struct control_merge *merge, bool want_frame)
{
        c->merge = *merge;
        /* Who asked for a frame and left does not want it any more. */
        c->frame_fresh = (c->frame_fresh || want_frame) && merge->n_asking > 0;
        reconsider(c);
        c->tell(c->tell_ctx);
}

/* ---- actions ------------------------------------------------------------------------------------------------------- */

/* What was sent may have been performed, wholly or in part. */
static void doubt(struct control *c)
{
        c->is_known = false;
        c->is_ours = true;
}

static void forget(struct control *c)
{
        if (c->request.open)
                doubt(c);
        c->request.open = false;
        uv_timer_stop(&c->timer);
}

static void keep(struct control *c)
{
        c->block = c->sent;
        c->ctrl_gen = c->block_gen = vgpu_control_next(c->request.found);
        c->is_known = c->is_ours = true;
}

static void post_failure(struct control *c)
{
        control_post(c, c->tries >= c->patience.tries ? CONTROL_EV_EXHAUSTED : CONTROL_EV_FAILED);
}

static void on_timer(uv_timer_t *timer)
{
        struct control *c = timer->data;

        if (c->state == CONTROL_RESTING) {
                control_post(c, CONTROL_EV_RETRY);
                return;
        }
        c->counters.unanswered++;
        c->is_silent = true;
        post_failure(c);
}

static void arm_retry(struct control *c)
{
        uv_timer_start(&c->timer, on_timer, c->backoff_ms, 0);
        c->backoff_ms *= 2;
        if (c->backoff_ms > c->patience.backoff_most_ms)
                c->backoff_ms = c->patience.backoff_most_ms;
}

/* What the block says, and where the producer's own count of whole frames stands. Return: 0, or negative errno. */
static int read_block(struct control *c)
{
        vgpup_status status;
        vgpu_control_t now;
        int r;

        r = vgpup_read_control(c->target.region, c->target.mem, &now);
        if (r != 1)
                return r < 0 ? r : -EAGAIN;
        c->block = (vgpup_control_intent){ now.desired_state, now.target_fps, now.draw_cursor,
                now.full_frame_req };
        c->block_gen = now.ctrl_gen;
        c->is_known = true;
        if (c->is_based)
                return 0;
        r = vgpup_read_status(c->target.region, c->target.mem, &status);
        if (r < 0)
                return r;
        c->frame_req = c->full_frame_ack = status.full_frame_ack;
        c->ctrl_ack = status.ctrl_ack;
        c->is_based = true;
        return 0;
}

static int build(struct control *c, struct vgpu_control_write *ret)
{
        uint64_t now_ns = uv_hrtime();
        int r = read_block(c);

        if (r < 0) {
                c->counters.unreadable++;
                return r;
        }
        c->frame_req = control_frame_next(c->frame_req, c->frame_fresh);
        c->frame_fresh = false;
        c->sent = control_merge_result(&c->merge, c->frame_req);
        control_describe(&c->request, c->target.region, c->target.mem->levels, c->target.epoch,
                c->block_gen, &c->sent, ret);
        ret->deadline_ns = now_ns + c->patience.deadline_ms * UINT64_C(1000000);
        memcpy(ret->instance, c->instance, sizeof(ret->instance));
        return 0;
}

static void send_write(struct control *c)
{
        struct vgpu_control_write write;
        int r;

        if (!control_has_writer(c) || c->is_held) {
                control_post(c, CONTROL_EV_HELD_BACK);
                return;
        }
        c->tries++;
        r = build(c, &write);
        if (r == 0)
                r = control_link_send(&c->link, &write);
        if (r < 0) {
                journal_log(LOG_DEBUG, "No WRITE was sent: %s", strerror(-r));
                c->request.open = false;
                post_failure(c);
                return;
        }
        c->counters.writes++;
        uv_timer_start(&c->timer, on_timer, c->patience.deadline_ms + c->patience.grace_ms, 0);
}

/* An action that may post an event itself (send) is the last of its row. */
static void run_actions(struct control *c, unsigned actions)
{
        if (actions & CONTROL_DO_FORGET)
                forget(c);
        if (actions & CONTROL_DO_FORGIVE) {
                c->tries = 0;
                c->backoff_ms = c->patience.backoff_first_ms;
        }
        if (actions & CONTROL_DO_KEEP)
                keep(c);
        if (actions & CONTROL_DO_ARM_RETRY)
                arm_retry(c);
        if (actions & CONTROL_DO_SEND)
                send_write(c);
}

static void log_given_up(const struct control *c)
{
        journal_event(EVENT_CONTROL_FAILED, NULL,
                "What clients ask the producer for was not written into the guest in %u tries; "
                "waiting until they ask for something else, another writer or another producer",
                c->tries);
}

void control_post(struct control *c, enum control_event event)
{
        struct control_step step = control_next(c->state, event);
        enum control_state before = c->state;

        if (step.state != before || step.actions)
                journal_log(LOG_DEBUG, "control %s: %s -> %s", control_event_name(event),
                        control_state_name(before), control_state_name(step.state));
        c->state = step.state;
        if (step.state == CONTROL_GIVEN_UP && before != CONTROL_GIVEN_UP)
                log_given_up(c);
        run_actions(c, step.actions);
        c->tell(c->tell_ctx);
}

/* ---- what comes in ------------------------------------------------------------------------------------------------- */

static void log_unbelieved(enum control_verdict verdict, const struct vgpu_control_written *written)
{
        static const char *const why[CONTROL_N_VERDICTS] = {
                [CONTROL_STALE] = "of an earlier epoch",
                [CONTROL_LATE] = "too late",
                [CONTROL_FORGED] = "to nothing that was asked",
        };

        journal_event(EVENT_WRITER_UNBELIEVED,
                JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_REASON", why[verdict])),
                "The writer's answer to request %llu is %s; ignored",
                (unsigned long long)written->request, why[verdict]);
}

void control_answer(struct control *c, const struct vgpu_control_written *written)
{
        enum control_verdict verdict = control_judge(&c->request, written);

        c->counters.answers[verdict]++;
        if (verdict != CONTROL_ANSWER) {
                log_unbelieved(verdict, written);
                return;
        }
        c->counters.results[written->result]++;
        c->request.open = false;
        c->is_silent = false;
        if (written->result == VGPU_CONTROL_DONE) {
                control_post(c, CONTROL_EV_DONE);
                return;
        }
        journal_log(LOG_DEBUG, "The writer did not write: result %u, %s", written->result,
                written->error < 0 && written->error > -4096 ? strerror(-written->error) : "-");
        c->is_known = false;
        if (written->result == VGPU_CONTROL_FAILED)
                doubt(c);
        post_failure(c);
}

static void lose_target(struct control *c)
{
        /* What the old producer was asked for and did not do is asked of the next one. */
        if (c->is_based && c->frame_req != c->full_frame_ack && c->merge.n_asking > 0)
                c->frame_fresh = true;
        c->target = (struct control_target){ 0 };
        control_post(c, CONTROL_EV_UNBOUND);
        c->is_based = c->is_known = c->is_ours = false;
        c->block_gen = c->ctrl_gen = c->ctrl_ack = c->frame_req = c->full_frame_ack = 0;
}

void control_set_target(struct control *c, const struct control_target *target)
{
        bool none = !target || !target->region;

        if (none ? !c->target.region : c->target.binding == target->binding && c->target.region)
                return;
        if (c->target.region)
                lose_target(c);
        if (none)
                return;
        c->target = *target;
        /* What stands there may be of a daemon before this one. If it cannot be read now, it is tried again. */
        read_block(c);
        control_post(c, CONTROL_EV_BOUND);
        reconsider(c);
}

void control_hold(struct control *c, bool held)
{
        bool resumed = c->is_held && !held;

        c->is_held = held;
        if (resumed)
                control_post(c, CONTROL_EV_RESUMED);
}

void control_status(struct control *c, const vgpup_status *status)
{
        c->ctrl_ack = status->ctrl_ack;
        c->full_frame_ack = status->full_frame_ack;
        /* It could not be read when it was bound, and may say what nobody asks for. */
        if (c->state == CONTROL_IDLE && !c->is_known) {
                read_block(c);
                reconsider(c);
        }
        if (c->state == CONTROL_WRITTEN && c->ctrl_ack == c->ctrl_gen) {
                control_post(c, CONTROL_EV_ACKED);
                reconsider(c);
        }
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

int control_init(struct control *c, uv_loop_t *loop, const struct vgpu_config *config,
        const uint8_t instance[16], void (*tell)(void *ctx), void *tell_ctx,
        struct server_failure *reterr_why)
{
        const struct control_link_config link = {
                .path = config->control.socket,
                .mode = config->control.mode,
                .group = config->control.group.name[0] ? config->control.group.gid
                                                       : SERVER_GROUP_NONE,
                .has_user = config->control.user.name[0] != '\0',
                .user = config->control.user.uid,
        };
        int r;

        *c = (struct control){
                .tell = tell,
                .tell_ctx = tell_ctx,
                .patience = CONTROL_PATIENCE,
                .backoff_ms = CONTROL_PATIENCE.backoff_first_ms,
                .state = CONTROL_AWAY,
                .merge = CONTROL_MERGE_NONE,
        };
        memcpy(c->instance, instance, sizeof(c->instance));
        r = control_link_init(&c->link, &link, reterr_why);
        if (r < 0)
                return r;
        c->loop = loop;
        uv_timer_init(loop, &c->timer);
        c->timer.data = c;
        r = control_watch_init(c);
        if (r < 0) {
                *reterr_why = (struct server_failure){ SERVER_FAILED, r };
                control_stop(c);
        }
        return r;
}

void control_stop(struct control *c)
{
        if (!c->loop)
                return;
        control_watch_stop(c);
        uv_close((uv_handle_t *)&c->timer, NULL);
        control_link_deinit(&c->link);
        c->loop = NULL;
}
