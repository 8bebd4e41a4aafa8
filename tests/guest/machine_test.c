/*
 * machine_test.c - the machine, read back by somebody who knows nothing of its builder
 *
 * The reader below is the plainest one possible: an array of RAM, the page-table format from the processor's manual, the
 * lists and headers from Windows. Where it and the builder disagree, one of them is wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "machine.h"

#define HOLE   UINT64_C(0x80000000)
#define RAM    (UINT64_C(4) << 30)
#define REGION UINT64_C(0x320000)

static uint8_t *ram;
static struct machine machine; /* too large for a stack */
static void *storage;

static uint8_t *at(uint64_t gpa)
{
        if (gpa < HOLE)
                return ram + gpa;
        assert_true(gpa >= UINT64_C(0x100000000) && gpa < UINT64_C(0x100000000) + RAM - HOLE);
        return ram + gpa - UINT64_C(0x100000000) + HOLE;
}

static void *builder_at(void *ctx, uint64_t gpa)
{
        (void)ctx;
        return at(gpa);
}

static const struct phys phys = {
        .at = builder_at,
        .extents = { { 0, HOLE }, { 0x100000000, RAM - HOLE } },
        .n_extents = 2,
};

static uint64_t q(uint64_t gpa)
{
        uint64_t v;

        memcpy(&v, at(gpa), sizeof(v));
        return v;
}

/* What the processor would do. Return: gpa, or UINT64_MAX. */
static uint64_t walk(uint64_t cr3, uint64_t va)
{
        uint64_t table = cr3 & 0xFFFFFFFFFF000, e = 0;

        for (int shift = 39; shift >= 12; shift -= 9) {
                e = q(table + (va >> shift & 511) * 8);
                if (!(e & 1))
                        return UINT64_MAX;
                if (shift == 21 && (e & 0x80))
                        return (e & 0xFFFFFFFE00000) | (va & 0x1FFFFF);
                table = e & 0xFFFFFFFFFF000;
        }
        return table | (va & 0xFFF);
}

static uint64_t kread(uint64_t va)
{
        uint64_t gpa = walk(machine.kcr3, va);

        assert_true(gpa != UINT64_MAX);
        return q(gpa);
}

static uint32_t kread32(uint64_t va)
{
        return (uint32_t)kread(va);
}

static void boot(uint32_t build, enum machine_paging paging, enum pages_where place)
{
        const struct machine_config cfg = { .build = build,
                .n_processes = 60,
                .seed = 3,
                .boot_id = 1,
                .paging = paging,
                .place = place };

        assert_true(machine_boot(&machine, &cfg));
        machine_tick(&machine, UINT64_C(1000000000));
}

static int set_up(void **state)
{
        (void)state;
        ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                -1, 0);
        assert_true(ram != MAP_FAILED);
        storage = malloc(pages_storage_bytes(&phys));
        machine_init(&machine, &phys, storage);
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        munmap(ram, RAM);
        free(storage);
        return 0;
}

/* rva of an exported name, by the loader's own search: names are sorted. */
static uint32_t export_of(uint64_t base, const char *name)
{
        uint64_t nt = base + kread32(base + 0x3C), dir = base + kread32(nt + 24 + 112);
        uint32_t low = 0, high = kread32(dir + 0x18);

        while (low < high) {
                uint32_t mid = (low + high) / 2, ordinal;
                uint64_t text = base + kread32(base + kread32(dir + 0x20) + mid * 4);
                int order = strcmp(name, (char *)at(walk(machine.kcr3, text)));

                if (order == 0) {
                        ordinal = (uint16_t)kread(base + kread32(dir + 0x24) + mid * 2);
                        return kread32(base + kread32(dir + 0x1C) + ordinal * 4);
                }
                if (order < 0)
                        high = mid;
                else
                        low = mid + 1;
        }
        return 0;
}

static uint64_t displacement(uint64_t base, const char *name, const char *op, size_t n)
{
        uint32_t rva = export_of(base, name);
        const uint8_t *code;

        assert_int_not_equal(rva, 0);
        code = at(walk(machine.kcr3, base + rva));
        assert_memory_equal(code, op, n);
        assert_int_equal(code[n + 4], 0xC3);
        return code[n] | code[n + 1] << 8 | code[n + 2] << 16 | (uint64_t)code[n + 3] << 24;
}

struct list {
        uint64_t eprocess[600];
        uint32_t n;
};

/* Along one direction (0: Flink, 8: Blink) from System back to it, the list head left out. */
static struct list walk_list(uint64_t system, uint64_t links, uint64_t pid, int direction)
{
        struct list l = { .n = 0 };
        uint64_t va = system + links;

        do {
                uint64_t e = va - links, next = kread(va + (uint64_t)direction);

                assert_true(l.n < 600);
                if (kread(e + pid) != 0)
                        l.eprocess[l.n++] = e;
                assert_true(kread(next + 8 - (uint64_t)direction) == va);
                va = next;
        } while (va != system + links);
        return l;
}

static void the_start_block_names_the_root_and_an_entry_in_the_kernel(void **state)
{
        int found = 0;

        (void)state;
        boot(19045, MACHINE_CONTIGUOUS, PAGES_BOTH);
        for (uint64_t gpa = 0x1000; gpa < 0xA0000; gpa += 0x1000) {
                if ((q(gpa) & 0xFFFFFFFFFFFF00FF) != 0x00000001000600E9)
                        continue;
                assert_true((q(gpa + 0x70) & 0xFFFFF80000000003) == 0xFFFFF80000000000);
                assert_true((q(gpa + 0xA0) & 0xFFFFFF0000000FFF) == 0);
                assert_true(q(gpa + 0xA0) == machine.kcr3);
                assert_true(q(gpa + 0x70) - machine.kernel_base < machine.kernel_bytes);
                found++;
        }
        assert_int_equal(found, 1);
}

static void every_root_points_at_itself_and_shares_the_kernel_half(void **state)
{
        (void)state;
        boot(19045, MACHINE_CONTIGUOUS, PAGES_BOTH);
        for (uint32_t i = 0; i < machine.n_processes; i++) {
                uint64_t cr3 = machine.processes[i].cr3;
                uint32_t self = 0, present = 0;

                for (uint64_t slot = 256; slot < 512; slot++) {
                        uint64_t e = q(cr3 + slot * 8);

                        present += e & 1;
                        if ((e & 1) && (e & 0xFFFFFFFFFF000) == cr3)
                                self++;
                        else
                                assert_true(e == q(machine.kcr3 + slot * 8));
                        assert_false((e & 1) && (e & 4));
                }
                assert_int_equal(self, 1);
                assert_true(present >= 7);
        }
}

static void every_process_is_reached_both_ways_by_offsets_from_the_code(void **state)
{
        (void)state;
        for (size_t i = 0; i < machine_n_layouts; i++) {
                uint32_t build = (uint32_t)atoi(machine_layouts[i].builds);
                uint64_t base, pid, name, ppid, peb, system;
                struct list forth, back;

                boot(build, MACHINE_CONTIGUOUS, PAGES_BOTH);
                base = machine.kernel_base;
                assert_int_equal((uint16_t)kread(base), 0x5A4D);
                assert_int_equal(
                        kread32(base + export_of(base, "NtBuildNumber")), 0xF0000000 | build);
                pid = displacement(base, "PsGetProcessId", "\x48\x8B\x81", 3);
                name = displacement(base, "PsGetProcessImageFileName", "\x48\x8D\x81", 3);
                peb = displacement(base, "PsGetProcessPeb", "\x48\x8B\x81", 3);
                ppid = displacement(
                        base, "PsGetProcessInheritedFromUniqueProcessId", "\x48\x8B\x81", 3);
                assert_int_equal(displacement(base, "PsGetProcessExitStatus", "\x8B\x81", 2),
                        machine_layouts[i].exit_status);
                system = kread(base + export_of(base, "PsInitialSystemProcess"));
                assert_true(kread(system + pid) == 4);

                forth = walk_list(system, pid + 8, pid, 0);
                back = walk_list(system, pid + 8, pid, 8);
                assert_int_equal(forth.n, 60);
                assert_int_equal(back.n, 60);
                assert_string_equal(at(walk(machine.kcr3, forth.eprocess[1] + name)), "smss.exe");
                assert_true(kread(forth.eprocess[1] + ppid) == 4);
                for (uint32_t k = 0; k < forth.n; k++) {
                        uint64_t e = forth.eprocess[k], dtb = kread(e + 0x28);

                        assert_true(back.eprocess[(60 - k) % 60] == e);
                        assert_int_equal(kread32(e + machine_layouts[i].exit_status), 0x103);
                        assert_true(walk(dtb, machine.kernel_base) ==
                                    walk(machine.kcr3, machine.kernel_base));
                        if (kread(e + peb))
                                assert_true(walk(dtb, kread(e + peb)) != UINT64_MAX);
                }
        }
}

static void objects_hang_where_other_tools_look_for_them(void **state)
{
        const struct machine_layout *l = machine_layout_of(19045);
        const struct machine_process *p = NULL;
        uint64_t audit, text;
        char narrow[128] = "";

        (void)state;
        boot(19045, MACHINE_CONTIGUOUS, PAGES_BOTH);
        for (uint32_t i = 0; i < machine.n_processes; i++)
                if (strcmp(machine.processes[i].name, "explorer.exe") == 0)
                        p = &machine.processes[i];
        assert_non_null(p);
        assert_memory_equal(
                at(walk(machine.kcr3, kread(p->eprocess + l->object_table) - 0x10 + 4)), "Obtb", 4);
        audit = kread(p->eprocess + l->audit_name);
        text = kread(audit + 8);
        for (uint32_t i = 0; i < (uint16_t)kread(audit) / 2u && i < 127; i++)
                narrow[i] = (char)kread(text + 2 * i);
        assert_string_equal(narrow, "\\Device\\HarddiskVolume3\\Windows\\System32\\explorer.exe");
        assert_true(kread(p->eprocess + l->vad_root) != 0);
}

static void the_shared_page_tells_build_boot_and_time(void **state)
{
        const uint64_t kuser = 0xFFFFF78000000000;

        (void)state;
        boot(19045, MACHINE_CONTIGUOUS, PAGES_BOTH);
        assert_int_equal(kread32(kuser + 0x260), 19045);
        assert_int_equal(kread32(kuser + 0x26C), 10);
        assert_int_equal(kread32(kuser + 0x2C4), 1);
        assert_int_equal(kread32(kuser + 0x08), 10000000);
        machine_tick(&machine, UINT64_C(500) * 1000000000);
        assert_int_equal(kread32(kuser + 0x08), UINT64_C(5000000000) & 0xFFFFFFFF);
        assert_int_equal(kread32(kuser + 0x0C), 1);
        assert_int_equal(kread32(kuser + 0x10), 1);
        assert_int_equal(walk(machine.processes[1].cr3, 0x7FFE0000), walk(machine.kcr3, kuser));
}

/* The region's pages: distinct, zero, where they were asked to be, and the same in the segment. */
static void check_region(uint64_t bytes, enum machine_paging paging, enum pages_where place)
{
        const struct machine_region *r = &machine.region;
        uint64_t leaf = paging == MACHINE_LARGE ? 0x200000 : 0x1000, low = 0, high = 0, jumps = 0;
        uint8_t *seen = calloc(1, (size_t)(RAM + HOLE) / 0x1000);

        assert_int_equal(r->gva % (paging == MACHINE_LARGE ? 0x200000 : 0x10000), 0);
        assert_true(r->bytes >= bytes && r->bytes - bytes < leaf);
        for (uint64_t off = 0, last = 0; off < r->bytes; off += 0x1000) {
                uint64_t gpa = walk(machine.producer->cr3, r->gva + off);

                assert_true(gpa != UINT64_MAX);
                assert_int_equal(seen[gpa / 0x1000]++, 0);
                assert_true((kread(r->segment + off / 0x1000 * 8) & 0xFFFFFFFFFF000) == gpa);
                for (int i = 0; i < 0x1000; i += 8)
                        assert_true(q(gpa + (uint64_t)i) == 0);
                if (gpa < HOLE)
                        low++;
                else
                        high++;
                jumps += off > 0 && gpa != last + 0x1000;
                last = gpa;
        }
        assert_true(walk(machine.producer->cr3, r->gva + r->bytes) == UINT64_MAX);
        assert_true(place == PAGES_HIGH ? low == 0 : low > 0);
        assert_true(place == PAGES_LOW ? high == 0 : high > 0);
        if (paging == MACHINE_CONTIGUOUS)
                assert_true(jumps <= 1);
        if (paging == MACHINE_SCATTER)
                assert_true(jumps > r->bytes / 0x1000 / 2);
        free(seen);
}

static void the_region_lies_in_the_pages_it_was_asked_to(void **state)
{
        (void)state;
        for (int paging = MACHINE_CONTIGUOUS; paging <= MACHINE_LARGE; paging++) {
                for (int place = PAGES_LOW; place <= PAGES_BOTH; place++) {
                        /* Two large pages may fall on one side; sixteen hardly. */
                        uint64_t bytes = paging == MACHINE_LARGE ? 16 * 0x200000 : REGION;

                        boot(19045, (enum machine_paging)paging, (enum pages_where)place);
                        assert_true(machine_start_producer(&machine, bytes));
                        check_region(bytes, (enum machine_paging)paging, (enum pages_where)place);
                }
        }
}

static uint64_t object_gpa(const struct machine_process *p)
{
        return walk(machine.kcr3, p->eprocess);
}

static void a_dead_producer_is_marked_and_off_the_list_and_its_pages_go_on(void **state)
{
        const struct machine_layout *l = machine_layout_of(19045);
        uint64_t object, old_cr3, old_gva, gpa;
        uint32_t old_pid, n;

        (void)state;
        boot(19045, MACHINE_SCATTER, PAGES_BOTH);
        n = walk_list(machine.processes[0].eprocess, l->links, l->pid, 0).n;
        assert_true(machine_start_producer(&machine, REGION));
        assert_int_equal(walk_list(machine.processes[0].eprocess, l->links, l->pid, 0).n, n + 1);
        object = object_gpa(machine.producer);
        old_cr3 = machine.producer->cr3;
        old_gva = machine.region.gva;
        old_pid = machine.producer->pid;
        gpa = walk(old_cr3, old_gva);
        memset(at(gpa), 0x5A, 0x1000);

        machine_exit_process(&machine, machine.producer);
        assert_null(machine.producer);
        assert_int_equal((uint32_t)q(object + l->exit_status), 0);
        assert_true(q(object + l->exit_time) != 0);
        assert_true(q(object + l->pid) == old_pid);
        assert_int_equal(walk_list(machine.processes[0].eprocess, l->links, l->pid, 0).n, n);
        assert_true(walk(old_cr3, old_gva) == gpa); /* nobody wrote there yet: the trap is set */

        assert_true(machine_reuse_pages(&machine, 96));
        assert_true(machine_start_producer(&machine, REGION));
        assert_int_not_equal(machine.producer->pid, old_pid);
        assert_true(machine.producer->cr3 != old_cr3);
}

static void a_dead_producers_tables_become_somebody_elses(void **state)
{
        uint64_t tables[4], n_reused = 0;

        (void)state;
        boot(19045, MACHINE_CONTIGUOUS, PAGES_BOTH);
        assert_true(machine_start_producer(&machine, REGION));
        tables[0] = machine.producer->cr3;
        for (int i = 1, shift = 39; i < 4; i++, shift -= 9)
                tables[i] = q(tables[i - 1] + (machine.region.gva >> shift & 511) * 8) &
                            0xFFFFFFFFFF000;
        machine_exit_process(&machine, machine.producer);
        for (int k = 0; k < 8; k++) {
                uint8_t before[4][64];

                for (int i = 0; i < 4; i++)
                        memcpy(before[i], at(tables[i]), 64);
                assert_true(machine_reuse_pages(&machine, 96));
                for (int i = 0; i < 4; i++)
                        n_reused += memcmp(before[i], at(tables[i]), 64) != 0;
        }
        assert_true(n_reused > 0);
}

static void a_hundred_restarts_do_not_eat_the_ram(void **state)
{
        uint64_t used = 0;

        (void)state;
        boot(19045, MACHINE_SCATTER, PAGES_BOTH);
        assert_true(machine_start_producer(&machine, REGION));
        for (int i = 0; i < 100; i++) {
                machine_exit_process(&machine, machine.producer);
                assert_true(machine_start_producer(&machine, REGION));
                if (i == 9)
                        used = machine.pages.n_used;
        }
        assert_true(machine.pages.n_used < used + 100);
}

static void a_new_mapping_of_the_same_process_is_elsewhere_and_zero(void **state)
{
        uint64_t gva;
        uint32_t pid;

        (void)state;
        boot(19045, MACHINE_SCATTER, PAGES_BOTH);
        assert_true(machine_start_producer(&machine, 0x100000));
        gva = machine.region.gva;
        pid = machine.producer->pid;
        memset(at(walk(machine.producer->cr3, gva)), 0x5A, 0x1000);
        assert_true(machine_remap_region(&machine, REGION));
        assert_int_equal(machine.producer->pid, pid);
        assert_true(machine.region.gva != gva);
        assert_true(walk(machine.producer->cr3, gva) == UINT64_MAX);
        check_region(REGION, MACHINE_SCATTER, PAGES_BOTH);
}

static void a_reboot_moves_the_kernel_and_counts_the_boot(void **state)
{
        struct machine_config cfg;
        uint64_t base, kcr3;

        (void)state;
        boot(19045, MACHINE_CONTIGUOUS, PAGES_BOTH);
        base = machine.kernel_base;
        kcr3 = machine.kcr3;
        cfg = machine.cfg;
        cfg.boot_id = 2;
        assert_true(machine_boot(&machine, &cfg));
        assert_true(machine.kernel_base != base);
        assert_true(machine.kcr3 == kcr3); /* an equal root proves nothing */
        assert_int_equal(kread32(0xFFFFF780000002C4), 2);
        assert_int_equal(kread32(0xFFFFF78000000008), 0);
        assert_true(walk(machine.kcr3, base) == UINT64_MAX);
}

static void a_reboot_elsewhere_leaves_the_old_life_as_it_was(void **state)
{
        struct machine_config cfg;
        uint64_t base, kcr3, shared;

        (void)state;
        boot(19045, MACHINE_CONTIGUOUS, PAGES_BOTH);
        base = machine.kernel_base;
        kcr3 = machine.kcr3;
        shared = walk(kcr3, 0xFFFFF78000000000);
        cfg = machine.cfg;
        cfg.boot_id = 2;
        cfg.keep_ram = true;
        assert_true(machine_boot(&machine, &cfg));
        machine_tick(&machine, UINT64_C(2000000000));
        assert_true(machine.kcr3 != kcr3);
        assert_true(walk(kcr3, base) != UINT64_MAX);
        assert_int_equal((uint32_t)q(shared + 8), 10000000); /* its clock stands */
        assert_int_equal(kread32(0xFFFFF78000000008), 20000000);
}

static void the_same_seed_makes_the_same_machine(void **state)
{
        uint64_t base = 0, gva = 0, gpa = 0;

        (void)state;
        for (int i = 0; i < 2; i++) {
                machine_init(&machine, &phys, storage);
                boot(22631, MACHINE_SCATTER, PAGES_BOTH);
                assert_true(machine_start_producer(&machine, REGION));
                if (i == 0) {
                        base = machine.kernel_base;
                        gva = machine.region.gva;
                        gpa = walk(machine.producer->cr3, gva);
                }
        }
        assert_true(machine.kernel_base == base);
        assert_true(machine.region.gva == gva);
        assert_true(walk(machine.producer->cr3, gva) == gpa);
}

static void exhausted_ram_is_reported_and_not_overrun(void **state)
{
        static const struct phys small = {
                .at = builder_at, .extents = { { 0, 64 << 20 } }, .n_extents = 1
        };
        const struct machine_config cfg = { .build = 19045,
                .n_processes = 40,
                .seed = 1,
                .boot_id = 1,
                .paging = MACHINE_SCATTER,
                .place = PAGES_LOW };

        (void)state;
        machine_init(&machine, &small, storage);
        assert_true(machine_boot(&machine, &cfg));
        assert_false(machine_start_producer(&machine, 128 << 20));
        assert_non_null(machine.error);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(the_start_block_names_the_root_and_an_entry_in_the_kernel),
                TEST(every_root_points_at_itself_and_shares_the_kernel_half),
                TEST(every_process_is_reached_both_ways_by_offsets_from_the_code),
                TEST(objects_hang_where_other_tools_look_for_them),
                TEST(the_shared_page_tells_build_boot_and_time),
                TEST(the_region_lies_in_the_pages_it_was_asked_to),
                TEST(a_dead_producer_is_marked_and_off_the_list_and_its_pages_go_on),
                TEST(a_dead_producers_tables_become_somebody_elses),
                TEST(a_hundred_restarts_do_not_eat_the_ram),
                TEST(a_new_mapping_of_the_same_process_is_elsewhere_and_zero),
                TEST(a_reboot_moves_the_kernel_and_counts_the_boot),
                TEST(a_reboot_elsewhere_leaves_the_old_life_as_it_was),
                TEST(the_same_seed_makes_the_same_machine),
                TEST(exhausted_ram_is_reported_and_not_overrun),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
