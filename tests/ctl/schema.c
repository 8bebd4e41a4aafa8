/* schema.c - see schema.h */
#include "schema.h"

#include <regex.h>
#include <stdio.h>
#include <string.h>

struct check {
        json_object *root;
        char *why;
        size_t cap;
        char path[256];
        size_t len; /* of the path */
};

typedef bool (*keyword_fn)(struct check *c, json_object *arg, json_object *v);

static bool matches(struct check *c, json_object *schema, json_object *v);

static bool mismatch(struct check *c, const char *what)
{
        snprintf(c->why, c->cap, "%s: %s", c->path, what);
        return false;
}

/* One step down, and back up again. */
static bool matches_at(struct check *c, json_object *schema, json_object *v, const char *step)
{
        size_t was = c->len;
        bool ok;

        c->len += (size_t)snprintf(c->path + was, sizeof c->path - was, "%s", step);
        ok = c->len < sizeof c->path && matches(c, schema, v);
        c->len = was;
        c->path[was] = '\0';
        return ok;
}

static bool is_of_type(json_object *v, const char *type)
{
        static const struct {
                const char *name;
                json_type type;
        } types[] = {
                { "null", json_type_null },
                { "boolean", json_type_boolean },
                { "integer", json_type_int },
                { "number", json_type_double },
                { "string", json_type_string },
                { "array", json_type_array },
                { "object", json_type_object },
        };

        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
                if (strcmp(types[i].name, type) == 0)
                        return json_object_is_type(v, types[i].type);
        return false;
}

static bool keyword_type(struct check *c, json_object *arg, json_object *v)
{
        if (json_object_is_type(arg, json_type_string))
                return is_of_type(v, json_object_get_string(arg)) || mismatch(c, "type");
        for (size_t i = 0; i < json_object_array_length(arg); i++)
                if (is_of_type(v, json_object_get_string(json_object_array_get_idx(arg, i))))
                        return true;
        return mismatch(c, "type");
}

static bool keyword_const(struct check *c, json_object *arg, json_object *v)
{
        return json_object_equal(arg, v) || mismatch(c, "const");
}

static bool keyword_enum(struct check *c, json_object *arg, json_object *v)
{
        for (size_t i = 0; i < json_object_array_length(arg); i++)
                if (json_object_equal(json_object_array_get_idx(arg, i), v))
                        return true;
        return mismatch(c, "enum");
}

static bool keyword_pattern(struct check *c, json_object *arg, json_object *v)
{
        regex_t re;
        bool ok;

        if (!json_object_is_type(v, json_type_string))
                return true;
        if (regcomp(&re, json_object_get_string(arg), REG_EXTENDED | REG_NOSUB) != 0)
                return mismatch(c, "bad pattern");
        ok = regexec(&re, json_object_get_string(v), 0, NULL, 0) == 0;
        regfree(&re);
        return ok || mismatch(c, "pattern");
}

static bool keyword_required(struct check *c, json_object *arg, json_object *v)
{
        if (!json_object_is_type(v, json_type_object))
                return true;
        for (size_t i = 0; i < json_object_array_length(arg); i++) {
                const char *key = json_object_get_string(json_object_array_get_idx(arg, i));

                if (!json_object_object_get_ex(v, key, NULL))
                        return mismatch(c, key);
        }
        return true;
}

static bool keyword_properties(struct check *c, json_object *arg, json_object *v)
{
        if (!json_object_is_type(v, json_type_object))
                return true;
        json_object_object_foreach(v, key, member)
        {
                json_object *described;
                char step[64];

                snprintf(step, sizeof step, ".%s", key);
                if (!json_object_object_get_ex(arg, key, &described))
                        return mismatch(c, key);
                if (!matches_at(c, described, member, step))
                        return false;
        }
        return true;
}

static bool keyword_items(struct check *c, json_object *arg, json_object *v)
{
        if (!json_object_is_type(v, json_type_array))
                return true;
        for (size_t i = 0; i < json_object_array_length(v); i++) {
                char step[32];

                snprintf(step, sizeof step, "[%zu]", i);
                if (!matches_at(c, arg, json_object_array_get_idx(v, i), step))
                        return false;
        }
        return true;
}

static bool keyword_ref(struct check *c, json_object *arg, json_object *v)
{
        static const char prefix[] = "#/$defs/";
        const char *ref = json_object_get_string(arg);
        json_object *defs = json_object_object_get(c->root, "$defs"), *def;

        if (strncmp(ref, prefix, sizeof prefix - 1) != 0 ||
                !json_object_object_get_ex(defs, ref + sizeof prefix - 1, &def))
                return mismatch(c, ref);
        return matches(c, def, v);
}

static bool keyword_says_nothing(struct check *c, json_object *arg, json_object *v)
{
        (void)c, (void)arg, (void)v;
        return true;
}

static keyword_fn keyword(const char *name)
{
        static const struct {
                const char *name;
                keyword_fn fn;
        } keywords[] = {
                { "type", keyword_type },
                { "const", keyword_const },
                { "enum", keyword_enum },
                { "pattern", keyword_pattern },
                { "required", keyword_required },
                { "properties", keyword_properties },
                { "items", keyword_items },
                { "$ref", keyword_ref },
                { "$schema", keyword_says_nothing },
                { "$defs", keyword_says_nothing },
                { "title", keyword_says_nothing },
                { "description", keyword_says_nothing },
        };

        for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
                if (strcmp(keywords[i].name, name) == 0)
                        return keywords[i].fn;
        return NULL;
}

static bool matches(struct check *c, json_object *schema, json_object *v)
{
        json_object_object_foreach(schema, name, arg)
        {
                keyword_fn fn = keyword(name);

                if (!fn)
                        return mismatch(c, name);
                if (!fn(c, arg, v))
                        return false;
        }
        return true;
}

bool schema_matches(json_object *schema, json_object *value, char *why, size_t cap)
{
        struct check c = { .root = schema, .why = why, .cap = cap };

        return matches(&c, schema, value);
}
