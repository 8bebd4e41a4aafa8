/*
 * guest_options.h - what the simulated guest is told at start, and the words it shares with its commands
 */
#ifndef GUEST_OPTIONS_H
#define GUEST_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "machine.h"
#include "ram.h"

struct guest_mode {
        uint32_t width, height, fps;
        uint32_t format; /* VGPU_FMT_* */
};

struct guest_options {
        const char *ram_path; /* NULL: memfd */
        bool memfd;
        uint64_t ram_size;
        enum ram_machine machine_type;
        struct machine_config machine;
        struct guest_mode mode;
        uint32_t slots;
        uint32_t stripes; /* see stripes.h; 0 is 1, whole frames */
        bool no_damage;   /* frames do not say which rows they drew */
        uint32_t exited;  /* processes that have ended and are still listed */
        uint32_t decoys;
        bool trims;                    /* published frames' pages leave the working set */
        enum machine_state trim_state; /* into this state; MACHINE_N_STATES: several */
        bool no_producer;
        bool help;
};

/**
 * guest_options_parse() - read the command line
 * @ret_options: written in any case; complete only when true is returned
 * @why: buffer for a sentence, when false is returned
 *
 * Return: true, or false for a usage error.
 */
bool guest_options_parse(
        struct guest_options *ret_options, int argc, char **argv, char *why, size_t why_size);

extern const char guest_options_help[];

/* "WIDTHxHEIGHT@FPS" into all but the format. Return: false when it is not that or out of range. */
bool guest_mode_parse(const char *text, struct guest_mode *mode);

/* Name of a VGPU_FMT_* as the command line spells it, and back (0: unknown). */
const char *guest_format_name(uint32_t format);
uint32_t guest_format_parse(const char *name);

/* A number of decoys. Return: false when @text is none. */
bool guest_decoys_parse(const char *text, uint32_t *ret);

/* Index of @text among @n names. Return: false when it is none of them. */
bool guest_name_parse(const char *text, const char *const *names, int n, int *ret);

#endif /* GUEST_OPTIONS_H */
