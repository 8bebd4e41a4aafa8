/*
 * verdict.h - ratios to the peers, and which of the targets hold (docs/performance.md)
 */
#ifndef BENCH_VERDICT_H
#define BENCH_VERDICT_H

#include <stdbool.h>

#include "plan.h"

#define TARGET_RATIO       4.0
#define TARGET_AWAKE_US    50.0
#define TARGET_FLATNESS_US 5.0
#define MAX_VERDICTS       128u

struct verdict {
        char what[96];
        const struct row *peer, *ours; /* of a ratio; else NULL */
        double value, target;
        bool is_ratio;   /* value is a ratio, else microseconds */
        bool has_target; /* the floor and copies have none: nobody promised what they take */
        bool holds;
};

/* Return: how many were written. What was not measured gets none. */
unsigned verdicts_of(const struct plan *p, struct verdict verdict[MAX_VERDICTS]);

/* "holds", "MISSED", or "-" without a target. */
const char *verdict_word(const struct verdict *v);

/* "1080p, 4 clients, one stopped" */
void scene_name(const struct scene *scene, char *text, size_t size);

#endif /* BENCH_VERDICT_H */
