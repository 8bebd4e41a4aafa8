/*
 * breakage.c - see breakage.h
 *
 * Each kind of damage is one store or a few into a sound guest's memory, at a place found as the guest's own kernel would
 * find it.
 */
#include "breakage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define ADDRESS  UINT64_C(0x000ffffffffff000)
#define SHARED   UINT64_C(0xfffff78000000000)
#define UNMAPPED UINT64_C(0xffffc01234560000)

/* ---- places in a guest ---------------------------------------------------------------------------- */

static void *at_gpa(const struct guest *g, uint64_t gpa)
{
        return phys_at(g->machine.phys, gpa);
}

/* The entry of @level for @va. */
static uint64_t *entry(const struct guest *g, uint64_t cr3, uint64_t va, int level)
{
        uint64_t table = cr3 & ADDRESS;
        uint64_t *e = NULL;

        for (int l = 4; l >= level; l--) {
                e = (uint64_t *)at_gpa(g, table) + (va >> (12 + 9 * (l - 1)) & 511);
                table = *e & ADDRESS;
        }
        return e;
}

static uint8_t *image(const struct guest *g, uint32_t rva)
{
        return at_gpa(g, g->machine.kernel_gpa + rva);
}

static uint32_t *image32(const struct guest *g, uint32_t rva)
{
        return (uint32_t *)image(g, rva);
}

static uint32_t nt(const struct guest *g)
{
        return *image32(g, 0x3c);
}

static uint32_t export_directory(const struct guest *g)
{
        return *image32(g, nt(g) + 24 + 112);
}

static char *export_name(const struct guest *g, uint32_t index)
{
        return (char *)image(g, *image32(g, *image32(g, export_directory(g) + 0x20) + 4 * index));
}

static uint32_t export_index(const struct guest *g, const char *name)
{
        uint32_t n = *image32(g, export_directory(g) + 0x18);

        for (uint32_t i = 0; i < n; i++)
                if (strcmp(export_name(g, i), name) == 0)
                        return i;
        fail_msg("no export %s", name);
        return 0;
}

static uint8_t *export(const struct guest *g, const char *name)
{
        uint32_t dir = export_directory(g), i = export_index(g, name);
        uint16_t ordinal = *(uint16_t *)image(g, *image32(g, dir + 0x24) + 2 * i);

        return image(g, *image32(g, *image32(g, dir + 0x1c) + 4 * ordinal));
}

/* The next name in the alphabet, so that the others are still found. */
static void rename_export(const struct guest *g, const char *name)
{
        char *there = export_name(g, export_index(g, name));

        there[strlen(there) - 1]++;
}

static uint8_t *process_at(const struct guest *g, uint32_t index, uint32_t offset)
{
        return (uint8_t *)at_gpa(g, g->machine.processes[index].eprocess_gpa) + offset;
}

static void put32_at(void *at, uint32_t value)
{
        memcpy(at, &value, sizeof value);
}

static void put64_at(void *at, uint64_t value)
{
        memcpy(at, &value, sizeof value);
}

static vgpu_producer_t *block(const struct guest *g)
{
        return (vgpu_producer_t *)g->producer.view.at;
}

/* ---- damage --------------------------------------------------------------------------------------- */

static void wipe(struct guest *g)
{
        assert_int_equal(madvise(g->ram.base, g->ram.size, MADV_REMOVE), 0);
}

/* A start block alone in empty RAM, naming a root. */
static void stub_naming(struct guest *g, uint64_t kcr3)
{
        uint8_t *page;

        wipe(g);
        page = at_gpa(g, 0x13000);
        put64_at(page, UINT64_C(0x0000000100064de9));
        put64_at(page + 0x70, UINT64_C(0xfffff80312345000));
        put64_at(page + 0xa0, kcr3);
}

static void random_bytes(struct guest *g)
{
        uint64_t x = 88172645463325252;

        for (uint64_t i = 0; i < g->ram.size; i += 8) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                put64_at(g->ram.base + i, x);
        }
}

static void stub_to_an_empty_page(struct guest *g)
{
        stub_naming(g, 0x1ad000);
}

static void stub_to_no_ram(struct guest *g)
{
        stub_naming(g, UINT64_C(0x7f00000000));
}

static void root_is_an_empty_page(struct guest *g)
{
        memset(at_gpa(g, g->machine.kcr3), 0, 4096);
}

static void kernel_half_unmapped(struct guest *g)
{
        *entry(g, g->machine.kcr3, g->machine.kernel_base, 4) = 0;
}

static void headers_lead_nowhere(struct guest *g)
{
        *image32(g, 0x3c) = 3;
}

static void mz_broken(struct guest *g)
{
        image(g, 0)[0] = 'X';
}

static void machine_is_i386(struct guest *g)
{
        uint16_t i386 = 0x14c;

        memcpy(image(g, nt(g) + 4), &i386, sizeof i386);
}

static void size_of_image_absurd(struct guest *g)
{
        *image32(g, nt(g) + 24 + 56) = UINT32_MAX;
}

static void no_export_directory(struct guest *g)
{
        *image32(g, nt(g) + 24 + 112) = 0;
}

static void export_directory_beyond_image(struct guest *g)
{
        *image32(g, nt(g) + 24 + 112) = 0x7fffffff;
}

static void image_named_otherwise(struct guest *g)
{
        memcpy(image(g, *image32(g, export_directory(g) + 0x0c)), "hal.dll", 8);
}

static void export_tables_beyond_image(struct guest *g)
{
        *image32(g, export_directory(g) + 0x20) = 0xfffffff0;
}

static void shared_data_unmapped(struct guest *g)
{
        *entry(g, g->machine.kcr3, SHARED, 1) = 0;
}

static void no_initial_process_export(struct guest *g)
{
        rename_export(g, "PsInitialSystemProcess");
}

static void initial_process_null(struct guest *g)
{
        put64_at(export(g, "PsInitialSystemProcess"), 0);
}

static void initial_process_dangling(struct guest *g)
{
        put64_at(export(g, "PsInitialSystemProcess"), UNMAPPED);
}

static void initial_process_user_address(struct guest *g)
{
        put64_at(export(g, "PsInitialSystemProcess"), 0x7ff612340000);
}

static void build_and_accessor_unknown(struct guest *g)
{
        rename_export(g, "NtBuildNumber");
        rename_export(g, "PsGetProcessCreateTimeQuadPart");
}

static void accessor_of_an_unknown_build_missing(struct guest *g)
{
        rename_export(g, "PsGetProcessInheritedFromUniqueProcessId");
}

static void pid_accessor_contradicts(struct guest *g)
{
        put32_at(export(g, "PsGetProcessId") + 3, g->machine.layout->pid + 8u);
}

static void name_accessor_contradicts(struct guest *g)
{
        put32_at(export(g, "PsGetProcessImageFileName") + 3, g->machine.layout->image_name + 16u);
}

static void system_name_wrong(struct guest *g)
{
        memcpy(process_at(g, 0, g->machine.layout->image_name), "Sistem", 6);
}

static void system_pid_wrong(struct guest *g)
{
        put64_at(process_at(g, 0, g->machine.layout->pid), 8);
}

static void system_root_is_another(struct guest *g)
{
        put64_at(process_at(g, 0, 0x28), g->machine.processes[1].cr3);
}

static void system_parent_wrong(struct guest *g)
{
        put64_at(process_at(g, 0, g->machine.layout->ppid), 4242);
}

static void system_create_time_wrong(struct guest *g)
{
        put64_at(process_at(g, 0, g->machine.layout->create_time), 42);
}

static void system_has_ended(struct guest *g)
{
        put32_at(process_at(g, 0, g->machine.layout->exit_status), 0);
}

static void system_links_to_itself(struct guest *g)
{
        put64_at(process_at(g, 0, g->machine.layout->links),
                g->machine.processes[0].eprocess + g->machine.layout->links);
}

static uint64_t links_of(const struct guest *g, uint32_t index)
{
        return g->machine.processes[index].eprocess + g->machine.layout->links;
}

static void list_cycles_past_system(struct guest *g)
{
        put64_at(process_at(g, 20, g->machine.layout->links), links_of(g, 10));
        put64_at(process_at(g, 10, g->machine.layout->links + 8), links_of(g, 20));
}

static void wrong_blink(struct guest *g)
{
        put64_at(process_at(g, 20, g->machine.layout->links + 8), links_of(g, 3));
}

static void list_leads_to_unmapped(struct guest *g)
{
        put64_at(process_at(g, 20, g->machine.layout->links), UNMAPPED);
}

static void list_leads_to_user_space(struct guest *g)
{
        put64_at(process_at(g, 20, g->machine.layout->links), 0x1000);
}

static void list_leads_outside_ram(struct guest *g)
{
        uint64_t *e = entry(g, g->machine.kcr3, g->machine.processes[20].eprocess, 1);

        *e = (*e & ~ADDRESS) | UINT64_C(0x7f00000000);
}

static void roots_are_elsewhere(struct guest *g)
{
        for (uint32_t i = 1; i < g->machine.n_processes; i++)
                put64_at(process_at(g, i, 0x28), UINT64_C(0x7f00000000) + i * 0x1000);
}

static void roots_are_other_pages(struct guest *g)
{
        for (uint32_t i = 1; i < g->machine.n_processes; i++)
                put64_at(process_at(g, i, 0x28), PHYS_HIGH + i * 0x1000);
}

static void magic_withdrawn(struct guest *g)
{
        block(g)->magic = 0;
}

static void checksum_wrong(struct guest *g)
{
        block(g)->identity_crc ^= 1;
}

static void another_process_pid(struct guest *g)
{
        vgpu_producer_t *b = block(g);
        const struct vgpu_producer_setup setup = {
                .pid = b->producer_pid + 4,
                .slot_count = b->slot_count,
                .slot_stride = b->slot_stride,
                .heartbeat_period_ms = b->heartbeat_period_ms,
        };

        assert_true(vgpu_producer_reinit(&g->producer.writer, &setup));
}

static void another_abi(struct guest *g)
{
        block(g)->abi_version = 0x00020000;
}

static void producer_block_of_another_size(struct guest *g)
{
        block(g)->producer_bytes = 0x2000;
}

static void one_slot(struct guest *g)
{
        block(g)->slot_count = 1;
}

static void odd_slot_stride(struct guest *g)
{
        block(g)->slot_stride += 1;
}

static void region_size_wrong(struct guest *g)
{
        block(g)->region_bytes += 0x1000;
}

static void heartbeat_period_wrong(struct guest *g)
{
        block(g)->heartbeat_period_ms = 5000;
}

static void producer_hangs(struct guest *g)
{
        assert_true(guest_set_hung(g, true));
}

static void paused(struct guest *g)
{
        guest_pause(g);
}

/* A producer that has published and from now on only keeps its heartbeat. */
static void publish_and_rest(struct guest *g)
{
        guest_run_due(g);
        assert_true(g->producer.n_frames > 0);
        g->producer.told_pause = true;
}

/* The last-level entries of all pixels, as Windows would leave them; the producer's own view is not through them. */
static void set_pixel_entries(struct guest *g, uint64_t value)
{
        publish_and_rest(g);
        for (uint64_t at = VGPU_RING_OFFSET; at < g->machine.region.bytes; at += PAGE_BYTES)
                *entry(g, g->machine.producer->cr3, g->machine.region.gva + at, 1) = value;
}

/* Trimmed from the working set, their bytes still where they were: nothing that a reader could not wait for. */
void pixels_in_transition(struct guest *g)
{
        const uint64_t transition = 1 << 11, swizzle = 1 << 4, protection = 4 << 5;

        publish_and_rest(g);
        for (uint64_t at = VGPU_RING_OFFSET; at < g->machine.region.bytes; at += PAGE_BYTES) {
                uint64_t *e = entry(g, g->machine.producer->cr3, g->machine.region.gva + at, 1);

                *e = (*e & ADDRESS) | transition | swizzle | protection;
        }
}

/* No root says any more that it is one. */
void lose_self_references(struct guest *g)
{
        for (uint32_t i = 0; i < g->machine.n_processes; i++)
                *((uint64_t *)at_gpa(g, g->machine.processes[i].cr3) + g->machine.self_slot) = 0;
}

static void pixels_unmapped(struct guest *g)
{
        set_pixel_entries(g, 0);
}

static void pixels_in_the_pagefile(struct guest *g)
{
        set_pixel_entries(g, UINT64_C(0x0000123400000080));
}

static void pixels_for_the_vads_to_say(struct guest *g)
{
        set_pixel_entries(g, UINT64_C(0xffffffff00000400));
}

static void pixels_behind_no_prototype(struct guest *g)
{
        set_pixel_entries(g, UNMAPPED << 16 | 0x400);
}

static void pixels_beyond_ram(struct guest *g)
{
        set_pixel_entries(g, UINT64_C(0x7f00000000) | 0x67);
}

static void pixels_of_the_kernel(struct guest *g)
{
        set_pixel_entries(g, g->machine.shared_gpa | 0x63);
}

static void frame_of_no_width(struct guest *g)
{
        publish_and_rest(g);
        for (uint32_t i = 0; i < VGPU_MAX_SLOTS; i++)
                block(g)->slot[i].width = 0;
}

static void frame_never_finished(struct guest *g)
{
        publish_and_rest(g);
        for (uint32_t i = 0; i < VGPU_MAX_SLOTS; i++)
                block(g)->slot[i].seq |= 1;
}

/* ---- the table ------------------------------------------------------------------------------------ */

#define ROW(n, d, s, w, ...)                                                                       \
        {                                                                                          \
                .name = (n), .damage = (d), .stage = (s), .says = (w), __VA_ARGS__                 \
        }

const struct breakage breakages[] = {
        /* source */
        ROW("RAM shorter than told", NULL, "source", "wanted", .ram_size = UINT64_C(8) << 30),
        ROW("a size of no whole pages", NULL, "source", "whole number of pages", .ram_size = 5000),
        /* kcr3 */
        ROW("RAM that was never written", wipe, "kcr3", "ever written"),
        ROW("nothing but random bytes", random_bytes, "kcr3", "no processor start block"),
        ROW("a stub that names an empty page", stub_to_an_empty_page, "kcr3",
                "maps no kernel half"),
        ROW("a stub that names no RAM", stub_to_no_ram, "kcr3", "not in RAM"),
        ROW("a given root that is no RAM", NULL, "kcr3", "not in RAM", .root = ROOT_WRONG,
                .kcr3 = UINT64_C(0x7f00000000)),
        ROW("a given root that maps nothing", root_is_an_empty_page, "kcr3", "maps no kernel half",
                .root = ROOT_GIVEN),
        /* kernel */
        ROW("the kernel range unmapped", kernel_half_unmapped, "kernel", "nothing is mapped",
                .root = ROOT_GIVEN),
        ROW("an image that only begins like one", headers_lead_nowhere, "kernel",
                "headers lead nowhere", .root = ROOT_GIVEN),
        ROW("MZ broken", mz_broken, "kernel", "no image begins", .root = ROOT_GIVEN),
        ROW("an image for another machine", machine_is_i386, "kernel", "another kind of processor",
                .root = ROOT_GIVEN),
        ROW("an image of absurd size", size_of_image_absurd, "kernel", "size is impossible",
                .root = ROOT_GIVEN),
        ROW("an image without exports", no_export_directory, "kernel", "exports nothing",
                .root = ROOT_GIVEN),
        ROW("exports beyond the image", export_directory_beyond_image, "kernel", "export directory",
                .root = ROOT_GIVEN),
        ROW("an image of another name", image_named_otherwise, "kernel", "another name",
                .root = ROOT_GIVEN),
        ROW("export tables beyond the image", export_tables_beyond_image, "kernel", "export tables",
                .root = ROOT_GIVEN),
        ROW("shared data unmapped", shared_data_unmapped, "kernel", "KUSER_SHARED_DATA",
                .root = ROOT_GIVEN),
        ROW("no export for System", no_initial_process_export, "kernel", "no such export",
                .root = ROOT_GIVEN),
        ROW("System null", initial_process_null, "kernel", "null", .root = ROOT_GIVEN),
        ROW("System in user space", initial_process_user_address, "kernel", "no kernel object",
                .root = ROOT_GIVEN),
        /* offsets */
        ROW("System dangling", initial_process_dangling, "offsets", "PsInitialSystemProcess",
                .root = ROOT_GIVEN),
        ROW("no build number, no accessor", build_and_accessor_unknown, "offsets", "CreateTime",
                .root = ROOT_GIVEN, .options = "--build 7601"),
        ROW("an unknown build without an accessor", accessor_of_an_unknown_build_missing, "offsets",
                "InheritedFromUniqueProcessId", .root = ROOT_GIVEN, .options = "--build future"),
        ROW("the pid's accessor contradicts the table", pid_accessor_contradicts, "offsets",
                "UniqueProcessId", .root = ROOT_GIVEN),
        ROW("the name's accessor contradicts the table", name_accessor_contradicts, "offsets",
                "ImageFileName", .root = ROOT_GIVEN),
        ROW("System has another name", system_name_wrong, "offsets", "ImageFileName",
                .root = ROOT_GIVEN),
        ROW("System has another pid", system_pid_wrong, "offsets", "UniqueProcessId",
                .root = ROOT_GIVEN),
        ROW("System has another root", system_root_is_another, "offsets", "root",
                .root = ROOT_GIVEN),
        ROW("System has a parent", system_parent_wrong, "offsets", "InheritedFromUniqueProcessId",
                .root = ROOT_GIVEN),
        ROW("System was created in 1601", system_create_time_wrong, "offsets", "CreateTime",
                .root = ROOT_GIVEN),
        ROW("System has ended", system_has_ended, "offsets", "ExitStatus", .root = ROOT_GIVEN),
        ROW("System alone on the list", system_links_to_itself, "offsets", "ActiveProcessLinks",
                .root = ROOT_GIVEN),
        /* processes */
        ROW("a list that cycles", list_cycles_past_system, "processes", "never comes back",
                .root = ROOT_GIVEN),
        ROW("a wrong Blink", wrong_blink, "processes", "back and forth", .root = ROOT_GIVEN),
        ROW("a list that leads to nowhere", list_leads_to_unmapped, "processes", "not mapped",
                .root = ROOT_GIVEN),
        ROW("a list that leads to user space", list_leads_to_user_space, "processes", "0x1000",
                .root = ROOT_GIVEN),
        ROW("a process outside of RAM", list_leads_outside_ram, "processes", "outside guest RAM",
                .root = ROOT_GIVEN),
        ROW("roots outside of RAM", roots_are_elsewhere, "processes", "beyond RAM",
                .root = ROOT_GIVEN),
        ROW("roots elsewhere in RAM", roots_are_other_pages, "processes", "is not there",
                .root = ROOT_GIVEN, .options = "--ram-size 4G --place low"),
        /* candidates */
        ROW("no producer", NULL, "candidates", "no process holds a region",
                .options = "--no-producer"),
        ROW("a region withdrawn", magic_withdrawn, "candidates", "magic"),
        ROW("a wrong identity checksum", checksum_wrong, "candidates", "checksum"),
        ROW("another process' pid", another_process_pid, "candidates", "another process"),
        ROW("another ABI", another_abi, "candidates", "another major version"),
        ROW("a producer block of another size", producer_block_of_another_size, "candidates",
                "not where the region ABI puts them"),
        ROW("a slot count out of range", one_slot, "candidates", "slot count"),
        ROW("an odd slot stride", odd_slot_stride, "candidates", "slot stride"),
        ROW("a region of another size", region_size_wrong, "candidates", "its size"),
        ROW("a heartbeat out of range", heartbeat_period_wrong, "candidates", "heartbeat period"),
        /* alive */
        ROW("a producer that hangs", producer_hangs, "alive", "the producer has ended or hangs",
                .runs = true),
        ROW("a machine that is paused", paused, "alive", "paused or off"),
        /* frame */
        ROW("a region mapped in part", pixels_unmapped, "frame", "entry is zero", .runs = true),
        ROW("pixels in the pagefile", pixels_in_the_pagefile, "frame", "pagefile", .runs = true),
        ROW("pixels for the VADs to say", pixels_for_the_vads_to_say, "frame", "VADs",
                .runs = true),
        ROW("pixels behind no prototype", pixels_behind_no_prototype, "frame", "prototype",
                .runs = true),
        ROW("pixels beyond RAM", pixels_beyond_ram, "frame", "outside guest RAM", .runs = true),
        ROW("pixels of the kernel", pixels_of_the_kernel, "frame", "for the kernel only",
                .runs = true),
        ROW("a frame of no width", frame_of_no_width, "frame", "descriptor", .runs = true),
        ROW("a frame that is never finished", frame_never_finished, "frame", "left alone",
                .runs = true),
};

#define N_BREAKAGES (sizeof breakages / sizeof breakages[0])

_Static_assert(N_BREAKAGES >= 30 && N_BREAKAGES <= BREAKAGES_MAX, "thirty kinds at least");

const size_t n_breakages = N_BREAKAGES;
