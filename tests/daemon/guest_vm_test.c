/*
 * guest_vm_test.c - what QEMU says, in the middle of something else
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

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
        c->ring.slots = 3;
        c->ring.mode = 0600;
        c->ring.max_clients = 1;
        c->pace.max_fps = 60;
        snprintf(c->ring.socket, sizeof(c->ring.socket), "/tmp/vgpud-guest-test-%d", (int)getpid());
        snprintf(c->guest.ram, sizeof(c->guest.ram), "/tmp/vgpud-no-ram/here");
        snprintf(c->guest.qmp, sizeof(c->guest.qmp), "/tmp/vgpud-no-monitor/here");
        assert_int_equal(uv_loop_init(&rig->loop), 0);
        assert_int_equal(outlet_init(&rig->outlet, &rig->loop, c, -1, NULL, NULL, &why), 0);
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

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_machine_that_runs_again_is_looked_at_anew),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
