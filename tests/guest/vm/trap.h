/*
 * trap.h - the kernel's own descriptor tables, and what happens when it goes wrong
 */
#ifndef VGPU_VM_TRAP_H
#define VGPU_VM_TRAP_H

/**
 * trap_init() - load the descriptor tables and mask both PICs but the timer's line
 *
 * From here on an exception, whatever the state of the stack, prints `panic` with its vector, error code, rip, rsp,
 * cr2 and cr3 on the serial line and halts: never a silent triple fault. Interrupts stay off; cpu_irq_on() is the
 * caller's.
 */
void trap_init(void);

/** trap_panic() - print @why on the serial line and halt */
__attribute__((noreturn)) void trap_panic(const char *why);

#endif /* VGPU_VM_TRAP_H */
