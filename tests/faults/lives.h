/*
 * lives.h - the lives in which calls fail, and what may come of it
 *
 * After a failed call a program either carries on, and does what it is there for once the call does not fail any more, or it
 * ends with a status and a sentence. Whatever it does, it does not crash, and it gives back what it had.
 */
#ifndef FAULTS_LIVES_H
#define FAULTS_LIVES_H

#include "guest_proc.h"
#include "subject.h"

enum came_of_it {
        CAME_NOT_REACHED, /* there was no nth call this time */
        CAME_THROUGH,
        CAME_TO_AN_END, /* with a sentence, which is in text */
        CAME_TO_GRIEF,  /* text says how */
        CAME_N,
};

struct outcome {
        enum came_of_it what;
        char text[1024];
        struct board board; /* as it was at the end */
        char said[4096];    /* its last words */
};

/* What all lives share: a guest that runs, and a daemon that nothing happens to. */
struct world {
        const struct guest_facts *guest;
        const char *socket;
        const char *monitor; /* socket of the guest's QEMU */
};

struct life {
        const char *name;
        const char *phases[BOARD_PHASES];
        /* With no fault: how it is when all is well, which what is left over at the end is compared with. */
        void (*live)(const struct life *life, const struct world *world, const struct fault *fault,
                struct outcome *ret);
        const void *what;         /* the life's own */
        const struct board *well; /* board of a life without a fault; NULL: not lived yet */
};

extern const struct life life_table[];
extern const size_t n_lives;

/**
 * judge_end() - what every end is judged by
 * @asked: somebody asked it to end, or it had come to its end
 *
 * Fills @ret with grief, an end with a sentence, or (status 0 and nothing left over) with CAME_THROUGH.
 */
void judge_end(const struct life *life, const struct subject *s, bool asked, struct outcome *ret);

__attribute__((format(printf, 2, 3))) void grieve(struct outcome *ret, const char *fmt, ...);

/* The boards and last words into @ret, and the end of @s. */
void life_over(struct subject *s, struct outcome *ret);

/* life_daemon.c, life_program.c */
void live_daemon(const struct life *life, const struct world *world, const struct fault *fault,
        struct outcome *ret);
void live_program(const struct life *life, const struct world *world, const struct fault *fault,
        struct outcome *ret);

#endif /* FAULTS_LIVES_H */
