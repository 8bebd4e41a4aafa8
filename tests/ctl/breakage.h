/*
 * breakage.h - what can be wrong with a guest, one thing at a time, and how a probe must tell it
 */
#ifndef TEST_BREAKAGE_H
#define TEST_BREAKAGE_H

#include "guest.h"

enum root_given {
        ROOT_FOUND, /* the root is found by the probe */
        ROOT_GIVEN, /* the machine's root is given */
        ROOT_WRONG, /* a root that is none is given */
};

struct breakage {
        const char *name;
        void (*damage)(struct guest *g);
        const char *stage;
        const char *says; /* in the reason */
        enum root_given root;
        const char *options; /* of the guest */
        uint64_t ram_size;   /* told to the probe */
        uint64_t kcr3;       /* with ROOT_WRONG */
        bool runs;           /* its clock, and what else it does, goes on meanwhile */
};

#define BREAKAGES_MAX 80

extern const struct breakage breakages[];
extern const size_t n_breakages;

/* What looks like damage and is none, but takes patience or another way. */
void pixels_in_transition(struct guest *g);
void lose_self_references(struct guest *g);

#endif /* TEST_BREAKAGE_H */
