/*
 * clock.h - time since the guest's boot, and being woken when it is due
 *
 * The HPET follows QEMU's virtual clock: it starts at zero with every reset and stands still while the VM is stopped.
 */
#ifndef VGPU_VM_CLOCK_H
#define VGPU_VM_CLOCK_H

#include <stdint.h>

/**
 * clock_init() - start the HPET's counter and the timer interrupt
 * @tick: called with interrupts off, about every 15.6 ms (as Windows ticks) once interrupts are on
 *
 * Panics when there is no HPET.
 */
void clock_init(void (*tick)(uint64_t now_ns));

/** clock_ns() - nanoseconds since the counter was started; rises strictly enough to stamp frames with */
uint64_t clock_ns(void);

/**
 * clock_wait() - halt the CPU until an interrupt comes, @deadline_ns at the latest
 *
 * Returns at once when the deadline is past, at the latest with the next tick. The caller looks at the clock again.
 */
void clock_wait(uint64_t deadline_ns);

/** clock_interrupt() - the timer's handler: called by its stub alone */
void clock_interrupt(void);

#endif /* VGPU_VM_CLOCK_H */
