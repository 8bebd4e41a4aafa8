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
        uint32_t boot;      /* 1 after power-on, one more with each reset */
};

/** command_ready() - print `ready` and the machine's facts: once, when the boot is done */
void command_ready(const struct command_context *c);

/** command_run() - carry one line out and answer with one line, `ok ...` or `error ...`; @line is taken apart in place */
void command_run(const struct command_context *c, char *line);

#endif /* VGPU_VM_COMMAND_H */
