/* field.c - see field.h */
#include "field.h"

#include <string.h>

#include "text.h"

json_object *field(json_object *o, const char *key)
{
        return json_object_is_type(o, json_type_object) ? json_object_object_get(o, key) : NULL;
}

uint64_t field_u64(json_object *o, const char *key)
{
        return json_object_get_uint64(field(o, key));
}

double field_double(json_object *o, const char *key)
{
        return json_object_get_double(field(o, key));
}

bool field_bool(json_object *o, const char *key)
{
        return json_object_get_boolean(field(o, key));
}

const char *field_raw(json_object *o, const char *key)
{
        return json_object_get_string(field(o, key));
}

const char *field_text(json_object *o, const char *key, char *buf, size_t cap)
{
        const char *s = field_raw(o, key);

        return s ? text_escape_rest(buf, cap, s, strlen(s)) : "-";
}

size_t field_count(json_object *o, const char *key)
{
        json_object *list = field(o, key);

        return json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}
