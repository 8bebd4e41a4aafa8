/*
 * text.h - numbers a person typed, and strings a guest chose, made safe to look at
 */
#ifndef CTL_TEXT_H
#define CTL_TEXT_H

#include <stddef.h>
#include <stdint.h>

/**
 * text_to_size() - "4G", "512M", "65536", "0x100000000"
 *
 * Decimal digits and at most one of K, M, G (powers of 1024, either case), or hexadecimal bytes after 0x, which is how
 * other tools print sizes of RAM.
 *
 * Return: 0 and *ret, -EINVAL, or -ERANGE (does not fit 64 bits).
 */
int text_to_size(const char *text, uint64_t *ret);

/* Decimal, or hexadecimal after 0x; no sign, no blanks. Return: 0 and *ret, -EINVAL, -ERANGE. */
int text_to_u64(const char *text, uint64_t *ret);

/* Hexadecimal, with or without 0x. Return: 0 and *ret, -EINVAL, -ERANGE. */
int text_to_hex(const char *text, uint64_t *ret);

/* Seconds with an optional fraction ("2", "0.5"), at most a year. Return: 0 and *ret_ms, -EINVAL, -ERANGE. */
int text_to_ms(const char *text, uint64_t *ret_ms);

/**
 * text_escape() - printable form of bytes from outside
 * @src: up to @len bytes, ends early at a NUL
 *
 * Everything but printable ASCII, and the backslash itself, becomes \xNN: a guest must not be able to move an
 * admin's cursor or to break a JSON string. Cut, never overrun, when @cap is short.
 *
 * Return: @dst.
 */
char *text_escape(char *dst, size_t cap, const char *src, size_t len);

/* The same for what the other end should have escaped, and may not have: a backslash stays one. */
char *text_escape_rest(char *dst, size_t cap, const char *src, size_t len);

/* "4 GiB", "17.3 MiB", "512 bytes". Return: @dst. */
char *text_bytes(char *dst, size_t cap, uint64_t bytes);

/* "4.2 s", "3 min 20 s", "5 h 2 min", "3 d 4 h". Return: @dst. */
char *text_duration(char *dst, size_t cap, uint64_t ms);

#endif /* CTL_TEXT_H */
