/*
 * vm_main.c - the guest kernel: boots, builds the Windows-like machine in its own RAM, and lives in it
 *
 * One CPU, one thread, and a timer interrupt that ticks the machine's clock and the producer's heartbeat, so neither
 * stops while a large frame is being drawn or a process is being built.
 */
#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "cmos.h"
#include "command.h"
#include "cpu.h"
#include "desktop.h"
#include "layout.h"
#include "machine.h"
#include "memory.h"
#include "options.h"
#include "ram.h"
#include "serial.h"
#include "text.h"
#include "trap.h"

#define LOW_RAM UINT64_C(0x1000000)

/* The assembler's way in. */
__attribute__((noreturn)) void vm_main(uint64_t start_info);

static struct ram ram;
static struct options options;
static struct phys phys;
static struct machine machine;
static struct desktop desktop;

static void *at(void *ctx, uint64_t gpa)
{
        (void)ctx;
        return ram_at(gpa);
}

static void tick(uint64_t now_ns)
{
        machine_tick(&machine, now_ns);
        desktop_tick(&desktop, now_ns);
}

static void give(uint64_t from, uint64_t to)
{
        if (from >= to)
                return;
        if (phys.n_extents == PHYS_MAX_EXTENTS)
                trap_panic("more pieces of RAM than the builder has room for");
        phys.extents[phys.n_extents++] = (struct phys_extent){ from, to - from };
}

/* What the builder may have: all RAM but this image and the builder's own page bitmap. Return: the bitmap. */
static void *give_memory(void)
{
        const uint64_t first = VM_IMAGE_PHYS;
        uint64_t bitmap_bytes = ram.total / PAGE_BYTES / 8 + PAGE_BYTES;
        uint64_t end = (ram.free_from + bitmap_bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);

        phys.at = at;
        for (unsigned int i = 0; i < ram.n_extents; i++) {
                uint64_t from = ram.extent[i].gpa, to = from + ram.extent[i].len;

                give(from, to < first ? to : first);
                give(from > end ? from : end, to);
        }
        if (pages_storage_bytes(&phys) > bitmap_bytes)
                trap_panic("more RAM than QEMU was given");
        return ram_at(ram.free_from);
}

/* A reset leaves RAM as it was; what firmware and a loader write over is gone, the old life's start block with it. */
static void clear_low_ram(void)
{
        for (size_t i = 0; i < phys.n_extents; i++) {
                uint64_t from = phys.extents[i].gpa, to = from + phys.extents[i].len;

                to = to < LOW_RAM ? to : LOW_RAM;
                if (from < to)
                        memset(ram_at(from), 0, to - from);
        }
}

static bool resolve_fault(uint64_t va)
{
        return desktop_fault(&desktop, va);
}

static void build(uint32_t boot)
{
        void *storage = give_memory();
        struct machine_config cfg = {
                .build = options.build,
                .n_processes = options.n_processes,
                .seed = options.seed,
                .boot_id = boot,
                .paging = options.paging,
                .place = options.place,
                .foreign = { { VM_DIRECT_SLOT, ram.direct_entry } },
                .n_foreign = 1,
        };

        clear_low_ram();
        machine_init(&machine, &phys, storage);
        if (!machine_boot(&machine, &cfg))
                trap_panic(machine.error);
        cpu_set_cr3(machine.kcr3);

        desktop.machine = &machine;
        desktop.mode = options.mode;
        desktop.n_slots = options.n_slots;
        if (!options.no_producer && !desktop_start(&desktop))
                trap_panic(machine.error ? machine.error : "the region could not be published");
}

void vm_main(uint64_t start_info)
{
        struct command_context context = { .desktop = &desktop };
        const char *bad;
        char *line;

        serial_init();
        trap_init();
        ram_init(&ram, start_info);
        context.ram_total = ram.total;
        bad = options_parse(ram.command_line, &options);
        if (bad) {
                serial_puts("error option ");
                serial_puts(bad);
                trap_panic("the kernel command line makes no sense");
        }
        if (!options.seeded)
                options.seed = cpu_tsc();
        clock_init(tick);
        trap_on_page_fault(resolve_fault);
        build(cmos_count_boot());
        cpu_irq_on();
        command_ready(&context);

        for (;;) {
                uint64_t due_ns = desktop_run(&desktop);

                while (serial_line(&line))
                        command_run(&context, line);
                clock_wait(due_ns);
        }
}
