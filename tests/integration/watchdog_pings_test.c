/*
 * watchdog_pings_test.c - what is slow and legal starves no ping, and a manager that is slow starves nobody
 *
 * Each daemon has a service manager of its own here, a socket that counts what it is told. The machines are those that an
 * administrator has for days: none there, one without a producer, one that is paused, one whose QEMU says nothing; for longer
 * than any actor may be quiet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"

#define PING_US 200000 /* WATCHDOG_USEC: a ping every half of it */
#define PINGS   120    /* more than the 10 s after which a quiet search is stuck */
#define SAYS(...)                                                                                  \
        (const char *const[])                                                                      \
        {                                                                                          \
                __VA_ARGS__, NULL                                                                  \
        }

struct manager {
        int fd;
        unsigned pings;
        bool is_ready; /* its service */
};

/* What is started next tells this one. */
static void manager_begin(struct manager *m, const char *what)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        char name[64], usec[16];
        int len = snprintf(name, sizeof(name), "@vgpu-%s-%d", what, (int)getpid());

        *m = (struct manager){ .fd = socket(
                                       AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) };
        assert_true(m->fd >= 0);
        memcpy(address.sun_path + 1, name + 1, (size_t)len - 1);
        assert_int_equal(bind(m->fd, (const struct sockaddr *)&address,
                                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len)),
                0);
        snprintf(usec, sizeof(usec), "%d", PING_US);
        setenv("NOTIFY_SOCKET", name, 1);
        setenv("WATCHDOG_USEC", usec, 1);
}

static void manager_hear(struct manager *m)
{
        char text[2048];
        ssize_t n;

        while ((n = recv(m->fd, text, sizeof(text) - 1, 0)) > 0) {
                text[n] = '\0';
                m->pings += strstr(text, "WATCHDOG=1") != NULL;
                m->is_ready |= strstr(text, "READY=1") != NULL;
        }
}

/* Until each has heard @n pings more. */
static void until_pings(struct manager *m, size_t n_managers, unsigned n)
{
        struct pollfd fds[8];
        unsigned least;

        for (size_t i = 0; i < n_managers; i++) {
                m[i].pings = 0;
                fds[i] = (struct pollfd){ .fd = m[i].fd, .events = POLLIN };
        }
        do {
                assert_true(poll(fds, n_managers, RIG_PATIENCE_MS) > 0);
                least = UINT32_MAX;
                for (size_t i = 0; i < n_managers; i++) {
                        manager_hear(&m[i]);
                        least = m[i].pings < least ? m[i].pings : least;
                }
        } while (least < n);
}

static void never_said(const struct rig *rig, const char *words)
{
        char *said = daemon_proc_said(&rig->daemon);

        if (strstr(said, words) != NULL)
                fail_msg("the daemon said: %s", said);
        free(said);
}

/* A monitor that takes connections and says nothing. */
static int silent_monitor(char *path, size_t cap)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        snprintf(path, cap, "/tmp/vgpud-silent-%d", (int)getpid());
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(fd, 8), 0);
        return fd;
}

/* Other services have filled the one queue that there is, and the manager is busy with something else. */
static void fill_queue(const struct manager *m)
{
        struct sockaddr_un address;
        socklen_t len = sizeof(address);
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        assert_true(fd >= 0);
        assert_int_equal(getsockname(m->fd, (struct sockaddr *)&address, &len), 0);
        while (sendto(fd, "X=1", 3, 0, (struct sockaddr *)&address, len) == 3)
                ;
        close(fd);
}

static void a_manager_that_takes_nothing_in_holds_up_neither_frames_nor_the_end(void **state)
{
        struct rig rig = RIG_NONE;
        struct manager manager;

        (void)state;
        manager_begin(&manager, "full");
        fill_queue(&manager);
        rig_start_simulated(&rig, SAYS("--mode", "320x200@30"));
        rig_until_frame(&rig);
        /* It goes on, and hears that its service is ready, and that it lives. */
        do
                until_pings(&manager, 1, 1);
        while (!manager.is_ready);
        fill_queue(&manager);
        rig_until_frame(&rig);
        rig_stop(&rig);
        close(manager.fd);
}

static void slow_and_legal_machines_are_pinged_for(void **state)
{
        struct rig absent = RIG_NONE, silent = RIG_NONE, empty = RIG_NONE, paused = RIG_NONE;
        struct rig *rigs[] = { &absent, &silent, &empty, &paused };
        struct manager managers[4];
        char monitor[64], config[128];
        int fd = silent_monitor(monitor, sizeof(monitor));

        (void)state;
        manager_begin(&managers[0], "absent");
        assert_int_equal(daemon_proc_start(&absent.daemon, "/nonexistent/ram", "q35", 0, NULL), 0);
        manager_begin(&managers[1], "silent");
        snprintf(config, sizeof(config), "[guest]\nqmp = %s\n", monitor);
        assert_int_equal(
                daemon_proc_start(&silent.daemon, "/nonexistent/ram", "q35", 0, config), 0);
        manager_begin(&managers[2], "empty");
        rig_guest_simulated(&empty, SAYS("--no-producer"));
        rig_daemon(&empty, NULL);
        manager_begin(&managers[3], "paused");
        rig_start_simulated(&paused, SAYS("--mode", "320x200@30"));
        rig_until_frame(&paused);
        rig_pause(&paused);

        until_pings(managers, 4, PINGS);
        for (int i = 0; i < 4; i++)
                never_said(rigs[i], "Stuck");
        rig_resume(&paused);
        rig_until_frame(&paused);
        rig_stop(&paused);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(daemon_proc_stop(&rigs[i]->daemon), 0);
                guest_proc_stop(&rigs[i]->guest);
        }
        for (int i = 0; i < 4; i++)
                close(managers[i].fd);
        close(fd);
        unlink(monitor);
}

/* What a debugger or a frozen control group does: silence while it lasts, and no false word behind it. */
static void a_stopped_daemon_is_silent_and_goes_on(void **state)
{
        struct rig rig = RIG_NONE;
        struct manager manager;
        int status;

        (void)state;
        manager_begin(&manager, "stopped");
        rig_start_simulated(&rig, SAYS("--mode", "320x200@30"));
        rig_until_frame(&rig);
        until_pings(&manager, 1, 3);
        assert_int_equal(kill(rig.daemon.pid, SIGSTOP), 0);
        assert_int_equal(waitpid(rig.daemon.pid, &status, WUNTRACED), rig.daemon.pid);
        manager_hear(&manager);
        manager.pings = 0;
        assert_int_equal(
                poll(&(struct pollfd){ .fd = manager.fd, .events = POLLIN }, 1, 3 * PING_US / 1000),
                0);
        assert_int_equal(kill(rig.daemon.pid, SIGCONT), 0);
        until_pings(&manager, 1, 3);
        rig_until_frame(&rig);
        never_said(&rig, "Stuck");
        close(manager.fd);
        rig_stop(&rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_stopped_daemon_is_silent_and_goes_on),
                cmocka_unit_test(
                        a_manager_that_takes_nothing_in_holds_up_neither_frames_nor_the_end),
                cmocka_unit_test(slow_and_legal_machines_are_pinged_for),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
