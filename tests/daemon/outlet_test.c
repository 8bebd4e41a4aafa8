/*
 * outlet_test.c - the socket on the loop: what goes wrong there must leave the loop to the guest
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "outlet.h"

struct rig {
        struct vgpu_config config;
        uv_loop_t loop;
        struct outlet outlet;
};

static void rig_open(struct rig *rig)
{
        struct server_failure why;

        memset(rig, 0, sizeof(*rig));
        rig->config.ring.max_bytes = UINT64_C(2) << 30;
        rig->config.ring.slots = 3;
        rig->config.ring.mode = 0600;
        rig->config.ring.max_clients = 4;
        snprintf(rig->config.ring.socket, sizeof(rig->config.ring.socket),
                "/tmp/vgpud-outlet-test-%d", (int)getpid());
        assert_int_equal(uv_loop_init(&rig->loop), 0);
        assert_int_equal(outlet_init(&rig->outlet, &rig->loop, &rig->config, -1,
                                 &(struct outlet_hooks){ 0 }, &why),
                0);
}

static void rig_close(struct rig *rig)
{
        outlet_close(&rig->outlet);
        uv_run(&rig->loop, UV_RUN_DEFAULT);
        outlet_deinit(&rig->outlet);
        assert_int_equal(uv_loop_close(&rig->loop), 0);
}

static int dial(const struct rig *rig)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", rig->config.ring.socket);
        assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
        return fd;
}

/* No descriptor at all, not even the one in reserve: nothing can be accepted, and the client stays in the queue. */
static void a_listening_socket_that_fails_is_left_alone_until_the_next_tick(void **state)
{
        struct rlimit was, none;
        struct rig rig;
        int fd;

        (void)state;
        rig_open(&rig);
        fd = dial(&rig);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
        none = was;
        none.rlim_cur = 0;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        while (uv_is_active((uv_handle_t *)&rig.outlet.listener))
                uv_run(&rig.loop, UV_RUN_ONCE);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
        assert_int_equal(server_n_peers(rig.outlet.server), 0);

        while (server_n_peers(rig.outlet.server) == 0)
                uv_run(&rig.loop, UV_RUN_ONCE);
        close(fd);
        rig_close(&rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_listening_socket_that_fails_is_left_alone_until_the_next_tick),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
