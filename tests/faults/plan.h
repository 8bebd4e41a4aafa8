/* plan.h - which calls of a life are failed, one after the other */
#ifndef FAULTS_PLAN_H
#define FAULTS_PLAN_H

#include <stddef.h>

#include "lives.h"

struct plan_how {
        bool allocations, calls;
        /* Every nth up to here, then ever fewer, each half as far again as the one before. 0: every one. */
        uint32_t every_until;
        bool all_errors; /* each call with each of its errnos, or with one of them in turn */
};

struct plan {
        struct fault *fault; /* heap-owned */
        size_t n;
};

/* From the boards of a life without faults: @allocations and @calls as they were counted. */
void plan_make(struct plan *plan, const struct plan_how *how, const struct board *allocations,
        const struct board *calls);

void plan_free(struct plan *plan);

/* "PHASE:malloc:N" or "PHASE:CALL:N:ERRNO", as --only takes it. Returns @text. */
char *plan_print(const struct life *life, const struct fault *fault, char text[64]);

/* Return: whether @text was understood. */
bool plan_parse(const struct life *life, const char *text, struct fault *ret);

#endif /* FAULTS_PLAN_H */
