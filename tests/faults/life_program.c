/* life_program.c - the life of a program that talks to a daemon: it does its work, or says why not */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lives.h"

#define PATIENCE_MS 20000
#define WORDS_MOST  8

/* In a life's words: the daemon's socket, a file that may be written. */
#define SOCKET_WORD "@SOCKET"
#define FILE_WORD   "@FILE"

static bool is_png(const char *path)
{
        static const unsigned char end[8] = { 'I', 'E', 'N', 'D', 0xae, 0x42, 0x60, 0x82 };
        unsigned char got[8] = { 0 };
        FILE *f = fopen(path, "re");
        bool whole = f && fseek(f, -8, SEEK_END) == 0 && fread(got, 1, 8, f) == 8 &&
                     memcmp(got, end, 8) == 0;

        if (f)
                fclose(f);
        return whole;
}

/* A picture is there and whole after success, and not there otherwise. */
static void judge_file(const struct subject *s, const char *path, struct outcome *ret)
{
        if (s->status == 0 && !is_png(path))
                grieve(ret, "ended with 0 and left no whole picture");
        if (s->status != 0 && access(path, F_OK) == 0 && !is_png(path))
                grieve(ret, "left half a picture");
        unlink(path);
}

void live_program(const struct life *life, const struct world *world, const struct fault *fault,
        struct outcome *ret)
{
        const char *const *words = life->what;
        const char *argv[WORDS_MOST + 1] = { NULL };
        char dir[] = "/tmp/vgpud-fault-XXXXXX", file[64];
        bool writes = false;
        struct subject *s;

        if (!mkdtemp(dir)) {
                perror("mkdtemp");
                exit(3);
        }
        snprintf(file, sizeof(file), "%s/picture.png", dir);
        for (size_t i = 0; words[i] && i < WORDS_MOST; i++) {
                bool is_file = strcmp(words[i], FILE_WORD) == 0;

                writes |= is_file;
                argv[i] = is_file                              ? file
                          : strcmp(words[i], SOCKET_WORD) == 0 ? world->socket
                                                               : words[i];
        }
        s = subject_start(argv, NULL, fault);
        if (subject_await(s, NULL, -1, PATIENCE_MS) < 0)
                grieve(ret, "stuck: does not end");
        if (!s->pid) {
                judge_end(life, s, true, ret);
                /* who closed the pipe wants no more */
                if (s->status == 0 && s->len == 0 && !writes && fault->error != EPIPE)
                        grieve(ret, "ended with 0 and said nothing");
                if (writes)
                        judge_file(s, file, ret);
        }
        life_over(s, ret);
        if (rmdir(dir) < 0)
                grieve(ret, "left a file behind");
}
