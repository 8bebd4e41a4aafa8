/*
 * company_test.c - finding one producer among thousands of processes, decoys, rivals and damage
 *
 * The guest runs in a thread of its own, so that lists and pages change while the library reads them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "pattern.h"
#include "vgpu_perception.h"
#include "vgpu_source.h"

#define LIST_CAP    7000u
#define FOUND_CAP   2048u
#define MAX_LOOKS   20000 /* of a millisecond: a limit for what must come, not a time */
#define FRAME_BYTES (64u * 96u * 4u)

static struct guest guest; /* holds the process table: too large for a stack */
static atomic_bool guest_runs;
static pthread_t guest_thread;
static process list[LIST_CAP];
static struct vgpup_candidate found[FOUND_CAP];

struct reader {
        vgpu_source *source;
        vmie_mem attach, frames;
        vmie_win32 *win32;
};

static void *live(void *arg)
{
        (void)arg;
        while (atomic_load(&guest_runs)) {
                guest_run_due(&guest);
                poll(NULL, 0, 1);
        }
        return NULL;
}

/* While it runs, the guest belongs to its thread. */
static void let_run(void)
{
        atomic_store(&guest_runs, true);
        assert_int_equal(pthread_create(&guest_thread, NULL, live, NULL), 0);
}

static void stop_running(void)
{
        atomic_store(&guest_runs, false);
        pthread_join(guest_thread, NULL);
}

static void tell(const char *command)
{
        char answer[8192];

        guest_command(&guest, command, answer, sizeof(answer));
        if (strncmp(answer, "ok ", 3) != 0)
                fail_msg("%s: %s", command, answer);
}

static vmie_win32 *try_attach(struct reader *r, struct win32_failure *why)
{
        return vmie_win32_open(&r->attach, 0, why);
}

static void attach(struct reader *r)
{
        struct win32_failure why;

        r->win32 = try_attach(r, &why);
        if (!r->win32)
                fail_msg("%s: %s %s", win32_stage_text(why.stage), win32_reason_text(why.reason),
                        why.detail);
        vmie_mem_adopt(&r->frames, &r->attach);
}

static void open_guest(struct reader *r, uint32_t n_processes, bool trims)
{
        const struct guest_options options = {
                .memfd = true,
                .ram_size = UINT64_C(4) << 30,
                .machine = { .build = 22631,
                        .n_processes = n_processes,
                        .seed = 11,
                        .boot_id = 1,
                        .kpti = true,
                        .paging = MACHINE_SCATTER,
                        .place = PAGES_BOTH },
                .mode = { 64, 96, 60, VGPU_FMT_BGRA8888 },
                .slots = 3,
                .exited = 10,
                .trims = trims,
                .trim_state = MACHINE_N_STATES,
        };

        memset(&guest, 0, sizeof(guest));
        if (!guest_open(&guest, &options))
                fail_msg("%s", guest.why);
        guest_run_due(&guest);
        *r = (struct reader){ 0 };
        r->source = vgpu_source_open(guest.ram.path, VGPU_MACHINE_Q35, options.ram_size, NULL);
        assert_non_null(r->source);
        vgpu_source_mem_pread(r->source, &r->attach);
        vgpu_source_mem_map(r->source, &r->frames);
}

static void close_guest(struct reader *r)
{
        vmie_win32_close(r->win32);
        vgpu_source_close(r->source);
        guest_close(&guest);
}

static void six_thousand_processes_are_listed_and_searched(void **state)
{
        struct reader r;
        size_t n;

        (void)state;
        open_guest(&r, 6000, false);
        attach(&r);
        assert_int_equal(proc_list(r.win32, list, LIST_CAP, &n), 0);
        assert_int_equal(n, 6000 + 10 + 1);
        assert_int_equal(vgpup_discover_all(r.win32, found, FOUND_CAP, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(found[0].proc.pid, guest.machine.producer->pid);
        close_guest(&r);
}

static bool is_alive(struct reader *r, const struct vgpup_candidate *c)
{
        return vgpup_confirm_alive(&r->frames, c->proc.cr3, c->region_gva, c->heartbeat) == 1;
}

/* Wait until @n of the candidates have shown life. Return: how many have. */
static size_t await_alive(struct reader *r, size_t n_found, size_t n)
{
        size_t alive = 0;

        for (int i = 0; i < MAX_LOOKS && alive < n; i++) {
                poll(NULL, 0, 1);
                alive = 0;
                for (size_t k = 0; k < n_found; k++)
                        alive += is_alive(r, &found[k]);
        }
        return alive;
}

/* Of four decoys one is whole, and that one is dead. */
static void two_live_producers_stand_out_among_a_thousand_decoys(void **state)
{
        struct reader r;
        size_t n, n_rival = 0;
        uint32_t pids[2];

        (void)state;
        open_guest(&r, 100, false);
        tell("second-producer");
        tell("decoys 1000");
        pids[0] = guest.machine.producer->pid;
        pids[1] = guest.company.rival_process->pid;
        attach(&r);
        assert_int_equal(vgpup_discover_all(r.win32, found, FOUND_CAP, &n), 0);
        assert_true(n >= 2 && n <= 2 + 1000 / 2);
        let_run();
        assert_int_equal(await_alive(&r, n, 2), 2);
        for (size_t i = 0; i < n; i++) {
                bool producer = found[i].proc.pid == pids[0] || found[i].proc.pid == pids[1];

                assert_int_equal(is_alive(&r, &found[i]), producer);
                n_rival += found[i].proc.pid == pids[1];
        }
        assert_int_equal(n_rival, 1);
        stop_running();
        close_guest(&r);
}

/* Those that were there all the time must be on every list that is given out. */
static void nobody_is_missing(size_t n, const uint32_t *pids, size_t n_pids)
{
        for (size_t i = 0; i < n_pids; i++) {
                size_t k = 0;

                while (k < n && list[k].pid != pids[i])
                        k++;
                assert_true(k < n);
        }
}

static void a_list_is_whole_or_refused_while_processes_come_and_go(void **state)
{
        static uint32_t pids[200];
        size_t n_pids = 0, n, n_whole = 0;
        struct reader r;

        (void)state;
        open_guest(&r, 100, false);
        for (uint32_t i = 0; i < guest.machine.n_processes; i++)
                if (guest.machine.processes[i].alive)
                        pids[n_pids++] = guest.machine.processes[i].pid;
        attach(&r);
        tell("churn on");
        let_run();
        for (int i = 0; i < 2000; i++) {
                int result = proc_list(r.win32, list, LIST_CAP, &n);

                assert_true(result == 0 || result == -EAGAIN || result == -ELOOP);
                if (result == 0) {
                        nobody_is_missing(n, pids, n_pids);
                        n_whole++;
                }
        }
        stop_running();
        assert_true(n_whole > 1000);
        close_guest(&r);
}

static void a_broken_list_is_refused_and_a_mended_one_is_read(void **state)
{
        static const char *const breaks[] = { "list-cycle", "list-blink", "list-wild" };
        struct reader r;
        size_t n;

        (void)state;
        open_guest(&r, 100, false);
        attach(&r);
        for (int i = 0; i < 3; i++) {
                struct win32_failure why;
                char command[64];

                snprintf(command, sizeof(command), "break %s", breaks[i]);
                tell(command);
                assert_true(proc_list(r.win32, list, LIST_CAP, &n) < 0);
                assert_true(vgpup_discover_all(r.win32, found, FOUND_CAP, &n) < 0);
                assert_null(try_attach(&r, &why));
                assert_int_equal(why.stage, WIN32_STAGE_PROCESSES);
                tell("mend");
                assert_int_equal(proc_list(r.win32, list, LIST_CAP, &n), 0);
                assert_int_equal(n, 100 + 10 + 1);
        }
        close_guest(&r);
}

static void roots_that_point_at_themselves_hide_nothing(void **state)
{
        struct reader r;
        size_t n;

        (void)state;
        open_guest(&r, 60, false);
        tell("break root-loop");
        attach(&r);
        assert_int_equal(vgpup_discover_all(r.win32, found, FOUND_CAP, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(found[0].proc.pid, guest.machine.producer->pid);
        close_guest(&r);
}

/* Every frame's pages are trimmed as soon as it is out, and faulted in before they are written again. */
static void a_running_producers_trimmed_frames_are_read_byte_for_byte(void **state)
{
        static uint8_t pixels[FRAME_BYTES];
        vgpup_region *region;
        struct reader r;
        uint32_t pid, n_good = 0;
        size_t n;

        (void)state;
        open_guest(&r, 60, true);
        pid = guest.machine.producer->pid;
        attach(&r);
        assert_int_equal(vgpup_discover_all(r.win32, found, FOUND_CAP, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(vgpup_bind(r.win32, &r.frames, &found[0], &region), 0);
        let_run();
        for (int i = 0; i < MAX_LOOKS && n_good < 60; i++) {
                struct pattern_count count;
                vgpup_frame_info info;
                int result = vgpup_sample_frame(region, &r.frames, pixels, sizeof(pixels), &info);

                assert_true(result >= 0);
                if (result == 0) {
                        poll(NULL, 0, 1);
                        continue;
                }
                pattern_check(
                        pixels, 64, 96, 256, VGPU_FMT_BGRA8888, info.desc.frame_id, pid, &count);
                assert_int_equal(count.torn + count.foreign, 0);
                n_good++;
        }
        stop_running();
        assert_int_equal(n_good, 60);
        vgpup_close(region);
        close_guest(&r);
}

/* Windows gives pids, objects and pages of the dead to the living. */
static void a_process_in_a_dead_ones_place_is_another_process(void **state)
{
        static uint8_t pixels[FRAME_BYTES];
        vgpup_frame_info info;
        vgpup_region *region;
        struct reader r;
        size_t n, n_same_object = 0;

        (void)state;
        open_guest(&r, 60, false);
        attach(&r);
        for (int i = 0; i < 100; i++) {
                assert_int_equal(vgpup_discover_all(r.win32, found, FOUND_CAP, &n), 0);
                assert_int_equal(n, 1);
                assert_int_equal(vgpup_bind(r.win32, &r.frames, &found[0], &region), 0);
                machine_give_pid(&guest.machine, found[0].proc.pid);
                assert_true(guest_restart_producer(&guest));
                assert_int_equal(guest.machine.producer->pid, found[0].proc.pid);
                n_same_object += guest.machine.producer->eprocess == found[0].proc.eprocess;
                guest_run_due(&guest); /* its first frame */
                assert_true(
                        vgpup_sample_frame(region, &r.frames, pixels, sizeof(pixels), &info) < 0);
                vgpup_close(region);
        }
        assert_true(n_same_object > 0);
        close_guest(&r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(six_thousand_processes_are_listed_and_searched),
                cmocka_unit_test(two_live_producers_stand_out_among_a_thousand_decoys),
                cmocka_unit_test(a_list_is_whole_or_refused_while_processes_come_and_go),
                cmocka_unit_test(a_broken_list_is_refused_and_a_mended_one_is_read),
                cmocka_unit_test(roots_that_point_at_themselves_hide_nothing),
                cmocka_unit_test(a_process_in_a_dead_ones_place_is_another_process),
                cmocka_unit_test(a_running_producers_trimmed_frames_are_read_byte_for_byte),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
