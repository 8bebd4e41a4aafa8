/*
 * machine_state_test.c - what a machine can be besides healthy and small, read back word by word
 *
 * Page states, five levels, user roots, processes that have exited, thousands of them, and damage. The expected bits are
 * written out here from the processor's manual and Windows' public structures, not taken from the builder.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "ram.h"

#define REGION  UINT64_C(0x40000)
#define ADDRESS UINT64_C(0xFFFFFFFFFF000)

static struct ram ram;
static struct machine machine; /* too large for a stack */
static void *storage;

static struct machine_config config(uint32_t build)
{
        return (struct machine_config){ .build = build,
                .n_processes = 60,
                .seed = 3,
                .boot_id = 1,
                .paging = MACHINE_SCATTER,
                .place = PAGES_BOTH };
}

static void boot(const struct machine_config *cfg)
{
        if (!machine_boot(&machine, cfg))
                fail_msg("%s", machine.error);
        machine_tick(&machine, UINT64_C(1000000000));
}

static void start(uint32_t build)
{
        const struct machine_config cfg = config(build);

        boot(&cfg);
        assert_true(machine_start_producer(&machine, REGION));
}

static int set_up(void **state)
{
        (void)state;
        ram = (struct ram)RAM_NULL;
        assert_int_equal(ram_open(&ram, NULL, RAM_Q35, UINT64_C(4) << 30), 0);
        storage = malloc(pages_storage_bytes(&ram.phys));
        machine_init(&machine, &ram.phys, storage);
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        ram_close(&ram);
        free(storage);
        return 0;
}

static uint64_t *word(uint64_t gpa)
{
        return phys_at(&ram.phys, gpa);
}

/* The entry for @va, wherever the valid ones above it lead. */
static uint64_t *entry_of(uint64_t root, uint64_t va, int levels, int level)
{
        uint64_t *table = word(root & ADDRESS);

        for (int at = levels; at > level; at--) {
                uint64_t e = table[va >> (12 + 9 * (at - 1)) & 511];

                assert_true(e & 1);
                assert_false(at <= 3 && (e & 0x80));
                table = word(e & ADDRESS);
        }
        return &table[va >> (12 + 9 * (level - 1)) & 511];
}

static uint64_t leaf(uint64_t offset)
{
        return *entry_of(machine.producer->cr3, machine.region.gva + offset, 4, 1);
}

static uint64_t prototype_va(uint64_t offset)
{
        return machine.region.segment + offset / 0x1000 * 8;
}

static uint64_t prototype(uint64_t offset)
{
        uint64_t va = prototype_va(offset);

        return word(*entry_of(machine.kcr3, va, 4, 1) & ADDRESS)[va % 0x1000 / 8];
}

static uint64_t gpa_of(uint64_t offset)
{
        return machine_translate(
                &machine, machine.producer->cr3, machine.region.gva + offset, NULL);
}

static void a_page_that_is_not_valid_says_what_windows_would_say(void **state)
{
        const uint64_t at = 0x12000; /* an even page: never swizzled */
        uint64_t gpa;

        (void)state;
        start(17134);
        gpa = gpa_of(at);
        assert_true(machine_set_state(&machine, at, MACHINE_TRANSITION));
        assert_true(leaf(at) == (gpa | 0x880));
        assert_true(machine_set_state(&machine, at, MACHINE_PROTOTYPE));
        assert_true(leaf(at) == (prototype_va(at) << 16 | 0x400));
        assert_true((prototype(at) & ADDRESS) == gpa && (prototype(at) & 1));
        assert_true(machine_set_state(&machine, at, MACHINE_PROTOTYPE_TRANSITION));
        assert_true(leaf(at) == (prototype_va(at) << 16 | 0x400));
        assert_true(prototype(at) == (gpa | 0x880));
        assert_true(machine_set_state(&machine, at, MACHINE_PROTOTYPE_ZERO));
        assert_true(prototype(at) == 0x80);
        assert_true(machine_set_state(&machine, at, MACHINE_PROTOTYPE_VAD));
        assert_true(leaf(at) == 0xFFFFFFFF00000480);
        assert_true(machine_set_state(&machine, at, MACHINE_DEMAND_ZERO));
        assert_true(leaf(at) == 0x80);
        assert_true(machine_set_state(&machine, at, MACHINE_PAGEFILE));
        assert_true((leaf(at) & 0xC01) == 0 && leaf(at) >> 32 != 0);
        assert_true(machine_set_state(&machine, at, MACHINE_NO_ENTRY));
        assert_true(leaf(at) == 0);
        assert_true(machine_set_state(&machine, at, MACHINE_VALID));
        assert_true((leaf(at) & ADDRESS) == gpa && (leaf(at) & 7) == 7);
}

static void since_1809_an_address_bit_may_be_flipped_and_the_entry_says_so(void **state)
{
        (void)state;
        start(17763);
        for (uint64_t at = 0; at < REGION; at += 0x1000) {
                uint64_t gpa = gpa_of(at), e;

                assert_true(machine_set_state(&machine, at, MACHINE_TRANSITION));
                e = leaf(at);
                if (at / 0x1000 % 2) {
                        uint64_t flipped = (e ^ gpa) & ADDRESS;

                        assert_false(e & 0x10);
                        assert_true(flipped > ram.size * 2 && (flipped & (flipped - 1)) == 0);
                } else {
                        assert_true(e & 0x10);
                        assert_true((e & ADDRESS) == gpa);
                }
        }
}

static void a_page_comes_back_from_every_state_with_its_bytes(void **state)
{
        (void)state;
        start(22631);
        for (int s = 0; s < MACHINE_N_STATES; s++) {
                for (uint64_t at = 0; at < REGION; at += 0x1000) {
                        uint64_t gpa = gpa_of(at);

                        *word(gpa) = at + (uint64_t)s;
                        assert_true(machine_set_state(&machine, at, (enum machine_state)s));
                        assert_true(machine_set_state(&machine, at, MACHINE_VALID));
                        assert_true(gpa_of(at) == gpa);
                        assert_true(*word(gpa) == at + (uint64_t)s);
                }
        }
        assert_false(machine_set_state(&machine, REGION, MACHINE_VALID));
}

static void a_page_that_is_read_in_shows_other_bytes_until_it_is_there(void **state)
{
        uint64_t gpa, aside, used;

        (void)state;
        start(26100);
        gpa = gpa_of(0x4000);
        used = machine.pages.n_used;
        *word(gpa) = 0x1234;
        assert_true(machine_begin_page_in(&machine, 0x4000, &aside));
        assert_true((leaf(0x4000) & 0xC01) == 0x800);
        assert_true((leaf(0x4000) & ADDRESS) == gpa);
        assert_true(*word(gpa) != 0x1234);
        machine_end_page_in(&machine, 0x4000, aside);
        assert_true(gpa_of(0x4000) == gpa && *word(gpa) == 0x1234);
        assert_true(machine.pages.n_used == used);
        assert_false(machine_begin_page_in(&machine, REGION, &aside));
        assert_true(machine.pages.n_used == used);
}

static void large_pages_are_never_trimmed(void **state)
{
        struct machine_config cfg = config(19045);

        (void)state;
        for (int paging = MACHINE_LARGE; paging <= MACHINE_HUGE; paging++) {
                uint64_t bytes, gpa;

                cfg.paging = (enum machine_paging)paging;
                boot(&cfg);
                assert_true(machine_start_producer(&machine, REGION));
                gpa = machine_translate(
                        &machine, machine.producer->cr3, machine.region.gva, &bytes);
                assert_true(gpa != 0 && gpa % bytes == 0);
                assert_true(bytes == (paging == MACHINE_LARGE ? 0x200000 : 0x40000000));
                assert_false(machine_set_state(&machine, 0, MACHINE_TRANSITION));
        }
}

/* No valid entry leads to them any more, and still they must not be lost. */
static void trimmed_pages_are_given_back_when_their_process_ends(void **state)
{
        uint64_t used = 0;

        (void)state;
        start(19045);
        for (int i = 0; i < 100; i++) {
                for (uint64_t at = 0, s = (uint64_t)i; at < REGION; at += 0x1000, s++)
                        assert_true(machine_set_state(
                                &machine, at, (enum machine_state)(s % MACHINE_N_STATES)));
                if (i % 2) {
                        assert_true(machine_remap_region(&machine, REGION));
                } else {
                        machine_exit_process(&machine, machine.producer);
                        assert_true(machine_start_producer(&machine, REGION));
                }
                if (i == 9)
                        used = machine.pages.n_used;
        }
        assert_true(machine.pages.n_used < used + 100);
}

static void with_five_levels_every_root_points_at_itself_one_level_up(void **state)
{
        struct machine_config cfg = config(26100);

        (void)state;
        cfg.la57 = true;
        boot(&cfg);
        assert_true(machine_start_producer(&machine, REGION));
        assert_true(machine.region.gva >> 47 != 0); /* where four levels do not reach */
        for (uint32_t i = 0; i < machine.n_processes; i++) {
                const struct machine_process *p = &machine.processes[i];
                const uint64_t *root = word(p->cr3);

                assert_true((root[machine.self_slot] & ADDRESS) == p->cr3);
                assert_true(root[511] == word(machine.kcr3)[511]);
                assert_true((*entry_of(p->cr3, machine.kernel_base, 5, 2) & 0x81) == 0x81);
        }
        assert_true((*entry_of(machine.producer->cr3, machine.region.gva, 5, 1) & ADDRESS) ==
                    gpa_of(0));
}

static void a_user_root_has_the_user_half_and_next_to_nothing_of_the_kernel(void **state)
{
        struct machine_config cfg = config(7601);
        uint32_t n_user = 0;

        (void)state;
        cfg.kpti = true;
        boot(&cfg);
        assert_true(machine_start_producer(&machine, REGION));
        for (uint32_t i = 0; i < machine.n_processes; i++) {
                const struct machine_process *p = &machine.processes[i];
                uint64_t told = *word(p->eprocess_gpa + 0x110);
                uint32_t kernel = 0;

                assert_true((told & ADDRESS) == p->user_cr3);
                if (!p->user_cr3)
                        continue;
                assert_memory_equal(word(p->user_cr3), word(p->cr3), 0x800);
                for (int slot = 256; slot < 512; slot++)
                        kernel += word(p->user_cr3)[slot] & 1;
                assert_int_equal(kernel, 1);
                n_user++;
        }
        assert_true(n_user > 50);
        assert_true((*entry_of(machine.producer->user_cr3, machine.region.gva, 4, 1) & ADDRESS) ==
                    gpa_of(0));
        cfg = config(9200);
        cfg.kpti = true;
        assert_false(machine_boot(&machine, &cfg)); /* that build was never patched so */
}

/* Processes on the list, which must hold together. */
static uint32_t listed(void)
{
        uint64_t va = machine.list_head;
        uint32_t n = 0;

        do {
                uint64_t next = *word(machine_translate(&machine, machine.kcr3, va, NULL));

                assert_true(*word(machine_translate(&machine, machine.kcr3, next + 8, NULL)) == va);
                va = next;
                n++;
        } while (va != machine.list_head && n < 10000);
        return n - 1;
}

static void an_exited_process_stays_listed_until_it_is_let_go(void **state)
{
        struct machine_process *p;
        uint64_t e;

        (void)state;
        start(19045);
        assert_int_equal(listed(), 61);
        p = machine_start_process(&machine, "setup.exe", 4, true);
        assert_non_null(p);
        machine_linger_process(&machine, p);
        assert_int_equal(listed(), 62);
        e = p->eprocess_gpa;
        assert_int_equal((uint32_t)(*word(e + 0x7D0) >> 32), 0); /* was 0x103 */
        assert_true(*word(e + machine.layout->exit_time) != 0);
        assert_true((*word(e + 0x28) & ADDRESS) == p->cr3); /* a trap for those who walk it */
        assert_non_null(machine_start_process(&machine, "other.exe", 4, true));
        assert_int_equal(listed(), 63);
        machine_exit_process(&machine, p);
        assert_int_equal(listed(), 62);
}

static void six_thousand_processes_fit_in_a_small_machine(void **state)
{
        struct machine_config cfg = config(19045);

        (void)state;
        cfg.n_processes = 6000;
        boot(&cfg);
        assert_true(machine_start_producer(&machine, REGION));
        assert_int_equal(listed(), 6001);
        assert_true(machine.pages.n_used * 0x1000 < 512 << 20);
}

static void what_is_broken_is_mended(void **state)
{
        (void)state;
        start(19045);
        for (int what = 0; what < MACHINE_N_BREAKS; what++) {
                assert_true(machine_break(&machine, (enum machine_break)what));
                assert_true(machine.n_wounds > 0);
                machine_mend(&machine);
                assert_int_equal(machine.n_wounds, 0);
                assert_int_equal(listed(), 61);
        }
        for (uint32_t i = 0; i < machine.n_processes; i++)
                for (int slot = 200; slot < 208; slot++)
                        assert_true((word(machine.processes[i].cr3)[slot] & ADDRESS) !=
                                    machine.processes[i].cr3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_page_that_is_not_valid_says_what_windows_would_say),
                TEST(since_1809_an_address_bit_may_be_flipped_and_the_entry_says_so),
                TEST(a_page_comes_back_from_every_state_with_its_bytes),
                TEST(a_page_that_is_read_in_shows_other_bytes_until_it_is_there),
                TEST(large_pages_are_never_trimmed),
                TEST(trimmed_pages_are_given_back_when_their_process_ends),
                TEST(with_five_levels_every_root_points_at_itself_one_level_up),
                TEST(a_user_root_has_the_user_half_and_next_to_nothing_of_the_kernel),
                TEST(an_exited_process_stays_listed_until_it_is_let_go),
                TEST(six_thousand_processes_fit_in_a_small_machine),
                TEST(what_is_broken_is_mended),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
