/* calls.h - how system calls fail that are called correctly */
#ifndef FAULTS_CALLS_H
#define FAULTS_CALLS_H

#include <stdbool.h>
#include <stddef.h>

#define CALLS_ERRORS 5

struct call {
        int number;
        const char *name;
        int errors[CALLS_ERRORS]; /* positive errnos that a host can bring about; 0: no more */
};

/* NULL: one that is not to fail. */
const struct call *call_by_number(int number);
const struct call *call_by_name(const char *name);

size_t call_n_errors(const struct call *call);

/* Is it known that this one cannot fail, or that what its failing would mean is no case of ours? */
bool call_cannot_fail(int number);

#endif /* FAULTS_CALLS_H */
