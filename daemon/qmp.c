/* qmp.c - see qmp.h */
#include "qmp.h"

#include <assert.h>
#include <errno.h>
#include <json-c/printbuf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "json.h"

#define JSON_DEPTH 16 /* QEMU's answers to what we ask are four deep */

static void on_timer(uv_timer_t *timer);
static void on_greeting(struct qmp *q, struct json_object *ret, const char *error);

/* ---- going down ---------------------------------------------------------------------------------------------------- */

static void free_handle(uv_handle_t *handle)
{
        free(handle);
}

static void close_socket(struct qmp *q)
{
        if (q->poll) {
                uv_poll_stop(q->poll);
                uv_close((uv_handle_t *)q->poll, free_handle);
                q->poll = NULL;
        }
        if (q->fd >= 0)
                close(q->fd);
        q->fd = -1;
        q->len = 0;
        q->reply = NULL;
        q->state = QMP_DOWN;
}

static void go_down(struct qmp *q, int error, const char *why)
{
        close_socket(q);
        uv_timer_start(&q->timer, on_timer, q->backoff_ms, 0);
        q->backoff_ms =
                q->backoff_ms * 2 < QMP_BACKOFF_MOST_MS ? q->backoff_ms * 2 : QMP_BACKOFF_MOST_MS;
        q->handlers->down(q, error, why);
}

/* ---- what a line says ---------------------------------------------------------------------------------------------- */

static void take_answer(struct qmp *q, struct json_object *ret, struct json_object *error)
{
        struct json_object *text = NULL;
        qmp_reply reply = q->reply;

        if (!reply)
                return; /* an answer to nothing: of a connection that another client used before us */
        q->reply = NULL;
        uv_timer_stop(&q->timer);
        if (error)
                json_object_object_get_ex(error, "desc", &text);
        reply(q, ret, error ? (text ? json_object_get_string(text) : "refused") : NULL);
}

static void take_event(struct qmp *q, struct json_object *object, struct json_object *name)
{
        struct json_object *data = NULL;

        json_object_object_get_ex(object, "data", &data);
        if (q->state == QMP_TALKING && json_object_is_type(name, json_type_string))
                q->handlers->event(q, json_object_get_string(name), data);
}

static void take_object(struct qmp *q, struct json_object *object)
{
        struct json_object *member;

        if (json_object_object_get_ex(object, "event", &member))
                take_event(q, object, member);
        else if (json_object_object_get_ex(object, "error", &member))
                take_answer(q, NULL, member);
        else if (json_object_object_get_ex(object, "return", &member))
                take_answer(q, member, NULL);
        else if (q->state == QMP_GREETING && json_object_object_get_ex(object, "QMP", &member) &&
                 !q->reply)
                qmp_execute(q, "qmp_capabilities", NULL, on_greeting);
}

/*
 * json-c gathers a text in a buffer that it makes larger as it goes, and when there is no memory for that it leaves out a piece
 * and says nothing: half a memory tree would be believed. No text of a line is longer than the line, so the buffer is
 * made that large first.
 */
static struct json_object *parse(const char *line, size_t len)
{
        struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH);
        struct json_object *object = NULL;

        if (!tokener)
                return NULL;
        if (printbuf_memset(tokener->pb, 0, 0, (int)len + 1) == 0)
                object = json_tokener_parse_ex(tokener, line, (int)len);
        json_tokener_free(tokener);
        return object;
}

/* Return: false when it is no JSON object. */
static bool take_line(struct qmp *q, const char *line, size_t len)
{
        struct json_object *object = parse(line, len);

        if (!json_object_is_type(object, json_type_object)) {
                json_object_put(object);
                return false;
        }
        take_object(q, object);
        json_object_put(object);
        return true;
}

static void on_greeting(struct qmp *q, struct json_object *ret, const char *error)
{
        (void)ret;
        if (error) {
                go_down(q, -EPROTO, "refused to negotiate");
                return;
        }
        q->state = QMP_TALKING;
        q->backoff_ms = QMP_BACKOFF_FIRST_MS;
        q->handlers->up(q);
}

/* ---- bytes --------------------------------------------------------------------------------------------------------- */

static int make_room(struct qmp *q)
{
        size_t cap = q->cap ? q->cap * 2 : 4096;
        char *line;

        if (q->len < q->cap)
                return 0;
        if (cap > QMP_LINE_MAX)
                return -EMSGSIZE;
        line = realloc(q->line, cap);
        if (!line)
                return -ENOMEM;
        q->line = line;
        q->cap = cap;
        return 0;
}

/* Delivers the complete lines. A handler may have taken the connection down, which empties the buffer. */
static void take_lines(struct qmp *q)
{
        size_t done = 0;
        char *end;

        while (q->state != QMP_DOWN && (end = memchr(q->line + done, '\n', q->len - done))) {
                size_t len = (size_t)(end - q->line) - done;

                if (len > 0 && !(len == 1 && q->line[done] == '\r') &&
                        !take_line(q, q->line + done, len)) {
                        go_down(q, -EPROTO, "says what is no JSON");
                        return;
                }
                done += len + 1;
        }
        if (q->state == QMP_DOWN)
                return;
        q->len -= done;
        memmove(q->line, q->line + done, q->len);
        /* Half a line is the beginning of something: the rest must come, whether a request waits or not. */
        if (q->len > 0 && !uv_is_active((uv_handle_t *)&q->timer))
                uv_timer_start(&q->timer, on_timer, QMP_TIMEOUT_MS, 0);
        else if (q->len == 0 && q->state == QMP_TALKING && !q->reply)
                uv_timer_stop(&q->timer);
}

static bool floods(struct qmp *q, size_t len)
{
        uint64_t now_ns = uv_hrtime();

        if (now_ns - q->flood_since_ns > UINT64_C(1000000000)) {
                q->flood_since_ns = now_ns;
                q->flood_bytes = 0;
        }
        q->flood_bytes += len;
        return q->flood_bytes > QMP_FLOOD_BYTES;
}

/* One read for one turn of the loop: everybody else gets theirs in between. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
        struct qmp *q = poll->data;
        ssize_t n;

        (void)events;
        if (status < 0) {
                go_down(q, status, "cannot be polled");
                return;
        }
        if (make_room(q) < 0) {
                go_down(q, -EMSGSIZE, "sends a line without end");
                return;
        }
        n = recv(q->fd, q->line + q->len, q->cap - q->len, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0) {
                go_down(q, n == 0 ? -ECONNRESET : -errno, "closed the connection");
                return;
        }
        if (floods(q, (size_t)n)) {
                go_down(q, -EMSGSIZE, "floods us");
                return;
        }
        q->len += (size_t)n;
        take_lines(q);
}

/* ---- connecting ---------------------------------------------------------------------------------------------------- */

static int open_socket(struct qmp *q)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int r;

        if (strlen(q->path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        memcpy(address.sun_path, q->path, strlen(q->path));
        q->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (q->fd < 0)
                return -errno;
        /* A unix socket connects at once or not at all; EAGAIN is a full backlog. */
        if (connect(q->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return -errno;
        q->poll = malloc(sizeof(*q->poll));
        if (!q->poll)
                return -ENOMEM;
        r = uv_poll_init(q->loop, q->poll, q->fd);
        if (r < 0) {
                free(q->poll);
                q->poll = NULL;
                return r;
        }
        q->poll->data = q;
        return uv_poll_start(q->poll, UV_READABLE, on_readable);
}

static void connect_to_it(struct qmp *q)
{
        int r = open_socket(q);

        if (r < 0) {
                go_down(q, r, strerror(-r));
                return;
        }
        q->state = QMP_GREETING;
        uv_timer_start(&q->timer, on_timer, QMP_TIMEOUT_MS, 0);
}

static void on_timer(uv_timer_t *timer)
{
        struct qmp *q = timer->data;

        if (q->state == QMP_DOWN)
                connect_to_it(q);
        else if (q->state == QMP_GREETING)
                go_down(q, -ETIMEDOUT, "does not greet: another client may hold it");
        else
                go_down(q, -ETIMEDOUT, "does not answer");
}

static void send_line(int fd, const char *text, size_t len)
{
        struct iovec parts[] = {
                { .iov_base = (void *)(uintptr_t)text, .iov_len = len },
                { .iov_base = (char[]){ '\n' }, .iov_len = 1 },
        };
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };

        (void)!sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void qmp_execute(struct qmp *q, const char *command, struct json_object *arguments, qmp_reply reply)
{
        struct json_object *request = json_new();
        const char *text;
        bool was_short;
        size_t len;

        assert(q->state != QMP_DOWN && !q->reply);
        json_add(request, "execute", json_text(command));
        if (arguments)
                json_add(request, "arguments", arguments);
        text = json_object_to_json_string_length(request, JSON_C_TO_STRING_PLAIN, &len);
        /* Half a question would be another one. It counts as unanswered, and all are asked again. */
        was_short = json_was_short() || !text;
        q->reply = reply;
        uv_timer_start(&q->timer, on_timer, was_short ? QMP_BACKOFF_FIRST_MS : QMP_TIMEOUT_MS, 0);
        /* Requests are short and one at a time: a socket that does not take one whole is dead, and the timer says so. */
        if (!was_short)
                send_line(q->fd, text, len);
        json_object_put(request);
}

bool qmp_quiet(const struct qmp *q)
{
        char byte;

        if (q->state != QMP_TALKING)
                return true;
        if (q->len > 0)
                return false;
        return recv(q->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

int qmp_peer_pid(const struct qmp *q)
{
        struct ucred peer = { .pid = 0 };
        socklen_t len = sizeof(peer);

        if (q->fd < 0 || getsockopt(q->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
                return 0;
        return peer.pid;
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

int qmp_init(struct qmp *q, uv_loop_t *loop, const char *path, const struct qmp_handlers *handlers,
        void *ctx)
{
        *q = (struct qmp){
                .loop = loop,
                .path = path,
                .handlers = handlers,
                .ctx = ctx,
                .fd = -1,
                .backoff_ms = QMP_BACKOFF_FIRST_MS,
        };
        uv_timer_init(loop, &q->timer);
        q->timer.data = q;
        return uv_timer_start(&q->timer, on_timer, 0, 0);
}

void qmp_stop(struct qmp *q)
{
        close_socket(q);
        free(q->line);
        q->line = NULL;
        q->cap = 0;
        uv_close((uv_handle_t *)&q->timer, NULL);
}
