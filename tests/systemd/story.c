/* story.c - see story.h */
#include "story.h"

#include <ctype.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define ENTRY_MAX  8192
#define PATIENCE_S 60

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct story_entry entries[STORY_ENTRIES];
static size_t n_entries;
static int journal = -1;

/* ---- the journal's own form ---------------------------------------------------------------------------------------- */

/* The next field of what lies in [at, end), which is cut into strings. Return: behind it. */
static char *cut_field(char *at, char *end, struct story_entry *entry)
{
        char *newline = memchr(at, '\n', (size_t)(end - at)), *equals, *value;
        uint64_t len = 0;

        if (newline == NULL || entry->n_fields == STORY_FIELDS)
                return end;
        equals = memchr(at, '=', (size_t)(newline - at));
        value = equals != NULL ? equals + 1 : newline + 1;
        if (equals == NULL) {
                /* binary: the name alone, 64 bits of length, the value, a newline */
                if ((size_t)(end - value) < sizeof(len))
                        return end;
                memcpy(&len, value, sizeof(len));
                value += sizeof(len);
                if (len >= (uint64_t)(end - value))
                        return end;
                *newline = '\0';
                newline = value + len;
        } else {
                *equals = '\0';
        }
        *newline = '\0';
        entry->field[entry->n_fields].name = at;
        entry->field[entry->n_fields++].value = value;
        return newline + 1;
}

static void take(const char *packet, size_t len)
{
        struct story_entry entry = { .text = malloc(len) };

        memcpy(entry.text, packet, len);
        for (char *at = entry.text; at < entry.text + len;)
                at = cut_field(at, entry.text + len, &entry);
        pthread_mutex_lock(&lock);
        if (story_field(&entry, "PRIORITY") == NULL ||
                strcmp(story_field(&entry, "PRIORITY"), "7") == 0 || n_entries == STORY_ENTRIES)
                free(entry.text);
        else
                entries[n_entries++] = entry;
        pthread_cond_broadcast(&more);
        pthread_mutex_unlock(&lock);
}

static void *collect(void *arg)
{
        static char packet[ENTRY_MAX];

        (void)arg;
        for (;;) {
                struct pollfd p = { .fd = journal, .events = POLLIN };
                ssize_t n;

                poll(&p, 1, -1);
                n = recv(journal, packet, sizeof(packet), 0);
                if (n > 0)
                        take(packet, (size_t)n);
        }
        return NULL;
}

void story_begin(int fd)
{
        pthread_t thread;

        journal = fd;
        if (pthread_create(&thread, NULL, collect, NULL) == 0)
                pthread_detach(thread);
}

/* ---- what came ----------------------------------------------------------------------------------------------------- */

size_t story_n(void)
{
        size_t n;

        pthread_mutex_lock(&lock);
        n = n_entries;
        pthread_mutex_unlock(&lock);
        return n;
}

const struct story_entry *story_at(size_t i)
{
        return &entries[i];
}

const char *story_field(const struct story_entry *entry, const char *name)
{
        for (size_t i = 0; i < entry->n_fields; i++)
                if (strcmp(entry->field[i].name, name) == 0)
                        return entry->field[i].value;
        return NULL;
}

static long find(const char *event, size_t from)
{
        for (size_t i = from; i < n_entries; i++) {
                const char *is = story_field(&entries[i], "VGPU_EVENT");

                if (is != NULL && strcmp(is, event) == 0)
                        return (long)i;
        }
        return -1;
}

long story_until(const char *event, size_t from)
{
        struct timespec deadline;
        long at;

        clock_gettime(CLOCK_REALTIME, &deadline);
        deadline.tv_sec += PATIENCE_S;
        pthread_mutex_lock(&lock);
        while ((at = find(event, from)) < 0 && pthread_cond_timedwait(&more, &lock, &deadline) == 0)
                ;
        pthread_mutex_unlock(&lock);
        return at;
}

/* ---- as a line ----------------------------------------------------------------------------------------------------- */

static const char *priority_word(const struct story_entry *entry)
{
        static const char *const words[] = { "emerg", "alert", "crit", "err", "warning", "notice",
                "info" };
        const char *priority = story_field(entry, "PRIORITY");

        return priority[0] >= '0' && priority[0] <= '6' ? words[priority[0] - '0'] : "?";
}

static bool begins_path(const char *at, const char *text)
{
        return *at == '/' && (at == text || at[-1] == ' ');
}

static bool begins_number(const char *at, const char *text)
{
        return isdigit((unsigned char)*at) &&
               (at == text || !isalnum((unsigned char)at[-1]) || at[-1] == 'x');
}

static void generalize(const char *text, char *line, size_t cap)
{
        const char *at = text;
        size_t len = 0;

        while (*at != '\0' && len + 8 < cap) {
                if (begins_path(at, text)) {
                        at += strcspn(at, " :;,)");
                        len += (size_t)snprintf(line + len, cap - len, "PATH");
                } else if (begins_number(at, text)) {
                        at += strncmp(at, "0x", 2) == 0 ? 2 + strspn(at + 2, "0123456789abcdef")
                                                        : strspn(at, "0123456789.");
                        line[len++] = '#';
                } else {
                        line[len++] = *at++;
                }
        }
        line[len] = '\0';
}

void story_line(const struct story_entry *entry, char *line, size_t cap)
{
        const char *event = story_field(entry, "VGPU_EVENT");
        const char *state = story_field(entry, "VGPU_STATE");
        int len = snprintf(line, cap, "%s %s %s: ", priority_word(entry),
                event != NULL ? event : "-", state != NULL ? state : "-");

        generalize(story_field(entry, "MESSAGE"), line + len, cap - (size_t)len);
}
