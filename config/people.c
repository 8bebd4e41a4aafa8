/*
 * people.c - users and groups of this host as values: names or numbers to ids
 *
 * Names are looked up once, when the configuration is read: who may connect must not change because a directory server
 * answers differently, or not at all, while a client waits.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keys.h"

_Static_assert(sizeof(uid_t) == sizeof(uint32_t), "ids are 32 bits");
_Static_assert(sizeof(gid_t) == sizeof(uint32_t), "ids are 32 bits");

/* Room for the longest entry that a directory may give: a group with thousands of members, say. */
#define ENTRY_MAX (1u << 20)

/* Looks for @name with @entry bytes of room. Return: 0 and *ret_id, ENOENT, ERANGE (not enough room), or another errno. */
typedef int (*find_fn)(const char *name, char *entry, size_t room, uint32_t *ret_id);

static int find_user(const char *name, char *entry, size_t room, uint32_t *ret_id)
{
        struct passwd pwd, *found = NULL;
        int r = getpwnam_r(name, &pwd, entry, room, &found);

        if (r != 0 || found == NULL)
                return r != 0 ? r : ENOENT;
        *ret_id = found->pw_uid;
        return 0;
}

static int find_group(const char *name, char *entry, size_t room, uint32_t *ret_id)
{
        struct group group, *found = NULL;
        int r = getgrnam_r(name, &group, entry, room, &found);

        if (r != 0 || found == NULL)
                return r != 0 ? r : ENOENT;
        *ret_id = found->gr_gid;
        return 0;
}

/* Return: 0, or a positive errno; ENOENT: there is none of that name. */
static int find_name(find_fn find, const char *name, uint32_t *ret_id)
{
        size_t room = 1024;
        char *entry;
        int r;

        do {
                room *= 4;
                entry = malloc(room);
                r = entry != NULL ? find(name, entry, room, ret_id) : ENOMEM;
                free(entry);
        } while (r == ERANGE && room < ENTRY_MAX);
        /* What a missing entry is called differs between directories; getpwnam(3) lists these. */
        return r == ESRCH || r == EBADF || r == EPERM ? ENOENT : r;
}

/* All ones is no id: the kernel takes it for "leave it". */
static bool take_number(const char *text, uint32_t *ret_id)
{
        uint64_t value;

        if (!config_take_digits(&text, 10, &value) || *text != '\0' || value >= UINT32_MAX)
                return false;
        *ret_id = (uint32_t)value;
        return true;
}

static bool take_id(
        find_fn find, const char *what, const char *text, uint32_t *ret_id, struct config_why *why)
{
        int r;

        if (take_number(text, ret_id))
                return true;
        r = find_name(find, text, ret_id);
        if (r == 0)
                return true;
        why->error = r != ENOENT ? -r : 0;
        if (r != ENOENT)
                snprintf(why->text, CONFIG_WHY_MAX,
                        "%s of this host; '%.40s' cannot be looked up: %s", what, text,
                        strerror(r));
        else
                snprintf(why->text, CONFIG_WHY_MAX, "%s of this host, by name or number", what);
        return false;
}

/* ---- one --------------------------------------------------------------------------------------------------------- */

static bool parse_group(
        const struct config_key *key, const char *text, void *field, struct config_why *why)
{
        struct config_group *group = field;
        uint32_t gid;
        int r;

        (void)key;
        r = strlen(text) < sizeof(group->name) ? find_name(find_group, text, &gid) : ENOENT;
        if (r != 0) {
                why->error = r != ENOENT ? -r : 0;
                snprintf(why->text, CONFIG_WHY_MAX, "the name of a group on this host%s%s",
                        r != ENOENT ? ": " : "", r != ENOENT ? strerror(r) : "");
                return false;
        }
        memcpy(group->name, text, strlen(text) + 1);
        group->gid = gid;
        return true;
}

static bool print_group(const struct config_key *key, const void *field, char *text)
{
        (void)key;
        snprintf(text, CONFIG_TEXT_MAX, "%s", ((const struct config_group *)field)->name);
        return text[0] != '\0';
}

const struct config_kind config_kind_group = { parse_group, print_group };

static bool parse_user(
        const struct config_key *key, const char *text, void *field, struct config_why *why)
{
        struct config_user *user = field;
        uint32_t uid;

        (void)key;
        if (strlen(text) >= sizeof(user->name)) {
                snprintf(why->text, CONFIG_WHY_MAX, "at most %zu bytes long",
                        sizeof(user->name) - 1);
                return false;
        }
        if (!take_id(find_user, "a user", text, &uid, why))
                return false;
        memcpy(user->name, text, strlen(text) + 1);
        user->uid = uid;
        return true;
}

static bool print_user(const struct config_key *key, const void *field, char *text)
{
        (void)key;
        snprintf(text, CONFIG_TEXT_MAX, "%s", ((const struct config_user *)field)->name);
        return text[0] != '\0';
}

const struct config_kind config_kind_user = { parse_user, print_user };

/* ---- several ----------------------------------------------------------------------------------------------------- */

#define SEPARATORS ", \t"

/* Takes the next name off the list. Return: is there one? */
static bool next_name(const char **list, char name[CONFIG_TEXT_MAX])
{
        const char *begin = *list + strspn(*list, SEPARATORS);
        size_t len = strcspn(begin, SEPARATORS);

        memcpy(name, begin, len);
        name[len] = '\0';
        *list = begin + len;
        return len != 0;
}

static bool parse_ids(find_fn find, const char *what, const char *text, struct config_ids *field,
        struct config_why *why)
{
        struct config_ids ids = { .n = 0 };
        char name[CONFIG_TEXT_MAX], many[32];
        const char *rest = text;

        if (strlen(text) >= sizeof(ids.text)) {
                snprintf(why->text, CONFIG_WHY_MAX, "at most %zu bytes long", sizeof(ids.text) - 1);
                return false;
        }
        snprintf(many, sizeof(many), "%ss", what);
        while (next_name(&rest, name)) {
                if (ids.n == CONFIG_IDS_MAX) {
                        snprintf(why->text, CONFIG_WHY_MAX, "at most %d %s", CONFIG_IDS_MAX, many);
                        return false;
                }
                if (!take_id(find, many, name, &ids.id[ids.n], why)) {
                        size_t len = strlen(why->text);

                        if (why->error == 0)
                                snprintf(why->text + len, CONFIG_WHY_MAX - len, "; '%s' is none",
                                        name);
                        return false;
                }
                ids.n++;
        }
        if (ids.n == 0) {
                snprintf(why->text, CONFIG_WHY_MAX, "%s of this host, with commas between them",
                        many);
                return false;
        }
        memcpy(ids.text, text, strlen(text) + 1);
        *field = ids;
        return true;
}

static bool parse_users(
        const struct config_key *key, const char *text, void *field, struct config_why *why)
{
        (void)key;
        return parse_ids(find_user, "user", text, field, why);
}

static bool parse_groups(
        const struct config_key *key, const char *text, void *field, struct config_why *why)
{
        (void)key;
        return parse_ids(find_group, "group", text, field, why);
}

static bool print_ids(const struct config_key *key, const void *field, char *text)
{
        (void)key;
        memcpy(text, ((const struct config_ids *)field)->text, CONFIG_TEXT_MAX);
        return text[0] != '\0';
}

const struct config_kind config_kind_users = { parse_users, print_ids };
const struct config_kind config_kind_groups = { parse_groups, print_ids };
