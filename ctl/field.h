/*
 * field.h - fields of what a daemon answered
 *
 * The daemon may be newer or older than this program, so nothing has to be there: what is missing, or of another type, reads as 0,
 * false or "-".
 */
#ifndef CTL_FIELD_H
#define CTL_FIELD_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrowed; NULL: null, not there, or @o is no object. */
json_object *field(json_object *o, const char *key);

uint64_t field_u64(json_object *o, const char *key);
double field_double(json_object *o, const char *key);
bool field_bool(json_object *o, const char *key);

/* As it is, or NULL. What is to be shown goes through field_text(). */
const char *field_raw(json_object *o, const char *key);

/* Escaped for a terminal, since it may be a guest's or a client's; "-" when there is none. Return: @buf, or "-". */
const char *field_text(json_object *o, const char *key, char *buf, size_t cap);

/* An array's elements; 0 for anything else. */
size_t field_count(json_object *o, const char *key);

#endif /* CTL_FIELD_H */
