/*
 * watchdog_test.c - the daemon's own guest and outlet, and a machine that waits for what nobody will send
 *
 * The loop turns by the clock; the time that checks are told is the test's.
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
#include <unistd.h>

#include "guest_private.h"
#include "watchdog.h"

#define S UINT64_C(1000000000)

struct rig {
        struct vgpu_config config;
        uv_loop_t loop;
        struct outlet outlet;
        struct guest guest;
        struct watchdog watchdog;
        uint64_t now_ns;
};

static void rig_open(struct rig *rig)
{
        struct vgpu_config *c = &rig->config;
        struct server_failure why;

        memset(rig, 0, sizeof(*rig));
        c->ring.max_bytes = UINT64_C(1) << 30;
        c->ring.slots = 3;
        c->ring.mode = 0600;
        c->ring.max_clients = 1;
        c->pace.max_fps = 60;
        snprintf(c->ring.socket, sizeof(c->ring.socket), "/tmp/vgpud-watch-test-%d", (int)getpid());
        snprintf(c->guest.ram, sizeof(c->guest.ram), "/tmp/vgpud-no-ram/here");
        assert_int_equal(uv_loop_init(&rig->loop), 0);
        assert_int_equal(
                outlet_init(&rig->outlet, &rig->loop, c, -1, &(struct outlet_hooks){ 0 }, &why), 0);
        assert_int_equal(guest_init(&rig->guest, &rig->loop, c, &rig->outlet), 0);
        watchdog_start(&rig->watchdog, &rig->loop, &rig->outlet, &rig->guest);
        /* the checks are ours */
        uv_timer_stop(&rig->watchdog.check);
        rig->now_ns = S;
}

static void rig_close(struct rig *rig)
{
        watchdog_stop(&rig->watchdog);
        guest_stop(&rig->guest);
        uv_run(&rig->loop, UV_RUN_DEFAULT);
        guest_deinit(&rig->guest);
        outlet_deinit(&rig->outlet);
        assert_int_equal(uv_loop_close(&rig->loop), 0);
}

/* Ticks and pulses have gone on; then a second is over. */
static bool all_go_on(struct rig *rig)
{
        uint64_t ticks = rig->outlet.n_ticks, pulses = rig->guest.n_pulses;

        while (rig->outlet.n_ticks == ticks || rig->guest.n_pulses == pulses)
                uv_run(&rig->loop, UV_RUN_ONCE);
        rig->now_ns += S;
        return watchdog_check(&rig->watchdog, rig->now_ns);
}

static unsigned count(const char *text, const char *word)
{
        unsigned n = 0;

        for (; (text = strstr(text, word)) != NULL; text += strlen(word))
                n++;
        return n;
}

/* What the daemon says in @check's course. */
static void check_saying(struct rig *rig, void (*check)(struct rig *rig), char *said, size_t cap)
{
        int fd = memfd_create("said", MFD_CLOEXEC), was = dup(STDERR_FILENO);
        ssize_t n;

        assert_true(fd >= 0 && was >= 0);
        assert_true(dup2(fd, STDERR_FILENO) >= 0);
        check(rig);
        assert_true(dup2(was, STDERR_FILENO) >= 0);
        n = pread(fd, said, cap - 1, 0);
        said[n > 0 ? n : 0] = '\0';
        close(fd);
        close(was);
}

static void a_guest_that_is_looked_for_goes_on(void **state)
{
        struct rig rig;

        (void)state;
        rig_open(&rig);
        for (int i = 0; i < 3; i++) {
                uint64_t steps = rig.guest.n_steps;

                while (rig.guest.n_steps == steps)
                        uv_run(&rig.loop, UV_RUN_ONCE);
                assert_true(all_go_on(&rig));
        }
        rig_close(&rig);
}

static void until_stuck_and_on(struct rig *rig)
{
        int n = 0;

        while (all_go_on(rig))
                assert_true(++n < 60);
        assert_int_equal(rig->watchdog.stuck, 1u << PROGRESS_STEP);
        for (int i = 0; i < 3; i++)
                assert_false(all_go_on(rig));
}

static void until_it_goes_on(struct rig *rig)
{
        guest_on_retry(&rig->guest.retry);
        assert_true(all_go_on(rig));
}

static void a_machine_that_nobody_wakes_is_named_once_while_the_loop_turns(void **state)
{
        struct rig rig;
        char said[8192];

        (void)state;
        rig_open(&rig);
        while (rig.guest.n_steps == 0)
                uv_run(&rig.loop, UV_RUN_ONCE);
        uv_timer_stop(&rig.guest.retry);
        check_saying(&rig, until_stuck_and_on, said, sizeof(said));
        assert_int_equal(count(said, "Stuck: "), 1);
        assert_non_null(strstr(said, progress_actor_name(PROGRESS_STEP)));
        check_saying(&rig, until_it_goes_on, said, sizeof(said));
        assert_int_equal(count(said, "No longer stuck: "), 1);
        rig_close(&rig);
}

static void a_tick_that_stopped_is_named(void **state)
{
        struct rig rig;
        int n = 0;

        (void)state;
        rig_open(&rig);
        uv_timer_stop(&rig.outlet.tick);
        do {
                uint64_t steps = rig.guest.n_steps;

                while (rig.guest.n_steps == steps)
                        uv_run(&rig.loop, UV_RUN_ONCE);
                rig.now_ns += PROGRESS_CHECK_MOST_NS;
                assert_true(++n < 60);
        } while (watchdog_check(&rig.watchdog, rig.now_ns));
        assert_int_equal(rig.watchdog.stuck, 1u << PROGRESS_TICK);
        rig_close(&rig);
}

/* Who has to go on in which state; a search under way may take its time. */
static void what_is_due_goes_by_the_state(void **state)
{
        struct outlet outlet = { .n_ticks = 3 };
        static struct scan out = { .n_reads = 8 };

        (void)state;
        for (int s = 0; s < GUEST_N_STATES; s++) {
                for (int scans = 0; scans < 2; scans++) {
                        const struct guest guest = { .state = s,
                                .scan = scans ? &out : NULL,
                                .n_pulses = 5,
                                .n_looks = 6,
                                .n_steps = 7 };
                        struct progress_report r = watchdog_report(&outlet, &guest);
                        bool lives = s != GUEST_STOPPING, streams = s == GUEST_STREAMING;

                        assert_int_equal(r.actor[PROGRESS_TICK].count, 3);
                        assert_int_equal(r.actor[PROGRESS_PULSE].count, 5);
                        assert_int_equal(r.actor[PROGRESS_LOOK].count, 6);
                        assert_int_equal(r.actor[PROGRESS_STEP].count, 7);
                        assert_int_equal(r.actor[PROGRESS_SCAN].count, scans ? 8 : 0);
                        assert_int_equal(r.actor[PROGRESS_SCAN].due, lives && scans);
                        assert_int_equal(r.actor[PROGRESS_TICK].due, lives);
                        assert_int_equal(r.actor[PROGRESS_PULSE].due, lives);
                        assert_int_equal(r.actor[PROGRESS_LOOK].due, streams);
                        assert_int_equal(r.actor[PROGRESS_STEP].due, lives && !streams && !scans);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_guest_that_is_looked_for_goes_on),
                cmocka_unit_test(a_machine_that_nobody_wakes_is_named_once_while_the_loop_turns),
                cmocka_unit_test(a_tick_that_stopped_is_named),
                cmocka_unit_test(what_is_due_goes_by_the_state),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
