/*
 * subject.h - a program in whose life one call fails
 *
 * Runs it with the shim preloaded and, where a system call is to fail or to be counted, under a seccomp filter that asks us: a
 * preload would miss what libraries call themselves, as liburing does, and a debugger would count each thread for itself.
 */
#ifndef FAULTS_SUBJECT_H
#define FAULTS_SUBJECT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "board.h"

#define SUBJECT_SAID_MAX 65536

struct fault {
        unsigned phase;
        int call; /* number of a system call; -1: an allocation; SUBJECT_COUNT: count all of them */
        int error;
        uint32_t nth; /* 0: none */
};

#define SUBJECT_COUNT (-2)

struct subject {
        struct board *board;
        pid_t pid; /* 0: has ended */
        int pidfd;
        int said_fd;  /* its stdout and stderr, from here */
        int status;   /* once it has ended: exit status, or 128 + signal */
        int listener; /* -1: none */
        pthread_t answerer;
        char said[SUBJECT_SAID_MAX];
        size_t len;
};

/* Can this host do it? Else prints the reason, on a line that begins with "skipped". */
bool subject_supported(void);

/**
 * subject_start() - run a program with a fault in it
 * @argv:        NULL-terminated
 * @environment: further NAME=value, NULL-terminated; NULL: none
 *
 * Return: heap-owned; subject_free() ends what still runs. Ends the harness when the host fails it: that is no verdict.
 */
struct subject *subject_start(
        const char *const argv[], const char *const environment[], const struct fault *fault);

void subject_phase(struct subject *s, unsigned phase);

/**
 * subject_await() - wait for a word, for the end, or for another descriptor
 * @words:    text that it is to say; NULL: none
 * @other_fd: a descriptor that is to become readable; -1: none
 *
 * Return: 1 (said, or readable), 0 (it has ended; s->status), -1 (the time is up).
 */
int subject_await(struct subject *s, const char *words, int other_fd, int timeout_ms);

/* The last line that it said, without its end; "" if none. In a static buffer. */
const char *subject_last_line(const struct subject *s);

struct subject *subject_free(struct subject *s);

#endif /* FAULTS_SUBJECT_H */
