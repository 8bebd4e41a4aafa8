/*
 * journal.c - see journal.h
 *
 * One mutex guards the buckets, never a send. A journal that is slow holds nobody up: what it has no room for is lost, and it is
 * told how much.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "limit.h"
#include "systemd/journal.h"
#include "systemd/journal_socket.h"
#include "systemd/text.h"

#define MESSAGE_MAX 1024
#define FIELD_MAX   512 /* NAME=value */

/* MESSAGE, PRIORITY, SYSLOG_IDENTIFIER, MESSAGE_ID, VGPU_SWALLOWED, _EVENT, _VM, _STATE, _EPOCH */
#define N_OWN 9

_Static_assert(JOURNAL_FIELDS_MAX + N_OWN <= JOURNAL_SOCKET_FIELDS, "an entry fits");

static atomic_bool to_journal;
static atomic_int max_level = LOG_INFO;

static char vm[256];                /* "": not known yet, as while the configuration is read */
static _Atomic(const char *) state; /* NULL: none yet */
static atomic_uint_fast64_t epoch;

static pthread_mutex_t limits_lock = PTHREAD_MUTEX_INITIALIZER;
static struct limit limits[JOURNAL_N_EVENTS];
static uint64_t n_swallowed_ever;

/* Lines that the journal had no room for, and has not been told of. */
static atomic_uint_fast64_t n_lost;

static uint64_t now_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

/* $JOURNAL_STREAM is "device:inode" of the stream that systemd connected; stderr may be another one by now. */
static bool stderr_is_journal(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        uint64_t dev, ino;
        struct stat st;
        int end = 0;

        if (stream == NULL || sscanf(stream, "%" SCNu64 ":%" SCNu64 "%n", &dev, &ino, &end) != 2 ||
                stream[end] != '\0')
                return false;
        return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

/* It is not in a root folder of one's own, say. */
static bool journal_is_there(void)
{
        return access(JOURNAL_SOCKET, W_OK) == 0;
}

void journal_init(void)
{
        atomic_store(&to_journal, stderr_is_journal() && journal_is_there());
}

void journal_set_level(int priority)
{
        atomic_store(&max_level, priority);
}

void journal_set_vm(const char *name)
{
        journal_escape(name, strlen(name), vm, sizeof(vm));
}

void journal_set_place(const char *new_state, uint64_t new_epoch)
{
        atomic_store(&state, new_state);
        atomic_store(&epoch, new_epoch);
}

static const char *level_word(int priority)
{
        if (priority <= LOG_ERR)
                return "error: ";
        switch (priority) {
        case LOG_WARNING:
                return "warning: ";
        case LOG_NOTICE:
                return "notice: ";
        case LOG_DEBUG:
                return "debug: ";
        default:
                return "";
        }
}

/* One write(), so that lines of several threads do not mix. */
static void send_stderr(int priority, const char *message)
{
        char line[MESSAGE_MAX + 128];
        int len = snprintf(line, sizeof(line) - 1, "%s: %s%s", program_invocation_short_name,
                level_word(priority), message);

        if (len < 0)
                return;
        text_clean(line);
        if ((size_t)len > sizeof(line) - 2)
                len = (int)sizeof(line) - 2;
        line[len] = '\n';
        /* Nobody to tell when that fails. */
        if (write(STDERR_FILENO, line, (size_t)len + 1) < 0)
                return;
}

/* Fields being put together. Each text belongs to one vector. */
struct entry {
        char text[JOURNAL_FIELDS_MAX + N_OWN][FIELD_MAX];
        char message[sizeof("MESSAGE=") + MESSAGE_MAX];
        struct iovec iov[JOURNAL_FIELDS_MAX + N_OWN];
        int n;
};

__attribute__((format(printf, 2, 3))) static void add_field(struct entry *e, const char *fmt, ...)
{
        char *text = e->text[e->n];
        va_list args;
        int len;

        va_start(args, fmt);
        len = vsnprintf(text, FIELD_MAX, fmt, args);
        va_end(args);
        if (len < 0)
                return;
        e->iov[e->n++] = (struct iovec){ text, len < FIELD_MAX ? (size_t)len : FIELD_MAX - 1 };
}

static void add_callers(struct entry *e, const struct journal_field *f)
{
        for (int i = 0; f != NULL && f->kind != JOURNAL_FIELD_END; i++, f++) {
                assert(i < JOURNAL_FIELDS_MAX);
                if (f->kind == JOURNAL_FIELD_TEXT)
                        add_field(e, "%s=%s", f->name, f->text != NULL ? f->text : "");
                else if (f->kind == JOURNAL_FIELD_U64)
                        add_field(e, "%s=%" PRIu64, f->name, f->number);
                else
                        add_field(e, "%s=0x%" PRIx64, f->name, f->number);
        }
}

static void add_place(struct entry *e)
{
        const char *where = atomic_load(&state);

        if (vm[0] != '\0')
                add_field(e, "VGPU_VM=%s", vm);
        if (where != NULL) {
                add_field(e, "VGPU_STATE=%s", where);
                add_field(e, "VGPU_EPOCH=%" PRIuFAST64, atomic_load(&epoch));
        }
}

/* @info: NULL for a line without identity. Return: as journal_socket_send(). */
static int send_journal(const struct journal_event_info *info, int priority,
        const struct journal_field *fields, uint64_t n_swallowed, const char *message)
{
        struct entry e;
        int len = snprintf(e.message, sizeof(e.message), "MESSAGE=%s", message);

        e.iov[0] = (struct iovec){ e.message, (size_t)len };
        e.n = 1;
        add_field(&e, "PRIORITY=%d", priority);
        add_field(&e, "SYSLOG_IDENTIFIER=%s", program_invocation_short_name);
        if (info != NULL) {
                add_field(&e, "MESSAGE_ID=%s", info->message_id);
                add_field(&e, "VGPU_EVENT=%s", info->name);
        }
        add_place(&e);
        if (n_swallowed > 0)
                add_field(&e, "VGPU_SWALLOWED=%" PRIu64, n_swallowed);
        add_callers(&e, fields);
        return journal_socket_send(e.iov, e.n);
}

static void tell_lost(void)
{
        uint_fast64_t n = atomic_exchange(&n_lost, 0);
        char message[128];

        if (n == 0)
                return;
        snprintf(message, sizeof(message),
                "%" PRIuFAST64 " line%s lost: the journal took nothing in", n,
                n == 1 ? " is" : "s are");
        if (send_journal(NULL, LOG_WARNING, NULL, 0, message) < 0)
                atomic_fetch_add(&n_lost, n);
}

static void emit(const struct journal_event_info *info, int priority,
        const struct journal_field *fields, uint64_t n_swallowed, const char *message)
{
        int r;

        if (!atomic_load(&to_journal)) {
                send_stderr(priority, message);
                return;
        }
        tell_lost();
        r = send_journal(info, priority, fields, n_swallowed, message);
        /* stderr ends in the journal as well, and waits for it. */
        if (r == -EAGAIN)
                atomic_fetch_add(&n_lost, 1);
        else if (r < 0)
                send_stderr(priority, message);
}

struct swallowed {
        uint64_t n;
        uint64_t seconds; /* in so many */
};

/* What was swallowed is told now, so it is forgotten. */
static struct swallowed forget(struct limit *l, uint64_t now)
{
        struct swallowed was = { l->n_swallowed, 0 };

        if (was.n > 0 && now > l->swallowing_ns)
                was.seconds = (now - l->swallowing_ns + 999999999) / 1000000000;
        l->n_swallowed = 0;
        return was;
}

/* Return: is @event let through now? Then *ret_swallowed is how many were not, before it. */
static bool take(enum journal_event event, struct swallowed *ret_swallowed)
{
        const struct journal_event_info *info = journal_event_info(event);
        struct limit *l = &limits[event];
        uint64_t now = now_ns();
        bool through;

        pthread_mutex_lock(&limits_lock);
        through = limit_take(l, info->limit_burst, info->limit_interval_s, now);
        if (through)
                *ret_swallowed = forget(l, now);
        else
                n_swallowed_ever++;
        pthread_mutex_unlock(&limits_lock);
        return through;
}

uint64_t journal_n_swallowed(void)
{
        uint64_t n;

        pthread_mutex_lock(&limits_lock);
        n = n_swallowed_ever;
        pthread_mutex_unlock(&limits_lock);
        return n;
}

void journal_event(
        enum journal_event event, const struct journal_field *fields, const char *fmt, ...)
{
        const struct journal_event_info *info = journal_event_info(event);
        struct swallowed swallowed = { 0 };
        char message[MESSAGE_MAX];
        int saved_errno = errno;
        va_list args;
        size_t len;

        if (info->priority > atomic_load(&max_level) || !take(event, &swallowed)) {
                errno = saved_errno;
                return;
        }
        errno = saved_errno; /* for %m */
        va_start(args, fmt);
        vsnprintf(message, sizeof(message), fmt, args);
        va_end(args);
        len = strlen(message);
        if (swallowed.n > 0)
                snprintf(message + len, sizeof(message) - len,
                        " (%" PRIu64 " more of this kind in the last %" PRIu64
                        " s were not logged)",
                        swallowed.n, swallowed.seconds);
        emit(info, info->priority, fields, swallowed.n, message);
        errno = saved_errno;
}

void journal_log(int priority, const char *fmt, ...)
{
        char message[MESSAGE_MAX];
        int saved_errno = errno;
        va_list args;

        if (priority > atomic_load(&max_level))
                return;
        va_start(args, fmt);
        vsnprintf(message, sizeof(message), fmt, args);
        va_end(args);
        emit(NULL, priority, NULL, 0, message);
        errno = saved_errno;
}

/* Return: what was swallowed of @event, if it may be said now. */
static struct swallowed take_swallowed(enum journal_event event, bool is_last)
{
        const struct journal_event_info *info = journal_event_info(event);
        struct swallowed swallowed = { 0 };
        struct limit *l = &limits[event];
        uint64_t now = now_ns();

        pthread_mutex_lock(&limits_lock);
        if (l->n_swallowed > 0 &&
                (is_last || limit_peek(l, info->limit_burst, info->limit_interval_s, now))) {
                swallowed = forget(l, now);
                limit_take(l, info->limit_burst, info->limit_interval_s, now);
                l->n_swallowed = 0;
        }
        pthread_mutex_unlock(&limits_lock);
        return swallowed;
}

static void report_swallowed(bool is_last)
{
        int saved_errno = errno;

        tell_lost();
        for (int i = 0; i < JOURNAL_N_EVENTS; i++) {
                struct swallowed swallowed = take_swallowed((enum journal_event)i, is_last);
                const struct journal_event_info *info = journal_event_info((enum journal_event)i);
                char message[128];

                if (swallowed.n == 0)
                        continue;
                snprintf(message, sizeof(message),
                        "%" PRIu64 " more of the kind '%s' in the last %" PRIu64
                        " s were not logged",
                        swallowed.n, info->name, swallowed.seconds);
                emit(info, info->priority, NULL, swallowed.n, message);
        }
        errno = saved_errno;
}

void journal_flush(void)
{
        report_swallowed(false);
}

void journal_finish(void)
{
        report_swallowed(true);
}

char *journal_escape(const void *src, size_t len, char *dst, size_t cap)
{
        static const char hex[] = "0123456789abcdef";
        const unsigned char *bytes = src;
        size_t at = 0, fits = 0; /* fits: the last place from which "..." still has room */

        assert(cap >= 4);
        for (size_t i = 0; i < len; i++) {
                unsigned char c = bytes[i];
                bool plain = c >= 0x20 && c < 0x7f && c != '\\' && c != '\'' && c != '"';
                size_t need = plain ? 1 : 4;

                if (at + 4 <= cap)
                        fits = at;
                if (at + need >= cap) {
                        memcpy(dst + fits, "...", 4);
                        return dst;
                }
                if (plain) {
                        dst[at] = (char)c;
                } else {
                        dst[at] = '\\';
                        dst[at + 1] = 'x';
                        dst[at + 2] = hex[c >> 4];
                        dst[at + 3] = hex[c & 15];
                }
                at += need;
        }
        dst[at] = '\0';
        return dst;
}
