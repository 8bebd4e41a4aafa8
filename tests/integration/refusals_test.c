/*
 * refusals_test.c - what is wrong gets a clear word, and what was right goes on
 *
 * The admin's mistakes with the real daemon: each is named in what it says or in `vgpuctl status`, and is over as soon as it is
 * corrected.
 */
#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "rig.h"
#include "vgpu_protocol.h"

/* ---- asking -------------------------------------------------------------------------------------------------------- */

/* Wait until the daemon's status holds all of @words; its state changes wake us. */
static void until_status_says(
        struct vgpu_client *client, const struct daemon_proc *d, const char *const *words)
{
        uint64_t deadline_ns = latency_now() + RIG_PATIENCE_MS * UINT64_C(1000000);
        char *json = NULL;

        for (;;) {
                struct vgpu_client_failure why;
                bool all = vgpu_client_query(d->socket, VGPU_QUERY_STATUS, 5000, &json, &why) == 0;

                for (const char *const *w = words; all && *w; w++)
                        all = strstr(json, *w) != NULL;
                if (all)
                        break;
                if (latency_now() > deadline_ns)
                        fail_msg("status never said '%s': %s", words[0], json ? json : why.text);
                free(json);
                json = NULL;
                /* The reason of a state may come after it without a change a client is woken for. */
                assert_true(vgpu_client_wait(client, 50) >= 0);
        }
        free(json);
}

static struct vgpu_client *wait_for(const struct daemon_proc *d)
{
        const struct vgpu_client_options options = { .flags = VGPU_CLIENT_WAIT_DAEMON,
                .name = "refusals" };
        struct vgpu_client_failure why;
        struct vgpu_client *client;

        if (vgpu_client_connect(d->socket, &options, &client, &why) < 0)
                fail_msg("no connection: %s", why.text);
        while (!(vgpu_client_wait(client, 1000) & VGPU_CLIENT_RECONNECTED)) {
                struct vgpu_client_state now;

                vgpu_client_state(client, &now);
                if (now.connected)
                        break;
        }
        return client;
}

static void daemon_on(
        const char *ram, uint64_t ram_size, const char *machine, const char *const *words)
{
        struct daemon_proc d;
        struct vgpu_client *client;

        assert_int_equal(daemon_proc_start(&d, ram, machine, ram_size, NULL), 0);
        client = wait_for(&d);
        until_status_says(client, &d, words);
        vgpu_client_close(client);
        assert_int_equal(daemon_proc_stop(&d), 0);
}

#define SAYS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void make_file(char *path, off_t size)
{
        int fd = mkstemp(path);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, size), 0);
        close(fd);
}

static bool said(const struct daemon_proc *d, const char *words)
{
        char *text = daemon_proc_said(d);
        bool found = strstr(text, words) != NULL;

        if (!found)
                fprintf(stderr, "%s", text);
        free(text);
        return found;
}

#define MAY_COME 1  /* another start can find it better */
#define CONFIG   78 /* nothing changes by itself: EX_CONFIG */

/* A daemon that does not come up: its exit status, and that it said @words. */
static void will_not_start(struct daemon_proc *d, int status, const char *words)
{
        assert_int_equal(daemon_proc_wait(d), status);
        assert_true(said(d, words));
}

/* ---- RAM ----------------------------------------------------------------------------------------------------------- */

static void no_ram_file_is_waited_for_and_named(void **state)
{
        (void)state;
        daemon_on("/nonexistent/guest.ram", 0, "q35", SAYS("\"absent\"", "/nonexistent/guest.ram"));
}

static void a_ram_file_that_is_too_short_says_how_long_it_should_be(void **state)
{
        char path[] = "/tmp/vgpud-test-XXXXXX";

        (void)state;
        make_file(path, 1 << 20);
        daemon_on(path, 1 << 30, "q35", SAYS("\"absent\"", "1048576", "1073741824"));
        unlink(path);
}

static void a_file_that_is_no_guest_is_told_from_one_that_is_missing(void **state)
{
        char path[] = "/tmp/vgpud-test-XXXXXX";

        (void)state;
        make_file(path, 64 << 20);
        daemon_on(path, 0, "q35", SAYS("\"attaching\"", "No Windows kernel"));
        unlink(path);
}

static void a_folder_is_no_ram_file(void **state)
{
        (void)state;
        daemon_on("/tmp", 0, "q35", SAYS("\"absent\"", "/tmp"));
}

static void a_wrong_machine_type_is_refused_and_points_at_the_key(void **state)
{
        static const char *const wrong[] = { "pc", "microvm", "flat" };
        struct rig rig = RIG_NONE;

        (void)state;
        rig_guest_simulated(&rig, SAYS("--mode", "320x200@30"));
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
                daemon_on(
                        rig.guest.facts.ram, 0, wrong[i], SAYS("\"attaching\"", "[guest] machine"));
        rig_stop(&rig);
}

static void a_guest_without_a_producer_is_searched(void **state)
{
        struct rig rig = RIG_NONE;

        (void)state;
        rig_guest_simulated(&rig, SAYS("--no-producer"));
        daemon_on(rig.guest.facts.ram, 0, "q35", SAYS("\"searching\"", "producer"));
        rig_stop(&rig);
}

static void ram_that_appears_later_is_found(void **state)
{
        char path[] = "/dev/shm/vgpud-test-XXXXXX";
        struct rig rig = RIG_NONE;

        (void)state;
        make_file(path, 0);
        unlink(path);
        assert_int_equal(daemon_proc_start(&rig.daemon, path, "q35", 0, NULL), 0);
        rig_client(&rig);
        rig_until(&rig, rig_state_is, VGPU_RING_ABSENT, "absent");
        assert_int_equal(
                guest_proc_spawn(&rig.guest, SAYS("--ram", path, "--mode", "320x200@30")), 0);
        rig_until_frame(&rig);
        unlink(path);
        rig_until(&rig, rig_state_is, VGPU_RING_ABSENT, "absent again");
        rig_stop(&rig);
}

static void truncating_ram_under_the_map_is_an_event_not_a_crash(void **state)
{
        char path[] = "/dev/shm/vgpud-test-XXXXXX";
        struct rig rig = RIG_NONE;

        (void)state;
        make_file(path, 0);
        unlink(path);
        assert_int_equal(
                guest_proc_spawn(&rig.guest, SAYS("--ram", path, "--mode", "320x200@30")), 0);
        assert_int_equal(daemon_proc_start(&rig.daemon, path, "q35", 0, NULL), 0);
        rig_client(&rig);
        rig_until_frame(&rig);
        /* The simulated guest would get the SIGBUS itself: end it first, its file stays. */
        guest_proc_stop(&rig.guest);
        rig_until(&rig, rig_state_is, VGPU_RING_STALLED, "stalled");
        assert_int_equal(truncate(path, 4096), 0);
        rig_until(&rig, rig_state_is, VGPU_RING_ABSENT, "absent");
        unlink(path);
        rig.guest = (struct guest_proc)GUEST_PROC_NULL;
        rig_stop(&rig);
}

/* ---- the socket ---------------------------------------------------------------------------------------------------- */

/* A daemon on a configuration of the test's own. */
static void config_with(struct daemon_proc *d, const char *text)
{
        FILE *f;

        assert_int_equal(daemon_proc_start(d, "/nonexistent", "q35", 0, NULL), 0);
        daemon_proc_kill(d);
        unlink(d->log);
        f = fopen(d->config, "w");
        assert_non_null(f);
        fputs(text, f);
        fclose(f);
        assert_int_equal(daemon_proc_restart(d), 0);
}

static void a_second_daemon_on_the_same_socket_is_refused_and_the_first_goes_on(void **state)
{
        struct daemon_proc second;
        struct rig rig = RIG_NONE;
        char config[4400];

        (void)state;
        rig_start_simulated(&rig, SAYS("--mode", "320x200@30"));
        rig_until_frame(&rig);
        snprintf(config, sizeof(config), "[guest]\nram = %s\n[ring]\nsocket = %s\n",
                rig.guest.facts.ram, rig.daemon.socket);
        config_with(&second, config);
        will_not_start(&second, MAY_COME, rig.daemon.socket);
        daemon_proc_stop(&second);
        rig_until_frame(&rig);
        rig_stop(&rig);
}

static void an_unwritable_socket_folder_is_named(void **state)
{
        struct daemon_proc d;

        (void)state;
        config_with(&d, "[guest]\nram = /nonexistent\n[ring]\nsocket = /proc/vgpud.sock\n");
        will_not_start(&d, MAY_COME, "/proc/vgpud.sock");
        daemon_proc_stop(&d);
}

static void a_missing_socket_folder_is_named(void **state)
{
        struct daemon_proc d;

        (void)state;
        config_with(&d, "[guest]\nram = /nonexistent\n[ring]\nsocket = /nonexistent/vgpud.sock\n");
        will_not_start(&d, MAY_COME, "/nonexistent/vgpud.sock");
        daemon_proc_stop(&d);
}

static void a_file_in_the_sockets_place_is_left_alone_and_needs_somebody(void **state)
{
        char path[] = "/tmp/vgpud-test-XXXXXX", config[128];
        struct daemon_proc d;

        (void)state;
        make_file(path, 7);
        snprintf(
                config, sizeof(config), "[guest]\nram = /nonexistent\n[ring]\nsocket = %s\n", path);
        config_with(&d, config);
        will_not_start(&d, CONFIG, path);
        daemon_proc_stop(&d);
        assert_int_equal(unlink(path), 0);
}

static void a_broken_configuration_names_every_line_at_once(void **state)
{
        struct daemon_proc d;

        (void)state;
        config_with(&d,
                "[guest]\nram = relative\nmachine = q36\n[ring]\nslots = many\ncolour = blue\n");
        assert_int_equal(daemon_proc_wait(&d), CONFIG);
        assert_true(said(&d, "daemon.conf:2:"));
        assert_true(said(&d, "daemon.conf:3:"));
        assert_true(said(&d, "daemon.conf:5:"));
        assert_true(said(&d, "daemon.conf:6:"));
        daemon_proc_stop(&d);
}

/* ---- clients ------------------------------------------------------------------------------------------------------- */

static int raw_connection(const struct daemon_proc *d)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", d->socket);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        return fd;
}

/* Send, then expect a goodbye with @reason whose text holds @words, then the end. */
static void is_told_goodbye(const struct daemon_proc *d, const void *message, size_t len,
        uint32_t reason, const char *words)
{
        struct vgpu_msg_goodbye goodbye;
        int fd = raw_connection(d);

        assert_int_equal(send(fd, message, len, MSG_NOSIGNAL), len);
        assert_int_equal(recv(fd, &goodbye, sizeof(goodbye), 0), sizeof(goodbye));
        assert_int_equal(goodbye.header.type, VGPU_MSG_GOODBYE);
        assert_int_equal(goodbye.reason, reason);
        if (!strstr(goodbye.text, words))
                fail_msg("'%s' is not in '%s'", words, goodbye.text);
        assert_int_equal(recv(fd, &goodbye, sizeof(goodbye), 0), 0);
        close(fd);
}

static void clients_that_are_wrong_are_told_why_and_others_go_on(void **state)
{
        struct vgpu_msg_hello hello = {
                .header = { .magic = VGPU_PROTOCOL_MAGIC,
                        .type = VGPU_MSG_HELLO,
                        .length = sizeof(hello),
                        .version = 7 << 16 },
                .wants = VGPU_WANT_RING,
        };
        unsigned char garbage[512];
        struct rig rig = RIG_NONE;

        (void)state;
        for (size_t i = 0; i < sizeof(garbage); i++)
                garbage[i] = (unsigned char)(i * 37 + 11);
        rig_start_simulated(&rig, SAYS("--mode", "320x200@30"));
        rig_until_frame(&rig);
        is_told_goodbye(&rig.daemon, &hello, sizeof(hello), VGPU_GOODBYE_VERSION, "7.0");
        is_told_goodbye(&rig.daemon, &hello, sizeof(hello), VGPU_GOODBYE_VERSION, "1.0");
        is_told_goodbye(&rig.daemon, garbage, sizeof(garbage), VGPU_GOODBYE_MALFORMED, "");
        is_told_goodbye(&rig.daemon, garbage, 3, VGPU_GOODBYE_MALFORMED, "");
        rig_until_frame(&rig);
        rig_until_frame(&rig);
        rig_stop(&rig);
}

static void a_daemon_that_stops_says_goodbye_and_leaves_no_socket(void **state)
{
        struct rig rig = RIG_NONE;
        struct stat st;

        (void)state;
        rig_start_simulated(&rig, SAYS("--mode", "320x200@30"));
        rig_until_frame(&rig);
        kill(rig.daemon.pid, SIGTERM);
        assert_int_equal(daemon_proc_wait(&rig.daemon), 0);
        assert_int_equal(stat(rig.daemon.socket, &st), -1);
        rig_stop(&rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(no_ram_file_is_waited_for_and_named),
                cmocka_unit_test(a_ram_file_that_is_too_short_says_how_long_it_should_be),
                cmocka_unit_test(a_file_that_is_no_guest_is_told_from_one_that_is_missing),
                cmocka_unit_test(a_folder_is_no_ram_file),
                cmocka_unit_test(a_wrong_machine_type_is_refused_and_points_at_the_key),
                cmocka_unit_test(a_guest_without_a_producer_is_searched),
                cmocka_unit_test(ram_that_appears_later_is_found),
                cmocka_unit_test(truncating_ram_under_the_map_is_an_event_not_a_crash),
                cmocka_unit_test(
                        a_second_daemon_on_the_same_socket_is_refused_and_the_first_goes_on),
                cmocka_unit_test(an_unwritable_socket_folder_is_named),
                cmocka_unit_test(a_missing_socket_folder_is_named),
                cmocka_unit_test(a_file_in_the_sockets_place_is_left_alone_and_needs_somebody),
                cmocka_unit_test(a_broken_configuration_names_every_line_at_once),
                cmocka_unit_test(clients_that_are_wrong_are_told_why_and_others_go_on),
                cmocka_unit_test(a_daemon_that_stops_says_goodbye_and_leaves_no_socket),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
