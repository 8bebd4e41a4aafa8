/*
 * tool.h - run one of our programs and keep what it said
 */
#ifndef TEST_TOOL_H
#define TEST_TOOL_H

#include <stddef.h>

struct tool_result {
        int exit_code; /* 128 + signal when one ended it */
        char *out;     /* NUL-terminated; owned */
        size_t out_len;
        char *err; /* NUL-terminated; owned */
        size_t err_len;
};

/* What goes on beside the program, e.g. a publisher it reads from. */
struct tool_company {
        void (*turn)(void *ctx, const char *out_so_far, int pid); /* every few milliseconds */
        void *ctx;
};

/**
 * tool_run() - run @argv[0] to its end
 * @argv:    NULL-terminated
 * @company: NULL: nothing
 *
 * A program that never ends is the test's TIMEOUT's business.
 */
void tool_run(const char *const *argv, const struct tool_company *company, struct tool_result *ret);

void tool_result_deinit(struct tool_result *result);

#endif /* TEST_TOOL_H */
