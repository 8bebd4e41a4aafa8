/*
 * value.c - the kinds of values: text to field and back
 *
 * Parsers are strict, because a value that is nearly right is a mistake that shows weeks later: no signs, no blanks, no
 * trailing characters, no number that wraps.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

#include "keys.h"

bool config_take_digits(const char **text, unsigned base, uint64_t *ret)
{
        static const char digits[] = "0123456789abcdef";
        const char *at = *text;
        uint64_t value = 0;

        for (; *at != '\0'; at++) {
                const char *digit =
                        memchr(digits, *at >= 'A' && *at <= 'F' ? *at - 'A' + 'a' : *at, base);

                if (digit == NULL)
                        break;
                if (__builtin_mul_overflow(value, base, &value) ||
                        __builtin_add_overflow(value, (uint64_t)(digit - digits), &value))
                        return false;
        }
        if (at == *text)
                return false;
        *text = at;
        *ret = value;
        return true;
}

/* ---- number ------------------------------------------------------------------------------------------------------ */

static bool parse_number(
        const struct config_key *key, const char *text, void *field, struct config_why *why)
{
        uint64_t value;

        if (!config_take_digits(&text, 10, &value) || *text != '\0' || value < key->min ||
                value > key->max) {
                snprintf(why->text, CONFIG_WHY_MAX, "a number from %" PRIu64 " to %" PRIu64,
                        key->min, key->max);
                return false;
        }
        *(uint32_t *)field = (uint32_t)value;
        return true;
}

static bool print_number(const struct config_key *key, const void *field, char *text)
{
        (void)key;
        snprintf(text, CONFIG_TEXT_MAX, "%" PRIu32, *(const uint32_t *)field);
        return true;
}

const struct config_kind config_kind_number = { parse_number, print_number };

/* ---- batch ------------------------------------------------------------------------------------------------------- */

static bool parse_batch(
        const struct config_key *key, const char *text, void *field, struct config_why *why)
{
        if (strcmp(text, "auto") == 0) {
                *(uint32_t *)field = CONFIG_WAKE_AUTO;
                return true;
        }
        if (strcmp(text, "never") == 0) {
                *(uint32_t *)field = CONFIG_WAKE_NEVER;
                return true;
        }
        if (parse_number(key, text, field, why))
                return true;
        snprintf(why->text, CONFIG_WHY_MAX, "auto, never or a number from %" PRIu64 " to %" PRIu64,
                key->min, key->max);
        return false;
}

static bool print_batch(const struct config_key *key, const void *field, char *text)
{
        uint32_t value = *(const uint32_t *)field;

        if (value != CONFIG_WAKE_AUTO && value != CONFIG_WAKE_NEVER)
                return print_number(key, field, text);
        snprintf(text, CONFIG_TEXT_MAX, "%s", value == CONFIG_WAKE_AUTO ? "auto" : "never");
        return true;
}

const struct config_kind config_kind_batch = { parse_batch, print_batch };

/* ---- size -------------------------------------------------------------------------------------------------------- */

static const struct {
        char letter;
        unsigned shift;
} units[] = { { 'G', 30 }, { 'M', 20 }, { 'K', 10 } };

static bool take_unit(const char **text, unsigned *ret_shift)
{
        *ret_shift = 0;
        if (**text == '\0')
                return true;
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
                if (**text == units[i].letter) {
                        *ret_shift = units[i].shift;
                        (*text)++;
                        return true;
                }
        }
        return false;
}

static bool parse_size(
        const struct config_key *key, const char *text, void *field, struct config_why *why)
{
        uint64_t value;
        unsigned shift;

        if (!config_take_digits(&text, 10, &value) || !take_unit(&text, &shift) || *text != '\0' ||
                value > UINT64_MAX >> shift) {
                snprintf(why->text, CONFIG_WHY_MAX,
                        "a number of bytes, or one with K, M or G (powers of 1024) right behind "
                        "it");
                return false;
        }
        value <<= shift;
        if (value < key->min || value > key->max || value % GVA_PAGE_BYTES != 0) {
                snprintf(why->text, CONFIG_WHY_MAX,
                        "whole pages of %u bytes, from %" PRIu64 "K to %" PRIu64 "G",
                        GVA_PAGE_BYTES, key->min >> 10, key->max >> 30);
                return false;
        }
        *(uint64_t *)field = value;
        return true;
}

static bool print_size(const struct config_key *key, const void *field, char *text)
{
        uint64_t value = *(const uint64_t *)field;

        (void)key;
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
                if (value != 0 && value % (UINT64_C(1) << units[i].shift) == 0) {
                        snprintf(text, CONFIG_TEXT_MAX, "%" PRIu64 "%c", value >> units[i].shift,
                                units[i].letter);
                        return true;
                }
        }
        return false; /* only 0 is not in whole K: a size is whole pages */
}

const struct config_kind config_kind_size = { parse_size, print_size };

/* ---- page-table root --------------------------------------------------------------------------------------------- */

static bool parse_root(
        const struct config_key *key, const char *text, void *field, struct config_why *why)
{
        uint64_t value;

        (void)key;
        if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
                text += 2;
        /* The low 12 bits of a cr3 as a debugger shows it are no address. */
        if (!config_take_digits(&text, 16, &value) || *text != '\0' || (value & PTE_PFN) == 0 ||
                value >= PTE_PFN + GVA_PAGE_BYTES) {
                snprintf(why->text, CONFIG_WHY_MAX,
                        "the System process' cr3 in hexadecimal, like 0x1ae000");
                return false;
        }
        *(uint64_t *)field = value & PTE_PFN;
        return true;
}

static bool print_root(const struct config_key *key, const void *field, char *text)
{
        uint64_t value = *(const uint64_t *)field;

        (void)key;
        snprintf(text, CONFIG_TEXT_MAX, "0x%" PRIx64, value);
        return value != 0;
}

const struct config_kind config_kind_root = { parse_root, print_root };

/* ---- file mode --------------------------------------------------------------------------------------------------- */

static bool parse_mode(
        const struct config_key *key, const char *text, void *field, struct config_why *why)
{
        uint64_t value;

        if (!config_take_digits(&text, 8, &value) || *text != '\0' || value > key->max) {
                snprintf(why->text, CONFIG_WHY_MAX, "an octal file mode from 0 to 0%" PRIo64,
                        key->max);
                return false;
        }
        *(mode_t *)field = (mode_t)value;
        return true;
}

static bool print_mode(const struct config_key *key, const void *field, char *text)
{
        (void)key;
        snprintf(text, CONFIG_TEXT_MAX, "0%03o", (unsigned)*(const mode_t *)field);
        return true;
}

const struct config_kind config_kind_mode = { parse_mode, print_mode };

/* ---- words ------------------------------------------------------------------------------------------------------- */

struct word {
        const char *text; /* the first with a value is the one that is printed */
        int value;
};

static const struct word bools[] = { { "yes", true }, { "no", false }, { "true", true },
        { "false", false }, { "on", true }, { "off", false }, { "1", true }, { "0", false },
        { NULL, 0 } };

static const struct word levels[] = { { "err", LOG_ERR }, { "warning", LOG_WARNING },
        { "notice", LOG_NOTICE }, { "info", LOG_INFO }, { "debug", LOG_DEBUG }, { NULL, 0 } };

static const struct word latencies[] = { { "low", CONFIG_LATENCY_LOW },
        { "balanced", CONFIG_LATENCY_BALANCED }, { "powersave", CONFIG_LATENCY_POWERSAVE },
        { NULL, 0 } };

static const struct word *word_find(const struct word *words, const char *text)
{
        for (; words->text != NULL; words++) {
                if (strcmp(words->text, text) == 0)
                        return words;
        }
        return NULL;
}

static const char *word_for(const struct word *words, int value)
{
        while (words->text != NULL && words->value != value)
                words++;
        return words->text != NULL ? words->text : "";
}

static bool parse_bool(
        const struct config_key *key, const char *text, void *field, struct config_why *why)
{
        const struct word *word = word_find(bools, text);

        (void)key;
        if (word == NULL) {
                snprintf(why->text, CONFIG_WHY_MAX, "yes or no (or true, false, on, off, 1, 0)");
                return false;
        }
        *(bool *)field = word->value;
        return true;
}

static bool print_bool(const struct config_key *key, const void *field, char *text)
{
        (void)key;
        snprintf(text, CONFIG_TEXT_MAX, "%s", word_for(bools, *(const bool *)field));
        return true;
}

const struct config_kind config_kind_bool = { parse_bool, print_bool };

static bool parse_level(
        const struct config_key *key, const char *text, void *field, struct config_why *why)
{
        const struct word *word = word_find(levels, text);

        (void)key;
        if (word == NULL) {
                snprintf(why->text, CONFIG_WHY_MAX, "err, warning, notice, info or debug");
                return false;
        }
        *(int *)field = word->value;
        return true;
}

static bool print_level(const struct config_key *key, const void *field, char *text)
{
        (void)key;
        snprintf(text, CONFIG_TEXT_MAX, "%s", word_for(levels, *(const int *)field));
        return true;
}

const struct config_kind config_kind_level = { parse_level, print_level };

static bool parse_latency(
        const struct config_key *key, const char *text, void *field, struct config_why *why)
{
        const struct word *word = word_find(latencies, text);

        (void)key;
        if (word == NULL) {
                snprintf(why->text, CONFIG_WHY_MAX, "low, balanced or powersave");
                return false;
        }
        *(enum config_latency *)field = (enum config_latency)word->value;
        return true;
}

static bool print_latency(const struct config_key *key, const void *field, char *text)
{
        (void)key;
        snprintf(text, CONFIG_TEXT_MAX, "%s",
                word_for(latencies, (int)*(const enum config_latency *)field));
        return true;
}

const struct config_kind config_kind_latency = { parse_latency, print_latency };

static bool parse_machine(
        const struct config_key *key, const char *text, void *field, struct config_why *why)
{
        (void)key;
        if (vgpu_machine_from_name(text, field) < 0) {
                snprintf(why->text, CONFIG_WHY_MAX, "q35, pc, microvm or flat");
                return false;
        }
        return true;
}

static bool print_machine(const struct config_key *key, const void *field, char *text)
{
        (void)key;
        snprintf(text, CONFIG_TEXT_MAX, "%s", vgpu_machine_name(*(const enum vgpu_machine *)field));
        return true;
}

const struct config_kind config_kind_machine = { parse_machine, print_machine };

static bool parse_copy(
        const struct config_key *key, const char *text, void *field, struct config_why *why)
{
        (void)key;
        if (vgpu_copy_from_name(text, field) < 0) {
                snprintf(why->text, CONFIG_WHY_MAX, "auto, plain, stream or movsb");
                return false;
        }
        return true;
}

static bool print_copy(const struct config_key *key, const void *field, char *text)
{
        (void)key;
        snprintf(text, CONFIG_TEXT_MAX, "%s", vgpu_copy_name(*(const enum vgpu_copy *)field));
        return true;
}

const struct config_kind config_kind_copy = { parse_copy, print_copy };

/* ---- text -------------------------------------------------------------------------------------------------------- */

static bool parse_text(
        const struct config_key *key, const char *text, void *field, struct config_why *why)
{
        size_t len = strlen(text);

        if (len >= key->size) {
                snprintf(why->text, CONFIG_WHY_MAX, "at most %zu bytes long, and is %zu",
                        key->size - 1, len);
                return false;
        }
        memcpy(field, text, len + 1);
        return true;
}

static bool print_text(const struct config_key *key, const void *field, char *text)
{
        (void)key;
        snprintf(text, CONFIG_TEXT_MAX, "%s", (const char *)field);
        return text[0] != '\0';
}

const struct config_kind config_kind_text = { parse_text, print_text };

static bool parse_path(
        const struct config_key *key, const char *text, void *field, struct config_why *why)
{
        size_t len = strlen(text);

        if (text[0] != '/' || text[len - 1] == '/') {
                snprintf(why->text, CONFIG_WHY_MAX,
                        "a file's path from the root on, without quotes");
                return false;
        }
        return parse_text(key, text, field, why);
}

const struct config_kind config_kind_path = { parse_path, print_text };

/* ---- RAM --------------------------------------------------------------------------------------------------------- */

bool config_ram_is_auto(const struct vgpu_config *cfg)
{
        return strcmp(cfg->guest.ram, "auto") == 0;
}

/* Where the path that @text begins with ends: at the comma before another one, or with the text. */
static const char *path_end(const char *text)
{
        for (const char *comma = strchr(text, ','); comma != NULL; comma = strchr(comma + 1, ',')) {
                const char *next = comma + 1 + strspn(comma + 1, " \t");

                if (*next == '/')
                        return comma;
        }
        return text + strlen(text);
}

bool config_next_path(const char **list, char ret_path[CONFIG_TEXT_MAX])
{
        const char *begin = *list + strspn(*list, " \t"), *end = path_end(begin);
        size_t len = (size_t)(end - begin);

        if (len == 0 || len >= CONFIG_TEXT_MAX)
                return false;
        *list = *end == ',' ? end + 1 : end;
        while (len > 0 && (begin[len - 1] == ' ' || begin[len - 1] == '\t'))
                len--;
        memcpy(ret_path, begin, len);
        ret_path[len] = '\0';
        return true;
}

static bool parse_ram(
        const struct config_key *key, const char *text, void *field, struct config_why *why)
{
        const char *rest = text;
        char path[CONFIG_TEXT_MAX], copy[CONFIG_TEXT_MAX];
        size_t n = 0;

        if (strcmp(text, "auto") == 0)
                return parse_text(key, text, field, why);
        if (strlen(text) >= key->size)
                return parse_path(key, text, field, why);
        while (config_next_path(&rest, path)) {
                if (!parse_path(key, path, copy, why))
                        return false;
                n++;
        }
        if (n > VGPU_SOURCE_FILES_MAX) {
                snprintf(why->text, CONFIG_WHY_MAX, "at most %d paths", VGPU_SOURCE_FILES_MAX);
                return false;
        }
        return parse_text(key, text, field, why);
}

const struct config_kind config_kind_ram = { parse_ram, print_text };
