/*
 * json.h - building JSON when memory may be short
 *
 * json-c does not take NULL for what is added to, and its constructors return it when there is no memory. These take it, leave
 * out what it stands for, and remember: who builds a text asks at the end whether all of it is there. For the loop's thread only.
 */
#ifndef VGPUD_JSON_H
#define VGPUD_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/* As json-c's own. NULL when memory is short, which is remembered. */
struct json_object *json_new(void);
struct json_object *json_array(void);
struct json_object *json_u64(uint64_t value);
struct json_object *json_flag(bool value);
struct json_object *json_double(double value);

/* @text: NULL is null, and no shortage */
struct json_object *json_text(const char *text);

/* Takes @value over, which may be NULL: null. Does nothing else when @to is NULL. @key: kept, and to live as long as @to. */
void json_add(struct json_object *to, const char *key, struct json_object *value);
void json_append(struct json_object *to, struct json_object *value);

/* Was memory short since this was asked last? */
bool json_was_short(void);

#endif /* VGPUD_JSON_H */
