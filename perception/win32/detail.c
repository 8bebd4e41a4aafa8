/*
 * detail.c - putting a failure's particulars into words, without stdio (see detail.h)
 */
#include <string.h>

#include "detail.h"

void detail_str(struct win32_failure *f, const char *s)
{
        size_t used = strlen(f->detail);
        size_t room = sizeof(f->detail) - 1 - used;
        size_t len = strlen(s);

        if (len > room)
                len = room;
        memcpy(f->detail + used, s, len);
        f->detail[used + len] = '\0';
}

static void append_number(struct win32_failure *f, uint64_t value, unsigned base)
{
        char digits[24];
        size_t at = sizeof(digits) - 1;

        digits[at] = '\0';
        do {
                digits[--at] = "0123456789abcdef"[value % base];
                value /= base;
        } while (value > 0);
        detail_str(f, digits + at);
}

void detail_hex(struct win32_failure *f, uint64_t value)
{
        detail_str(f, "0x");
        append_number(f, value, 16);
}

void detail_dec(struct win32_failure *f, uint64_t value)
{
        append_number(f, value, 10);
}
