/*
 * guest_vm_test.c - what QEMU says, in the middle of something else
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

#define RAM_BYTES (2u << 20)

struct rig {
        struct vgpu_config config;
        uv_loop_t loop;
        struct outlet outlet;
        struct guest guest;
};

static void rig_open(struct rig *rig)
{
        struct vgpu_config *c = &rig->config;
        struct server_failure why;

        memset(rig, 0, sizeof(*rig));
        c->ring.max_bytes = UINT64_C(2) << 30;
        c->ring.slots = 3;
        c->ring.mode = 0600;
        c->ring.max_clients = 1;
        c->pace.max_fps = 60;
        snprintf(c->ring.socket, sizeof(c->ring.socket), "/tmp/vgpud-guest-test-%d", (int)getpid());
        snprintf(c->guest.ram, sizeof(c->guest.ram), "/tmp/vgpud-no-ram/here");
        snprintf(c->guest.qmp, sizeof(c->guest.qmp), "/tmp/vgpud-no-monitor/here");
        assert_int_equal(uv_loop_init(&rig->loop), 0);
        assert_int_equal(
                outlet_init(&rig->outlet, &rig->loop, c, -1, &(struct outlet_hooks){ 0 }, &why), 0);
        assert_int_equal(guest_init(&rig->guest, &rig->loop, c, &rig->outlet), 0);
}

static void rig_close(struct rig *rig)
{
        guest_stop(&rig->guest);
        uv_run(&rig->loop, UV_RUN_DEFAULT);
        guest_deinit(&rig->guest);
        outlet_deinit(&rig->outlet);
        assert_int_equal(uv_loop_close(&rig->loop), 0);
}

/*
 * It sends another scan out, whose findings replace these: a kernel still being watched would be lost with the RAM it
 * holds, or be judged in a state that knows nothing of it.
 */
static void a_machine_that_runs_again_is_looked_at_anew(void **state)
{
        static const enum guest_state states[] = { GUEST_SEARCHING, GUEST_STALLED };
        struct epoch other = { .refs = 2 };
        struct rig rig;

        (void)state;
        for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
                other.refs = 2;
                rig_open(&rig);
                rig.guest.state = states[i];
                rig.guest.other = &other;
                rig.guest.n_candidates = 1;
                rig.guest.monitor.news(&rig.guest.monitor, MONITOR_NEWS_RUNS);
                assert_null(rig.guest.other);
                assert_int_equal(rig.guest.n_candidates, 0);
                assert_int_equal(other.refs, 1);
                rig_close(&rig);
        }
}

/* ---- whose RAM is it? ---------------------------------------------------------------------------------------------- */

static int make_file(char *path)
{
        int fd = mkstemp(path);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, RAM_BYTES), 0);
        return fd;
}

/* A process that has @fd's file mapped at *ret_hva, as QEMU has its RAM. */
static pid_t machine_with(int fd, uint64_t *ret_hva)
{
        void *map = mmap(NULL, RAM_BYTES, PROT_READ, MAP_SHARED, fd, 0);
        pid_t pid;

        assert_true(map != MAP_FAILED);
        *ret_hva = (uintptr_t)map;
        pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails does not come to end it */
                pause();
                _exit(0);
        }
        assert_true(pid > 0);
        munmap(map, RAM_BYTES);
        return pid;
}

/* It can be reset while it is paused or comes in, and its RAM is no more to be read for that. */
static void a_machine_that_is_reset_while_it_stands_is_not_read(void **state)
{
        char path[] = "/tmp/vgpud-own-XXXXXX";
        int fd = make_file(path);
        struct rig rig;

        (void)state;
        rig_open(&rig);
        rig.guest.ram = ram_new(vgpu_source_open(path, VGPU_MACHINE_FLAT, 0, NULL));
        assert_non_null(rig.guest.ram);
        rig.guest.state = GUEST_ATTACHING;
        rig.guest.monitor.says = MONITOR_HALTED;
        rig.guest.monitor.news(&rig.guest.monitor, MONITOR_NEWS_RESET);
        assert_int_equal(rig.guest.state, GUEST_ATTACHING);
        assert_null(rig.guest.scan);
        assert_true(uv_is_active((uv_handle_t *)&rig.guest.retry));
        rig.guest.monitor.says = MONITOR_RUNS;
        guest_post(&rig.guest, GUEST_EV_RETRY);
        assert_non_null(rig.guest.scan);
        rig_close(&rig);
        close(fd);
        unlink(path);
}

/* Most pulses leave RAM's files alone; this one is because of what may have become of them. */
static void a_monitor_that_is_lost_has_ram_looked_at_whichever_pulse_it_is(void **state)
{
        (void)state;
        for (unsigned n = 0; n < 4; n++) {
                char path[] = "/tmp/vgpud-own-XXXXXX";
                int fd = make_file(path);
                struct rig rig;

                rig_open(&rig);
                rig.guest.ram = ram_new(vgpu_source_open(path, VGPU_MACHINE_FLAT, 0, NULL));
                assert_non_null(rig.guest.ram);
                rig.guest.state = GUEST_ATTACHING;
                rig.guest.n_pulses = n;
                unlink(path);
                rig.guest.monitor.news(&rig.guest.monitor, MONITOR_NEWS_LOST);
                assert_int_equal(rig.guest.state, GUEST_ABSENT);
                assert_null(rig.guest.ram);
                rig_close(&rig);
                close(fd);
        }
}

/* What a monitor says that names @path as the machine's RAM. */
static void monitor_names(struct monitor *m, const char *path, uint64_t hva)
{
        m->says = MONITOR_RUNS;
        m->view = (struct monitor_view){
                .status = "running",
                .running = true,
                .layout = { .piece = { { .gpa = 0, .len = RAM_BYTES } }, .n_pieces = 1 },
                .backend = { { .id = "ram0", .hva = hva, .shared = true } },
                .n_backends = 1,
        };
        snprintf(m->view.backend[0].path, sizeof(m->view.backend[0].path), "%s", path);
}

/* A folder of hugetlbfs, a path from QEMU's own folder on, one of its container */
static void ram_whose_path_leads_nowhere_here_is_found_by_its_address(void **state)
{
        static const char *const paths[] = { "/tmp", "own", "/nowhere/own" };
        char own[] = "/tmp/vgpud-own-XXXXXX", pidfile[] = "/tmp/vgpud-pidfile-XXXXXX";
        int own_fd = make_file(own), pid_fd = mkstemp(pidfile);
        uint64_t hva;
        pid_t pid = machine_with(own_fd, &hva);

        (void)state;
        assert_true(pid_fd >= 0);
        assert_true(dprintf(pid_fd, "%d\n", (int)pid) > 0);
        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
                struct rig rig;

                rig_open(&rig);
                snprintf(rig.config.guest.ram, sizeof(rig.config.guest.ram), "auto");
                rig.guest.has_process = true;
                rig.guest.process.pidfile = pidfile;
                monitor_names(&rig.guest.monitor, paths[i], hva);
                guest_post(&rig.guest, GUEST_EV_RETRY);
                assert_int_equal(rig.guest.state, GUEST_ATTACHING);
                rig_close(&rig);
        }
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        close(own_fd);
        close(pid_fd);
        unlink(own);
        unlink(pidfile);
}

static void a_monitor_cannot_name_the_ram_of_another_machine(void **state)
{
        char own[] = "/tmp/vgpud-own-XXXXXX", foreign[] = "/tmp/vgpud-foreign-XXXXXX";
        char pidfile[] = "/tmp/vgpud-pidfile-XXXXXX";
        int own_fd = make_file(own), foreign_fd = make_file(foreign), pid_fd = mkstemp(pidfile);
        struct rig rig;
        uint64_t hva;
        pid_t pid = machine_with(own_fd, &hva);

        (void)state;
        assert_true(pid_fd >= 0);
        assert_true(dprintf(pid_fd, "%d\n", (int)pid) > 0);
        rig_open(&rig);
        snprintf(rig.config.guest.ram, sizeof(rig.config.guest.ram), "auto");
        rig.guest.has_process = true;
        rig.guest.process.pidfile = pidfile;

        /* By its path, also under an address where QEMU has other RAM, or none at all */
        for (size_t i = 0; i < 3; i++) {
                monitor_names(&rig.guest.monitor, foreign, i == 0 ? 0 : i == 1 ? hva : 4096);
                guest_post(&rig.guest, GUEST_EV_RETRY);
                assert_int_equal(rig.guest.state, GUEST_ABSENT);
                assert_null(rig.guest.ram);
                assert_non_null(strstr(rig.guest.reason, "does not have this file as shared RAM"));
        }
        /* A device is not even opened */
        monitor_names(&rig.guest.monitor, "/dev/zero", 0);
        guest_post(&rig.guest, GUEST_EV_RETRY);
        assert_int_equal(rig.guest.state, GUEST_ABSENT);
        assert_non_null(strstr(rig.guest.reason, "not a regular file"));

        monitor_names(&rig.guest.monitor, own, hva);
        guest_post(&rig.guest, GUEST_EV_RETRY);
        assert_int_equal(rig.guest.state, GUEST_ATTACHING);
        /* and what was said while there was nothing is not said any more */
        assert_non_null(strstr(rig.guest.reason, "Looking for a Windows kernel"));

        rig_close(&rig);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        close(own_fd);
        close(foreign_fd);
        close(pid_fd);
        unlink(own);
        unlink(foreign);
        unlink(pidfile);
}

/* ---- waiting for a file -------------------------------------------------------------------------------------------- */

static void touch(const char *folder, const char *name)
{
        char path[128];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", folder, name);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        close(fd);
        unlink(path);
}

/* In /dev/shm any user writes as often as he likes: only the names that are waited for end the wait. */
static void a_change_of_another_file_is_no_reason_to_look_for_ram(void **state)
{
        char folder[] = "/tmp/vgpud-folder-XXXXXX";
        struct rig rig;

        (void)state;
        assert_non_null(mkdtemp(folder));
        rig_open(&rig);
        snprintf(rig.config.guest.ram, sizeof(rig.config.guest.ram), "%s/ram0, %s/ram1", folder,
                folder);
        rig.guest.state = GUEST_ATTACHING;
        guest_post(&rig.guest, GUEST_EV_RAM_GONE);
        for (size_t i = 0; i < 2; i++) {
                uv_timer_stop(&rig.guest.retry);
                rig.guest.backoff_ms = 777;
                touch(folder, i == 0 ? "noise" : "ram1");
                uv_run(&rig.loop, UV_RUN_NOWAIT);
                assert_int_equal(rig.guest.backoff_ms == 777, i == 0);
        }
        rig_close(&rig);
        rmdir(folder);
}

static void the_pace_goes_by_the_configuration_after_a_reload(void **state)
{
        struct rig rig;

        (void)state;
        rig_open(&rig);
        rig.guest.pacer.arrival_ns = 77;
        rig.config.pace.max_fps = 10;
        rig.config.pace.latency = CONFIG_LATENCY_LOW;
        guest_reload(&rig.guest);
        assert_int_equal(rig.guest.pacer.config.min_frame_ns, 100000000);
        assert_int_equal(rig.guest.pacer.config.latency, CONFIG_LATENCY_LOW);
        assert_int_equal(rig.guest.pacer.arrival_ns, 77);
        rig_close(&rig);
}

static void count(void *ctx)
{
        (*(unsigned *)ctx)++;
}

static void another_state_is_told_at_once_and_the_same_one_is_not(void **state)
{
        unsigned n_told = 0;
        struct rig rig;

        (void)state;
        rig_open(&rig);
        rig.guest.changed = count;
        rig.guest.changed_ctx = &n_told;
        rig.guest.state = GUEST_SEARCHING;
        guest_post(&rig.guest, GUEST_EV_RAM_GONE);
        assert_int_equal(rig.guest.state, GUEST_ABSENT);
        assert_int_equal(n_told, 1);
        guest_post(&rig.guest, GUEST_EV_RAM_GONE);
        assert_int_equal(n_told, 1);
        rig_close(&rig);
        assert_int_equal(n_told, 2);
}

/* guest.logged is the last reason that got a line. */
static void what_mends_itself_is_no_line_and_what_lasts_is_one(void **state)
{
        static const struct {
                enum guest_state in;
                enum guest_event event;
        } cases[] = {
                { GUEST_ATTACHING, GUEST_EV_ATTACH_FAILED },
                { GUEST_SEARCHING, GUEST_EV_NO_CANDIDATES },
                { GUEST_SEARCHING, GUEST_EV_STILL_SILENT },
        };
        struct rig rig;

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                rig_open(&rig);
                rig.guest.state = cases[i].in;
                rig.guest.phase_ns = uv_hrtime();
                guest_set_reason(&rig.guest, "Nothing is found");
                guest_post(&rig.guest, cases[i].event);
                assert_string_equal(rig.guest.logged, "");
                rig.guest.phase_ns -= UINT64_C(10000000000);
                guest_post(&rig.guest, cases[i].event);
                assert_string_equal(rig.guest.logged, "Nothing is found");
                rig_close(&rig);
        }
}

/* The first reason at once, another one when it has stood and the first has been true for a while. */
static void a_ram_file_that_is_being_made_is_no_news(void **state)
{
        struct rig rig;

        (void)state;
        rig_open(&rig);
        rig.guest.has_monitor = false;
        guest_set_reason(&rig.guest, "No such file");
        guest_post(&rig.guest, GUEST_EV_RAM_GONE);
        assert_string_equal(rig.guest.logged, "No such file");
        guest_set_reason(&rig.guest, "It is empty");
        guest_post(&rig.guest, GUEST_EV_RAM_GONE);
        rig.guest.phase_ns -= UINT64_C(10000000000);
        assert_string_equal(rig.guest.logged, "No such file");
        rig.guest.seen_ns -= UINT64_C(1000000000);
        guest_post(&rig.guest, GUEST_EV_RAM_GONE);
        assert_string_equal(rig.guest.logged, "It is empty");
        rig.guest.has_monitor = true;
        rig_close(&rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_mends_itself_is_no_line_and_what_lasts_is_one),
                cmocka_unit_test(a_ram_file_that_is_being_made_is_no_news),
                cmocka_unit_test(another_state_is_told_at_once_and_the_same_one_is_not),
                cmocka_unit_test(a_machine_that_runs_again_is_looked_at_anew),
                cmocka_unit_test(a_machine_that_is_reset_while_it_stands_is_not_read),
                cmocka_unit_test(a_monitor_that_is_lost_has_ram_looked_at_whichever_pulse_it_is),
                cmocka_unit_test(ram_whose_path_leads_nowhere_here_is_found_by_its_address),
                cmocka_unit_test(a_monitor_cannot_name_the_ram_of_another_machine),
                cmocka_unit_test(a_change_of_another_file_is_no_reason_to_look_for_ram),
                cmocka_unit_test(the_pace_goes_by_the_configuration_after_a_reload),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
