/*
 * drop_test.c - a client that an administrator drops sees nothing newer, and all others go on
 *
 * The one that is dropped is a process of its own: it keeps what it has mapped, as anybody might.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "rig.h"
#include "vgpu_protocol.h"

#define FRAME_MAX (640u * 480u * 4u)

/* What the client in the child says, and is told. */
struct wires {
        int up[2], down[2];
};

static uint64_t newest_serial(struct vgpu_client *c)
{
        static uint8_t pixels[FRAME_MAX];
        struct vgpu_client_frame frame;

        return vgpu_client_copy_again(c, pixels, sizeof(pixels), &frame) == 1 ? frame.serial : 0;
}

/* Takes frames until it is dropped; then its map must stand still whatever the others see. Returns an exit status. */
static int victim(const char *socket, const struct wires *wires)
{
        const struct vgpu_client_options options = { .flags = VGPU_CLIENT_NO_RECONNECT,
                .name = "victim" };
        struct vgpu_client_failure why;
        struct vgpu_client *c;
        uint64_t serial = 0;
        uint32_t reason;
        char byte = 0;

        if (vgpu_client_connect(socket, &options, &c, &why) < 0)
                return 2;
        while (serial == 0) {
                vgpu_client_wait(c, 1000);
                serial = newest_serial(c);
        }
        if (write(wires->up[1], &byte, 1) != 1)
                return 3;
        while (vgpu_client_wait(c, 1000) >= 0)
                ;
        vgpu_client_goodbye(c, &reason);
        if (reason != VGPU_GOODBYE_DROPPED)
                return 4;
        serial = newest_serial(c);
        if (write(wires->up[1], &byte, 1) != 1 || read(wires->down[0], &byte, 1) != 1)
                return 5;
        return serial != 0 && newest_serial(c) == serial ? 0 : 6;
}

static pid_t start_victim(const struct rig *rig, struct wires *wires)
{
        pid_t pid;

        assert_int_equal(pipe(wires->up), 0);
        assert_int_equal(pipe(wires->down), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                _exit(victim(rig->daemon.socket, wires));
        return pid;
}

static bool generation_is(const struct rig *rig, uint64_t generation)
{
        return rig->now.generation == generation;
}

static void a_dropped_client_sees_nothing_newer_and_the_others_go_on(void **state)
{
        struct vgpu_client_failure why;
        struct rig rig = RIG_NONE;
        struct wires wires;
        uint32_t dropped = 0;
        int status;
        char byte = 0;
        pid_t pid;

        (void)state;
        rig_start_simulated(&rig, (const char *const[]){ "--mode", "640x480@60", NULL });
        rig_until_frame(&rig);
        pid = start_victim(&rig, &wires);
        assert_int_equal(read(wires.up[0], &byte, 1), 1);

        assert_int_equal(
                vgpu_client_drop(rig.daemon.socket, (uint32_t)pid + 100000, 0, NULL, &why), -ESRCH);
        assert_int_equal(vgpu_client_drop(rig.daemon.socket, (uint32_t)pid, 0, &dropped, &why), 0);
        assert_int_equal(dropped, 1);
        assert_int_equal(read(wires.up[0], &byte, 1), 1);
        rig_until(&rig, generation_is, 2, "the ring after the drop");
        for (int i = 0; i < 10; i++)
                rig_until_frame(&rig);
        rig_until_status(&rig, "\"streaming\"", "\"retired\":1");

        assert_int_equal(write(wires.down[1], &byte, 1), 1);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        rig_until_status(&rig, "\"streaming\"", "\"retired\":0");
        for (int i = 0; i < 2; i++) {
                close(wires.up[i]);
                close(wires.down[i]);
        }
        rig_stop(&rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_dropped_client_sees_nothing_newer_and_the_others_go_on),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
