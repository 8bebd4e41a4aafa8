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
#include "options.h"
#include "ram.h"
#include "serial.h"
#include "text.h"
#include "trap.h"

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

/* What the builder may have: all RAM but this image and its page bitmap. Return: the bitmap. */
static void *give_memory(void)
{
        void *storage = ram_at(ram.free_from);
        uint64_t free_from = ram.free_from;

        phys = (struct phys){ .at = at };
        for (unsigned int i = 0; i < ram.n_extents; i++) {
                phys.extents[i] = (struct phys_extent){ ram.extent[i].gpa, ram.extent[i].len };
                phys.n_extents++;
        }
        free_from += (pages_storage_bytes(&phys) + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
        for (size_t i = 0; i < phys.n_extents; i++) {
                struct phys_extent *extent = &phys.extents[i];

                if (extent->gpa > VM_IMAGE_PHYS || extent->gpa + extent->len <= free_from)
                        continue;
                if (extent->gpa + extent->len > VM_IMAGE_PHYS) {
                        extent->len -= free_from - extent->gpa;
                        extent->gpa = free_from;
                }
        }
        return storage;
}

static void build(uint32_t boot)
{
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

        machine_init(&machine, &phys, give_memory());
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
        bad = options_parse(ram.command_line, &options);
        if (bad) {
                serial_puts("error option ");
                serial_puts(bad);
                trap_panic("the kernel command line makes no sense");
        }
        if (!options.seeded)
                options.seed = cpu_tsc();
        context.boot = cmos_count_boot();
        context.ram_total = ram.total;
        clock_init(tick);
        build(context.boot);
        cpu_irq_on();
        command_ready(&context);

        for (;;) {
                uint64_t due_ns = desktop_run(&desktop);

                while (serial_line(&line))
                        command_run(&context, line);
                clock_wait(due_ns);
        }
}
