/* json.c - see json.h */
#include "json.h"

static bool was_short;

static struct json_object *checked(struct json_object *made)
{
        was_short |= !made;
        return made;
}

struct json_object *json_new(void)
{
        return checked(json_object_new_object());
}

struct json_object *json_array(void)
{
        return checked(json_object_new_array());
}

struct json_object *json_u64(uint64_t value)
{
        return checked(json_object_new_uint64(value));
}

struct json_object *json_flag(bool value)
{
        return checked(json_object_new_boolean(value));
}

struct json_object *json_double(double value)
{
        return checked(json_object_new_double(value));
}

struct json_object *json_text(const char *text)
{
        return text ? checked(json_object_new_string(text)) : NULL;
}

void json_add(struct json_object *to, const char *key, struct json_object *value)
{
        /* A copy of the key would be lost where json-c has no memory for more members. */
        if (to && json_object_object_add_ex(to, key, value, JSON_C_OBJECT_KEY_IS_CONSTANT) == 0)
                return;
        was_short = true;
        json_object_put(value);
}

void json_append(struct json_object *to, struct json_object *value)
{
        if (to && json_object_array_add(to, value) == 0)
                return;
        was_short = true;
        json_object_put(value);
}

bool json_was_short(void)
{
        bool was = was_short;

        was_short = false;
        return was;
}
