/*
 * memory.c - the four functions the compiler calls by name
 *
 * Written as plain loops over words: string instructions go a byte at a time under emulation.
 */
#include "memory.h"

#include <stdint.h>

/* Unaligned access to anything, as the callers' bytes may have any type. */
typedef uint64_t word __attribute__((may_alias, aligned(1)));

void *memcpy(void *restrict dst, const void *restrict src, size_t len)
{
        uint8_t *d = dst;
        const uint8_t *s = src;

        for (; len >= sizeof(word); len -= sizeof(word), d += sizeof(word), s += sizeof(word))
                *(word *)d = *(const word *)s;
        while (len--)
                *d++ = *s++;
        return dst;
}

void *memmove(void *dst, const void *src, size_t len)
{
        uint8_t *d = dst;
        const uint8_t *s = src;

        if (d < s) {
                for (size_t i = 0; i < len; i++)
                        d[i] = s[i];
        } else {
                while (len--)
                        d[len] = s[len];
        }
        return dst;
}

void *memset(void *dst, int value, size_t len)
{
        uint8_t *d = dst;
        uint64_t pattern = (uint8_t)value * UINT64_C(0x0101010101010101);

        for (; len >= sizeof(word); len -= sizeof(word), d += sizeof(word))
                *(word *)d = pattern;
        while (len--)
                *d++ = (uint8_t)value;
        return dst;
}

int memcmp(const void *a, const void *b, size_t len)
{
        const uint8_t *x = a, *y = b;

        for (size_t i = 0; i < len; i++) {
                if (x[i] != y[i])
                        return x[i] - y[i];
        }
        return 0;
}
