/*
 * event.c - one event out of the journal
 *
 * Which machine it is about is read from the unit that the journal itself put there: a field of the sender's own could name any.
 * What the fields hold is escaped for all that, since names of guests and clients are in them.
 */
#include "events.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "pager.h"
#include "text.h"

#define UNIT_PREFIX "vgpud@"
#define UNIT_SUFFIX ".service"
#define VALUE_MAX   2048

/* Return: the value's length and *ret, borrowed until the next read; -1: there is none. */
static ssize_t value(sd_journal *j, const char *key, const char **ret)
{
        const void *data;
        size_t len, skip = strlen(key) + 1;

        if (sd_journal_get_data(j, key, &data, &len) < 0 || len < skip)
                return -1;
        *ret = (const char *)data + skip;
        return (ssize_t)(len - skip);
}

static bool copy(sd_journal *j, const char *key, char *dst, size_t cap)
{
        const char *text;
        ssize_t len = value(j, key, &text);

        if (len < 0)
                return false;
        text_escape_rest(dst, cap, text, (size_t)len);
        return true;
}

/* "vgpud@win11.service" as "win11". */
static bool vm_of_unit(sd_journal *j, char *vm, size_t cap)
{
        char unit[256];
        size_t len;

        if (!copy(j, "_SYSTEMD_UNIT", unit, sizeof unit))
                return false;
        len = strlen(unit);
        if (len <= strlen(UNIT_PREFIX UNIT_SUFFIX) ||
                strncmp(unit, UNIT_PREFIX, strlen(UNIT_PREFIX)) != 0 ||
                strcmp(unit + len - strlen(UNIT_SUFFIX), UNIT_SUFFIX) != 0)
                return false;
        snprintf(vm, cap, "%.*s", (int)(len - strlen(UNIT_PREFIX UNIT_SUFFIX)),
                unit + strlen(UNIT_PREFIX));
        return true;
}

int event_read(sd_journal *j, struct event *ret)
{
        const char *priority;
        int r;

        if (!vm_of_unit(j, ret->vm, sizeof ret->vm) ||
                !copy(j, "VGPU_EVENT", ret->name, sizeof ret->name))
                return 0;
        r = sd_journal_get_realtime_usec(j, &ret->realtime_us);
        if (r < 0)
                return r;
        ret->priority =
                value(j, "PRIORITY", &priority) == 1 && priority[0] >= '0' && priority[0] <= '7'
                        ? priority[0] - '0'
                        : LOG_INFO;
        if (!copy(j, "MESSAGE", ret->message, sizeof ret->message))
                ret->message[0] = '\0';
        return 1;
}

/* ---- JSON ------------------------------------------------------------------------------------------------------------ */

/* UTC, in microseconds: it sorts as text. */
static void utc(uint64_t realtime_us, char *buf, size_t cap)
{
        time_t seconds = (time_t)(realtime_us / 1000000);
        char text[40];
        struct tm tm;

        gmtime_r(&seconds, &tm);
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(buf, cap, "%s.%06uZ", text, (unsigned)(realtime_us % 1000000));
}

static void add_text(json_object *o, const char *key, const char *text)
{
        json_object_object_add(o, key, text ? json_object_new_string(text) : NULL);
}

/* All that is the daemon's own. */
static json_object *fields_json(sd_journal *j)
{
        json_object *o = json_object_new_object();
        const void *data;
        size_t len;

        SD_JOURNAL_FOREACH_DATA(j, data, len)
        {
                const char *text = data, *equals = memchr(data, '=', len);
                char key[80], shown[VALUE_MAX];

                if (!equals || equals - text >= (ssize_t)sizeof key || len < 5 ||
                        memcmp(text, "VGPU_", 5) != 0)
                        continue;
                snprintf(key, sizeof key, "%.*s", (int)(equals - text), text);
                text_escape_rest(
                        shown, sizeof shown, equals + 1, len - (size_t)(equals + 1 - text));
                add_text(o, key, shown);
        }
        return o;
}

json_object *event_json(sd_journal *j, const struct event *e, bool explain)
{
        json_object *o = json_object_new_object();
        char time[64], id[64];
        char *catalog = NULL;

        utc(e->realtime_us, time, sizeof time);
        json_object_object_add(o, "schema", json_object_new_int(1));
        add_text(o, "time", time);
        json_object_object_add(o, "realtime_us", json_object_new_uint64(e->realtime_us));
        add_text(o, "vm", e->vm);
        add_text(o, "event", e->name);
        json_object_object_add(o, "priority", json_object_new_int(e->priority));
        add_text(o, "message", e->message);
        add_text(o, "message_id", copy(j, "MESSAGE_ID", id, sizeof id) ? id : NULL);
        json_object_object_add(o, "fields", fields_json(j));
        if (explain) {
                sd_journal_get_catalog(j, &catalog);
                add_text(o, "explanation", catalog);
                free(catalog);
        }
        return o;
}

/* ---- lines ----------------------------------------------------------------------------------------------------------- */

static void print_explanation(sd_journal *j)
{
        char *catalog = NULL, *rest, line[512];

        if (sd_journal_get_catalog(j, &catalog) < 0)
                return;
        rest = catalog;
        for (char *p; (p = strsep(&rest, "\n")) && (*p || rest);)
                printf("%s    %s%s\n", colour(COLOUR_DIM),
                        text_escape_rest(line, sizeof line, p, strlen(p)), colour(COLOUR_OFF));
        free(catalog);
}

void event_print(sd_journal *j, const struct event *e, bool explain, bool with_vm)
{
        enum colour c = e->priority <= LOG_ERR       ? COLOUR_BAD
                        : e->priority <= LOG_WARNING ? COLOUR_WARN
                                                     : COLOUR_OFF;
        time_t seconds = (time_t)(e->realtime_us / 1000000);
        char time[40];
        struct tm tm;

        localtime_r(&seconds, &tm);
        strftime(time, sizeof time, "%Y-%m-%d %H:%M:%S", &tm);
        printf("%s  %s%s%s%s%s\n", time, with_vm ? e->vm : "", with_vm ? "  " : "", colour(c),
                e->message, colour(COLOUR_OFF));
        if (explain)
                print_explanation(j);
}

/* ---- points in time -------------------------------------------------------------------------------------------------- */

static int ago(const char *text, uint64_t now_us, uint64_t *ret_us)
{
        static const struct {
                const char *name;
                uint64_t seconds;
        } units[] = { { "s", 1 }, { "min", 60 }, { "h", 3600 }, { "d", 86400 } };
        char number[16];
        uint64_t n;
        size_t len = strspn(text, "0123456789");

        if (len == 0 || len >= sizeof number)
                return -EINVAL;
        snprintf(number, sizeof number, "%.*s", (int)len, text);
        n = strtoull(number, NULL, 10);
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
                uint64_t us;

                if (strcmp(units[i].name, text + len) != 0)
                        continue;
                if (__builtin_mul_overflow(n, units[i].seconds * 1000000, &us) || us > now_us)
                        us = now_us;
                *ret_us = now_us - us;
                return 0;
        }
        return -EINVAL;
}

int events_since(const char *text, uint64_t now_us, uint64_t *ret_us)
{
        static const char *const formats[] = { "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S",
                "%H:%M", "%H:%M:%S" };
        time_t now = (time_t)(now_us / 1000000);
        struct tm today;

        if (text[0] == '-')
                return ago(text + 1, now_us, ret_us);
        localtime_r(&now, &today);
        today.tm_hour = today.tm_min = today.tm_sec = 0;
        today.tm_isdst = -1;
        if (strcmp(text, "yesterday") == 0)
                today.tm_mday--;
        if (strcmp(text, "today") == 0 || strcmp(text, "yesterday") == 0) {
                *ret_us = (uint64_t)mktime(&today) * 1000000;
                return 0;
        }
        for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
                struct tm tm = today;
                const char *end = strptime(text, formats[i], &tm);
                time_t t;

                if (!end || *end)
                        continue;
                t = mktime(&tm);
                if (t < 0)
                        return -EINVAL;
                *ret_us = (uint64_t)t * 1000000;
                return 0;
        }
        return -EINVAL;
}
