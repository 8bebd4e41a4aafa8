/*
 * detail.h - putting a failure's particulars into words, without stdio
 */
#ifndef WIN32_DETAIL_H
#define WIN32_DETAIL_H

#include "win32.h"

/* Each appends to f->detail what fits; the result is always terminated. */
void detail_str(struct win32_failure *f, const char *s);
void detail_hex(struct win32_failure *f, uint64_t value);
void detail_dec(struct win32_failure *f, uint64_t value);

#endif /* WIN32_DETAIL_H */
