/*
 * endurance_test.c - a hundred producer restarts and twenty reboots leave nothing behind
 *
 * Counts the daemon's descriptors and file mappings before and after; with sanitizers the daemon's exit status also tells of
 * leaked memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rig.h"

#define RESTARTS 100
#define REBOOTS  20

static struct rig rig;

static int set_up(void **state)
{
        (void)state;
        rig = RIG_NONE;
        rig_start_simulated(
                &rig, (const char *const[]){ "--scatter", "--mode", "320x200@60", NULL });
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        rig_stop(&rig);
        return 0;
}

/* Between two frames of a settled stream, so that nothing is in passing. */
static struct daemon_proc_holds settled(void)
{
        rig_until(&rig, rig_state_is, VGPU_RING_STREAMING, "the stream");
        rig_until_frame(&rig);
        return daemon_proc_holds(&rig.daemon);
}

static void a_hundred_producer_restarts_leave_nothing_behind(void **state)
{
        struct daemon_proc_holds before, after;

        (void)state;
        rig_until_frame(&rig);
        rig_tell(&rig, "restart-producer");
        rig_until(&rig, rig_pid_is, rig.guest.facts.pid, "a frame of the new producer");
        before = settled();
        for (int i = 0; i < RESTARTS; i++) {
                rig_tell(&rig, "restart-producer");
                rig_until(&rig, rig_pid_is, rig.guest.facts.pid, "a frame of the new producer");
        }
        after = settled();
        assert_int_equal(after.n_fds, before.n_fds);
        assert_int_equal(after.n_maps, before.n_maps);
}

static void twenty_reboots_leave_nothing_behind(void **state)
{
        struct daemon_proc_holds before = settled(), after;
        uint64_t epoch = rig.now.stream.epoch;

        (void)state;
        for (int i = 0; i < REBOOTS; i++) {
                rig_reboot(&rig);
                rig_until(&rig, rig_epoch_is, ++epoch, "a frame of the next epoch");
        }
        after = settled();
        assert_int_equal(after.n_fds, before.n_fds);
        assert_int_equal(after.n_maps, before.n_maps);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_hundred_producer_restarts_leave_nothing_behind),
                cmocka_unit_test(twenty_reboots_leave_nothing_behind),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
