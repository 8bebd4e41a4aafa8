/* control_writer.c - the writer on the loop: it comes, speaks, goes */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control_private.h"
#include "systemd/journal.h"

#define MESSAGES_PER_TURN 16
#define LISTENER_REST_MS  100
#define VISIT_REPEAT_MS   100 /* the loop's clock lags behind the one that the visit is judged by */

/* The writer's place on the loop: lives from accept until its handle's close callback. */
struct control_watch {
        uv_poll_t poll;
        struct control *control;
};

static void watch_closed(uv_handle_t *handle)
{
        free(handle->data);
}

static const char *name_of(const struct control *c, char buf[JOURNAL_ESCAPED(32)])
{
        return journal_escape(
                c->link.name, strlen(c->link.name), buf, JOURNAL_ESCAPED(sizeof(c->link.name) - 1));
}

/* Somebody who mistook the socket for another was no writer, and none is missed. */
static void log_gone(const struct control *c, const char *why)
{
        const struct ucred *cred = &c->link.cred;
        char name[JOURNAL_ESCAPED(32)];

        if (c->link.ready)
                journal_event(EVENT_WRITER_GONE,
                        JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_CLIENT", name_of(c, name)),
                                JOURNAL_U64("VGPU_CLIENT_PID", (uint64_t)cred->pid),
                                JOURNAL_U64("VGPU_CLIENT_UID", cred->uid),
                                JOURNAL_TEXT("VGPU_REASON", why)),
                        "Writer '%s' (pid %d) is gone: %s", name, (int)cred->pid, why);
        else
                journal_event(EVENT_WRITER_REFUSED,
                        JOURNAL_FIELDS(JOURNAL_U64("VGPU_CLIENT_PID", (uint64_t)cred->pid),
                                JOURNAL_U64("VGPU_CLIENT_UID", cred->uid),
                                JOURNAL_TEXT("VGPU_REASON", why)),
                        "Who connected to the writer's socket (pid %d, uid %u) did not become the "
                        "writer: %s",
                        (int)cred->pid, (unsigned)cred->uid, why);
}

/* The handle lets go of the descriptor before it is closed. */
static void drop_writer(struct control *c, const char *why)
{
        bool was_ready = c->link.ready;

        log_gone(c, why);
        uv_close((uv_handle_t *)&c->watch->poll, watch_closed);
        c->watch = NULL;
        uv_timer_stop(&c->visit);
        control_link_drop(&c->link);
        c->is_silent = false;
        if (was_ready)
                control_post(c, CONTROL_EV_WRITER_GONE);
}

static void welcome(struct control *c)
{
        char name[JOURNAL_ESCAPED(32)];

        uv_timer_stop(&c->visit);
        journal_event(EVENT_WRITER_CONNECTED,
                JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_CLIENT", name_of(c, name)),
                        JOURNAL_U64("VGPU_CLIENT_PID", (uint64_t)c->link.cred.pid),
                        JOURNAL_U64("VGPU_CLIENT_UID", c->link.cred.uid)),
                "Writer '%s' (pid %d, uid %u) is connected; what clients ask for goes into the "
                "guest",
                name, (int)c->link.cred.pid, (unsigned)c->link.cred.uid);
        control_post(c, CONTROL_EV_WRITER_CAME);
}

static void on_writer(uv_poll_t *poll, int status, int events)
{
        struct control_watch *watch = poll->data;
        struct control *c = watch->control;
        struct vgpu_control_written written;

        (void)events;
        for (int i = 0; i < MESSAGES_PER_TURN; i++) {
                int r = status < 0 ? -ECONNRESET
                                   : control_link_read(&c->link, uv_hrtime(), &written);

                if (r < 0) {
                        drop_writer(c, r == -ECONNRESET ? "it has closed" : c->link.goodbye);
                        return;
                }
                if (r == CONTROL_LINK_NOTHING)
                        return;
                if (r == CONTROL_LINK_WRITER)
                        welcome(c);
                else
                        control_answer(c, &written);
        }
}

static void on_visit(uv_timer_t *timer)
{
        struct control *c = timer->data;

        if (control_link_expired(&c->link, uv_hrtime()))
                drop_writer(c, c->link.goodbye);
}

static void watch_writer(struct control *c)
{
        struct control_watch *watch = calloc(1, sizeof(*watch));

        if (!watch || uv_poll_init(c->loop, &watch->poll, c->link.fd) < 0) {
                free(watch);
                control_link_goodbye(&c->link, VGPU_GOODBYE_INTERNAL,
                        "The daemon is out of memory; try again later.");
                control_link_drop(&c->link);
                return;
        }
        watch->poll.data = watch;
        watch->control = c;
        c->watch = watch;
        uv_poll_start(&watch->poll, UV_READABLE, on_writer);
        uv_timer_start(&c->visit, on_visit, CONTROL_LINK_HELLO_NS / 1000000 + 1, VISIT_REPEAT_MS);
}

/* One that is dead, or that owes us an answer, makes room for another. */
static void make_room(struct control *c)
{
        if (control_link_is_dead(&c->link)) {
                drop_writer(c, "it has closed");
        } else if (c->link.fd >= 0 && c->is_silent) {
                control_link_goodbye(&c->link, VGPU_GOODBYE_UNREAD,
                        "A request was left without an answer, and another writer has come.");
                drop_writer(c, c->link.goodbye);
        }
}

static void on_connect(uv_poll_t *poll, int status, int events);

static void on_rested(uv_timer_t *timer)
{
        struct control *c = timer->data;

        uv_poll_start(&c->listener, UV_READABLE, on_connect);
}

static void log_refused(const struct control *c, uint64_t denied_before)
{
        const char *why = c->link.counters.denied > denied_before
                                  ? "its user is not the one that [control] user names"
                                  : "there is one already";

        journal_event(EVENT_WRITER_REFUSED, JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_REASON", why)),
                "A writer was refused: %s", why);
}

static void on_connect(uv_poll_t *poll, int status, int events)
{
        struct control *c = poll->data;
        uint64_t denied = c->link.counters.denied;
        int r = status;

        (void)events;
        /* One at a time: who is left in the queue makes the socket readable again. */
        if (r >= 0) {
                make_room(c);
                r = control_link_accept(&c->link, uv_hrtime());
        }
        if (r == CONTROL_LINK_TAKEN)
                watch_writer(c);
        if (r == CONTROL_LINK_REFUSED)
                log_refused(c, denied);
        if (r >= 0)
                return;
        /* Who waits there keeps the socket readable: without a rest the loop would do nothing else. */
        uv_poll_stop(&c->listener);
        uv_timer_start(&c->rest, on_rested, LISTENER_REST_MS, 0);
        journal_event(EVENT_RESOURCES_SHORT,
                JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_REASON", strerror(-r))),
                "A writer cannot be accepted: %s; trying again", strerror(-r));
}

int control_watch_init(struct control *c)
{
        int r;

        uv_timer_init(c->loop, &c->visit);
        uv_timer_init(c->loop, &c->rest);
        c->visit.data = c->rest.data = c;
        r = uv_poll_init(c->loop, &c->listener, c->link.listener.fd);
        if (r < 0)
                return r;
        c->listener.data = c;
        return uv_poll_start(&c->listener, UV_READABLE, on_connect);
}

void control_watch_stop(struct control *c)
{
        if (c->watch)
                uv_close((uv_handle_t *)&c->watch->poll, watch_closed);
        c->watch = NULL;
        uv_close((uv_handle_t *)&c->visit, NULL);
        uv_close((uv_handle_t *)&c->rest, NULL);
        if (c->listener.data)
                uv_close((uv_handle_t *)&c->listener, NULL);
}
