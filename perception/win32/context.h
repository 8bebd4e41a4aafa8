/*
 * context.h - an opened kernel, and the steps of opening one
 */
#ifndef WIN32_CONTEXT_H
#define WIN32_CONTEXT_H

#include "anchors.h"

struct vmie_win32 {
        vmie_mem *m;
        uint64_t other_root; /* what System calls its own where it is not the one tried; 0: none */
        struct win32_info info;
        struct win32_anchors anchors;
};

/*
 * Each fills in v->info and v->anchors on success, and *why on failure. @entry: a kernel VA at or above the image, 0: not
 * known. Return: 0, or < 0.
 */
int win32_attach(struct vmie_win32 *v, struct win32_failure *why);
int win32_open_root(struct vmie_win32 *v, uint64_t kcr3, uint64_t entry, struct win32_failure *why);

/* The same with the number of levels that v->m has. */
int win32_try_root(struct vmie_win32 *v, uint64_t kcr3, uint64_t entry, struct win32_failure *why);

/* Notes a read that failed with @r, which it returns. */
int win32_failed(struct vmie_win32 *v, struct win32_failure *why, enum win32_reason reason,
        uint64_t address, int r);

#endif /* WIN32_CONTEXT_H */
