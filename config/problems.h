/*
 * problems.h - collecting what is wrong with a configuration (private; the type is config.h's)
 */
#ifndef VGPU_CONFIG_PROBLEMS_H
#define VGPU_CONFIG_PROBLEMS_H

#include "config/config.h"

/* Adds one, keeping the order by line and, within a line, by arrival. @line 0: about the file as a whole. */
void config_problems_add(struct config_problems *problems, unsigned line, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

#endif /* VGPU_CONFIG_PROBLEMS_H */
