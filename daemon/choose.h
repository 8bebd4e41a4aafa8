/*
 * choose.h - which of several live producers is taken
 *
 * The configured name goes before all others; among equals the newest process, which is the order discovery gives. Pure.
 */
#ifndef VGPUD_CHOOSE_H
#define VGPUD_CHOOSE_H

#include <stdbool.h>
#include <stddef.h>

#include "vgpu_perception.h"

/**
 * choose_next() - the best candidate that is left
 * @c:    newest process first
 * @left: whether each may still be taken
 * @n:    how many
 * @name: preferred process name, of which a guest shows the first 15 bytes; "": none
 *
 * Return: its index, or @n: none is left.
 */
size_t choose_next(const struct vgpup_candidate *c, const bool *left, size_t n, const char *name);

#endif /* VGPUD_CHOOSE_H */
