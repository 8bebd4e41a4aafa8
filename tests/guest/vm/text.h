/*
 * text.h - one line of text, built and taken apart without a C library
 */
#ifndef VGPU_VM_TEXT_H
#define VGPU_VM_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A line being built; always terminated, what does not fit is cut. The empty value is { 0 }. */
struct text {
        char bytes[512];
        size_t len;
};

void text_str(struct text *t, const char *s);
void text_dec(struct text *t, uint64_t value);
void text_hex(struct text *t, uint64_t value); /* 0x, no leading zeros */

/** text_equal() - are two terminated strings the same */
bool text_equal(const char *a, const char *b);

/**
 * text_word() - cut the next word off
 * @at: the rest of the line; moved behind the word, whose end is overwritten with a terminator
 *
 * Return: the word, "" when there are no more.
 */
char *text_word(char **at);

/**
 * text_number() - read a decimal number, or a hexadecimal one behind 0x
 * @at: moved behind the digits on success
 *
 * Return: true; false when there is no digit or the number does not fit 64 bits.
 */
bool text_number(const char **at, uint64_t *ret_value);

/** text_integer() - the whole of @s as a decimal number that fits 32 bits and may be negative */
bool text_integer(const char *s, int32_t *ret_value);

#endif /* VGPU_VM_TEXT_H */
