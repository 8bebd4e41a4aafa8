/*
 * cpu.h - the instructions C has no words for
 */
#ifndef VGPU_VM_CPU_H
#define VGPU_VM_CPU_H

#include <stdint.h>

static inline void cpu_out8(uint16_t port, uint8_t value)
{
        __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void cpu_out16(uint16_t port, uint16_t value)
{
        __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t cpu_in8(uint16_t port)
{
        uint8_t value;

        __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
        return value;
}

static inline uint64_t cpu_cr2(void)
{
        uint64_t value;

        __asm__ volatile("movq %%cr2, %0" : "=r"(value));
        return value;
}

static inline uint64_t cpu_cr3(void)
{
        uint64_t value;

        __asm__ volatile("movq %%cr3, %0" : "=r"(value));
        return value;
}

static inline void cpu_set_cr3(uint64_t value)
{
        __asm__ volatile("movq %0, %%cr3" : : "r"(value) : "memory");
}

static inline uint64_t cpu_tsc(void)
{
        uint32_t low, high;

        __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
        return (uint64_t)high << 32 | low;
}

static inline void cpu_irq_off(void)
{
        __asm__ volatile("cli" : : : "memory");
}

static inline void cpu_irq_on(void)
{
        __asm__ volatile("sti" : : : "memory");
}

/* sti takes effect after the next instruction: no interrupt can slip in before the hlt and leave it waiting. */
static inline void cpu_irq_on_and_wait(void)
{
        __asm__ volatile("sti; hlt" : : : "memory");
}

__attribute__((noreturn)) static inline void cpu_halt(void)
{
        for (;;)
                __asm__ volatile("cli; hlt" : : : "memory");
}

#endif /* VGPU_VM_CPU_H */
