/*
 * report.h - collecting what loading a configuration finds out (private; the type is config.h's)
 */
#ifndef VGPU_CONFIG_REPORT_H
#define VGPU_CONFIG_REPORT_H

#include "config/config.h"

/* Adds a file, as @path is shown to people. Return: false if memory ran out; then nothing has changed. */
bool config_report_file(struct config_report *report, const char *path);

/* Adds what keeps the configuration from counting, in order by file and line and, within a line, by arrival. */
void config_report_error(struct config_report *report, struct config_place at, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* Adds, likewise, what does not but is hardly meant. */
void config_report_warning(struct config_report *report, struct config_place at, const char *fmt,
        ...) __attribute__((format(printf, 3, 4)));

#endif /* VGPU_CONFIG_REPORT_H */
