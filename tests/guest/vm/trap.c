/*
 * trap.c - descriptor tables, PICs, and the last words of a kernel that failed
 *
 * Every exception runs on a stack of its own (IST 1): a fault caused by a bad stack pointer still gets to speak.
 */
#include "trap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu.h"
#include "layout.h"
#include "serial.h"

#define PIC1_COMMAND   0x20
#define PIC1_DATA      0x21
#define PIC2_COMMAND   0xa0
#define PIC2_DATA      0xa1
#define ICW1_INIT_ICW4 0x11
#define ICW4_8086      0x01

#define GATE_INTERRUPT 0x8e
#define STUB_BYTES     16

struct gate {
        uint16_t offset_low;
        uint16_t selector;
        uint8_t ist;
        uint8_t type;
        uint16_t offset_mid;
        uint32_t offset_high;
        uint32_t reserved;
};

struct tss {
        uint32_t reserved0;
        uint64_t rsp[3];
        uint64_t reserved1;
        uint64_t ist[7];
        uint64_t reserved2;
        uint16_t reserved3;
        uint16_t io_map;
} __attribute__((packed));

struct table_register {
        uint16_t limit;
        uint64_t base;
} __attribute__((packed));

_Static_assert(sizeof(struct gate) == 16, "a 64-bit gate");
_Static_assert(sizeof(struct tss) == 104, "a 64-bit task state segment");

extern const uint8_t trap_stubs[];
extern const uint8_t trap_timer_stub[];
extern const uint8_t trap_page_fault_stub[];

static struct gate idt[VM_N_VECTORS];
static struct tss tss;
static uint8_t fault_stack[8192] __attribute__((aligned(16)));
static uint64_t gdt[5] = {
        [VM_SEL_CODE / 8] = 0x00af9b000000ffff,
        [VM_SEL_DATA / 8] = 0x00cf93000000ffff,
};

/* Called by the stubs alone. */
void trap_report(uint64_t vector, uint64_t error, uint64_t rip, uint64_t rsp);

void trap_report(uint64_t vector, uint64_t error, uint64_t rip, uint64_t rsp)
{
        uint64_t cr2 = cpu_cr2();

        serial_puts("\npanic vector=");
        serial_put_hex(vector);
        serial_puts(" error=");
        serial_put_hex(error);
        serial_puts(" rip=");
        serial_put_hex(rip);
        serial_puts(" rsp=");
        serial_put_hex(rsp);
        serial_puts(" cr2=");
        serial_put_hex(cr2);
        serial_puts(" cr3=");
        serial_put_hex(cpu_cr3());
        serial_puts("\n");
        cpu_halt();
}

/* Likewise; the stub goes by the flag. */
void trap_page_fault(void);
extern volatile bool trap_fault_resolved;

volatile bool trap_fault_resolved;
static bool (*resolve_fault)(uint64_t va);

void trap_page_fault(void)
{
        trap_fault_resolved = resolve_fault && resolve_fault(cpu_cr2());
}

void trap_on_page_fault(bool (*resolve)(uint64_t va))
{
        resolve_fault = resolve;
}

void trap_panic(const char *why)
{
        serial_puts("\npanic ");
        serial_puts(why);
        serial_puts("\n");
        cpu_halt();
}

static void set_gate(unsigned int vector, const uint8_t *handler, uint8_t ist)
{
        uint64_t at = (uint64_t)handler;

        idt[vector] = (struct gate){
                .offset_low = (uint16_t)at,
                .selector = VM_SEL_CODE,
                .ist = ist,
                .type = GATE_INTERRUPT,
                .offset_mid = (uint16_t)(at >> 16),
                .offset_high = (uint32_t)(at >> 32),
        };
}

static void load_segments(void)
{
        struct table_register gdtr = { sizeof(gdt) - 1, (uint64_t)gdt };
        uint64_t base = (uint64_t)&tss;

        tss.ist[0] = (uint64_t)(fault_stack + sizeof(fault_stack));
        tss.io_map = sizeof(tss);
        gdt[VM_SEL_TSS / 8] = (sizeof(tss) - 1) | (base & 0xffffff) << 16 | UINT64_C(0x89) << 40 |
                              (base >> 24 & 0xff) << 56;
        gdt[VM_SEL_TSS / 8 + 1] = base >> 32;
        __asm__ volatile("lgdt %0\n\t"
                         "pushq %1\n\t"
                         "leaq 1f(%%rip), %%rax\n\t"
                         "pushq %%rax\n\t"
                         "lretq\n"
                         "1:\n\t"
                         "ltr %w2"
                         :
                         : "m"(gdtr), "i"(VM_SEL_CODE), "r"(VM_SEL_TSS)
                         : "rax", "memory");
}

/* The PICs wake up at vectors 8..15, where the CPU's own exceptions are. */
static void move_pics(void)
{
        cpu_out8(PIC1_COMMAND, ICW1_INIT_ICW4);
        cpu_out8(PIC2_COMMAND, ICW1_INIT_ICW4);
        cpu_out8(PIC1_DATA, VM_VECTOR_TIMER);
        cpu_out8(PIC2_DATA, VM_VECTOR_TIMER + 8);
        cpu_out8(PIC1_DATA, 1 << 2);
        cpu_out8(PIC2_DATA, 2);
        cpu_out8(PIC1_DATA, ICW4_8086);
        cpu_out8(PIC2_DATA, ICW4_8086);
        cpu_out8(PIC1_DATA, 0xfe);
        cpu_out8(PIC2_DATA, 0xff);
}

void trap_init(void)
{
        struct table_register idtr = { sizeof(idt) - 1, (uint64_t)idt };

        load_segments();
        for (unsigned int vector = 0; vector < VM_N_VECTORS; vector++)
                set_gate(vector, trap_stubs + vector * STUB_BYTES, 1);
        set_gate(VM_VECTOR_TIMER, trap_timer_stub, 0);
        set_gate(VM_VECTOR_PAGE_FAULT, trap_page_fault_stub, 1);
        __asm__ volatile("lidt %0" : : "m"(idtr) : "memory");
        move_pics();
}
