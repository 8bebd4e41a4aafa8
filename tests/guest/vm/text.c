/*
 * text.c - one line of text, built and taken apart without a C library
 */
#include "text.h"

void text_str(struct text *t, const char *s)
{
        while (*s && t->len < sizeof(t->bytes) - 1)
                t->bytes[t->len++] = *s++;
        t->bytes[t->len] = '\0';
}

static void put_number(struct text *t, uint64_t value, unsigned int base)
{
        char digits[24];
        size_t at = sizeof(digits) - 1;

        digits[at] = '\0';
        do {
                digits[--at] = "0123456789abcdef"[value % base];
                value /= base;
        } while (value);
        text_str(t, digits + at);
}

void text_dec(struct text *t, uint64_t value)
{
        put_number(t, value, 10);
}

void text_hex(struct text *t, uint64_t value)
{
        text_str(t, "0x");
        put_number(t, value, 16);
}

bool text_equal(const char *a, const char *b)
{
        while (*a && *a == *b) {
                a++;
                b++;
        }
        return *a == *b;
}

char *text_word(char **at)
{
        char *word = *at, *end;

        while (*word == ' ' || *word == '\t')
                word++;
        for (end = word; *end && *end != ' ' && *end != '\t'; end++)
                ;
        *at = end;
        if (*end) {
                *end = '\0';
                *at = end + 1;
        }
        return word;
}

static int digit_of(char c, unsigned int base)
{
        int digit = -1;

        if (c >= '0' && c <= '9')
                digit = c - '0';
        else if (c >= 'a' && c <= 'f')
                digit = c - 'a' + 10;
        else if (c >= 'A' && c <= 'F')
                digit = c - 'A' + 10;
        return digit < (int)base ? digit : -1;
}

bool text_number(const char **at, uint64_t *ret_value)
{
        const char *s = *at;
        unsigned int base = 10;
        uint64_t value = 0;
        bool any = false;
        int digit;

        if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
                base = 16;
                s += 2;
        }
        for (; (digit = digit_of(*s, base)) >= 0; s++) {
                if (__builtin_mul_overflow(value, base, &value) ||
                        __builtin_add_overflow(value, (uint64_t)digit, &value))
                        return false;
                any = true;
        }
        if (!any)
                return false;
        *at = s;
        *ret_value = value;
        return true;
}

bool text_integer(const char *s, int32_t *ret_value)
{
        bool negative = *s == '-';
        uint64_t magnitude;

        s += negative;
        if (!text_number(&s, &magnitude) || *s || magnitude > INT32_MAX)
                return false;
        *ret_value = negative ? -(int32_t)magnitude : (int32_t)magnitude;
        return true;
}
