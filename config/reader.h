/*
 * reader.h - hands inih only lines that it reads as people do (private)
 *
 * inih as distributions build it cuts lines at 200 bytes without a word, takes an indented line for more of the value
 * before, ignores what follows a section's bracket, accepts ':' for '=', passes no line number and reports one error.
 * So it is fed line by line: a line of a shape that it would mangle becomes a problem here, and inih gets an empty line
 * in its place.
 */
#ifndef VGPU_CONFIG_READER_H
#define VGPU_CONFIG_READER_H

#include "config/config.h"

struct config_reader {
        const char *text; /* the whole file, borrowed; need not end in a NUL or newline */
        size_t len;
        size_t at;
        unsigned line;     /* of what was handed out last, from 1 */
        bool skip_section; /* its header was refused, so its keys mean nothing */
        unsigned file;     /* of report->file */
        struct config_report *report;
};

/* An ini_reader: @stream is a struct config_reader. Return: @dst, or NULL at the end. */
char *config_reader_next(char *dst, int cap, void *stream);

#endif /* VGPU_CONFIG_READER_H */
