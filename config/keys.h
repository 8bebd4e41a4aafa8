/*
 * keys.h - the table of configuration keys (for config/ and for who compares two configurations)
 *
 * One row per key drives reading, defaults, printing and what a reload does with it, and the tests hold the example file
 * against it.
 */
#ifndef VGPU_CONFIG_KEYS_H
#define VGPU_CONFIG_KEYS_H

#include "config/config.h"

#define CONFIG_SECTIONS "[guest], [ring], [access], [control], [pace] and [log]"
#define CONFIG_WHY_MAX  128

struct config_key;

/* What is wrong with a value. */
struct config_why {
        char text[CONFIG_WHY_MAX]; /* a sentence piece that follows "must be" */
        int error; /* negative errno: it could not be told now, and may be good; 0: it is wrong */
};

/* How a kind of value is read and written. */
struct config_kind {
        /* Return: true, or false and @why; the field is then untouched. */
        bool (*parse)(const struct config_key *key, const char *text, void *field,
                struct config_why *why);
        /* Return: is it set? Then its text is in @text. */
        bool (*print)(const struct config_key *key, const void *field, char text[CONFIG_TEXT_MAX]);
};

/* When a changed value counts. 0 is nobody's, so that a row cannot leave it out. */
enum config_takes {
        CONFIG_LIVE = 1, /* with a reload */
        CONFIG_RESTART,  /* when the daemon is started the next time */
};

#define CONFIG_KEYS_MAX 128 /* rows, so that a set of keys needs no memory of its own */

struct config_key {
        const char *section;
        const char *name;
        const struct config_kind *kind;
        size_t offset; /* of the field in struct vgpu_config */
        size_t size;   /* of the field */
        enum config_takes takes;
        uint64_t min, max;  /* of numbers */
        const char *preset; /* default as it would be written; NULL: none */
        const char *
                unset; /* without a default: what it means when the key is absent; NULL: it is required */
};

extern const struct config_key config_keys[];
extern const size_t config_n_keys;

/* @name need not end in a NUL. */
bool config_section_known(const char *name, size_t len);

/* Return: the row, or NULL. */
const struct config_key *config_key_find(const char *section, const char *name);

/* The key's field in @cfg. */
static inline void *config_key_field(const struct config_key *key, struct vgpu_config *cfg)
{
        return (char *)cfg + key->offset;
}

/* Have both the same value in it? Names with other ids than before are another value. */
bool config_key_equal(
        const struct config_key *key, const struct vgpu_config *a, const struct vgpu_config *b);

/* The kinds, most of them in value.c. */
extern const struct config_kind config_kind_number; /* uint32_t, decimal, min..max */
extern const struct config_kind
        config_kind_size; /* uint64_t bytes with K, M or G, whole pages, min..max; 0: unset */
extern const struct config_kind
        config_kind_root; /* uint64_t page-table root, hexadecimal; 0: unset */
extern const struct config_kind config_kind_mode;    /* mode_t, octal */
extern const struct config_kind config_kind_bool;    /* bool */
extern const struct config_kind config_kind_machine; /* enum vgpu_machine */
extern const struct config_kind config_kind_copy;    /* enum vgpu_copy */
extern const struct config_kind config_kind_level;   /* int, LOG_* */
extern const struct config_kind config_kind_latency; /* enum config_latency */
extern const struct config_kind config_kind_path;    /* char[size], absolute; "": unset */
extern const struct config_kind config_kind_ram;     /* char[size], absolute paths or "auto" */
extern const struct config_kind config_kind_text;    /* char[size]; "": unset */
extern const struct config_kind
        config_kind_batch; /* uint32_t, min..max, or auto or never: CONFIG_WAKE_* */

/* Those of this host, in people.c. */
extern const struct config_kind config_kind_group;  /* struct config_group, by name */
extern const struct config_kind config_kind_user;   /* struct config_user, name or number */
extern const struct config_kind config_kind_users;  /* struct config_ids */
extern const struct config_kind config_kind_groups; /* struct config_ids */

/* Digits of @base from the front of *text, which moves on. Return: false if there are none or they do not fit. */
bool config_take_digits(const char **text, unsigned base, uint64_t *ret);

#endif /* VGPU_CONFIG_KEYS_H */
