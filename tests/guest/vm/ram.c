/*
 * ram.c - the memory map from the PVH start info, and the direct map
 *
 * The direct map's tables are static: one PDPT and as many directories as RAM_MAX_GIB, so building them needs no
 * allocator and nothing of them can land where the machine is going to be built.
 */
#include "ram.h"

#include <stdbool.h>
#include <stddef.h>

#include "cpu.h"
#include "layout.h"
#include "trap.h"

#define START_INFO_MAGIC 0x336ec578
#define MEMMAP_RAM       1

#define FW_CFG_SELECTOR 0x510
#define FW_CFG_DATA     0x511
#define FW_CFG_RAM_SIZE 3

#define RAM_MAX_GIB 64
#define LARGE_PAGE  UINT64_C(0x200000)
#define DEVICES_GPA UINT64_C(0xfec00000) /* IOAPIC, HPET, local APIC */
#define DEVICES_END UINT64_C(0xff000000)

#define PTE_P       UINT64_C(0x001)
#define PTE_RW      UINT64_C(0x002)
#define PTE_PWT_PCD UINT64_C(0x018)
#define PTE_A_D     UINT64_C(0x060)
#define PTE_PS      UINT64_C(0x080)
#define PTE_NX      (UINT64_C(1) << 63)

struct start_info {
        uint32_t magic;
        uint32_t version;
        uint32_t flags;
        uint32_t n_modules;
        uint64_t modules;
        uint64_t command_line;
        uint64_t rsdp;
        uint64_t memmap; /* version 1 on */
        uint32_t n_memmap;
        uint32_t reserved;
};

struct memmap_entry {
        uint64_t gpa;
        uint64_t len;
        uint32_t type;
        uint32_t reserved;
};

extern uint8_t vm_image_end[]; /* the linker script's */

static uint64_t direct_pdpt[512] __attribute__((aligned(4096)));
static uint64_t direct_pd[RAM_MAX_GIB][512] __attribute__((aligned(4096)));

static uint64_t image_gpa(const void *p)
{
        return (uint64_t)p - VM_DIRECT_BASE;
}

void *ram_at(uint64_t gpa)
{
        return (void *)(VM_DIRECT_BASE + gpa);
}

static void add_extent(struct ram *ram, uint64_t gpa, uint64_t len)
{
        uint64_t first = (gpa + 0xfff) & ~UINT64_C(0xfff);
        uint64_t end = (gpa + len) & ~UINT64_C(0xfff);

        if (end <= first)
                return;
        if (ram->n_extents == RAM_MAX_EXTENTS)
                trap_panic("more pieces of RAM than this kernel has room for");
        ram->extent[ram->n_extents++] = (struct ram_extent){ first, end - first };
}

static void read_start_info(struct ram *ram, uint64_t at)
{
        const struct start_info *info = ram_at(at);
        const struct memmap_entry *map = ram_at(info->memmap);
        const char *command_line = ram_at(info->command_line);
        size_t len = 0;

        if (info->magic != START_INFO_MAGIC || info->version < 1 || info->n_memmap == 0)
                trap_panic("the PVH start info carries no memory map");
        for (uint32_t i = 0; i < info->n_memmap; i++) {
                if (map[i].type == MEMMAP_RAM)
                        add_extent(ram, map[i].gpa, map[i].len);
        }
        if (info->command_line) {
                while (command_line[len] && len < sizeof(ram->command_line) - 1) {
                        ram->command_line[len] = command_line[len];
                        len++;
                }
        }
        ram->command_line[len] = '\0';
}

/* The memory map leaves out what the firmware keeps, so the size QEMU was given is asked of QEMU. */
static uint64_t ask_ram_size(void)
{
        uint64_t size = 0;

        cpu_out16(FW_CFG_SELECTOR, FW_CFG_RAM_SIZE);
        for (int shift = 0; shift < 64; shift += 8)
                size |= (uint64_t)cpu_in8(FW_CFG_DATA) << shift;
        return size;
}

static void map_large(uint64_t first, uint64_t end, uint64_t attributes)
{
        for (uint64_t gpa = first & ~(LARGE_PAGE - 1); gpa < end; gpa += LARGE_PAGE) {
                uint64_t gib = gpa >> 30;

                if (gib >= RAM_MAX_GIB)
                        trap_panic("more RAM than the direct map covers");
                direct_pdpt[gib] = image_gpa(direct_pd[gib]) | PTE_P | PTE_RW | PTE_A_D;
                direct_pd[gib][gpa >> 21 & 511] =
                        gpa | attributes | PTE_P | PTE_RW | PTE_PS | PTE_A_D;
        }
}

void ram_init(struct ram *ret_ram, uint64_t start_info)
{
        struct ram ram = { 0 };
        uint64_t *pml4 = ram_at(cpu_cr3());

        read_start_info(&ram, start_info);
        ram.total = ask_ram_size();
        ram.free_from = (image_gpa(vm_image_end) + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1);

        /* The first pages are legacy holes and firmware as much as RAM: one stretch, as the hardware sees it. */
        map_large(0, LARGE_PAGE, 0);
        for (unsigned int i = 0; i < ram.n_extents; i++)
                map_large(ram.extent[i].gpa, ram.extent[i].gpa + ram.extent[i].len, 0);
        map_large(DEVICES_GPA, DEVICES_END, PTE_PWT_PCD | PTE_NX);

        ram.direct_entry = image_gpa(direct_pdpt) | PTE_P | PTE_RW | PTE_A_D;
        pml4[VM_DIRECT_SLOT] = ram.direct_entry;
        cpu_set_cr3(cpu_cr3());
        *ret_ram = ram;
}
