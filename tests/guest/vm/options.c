/*
 * options.c - the kernel's command line, and the words it shares with the serial commands
 */
#include "options.h"

#include <stddef.h>

#include "text.h"
#include "vgpu_producer.h"

struct word {
        const char *name;
        uint32_t value;
};

static const struct word formats[] = {
        { "BGRA8888", VGPU_FMT_BGRA8888 },
        { "BGRX8888", VGPU_FMT_BGRX8888 },
        { "RGBA8888", VGPU_FMT_RGBA8888 },
        { "RGBX8888", VGPU_FMT_RGBX8888 },
        { "BGRA1010102", VGPU_FMT_BGRA1010102 },
        { "RGBA16F", VGPU_FMT_RGBA16F },
        { "RGBA1010102", VGPU_FMT_RGBA1010102 },
        { NULL, 0 },
};

static const struct word pagings[] = {
        { "contiguous", MACHINE_CONTIGUOUS },
        { "scatter", MACHINE_SCATTER },
        { "large", MACHINE_LARGE },
        { NULL, 0 },
};

static const struct word places[] = {
        { "low", PAGES_LOW },
        { "high", PAGES_HIGH },
        { "both", PAGES_BOTH },
        { NULL, 0 },
};

static const struct word *find(const struct word *words, const char *name)
{
        for (; words->name; words++) {
                if (text_equal(words->name, name))
                        return words;
        }
        return NULL;
}

uint32_t format_of(const char *name)
{
        const struct word *word = find(formats, name);

        return word ? word->value : 0;
}

const char *format_name(uint32_t format)
{
        const struct word *word = formats;

        while (word->name && word->value != format)
                word++;
        return word->name;
}

bool mode_parse(const char *s, struct mode *mode)
{
        uint64_t width, height, fps;

        if (!text_number(&s, &width) || *s++ != 'x' || !text_number(&s, &height) || *s++ != '@' ||
                !text_number(&s, &fps) || *s)
                return false;
        if (width > UINT16_MAX || height > UINT16_MAX || fps == 0 || fps > OPTIONS_MAX_FPS ||
                !vgpu_producer_slot_stride((uint32_t)width, (uint32_t)height, mode->format))
                return false;
        mode->width = (uint32_t)width;
        mode->height = (uint32_t)height;
        mode->fps = (uint32_t)fps;
        return true;
}

static bool number_between(const char *s, uint64_t least, uint64_t most, uint32_t *ret_value)
{
        uint64_t value;

        if (!text_number(&s, &value) || *s || value < least || value > most)
                return false;
        *ret_value = (uint32_t)value;
        return true;
}

static bool parse_build(const char *value, struct options *o)
{
        if (text_equal(value, "future")) {
                o->build = MACHINE_BUILD_FUTURE;
                return true;
        }
        return number_between(value, 0, UINT32_MAX, &o->build) && machine_layout_of(o->build);
}

static bool parse_word(const struct word *words, const char *value, uint32_t *ret_value)
{
        const struct word *word = find(words, value);

        if (word)
                *ret_value = word->value;
        return word != NULL;
}

static bool parse_option(const char *name, const char *value, struct options *o, const char **mode)
{
        uint32_t choice;
        bool known = true;

        if (text_equal(name, "mode"))
                *mode = value;
        else if (text_equal(name, "format"))
                known = (o->mode.format = format_of(value)) != 0;
        else if (text_equal(name, "build"))
                known = parse_build(value, o);
        else if (text_equal(name, "pages") && (known = parse_word(pagings, value, &choice)))
                o->paging = (enum machine_paging)choice;
        else if (text_equal(name, "place") && (known = parse_word(places, value, &choice)))
                o->place = (enum pages_where)choice;
        else if (text_equal(name, "slots"))
                known = number_between(value, VGPU_MIN_SLOTS, VGPU_MAX_SLOTS, &o->n_slots);
        else if (text_equal(name, "processes"))
                known = number_between(value, 40, 500, &o->n_processes);
        else if (text_equal(name, "seed"))
                known = o->seeded = text_number(&value, &o->seed) && !*value;
        else if (text_equal(name, "no-producer"))
                o->no_producer = true;
        else
                known = false;
        return known;
}

const char *options_parse(char *line, struct options *ret_options)
{
        struct options o = {
                .mode = { .format = VGPU_FMT_BGRA8888 },
                .build = 19045,
                .n_processes = 48,
                .n_slots = 3,
                .paging = MACHINE_SCATTER,
                .place = PAGES_BOTH,
        };
        const char *mode = "1280x720@30";
        char *word;

        while (*(word = text_word(&line))) {
                char *value = word;

                while (*value && *value != '=')
                        value++;
                if (*value)
                        *value++ = '\0';
                if (!parse_option(word, value, &o, &mode))
                        return word;
        }
        /* Last, because whether a mode fits a slot depends on the format. */
        if (!mode_parse(mode, &o.mode))
                return "mode";
        *ret_options = o;
        return NULL;
}
