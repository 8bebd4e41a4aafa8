/* text.c - see text.h. strtoull() is no help here: it takes signs, blanks and trailing garbage without a word. */
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int digit_of(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return 99;
}

/* Reads digits up to the first character that is none; *ret_end points there. */
static int digits(const char *text, int base, uint64_t *ret, const char **ret_end)
{
        uint64_t value = 0;
        const char *p = text;

        for (; digit_of(*p) < base; p++) {
                if (__builtin_mul_overflow(value, (uint64_t)base, &value) ||
                        __builtin_add_overflow(value, (uint64_t)digit_of(*p), &value))
                        return -ERANGE;
        }
        if (p == text)
                return -EINVAL;
        *ret = value;
        *ret_end = p;
        return 0;
}

static bool has_0x(const char *text)
{
        return text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
}

static int whole(const char *text, int base, uint64_t *ret)
{
        const char *end;
        uint64_t value;
        int r = digits(text, base, &value, &end);

        if (r < 0)
                return r;
        if (*end)
                return -EINVAL;
        *ret = value;
        return 0;
}

int text_to_size(const char *text, uint64_t *ret)
{
        static const char units[] = "KMG";
        const char *end, *unit;
        uint64_t value;
        int r;

        if (has_0x(text))
                return whole(text + 2, 16, ret);
        r = digits(text, 10, &value, &end);
        if (r < 0)
                return r;
        if (*end) {
                unit = strchr(units, *end & ~0x20);
                if (!unit || !*unit || end[1])
                        return -EINVAL;
                if (__builtin_mul_overflow(value, UINT64_C(1) << (10 * (unit - units + 1)), &value))
                        return -ERANGE;
        }
        *ret = value;
        return 0;
}

int text_to_u64(const char *text, uint64_t *ret)
{
        return has_0x(text) ? whole(text + 2, 16, ret) : whole(text, 10, ret);
}

int text_to_hex(const char *text, uint64_t *ret)
{
        return whole(has_0x(text) ? text + 2 : text, 16, ret);
}

int text_to_ms(const char *text, uint64_t *ret_ms)
{
        const uint64_t year_s = 366 * 24 * 3600;
        const char *end;
        uint64_t seconds, ms, unit = 100;
        int r = digits(text, 10, &seconds, &end);

        if (r < 0)
                return r;
        if (seconds > year_s)
                return -ERANGE;
        ms = seconds * 1000;
        if (*end == '.') {
                if (digit_of(*++end) > 9)
                        return -EINVAL;
                for (; digit_of(*end) <= 9; end++, unit /= 10)
                        ms += (uint64_t)digit_of(*end) * unit;
        }
        if (*end)
                return -EINVAL;
        *ret_ms = ms;
        return 0;
}

/* @plain_backslash: it begins an escape, or stands for itself. */
static char *escape(char *dst, size_t cap, const char *src, size_t len, bool plain_backslash)
{
        static const char hex[] = "0123456789abcdef";
        size_t at = 0;

        for (size_t i = 0; i < len && src[i]; i++) {
                unsigned char c = (unsigned char)src[i];
                bool plain = c >= 0x20 && c < 0x7f && (c != '\\' || plain_backslash);

                if (at + (plain ? 1 : 4) >= cap)
                        break;
                if (plain) {
                        dst[at++] = (char)c;
                } else {
                        dst[at++] = '\\';
                        dst[at++] = 'x';
                        dst[at++] = hex[c >> 4];
                        dst[at++] = hex[c & 15];
                }
        }
        if (cap)
                dst[at] = '\0';
        return dst;
}

char *text_escape(char *dst, size_t cap, const char *src, size_t len)
{
        return escape(dst, cap, src, len, false);
}

char *text_escape_rest(char *dst, size_t cap, const char *src, size_t len)
{
        return escape(dst, cap, src, len, true);
}

char *text_bytes(char *dst, size_t cap, uint64_t bytes)
{
        static const char *const units[] = { "bytes", "KiB", "MiB", "GiB" };
        unsigned u = 0;

        while (u < 3 && bytes >> (10 * (u + 1)))
                u++;
        if (bytes & ((UINT64_C(1) << (10 * u)) - 1))
                snprintf(dst, cap, "%.1f %s", (double)bytes / (double)(UINT64_C(1) << (10 * u)),
                        units[u]);
        else
                snprintf(dst, cap, "%" PRIu64 " %s", bytes >> (10 * u), units[u]);
        return dst;
}

char *text_duration(char *dst, size_t cap, uint64_t ms)
{
        uint64_t s = ms / 1000;

        if (s < 60)
                snprintf(dst, cap, "%" PRIu64 ".%" PRIu64 " s", s, ms % 1000 / 100);
        else if (s < 3600)
                snprintf(dst, cap, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
        else if (s < 86400)
                snprintf(dst, cap, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s % 3600 / 60);
        else
                snprintf(dst, cap, "%" PRIu64 " d %" PRIu64 " h", s / 86400, s % 86400 / 3600);
        return dst;
}
