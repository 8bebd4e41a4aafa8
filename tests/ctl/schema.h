/*
 * schema.h - does a JSON value match a JSON schema?
 *
 * As much of JSON Schema as our schemas use; a keyword that is not known here is a mismatch, so that none is trusted in
 * vain. Stricter in one way: a key that the schema does not describe is a mismatch too, so that the documentation is
 * whole.
 */
#ifndef TEST_SCHEMA_H
#define TEST_SCHEMA_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

/**
 * schema_matches() - check a value
 * @schema: a whole schema; "$ref" is resolved in its "$defs"
 * @why:    on false, where and what, e.g. "stages[2].hint: type"
 */
bool schema_matches(json_object *schema, json_object *value, char *why, size_t cap);

#endif /* TEST_SCHEMA_H */
