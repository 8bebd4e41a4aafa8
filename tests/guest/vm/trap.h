/*
 * trap.h - the kernel's own descriptor tables, and what happens when it goes wrong
 */
#ifndef VGPU_VM_TRAP_H
#define VGPU_VM_TRAP_H

#include <stdbool.h>
#include <stdint.h>

/**
 * trap_init() - load the descriptor tables and mask both PICs but the timer's line
 *
 * From here on an exception, whatever the state of the stack, prints `panic` with its vector, error code, rip, rsp,
 * cr2 and cr3 on the serial line and halts: never a silent triple fault. Interrupts stay off; cpu_irq_on() is the
 * caller's.
 */
void trap_init(void);

/**
 * trap_on_page_fault() - have somebody look at page faults before they are the end
 * @resolve: makes the page at @va present and returns true, or false: then it is a panic as any other. Runs with
 *           interrupts off and must not fault itself.
 */
void trap_on_page_fault(bool (*resolve)(uint64_t va));

/** trap_panic() - print @why on the serial line and halt */
__attribute__((noreturn)) void trap_panic(const char *why);

#endif /* VGPU_VM_TRAP_H */
