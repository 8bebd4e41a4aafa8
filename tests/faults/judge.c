/* judge.c - what the end of a program is judged by: see lives.h */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lives.h"

/* Ten times what a life without faults says. */
#define LINES_MOST 100

/* EX_CONFIG: with it systemd leaves the daemon alone until an administrator comes. */
#define STATUS_CONFIG 78

void grieve(struct outcome *ret, const char *fmt, ...)
{
        va_list args;

        if (ret->what == CAME_TO_GRIEF)
                return; /* the first is what led to the others */
        ret->what = CAME_TO_GRIEF;
        va_start(args, fmt);
        vsnprintf(ret->text, sizeof(ret->text), fmt, args);
        va_end(args);
}

/*
 * Allocations whose failing others do not survive: json-c 0.16 does not look at what strdup() gave it for the key of a parsed
 * object, and forgets what it had when a value cannot be made; glibc 2.36 does not look when it reads nsswitch.conf.
 */
static bool is_of_others(const struct board *b)
{
        /* The buffer of its texts is ours to make large enough. */
        if (b->call < 0 && b->n_callers > 0 && strstr(b->callers[0], "printbuf_"))
                return false;
        for (uint32_t i = 0; b->call < 0 && i < b->n_callers; i++)
                if (strstr(b->callers[i], "json_tokener_parse") || strstr(b->callers[i], "__nss_"))
                        return true;
        return false;
}

void life_over(struct subject *s, struct outcome *ret)
{
        size_t keep = s->len < sizeof(ret->said) ? s->len : sizeof(ret->said) - 1;

        memcpy(ret->said, s->said + s->len - keep, keep);
        ret->said[keep] = '\0';
        ret->board = *s->board;
        if (!atomic_load(&s->board->fired) && ret->what != CAME_TO_GRIEF)
                ret->what = CAME_NOT_REACHED;
        if (is_of_others(s->board)) {
                ret->what = CAME_TO_AN_END;
                snprintf(ret->text, sizeof(ret->text), "in another's code, with %d", s->status);
        }
        subject_free(s);
}

static uint32_t n_when_well(const struct board *well, const char *where)
{
        for (uint32_t i = 0; i < well->n_live; i++)
                if (strcmp(well->live[i].where, where) == 0)
                        return well->live[i].n;
        return 0;
}

/* stdio's buffers and the modules of the loader are never freed, and others after another way through the library. */
static bool is_kept(const char *where)
{
        return strstr(where, "_IO_file_doallocate") || strncmp(where, "ld-linux", 8) == 0;
}

/* A library keeps some of what it allocated once; what is there twice, or only after a fault, was forgotten. */
static void judge_leaks(
        const struct life *life, const struct board *b, int status, struct outcome *ret)
{
        for (uint32_t i = 0; life->well && i < b->n_live; i++) {
                uint32_t n = n_when_well(life->well, b->live[i].where);

                if (b->live[i].n > n && !is_kept(b->live[i].where))
                        grieve(ret, "leaks: %u allocations of %s live at the end, usually %u",
                                b->live[i].n, b->live[i].where, n);
        }
        /* libuv, too, keeps something: the pipes of a loop that it could not make. It ends then, with its reason. */
        if (life->well && b->n_fds > life->well->n_fds && status == 0)
                grieve(ret, "descriptors: %u open at the end, usually %u; the last is %s", b->n_fds,
                        life->well->n_fds, b->fds[b->n_fds - 1]);
}

static unsigned count_lines(const char *text)
{
        unsigned n = 0;

        while ((text = strchr(text, '\n')) != NULL) {
                text++;
                n++;
        }
        return n;
}

/* Some words, and not only the number of an error. */
static bool is_sentence(const char *line)
{
        unsigned words = 0;

        for (; *line; line++)
                words += *line == ' ';
        return words >= 4;
}

static void judge_words(const struct subject *s, struct outcome *ret)
{
        static const char *const bad[] = { "Sanitizer", "runtime error:", "Assertion", "assert",
                "still has handles", "(null)" };

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                if (strstr(s->said, bad[i]))
                        grieve(ret, "says '%s'", bad[i]);
        if (count_lines(s->said) > LINES_MOST)
                grieve(ret, "says %u lines", count_lines(s->said));
}

/* Is the host without it for ever, or until somebody allows it? */
static bool is_lasting(const struct board *b)
{
        return b->call >= 0 && (b->error == EACCES || b->error == EPERM || b->error == EROFS);
}

void judge_end(const struct life *life, const struct subject *s, bool asked, struct outcome *ret)
{
        const char *last = subject_last_line(s);

        if (s->status > 125)
                grieve(ret, "crash: %s %d", s->status > 128 ? "signal" : "status",
                        s->status > 128 ? s->status - 128 : s->status);
        judge_words(s, ret);
        if (s->board->ended)
                judge_leaks(life, s->board, s->status, ret);
        if (s->status == STATUS_CONFIG && !is_lasting(s->board))
                grieve(ret, "ended with %d: systemd would not start it again ('%s')", s->status,
                        last);
        if (s->status == 0 && !asked)
                grieve(ret, "ended with 0, and nobody had asked it to");
        else if (s->status != 0 && !is_sentence(last))
                grieve(ret, "ended with %d and no sentence ('%s')", s->status, last);
        if (ret->what == CAME_TO_GRIEF)
                return;
        ret->what = s->status == 0 ? CAME_THROUGH : CAME_TO_AN_END;
        snprintf(ret->text, sizeof(ret->text), "%s", s->status == 0 ? "" : last);
}
