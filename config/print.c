/*
 * print.c - the effective configuration as a file, with where each value comes from
 */
#include <string.h>

#include <ini.h>

#include "keys.h"

/* A line that was as long as one can be had no room for blanks, and must be read again. */
static const char *sign_for(const struct config_key *key, const char *text)
{
        return strlen(key->name) + strlen(" = ") + strlen(text) < INI_MAX_LINE ? " = " : "=";
}

static void print_key(FILE *f, const struct config_key *key, const struct vgpu_config *cfg,
        const struct config_report *report)
{
        struct config_place set = { 0 };
        char text[CONFIG_TEXT_MAX];

        if (report != NULL)
                set = report->set[key - config_keys];
        if (set.line != 0)
                fprintf(f, "# %s:%u\n", report->file[set.file], set.line);
        if (key->kind->print(key, (const char *)cfg + key->offset, text))
                fprintf(f, "%s%s%s\n", key->name, sign_for(key, text), text);
        else
                fprintf(f, "# %s is not set: %s\n", key->name, key->unset);
}

void config_print(FILE *f, const struct vgpu_config *cfg, const struct config_report *report)
{
        const char *section = "";

        for (size_t i = 0; report != NULL && i < report->n_files; i++)
                fprintf(f, "# read %s\n", report->file[i]);
        for (size_t i = 0; i < config_n_keys; i++) {
                const struct config_key *key = &config_keys[i];

                if (strcmp(key->section, section) != 0)
                        fprintf(f, "%s[%s]\n", i != 0 || report != NULL ? "\n" : "", key->section);
                section = key->section;
                print_key(f, key, cfg, report);
        }
}
