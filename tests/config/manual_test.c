/*
 * manual_test.c - vgpud.conf(5) and the example file say what the parser does
 *
 * Nothing is generated from anything: people write for people. So each key has to be in all three, with the table's range
 * and default, and nothing else may be in any of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "keys.h"

#define TEXT_MAX 8192

/* What a document says of one key. */
struct entry {
        char section[32];
        char name[64];
        char text[TEXT_MAX]; /* in one line, without markup */
};

static FILE *must_open(const char *path)
{
        FILE *f = fopen(path, "re");

        if (f == NULL)
                fail_msg("%s cannot be opened", path);
        return f;
}

static void chomp(char *line)
{
        line[strcspn(line, "\n")] = '\0';
}

static void append(char text[TEXT_MAX], const char *piece)
{
        size_t len = strlen(text);

        assert_true(len + strlen(piece) + 2 < TEXT_MAX);
        snprintf(text + len, TEXT_MAX - len, "%s%s", len > 0 ? " " : "", piece);
}

/* ---- the manual -------------------------------------------------------------------------------------------------- */

/* Without requests and escaped hyphens; names in other fonts are of no interest here. */
static void append_roff(char text[TEXT_MAX], char *line)
{
        char *from = line, *to = line;

        if (line[0] == '.')
                return;
        while (*from != '\0') {
                if (from[0] == '\\' && from[1] == '-')
                        from++;
                *to++ = *from++;
        }
        *to = '\0';
        append(text, line);
}

/* Return: is there another paragraph that begins with a tag, in a section that is named like one of the file's? */
static bool next_in_manual(FILE *f, char section[32], struct entry *ret)
{
        char line[512];

        memset(ret, 0, sizeof(*ret));
        while (fgets(line, sizeof(line), f) != NULL) {
                long at = ftell(f) - (long)strlen(line);

                chomp(line);
                if (ret->name[0] != '\0' &&
                        (strcmp(line, ".TP") == 0 || strncmp(line, ".SH ", 4) == 0)) {
                        fseek(f, at, SEEK_SET);
                        return true;
                }
                if (strncmp(line, ".SH ", 4) == 0) {
                        section[0] = '\0';
                        sscanf(line, ".SH [%31[a-z]]", section);
                } else if (strcmp(line, ".TP") == 0 && section[0] != '\0') {
                        assert_non_null(fgets(line, sizeof(line), f));
                        assert_int_equal(sscanf(line, ".B %63s", ret->name), 1);
                        snprintf(ret->section, sizeof(ret->section), "%s", section);
                } else if (ret->name[0] != '\0') {
                        append_roff(ret->text, line);
                }
        }
        return ret->name[0] != '\0';
}

/* ---- the example ------------------------------------------------------------------------------------------------- */

/* "key = value" and "#key = value" alike; what is above it up to an empty line or the key before is about it. */
static bool next_in_example(FILE *f, char section[32], struct entry *ret)
{
        char line[512];

        memset(ret, 0, sizeof(*ret));
        while (fgets(line, sizeof(line), f) != NULL) {
                chomp(line);
                if (line[0] == '[') {
                        assert_int_equal(sscanf(line, "[%31[a-z]]", section), 1);
                } else if (line[0] == '\0') {
                        ret->text[0] = '\0';
                } else if (sscanf(line, "#%63[a-z0-9_] = ", ret->name) == 1 ||
                           sscanf(line, "%63[a-z0-9_] = ", ret->name) == 1) {
                        snprintf(ret->section, sizeof(ret->section), "%s", section);
                        return true;
                } else if (strncmp(line, "# ", 2) == 0) {
                        append(ret->text, line + 2);
                }
        }
        return false;
}

/* ---- what they have to say --------------------------------------------------------------------------------------- */

/* As people write it: "3 to 16", "64M to 16G", "0 to 0777"; "" when the kind has no range. */
static void range_of(const struct config_key *key, char *ret, size_t cap)
{
        ret[0] = '\0';
        if (key->kind == &config_kind_number || key->kind == &config_kind_batch) {
                snprintf(ret, cap, "%" PRIu64 " to %" PRIu64, key->min, key->max);
        } else if (key->kind == &config_kind_mode) {
                snprintf(ret, cap, "%" PRIo64 " to 0%" PRIo64, key->min, key->max);
        } else if (key->kind == &config_kind_size) {
                char text[2][CONFIG_TEXT_MAX];

                key->kind->print(key, &key->min, text[0]);
                key->kind->print(key, &key->max, text[1]);
                snprintf(ret, cap, "%.40s to %.40s", text[0], text[1]);
        } else {
                assert_int_equal(key->max, 0);
        }
}

/* A sentence that the manual ends the key's paragraph with. */
static void default_of(const struct config_key *key, char *ret, size_t cap)
{
        if (key->preset == NULL && key->unset == NULL)
                snprintf(ret, cap, "Required.");
        else
                snprintf(ret, cap, "Default: %s.", key->preset ? key->preset : key->unset);
}

static void must_contain(const char *document, const struct entry *e, const char *want)
{
        if (strstr(e->text, want) == NULL)
                fail_msg("%s: [%s] %s does not say \"%s\", but: %s", document, e->section, e->name,
                        want, e->text);
}

static void must_end_in(const char *document, const struct entry *e, const char *want)
{
        size_t len = strlen(e->text), n = strlen(want);

        if (len < n || strcmp(e->text + len - n, want) != 0)
                fail_msg("%s: [%s] %s does not end in \"%s\", but: %s", document, e->section,
                        e->name, want, e->text);
}

typedef bool (*next_fn)(FILE *f, char section[32], struct entry *ret);

/* Each key once, in the table's order, and no other. */
static void walk(const char *document, next_fn next,
        void (*check)(const char *document, const struct config_key *key, const struct entry *e))
{
        FILE *f = must_open(document);
        char section[32] = "";
        struct entry e;
        size_t n = 0;

        while (next(f, section, &e)) {
                const struct config_key *key = config_key_find(e.section, e.name);

                if (key == NULL)
                        fail_msg("%s: there is no key [%s] %s", document, e.section, e.name);
                if (n >= config_n_keys || key != &config_keys[n])
                        fail_msg("%s: [%s] %s is not where the table has it", document, e.section,
                                e.name);
                check(document, key, &e);
                n++;
        }
        fclose(f);
        if (n != config_n_keys)
                fail_msg("%s: [%s] %s is missing", document, config_keys[n].section,
                        config_keys[n].name);
}

static void in_manual(const char *document, const struct config_key *key, const struct entry *entry)
{
        char want[2 * CONFIG_TEXT_MAX];

        range_of(key, want, sizeof(want));
        must_contain(document, entry, want);
        default_of(key, want, sizeof(want));
        must_end_in(document, entry, want);
}

static void the_manual_says_which_keys_a_reload_applies(void **state)
{
        FILE *f = must_open(MANUAL);
        size_t n_live = 0, n_said = 0;
        char line[512], section[32], name[64];
        bool inside = false;

        (void)state;
        for (size_t i = 0; i < config_n_keys; i++)
                n_live += config_keys[i].takes == CONFIG_LIVE;
        while (fgets(line, sizeof(line), f) != NULL) {
                const struct config_key *key;

                if (strncmp(line, ".SH ", 4) == 0)
                        inside = strcmp(line, ".SH RELOADING\n") == 0;
                if (!inside || sscanf(line, ".B [%31[a-z]] %63s", section, name) != 2)
                        continue;
                key = config_key_find(section, name);
                if (key == NULL || key->takes != CONFIG_LIVE)
                        fail_msg("[%s] %s does not change while the daemon runs", section, name);
                n_said++;
        }
        fclose(f);
        assert_int_equal(n_said, n_live);
}

static void the_manual_has_every_key_with_its_range_and_default(void **state)
{
        (void)state;
        walk(MANUAL, next_in_manual, in_manual);
}

/* Defaults in the example are the values themselves: config_test loads them. */
static void in_example(
        const char *document, const struct config_key *key, const struct entry *entry)
{
        char want[2 * CONFIG_TEXT_MAX];

        range_of(key, want, sizeof(want));
        must_contain(document, entry, want);
        if (key->preset == NULL && key->unset == NULL)
                must_contain(document, entry, "Required");
}

static void the_example_has_every_key_with_its_range(void **state)
{
        (void)state;
        walk(EXAMPLE_CONF, next_in_example, in_example);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_manual_says_which_keys_a_reload_applies),
                cmocka_unit_test(the_manual_has_every_key_with_its_range_and_default),
                cmocka_unit_test(the_example_has_every_key_with_its_range),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
