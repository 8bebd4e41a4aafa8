/*
 * clock.c - the HPET as the clock, the PIT as the alarm
 *
 * The PIT is armed for one shot at a time, to the next tick or the next frame, whichever is due first: frames come on
 * time without a thousand wake-ups a second, which under emulation would cost the host more than the frames.
 */
#include "clock.h"

#include "cpu.h"
#include "ram.h"
#include "trap.h"

#define HPET_GPA          UINT64_C(0xfed00000)
#define HPET_CAPABILITIES 0x00
#define HPET_CONFIG       0x10
#define HPET_COUNTER      0xf0
#define HPET_ENABLE       1
#define HPET_MAX_FS       100000000 /* the specification's slowest */

#define PIT_CHANNEL0  0x40
#define PIT_COMMAND   0x43
#define PIT_ONE_SHOT  0x30 /* channel 0, low byte then high byte, mode 0 */
#define PIT_HZ        UINT64_C(1193182)
#define PIT_MAX_COUNT UINT64_C(0xffff)

#define PIC1_COMMAND 0x20
#define PIC_EOI      0x20

#define NS_PER_S  UINT64_C(1000000000)
#define FS_PER_NS 1000000
#define TICK_NS   (NS_PER_S / 64)

static uint64_t ns_per_count; /* 32.32 fixed point */
static uint64_t next_tick_ns;
static uint64_t wake_ns;
static void (*on_tick)(uint64_t now_ns);

static volatile uint32_t *hpet(unsigned int at)
{
        return ram_at(HPET_GPA + at);
}

/* Two halves, because QEMU splits a 64-bit access anyway and may carry between them. */
static uint64_t hpet_counter(void)
{
        uint32_t high, low;

        do {
                high = *hpet(HPET_COUNTER + 4);
                low = *hpet(HPET_COUNTER);
        } while (high != *hpet(HPET_COUNTER + 4));
        return (uint64_t)high << 32 | low;
}

uint64_t clock_ns(void)
{
        return (uint64_t)((unsigned __int128)hpet_counter() * ns_per_count >> 32);
}

static void arm(uint64_t now_ns)
{
        uint64_t due_ns = wake_ns && wake_ns < next_tick_ns ? wake_ns : next_tick_ns;
        uint64_t left_ns = due_ns > now_ns ? due_ns - now_ns : 0;
        uint64_t count = left_ns < NS_PER_S ? left_ns * PIT_HZ / NS_PER_S + 1 : PIT_MAX_COUNT;

        if (count > PIT_MAX_COUNT)
                count = PIT_MAX_COUNT;
        cpu_out8(PIT_COMMAND, PIT_ONE_SHOT);
        cpu_out8(PIT_CHANNEL0, (uint8_t)count);
        cpu_out8(PIT_CHANNEL0, (uint8_t)(count >> 8));
}

void clock_interrupt(void)
{
        uint64_t now_ns = clock_ns();

        if (now_ns >= next_tick_ns) {
                on_tick(now_ns);
                next_tick_ns = now_ns - now_ns % TICK_NS + TICK_NS;
        }
        if (now_ns >= wake_ns)
                wake_ns = 0;
        arm(now_ns);
        cpu_out8(PIC1_COMMAND, PIC_EOI);
}

void clock_wait(uint64_t deadline_ns)
{
        uint64_t now_ns;

        cpu_irq_off();
        now_ns = clock_ns();
        if (deadline_ns > now_ns) {
                wake_ns = deadline_ns;
                arm(now_ns);
                cpu_irq_on_and_wait();
        }
        cpu_irq_on();
}

void clock_init(void (*tick)(uint64_t now_ns))
{
        uint32_t period_fs = *hpet(HPET_CAPABILITIES + 4);

        if (period_fs == 0 || period_fs > HPET_MAX_FS)
                trap_panic("no HPET: start QEMU with -machine q35,hpet=on");
        ns_per_count = ((uint64_t)period_fs << 32) / FS_PER_NS;
        *hpet(HPET_CONFIG) |= HPET_ENABLE;
        on_tick = tick;
        next_tick_ns = clock_ns() + TICK_NS;
        arm(clock_ns());
}
