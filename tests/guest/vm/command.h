/*
 * command.h - the serial line's command set: the same words and answers as the vgpu-guest program's
 */
#ifndef VGPU_VM_COMMAND_H
#define VGPU_VM_COMMAND_H

#include <stdint.h>

#include "desktop.h"

struct command_context {
        struct desktop *desktop;
        uint64_t ram_total; /* bytes, as given to QEMU */
};

/** command_ready() - print `ready` and the machine's facts: once, when the boot is done */
void command_ready(const struct command_context *c);

/** command_run() - carry @line out, taking it apart in place, and answer with one line: `ok ...` or `error ...` */
void command_run(const struct command_context *c, char *line);

#endif /* VGPU_VM_COMMAND_H */
