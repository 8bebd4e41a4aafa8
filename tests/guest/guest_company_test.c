/*
 * guest_company_test.c - trimmed frames, a second producer, decoys, churn and damage, as the program's commands bring them
 *
 * The guest is driven in this process, command by command and frame by frame.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "guest.h"

#define MAX_TURNS 100000

static struct guest guest; /* holds the process table: too large for a stack */

static const char *const plain[] = { "vgpu-guest", "--memfd", "--mode", "64x96@1000", "--scatter",
        NULL };

static void open_guest(const char *const *args)
{
        struct guest_options options;
        char why[256];
        int n = 0;

        while (args[n])
                n++;
        memset(&guest, 0, sizeof(guest));
        if (!guest_options_parse(&options, n, (char **)args, why, sizeof(why)))
                fail_msg("%s", why);
        if (!guest_open(&guest, &options))
                fail_msg("%s", guest.why);
}

static bool tell(const char *command)
{
        char answer[8192];

        guest_command(&guest, command, answer, sizeof(answer));
        return strncmp(answer, "ok ", 3) == 0;
}

/* Let what is due happen until @word has moved on by @n. */
static void run_until_moved(const uint64_t *word, uint64_t n)
{
        uint64_t from = *word;

        for (int i = 0; i < MAX_TURNS && *word < from + n; i++) {
                guest_run_due(&guest);
                poll(NULL, 0, 1);
        }
        assert_true(*word >= from + n);
}

static const vgpu_producer_t *block(void)
{
        return guest.producer.writer.block;
}

static bool is_valid(uint64_t offset)
{
        const struct machine *m = &guest.machine;

        return machine_translate(m, m->producer->cr3, m->region.gva + offset, NULL) != 0;
}

static uint64_t latest_slot(void)
{
        return VGPU_RING_OFFSET + block()->latest * guest.producer.writer.slot_stride;
}

static uint32_t count_valid(uint64_t offset, uint64_t len)
{
        uint32_t n = 0;

        for (uint64_t at = 0; at < len; at += PAGE_BYTES)
                n += is_valid(offset + at);
        return n;
}

static void published_frames_lose_their_pages_and_the_block_never_does(void **state)
{
        static const char *const args[] = { "vgpu-guest", "--memfd", "--mode", "64x96@1000",
                "--page-states", NULL };
        const uint64_t stride = 64 * 96 * 4;

        (void)state;
        open_guest(args);
        for (int i = 0; i < 20; i++) {
                run_until_moved(&block()->latest_frame_id, 1);
                assert_int_equal(count_valid(latest_slot(), stride), 2); /* of six */
                assert_int_equal(count_valid(0, VGPU_RING_OFFSET), 2);
        }
        assert_true(tell("fault-in"));
        assert_int_equal(count_valid(latest_slot(), stride), 6);
        assert_int_equal(count_valid(0, VGPU_RING_OFFSET), 16);
        assert_true(tell("trim no-entry"));
        assert_int_equal(count_valid(latest_slot(), stride), 0);
        assert_false(tell("trim sideways"));
        guest_close(&guest);
}

/* Trimmed by command, the slot comes back when its turn to be written comes. */
static void a_trimmed_slot_is_faulted_in_before_it_is_written(void **state)
{
        uint64_t slot, stride = 64 * 96 * 4;

        (void)state;
        open_guest(plain);
        run_until_moved(&block()->latest_frame_id, 1);
        assert_true(tell("trim"));
        slot = latest_slot();
        assert_int_equal(count_valid(slot, stride), 1);
        run_until_moved(&block()->latest_frame_id, 4);
        assert_int_equal(count_valid(slot, stride), 6);
        guest_close(&guest);
}

static void a_second_producer_lives_beside_the_first(void **state)
{
        const vgpu_producer_t *rival;

        (void)state;
        open_guest(plain);
        assert_true(tell("second-producer"));
        assert_false(tell("second-producer"));
        rival = guest.company.rival.writer.block;
        assert_int_not_equal(rival->producer_pid, guest.machine.producer->pid);
        assert_int_equal(rival->producer_pid, guest.company.rival_process->pid);
        run_until_moved(&rival->heartbeat, 2);
        run_until_moved(&rival->latest_frame_id, 2);
        run_until_moved(&block()->heartbeat, 1);
        assert_true(tell("second-producer kill"));
        assert_false(tell("second-producer kill"));
        assert_true(tell("second-producer"));
        assert_true(tell("reboot"));
        assert_null(guest.company.rival_process);
        guest_close(&guest);
}

/* Pages at the start of an allocation that begin with the magic, in every process but the producer. */
static uint32_t count_magic(void)
{
        const struct machine *m = &guest.machine;
        uint32_t n = 0;

        for (uint32_t i = 0; i < m->n_processes; i++) {
                const struct machine_process *p = &m->processes[i];
                uint64_t from = (p->next_va & ~UINT64_C(0xFFFF)) - 0x800000;

                for (uint64_t va = from; p->alive && p->peb && p != m->producer && va < p->next_va;
                        va += 0x10000) {
                        uint64_t gpa = machine_translate(m, p->cr3, va, NULL);

                        n += gpa && *(uint64_t *)phys_at(&guest.ram.phys, gpa) == VGPU_MAGIC;
                }
        }
        return n;
}

static void decoys_are_all_over_the_list(void **state)
{
        static const char *const args[] = { "vgpu-guest", "--memfd", "--decoys", "100", NULL };

        (void)state;
        open_guest(args);
        assert_int_equal(count_magic(), 100);
        assert_true(tell("decoys 1000"));
        assert_int_equal(count_magic(), 1100);
        assert_false(tell("decoys"));
        assert_false(tell("decoys 5001"));
        guest_close(&guest);
}

static uint32_t listed(void)
{
        const struct machine *m = &guest.machine;
        uint64_t va = m->list_head;
        uint32_t n = 0;

        do {
                uint64_t gpa = machine_translate(m, m->kcr3, va, NULL), next, back;

                assert_true(gpa != 0);
                next = *(uint64_t *)phys_at(&guest.ram.phys, gpa);
                back = machine_translate(m, m->kcr3, next, NULL) + 8;
                assert_true(*(uint64_t *)phys_at(&guest.ram.phys, back) == va);
                va = next;
        } while (va != m->list_head && ++n < 10000);
        return n;
}

static void processes_come_and_go_and_the_list_holds_together(void **state)
{
        uint64_t used = 0;
        uint32_t least = UINT32_MAX, most = 0;

        (void)state;
        open_guest(plain);
        assert_true(tell("churn on"));
        for (uint64_t i = 0; i < 6000; i++) {
                uint32_t n;

                guest.company.next_churn_ns = 0;
                guest_company_run(&guest, 1);
                n = listed();
                least = n < least ? n : least;
                most = n > most ? n : most;
                if (i == 1000)
                        used = guest.machine.pages.n_used;
        }
        assert_true(guest.company.churns);
        assert_true(least >= 61 && most > least && most <= 61 + GUEST_CHURNED);
        assert_true(guest.machine.pages.n_used < used + 3000);
        assert_true(tell("churn off"));
        assert_true(guest_company_run(&guest, 1) == GUEST_NEVER);
        assert_false(tell("churn maybe"));
        guest_close(&guest);
}

static void a_broken_machine_is_not_changed_until_it_is_mended(void **state)
{
        static const char *const refused[] = { "restart-producer", "kill", "second-producer",
                "break bones", "break" };

        (void)state;
        open_guest(plain);
        for (int i = 0; i < MACHINE_N_BREAKS; i++) {
                char command[64];

                snprintf(command, sizeof(command), "break %s", machine_break_names[i]);
                assert_true(tell(command));
                for (size_t k = 0; k < sizeof(refused) / sizeof(refused[0]); k++)
                        assert_false(tell(refused[k]));
                run_until_moved(&block()->latest_frame_id, 1);
                assert_true(tell("mend"));
                assert_int_equal(listed(), 61);
        }
        assert_true(tell("restart-producer"));
        assert_true(tell("break list-wild"));
        assert_true(tell("reboot"));
        assert_int_equal(listed(), 61);
        guest_close(&guest);
}

static void what_cannot_go_together_is_a_usage_error(void **state)
{
        static const char *const bad[][6] = {
                { "vgpu-guest", "--memfd", "--kpti", "--build", "7600", NULL },
                { "vgpu-guest", "--memfd", "--page-states", "--large-pages", NULL },
                { "vgpu-guest", "--memfd", "--state", "sideways", NULL },
                { "vgpu-guest", "--memfd", "--processes", "6001", NULL },
                { "vgpu-guest", "--memfd", "--exited", "201", NULL },
                { "vgpu-guest", "--memfd", "--decoys", "5001", NULL },
                { "vgpu-guest", "--memfd", "--build", "future4", NULL },
        };
        struct guest_options options;
        char why[256];

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                int n = 0;

                while (bad[i][n])
                        n++;
                why[0] = '\0';
                assert_false(guest_options_parse(&options, n, (char **)bad[i], why, sizeof(why)));
                assert_true(why[0] != '\0');
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(published_frames_lose_their_pages_and_the_block_never_does),
                cmocka_unit_test(a_trimmed_slot_is_faulted_in_before_it_is_written),
                cmocka_unit_test(a_second_producer_lives_beside_the_first),
                cmocka_unit_test(decoys_are_all_over_the_list),
                cmocka_unit_test(processes_come_and_go_and_the_list_holds_together),
                cmocka_unit_test(a_broken_machine_is_not_changed_until_it_is_mended),
                cmocka_unit_test(what_cannot_go_together_is_a_usage_error),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
