/*
 * options.h - what the kernel's command line asks for
 */
#ifndef VGPU_VM_OPTIONS_H
#define VGPU_VM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "machine.h"

#define OPTIONS_MAX_FPS 1000u

struct mode {
        uint32_t width, height; /* pixels */
        uint32_t fps;
        uint32_t format; /* VGPU_FMT_* */
};

struct options {
        struct mode mode;
        uint32_t build;
        uint32_t n_processes;
        uint32_t n_slots;
        enum machine_paging paging;
        enum pages_where place;
        bool no_producer;
        bool seeded; /* false: the caller makes a seed up */
        uint64_t seed;
};

/**
 * options_parse() - read `mode=WxH@FPS format=F build=N pages=scatter|contiguous|large place=low|high|both slots=N
 * processes=N seed=N no-producer`, in any order, each with a default
 * @line: taken apart in place
 *
 * Return: NULL, or the word that made no sense.
 */
const char *options_parse(char *line, struct options *ret_options);

/** mode_parse() - read WxH@FPS into @mode, leaving its format; false, with @mode untouched, when it is not one */
bool mode_parse(const char *s, struct mode *mode);

/** format_of() - VGPU_FMT_* by its name without the prefix; 0 when there is none */
uint32_t format_of(const char *name);

/** format_name() - the name of a known VGPU_FMT_* */
const char *format_name(uint32_t format);

#endif /* VGPU_VM_OPTIONS_H */
