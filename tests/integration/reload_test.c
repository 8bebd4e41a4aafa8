/*
 * reload_test.c - a daemon that is told to read its configuration again, good or bad, while somebody reads the stream
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"
#include "vgpu_protocol.h"

#define STRANGER 65534

static struct rig rig;
static char base[4400]; /* the configuration as the rig wrote it */

static void read_base(void)
{
        FILE *f = fopen(rig.daemon.config, "re");
        size_t len;

        assert_non_null(f);
        len = fread(base, 1, sizeof(base) - 1, f);
        base[len] = '\0';
        fclose(f);
}

static int stream(void **state)
{
        (void)state;
        rig = RIG_NONE;
        rig_start_simulated(&rig, (const char *const[]){ "--mode", "320x200@30", NULL });
        read_base();
        rig_until_frame(&rig);
        return 0;
}

static int end(void **state)
{
        (void)state;
        rig_stop(&rig);
        return 0;
}

/* As editors do it: the file is the old one or the new one at any time. */
static void configure(const char *more)
{
        char path[128];
        FILE *f;

        snprintf(path, sizeof(path), "%s/next", rig.daemon.dir);
        f = fopen(path, "we");
        assert_non_null(f);
        fprintf(f, "%s%s", base, more);
        assert_int_equal(fclose(f), 0);
        assert_int_equal(rename(path, rig.daemon.config), 0);
}

static void reload(void)
{
        assert_int_equal(kill(rig.daemon.pid, SIGHUP), 0);
}

static void a_good_one_counts_at_once_and_is_named(void **state)
{
        (void)state;
        configure("[pace]\nmax_fps = 30\n[ring]\nmax_clients = 500\n");
        reload();
        rig_until_said(&rig, "in force now: [ring] max_clients, [pace] max_fps");
        rig_until_status(&rig, "\"streaming\"",
                "\"reload\":{\"done\":1,\"refused\":0,\"problem\":null,\"waiting\":[]}");
        reload();
        rig_until_said(&rig, "nothing to change while running");
        rig_until_frame(&rig);
}

static void a_bad_one_changes_nothing_and_says_where(void **state)
{
        (void)state;
        configure("[pace]\nmax_fps = 1\ncolour = red\n");
        reload();
        rig_until_said(&rig, "unknown key colour in [pace]");
        rig_until_said(&rig, "The configuration stays as it was: 1 problem, the first is");
        rig_until_status(&rig, "\"streaming\"", "\"reload\":{\"done\":0,\"refused\":1,");
        rig_until_status(&rig, "\"streaming\"", "daemon.conf:");
        rig_until_frame(&rig);

        assert_int_equal(unlink(rig.daemon.config), 0);
        reload();
        rig_until_status(&rig, "\"streaming\"", "\"refused\":2,");
        rig_until_said(&rig, "cannot be read: No such file or directory");

        configure("");
        reload();
        rig_until_status(&rig, "\"streaming\"",
                "\"reload\":{\"done\":1,\"refused\":2,\"problem\":null,\"waiting\":[]}");
        rig_until_frame(&rig);
}

static void what_needs_a_restart_waits_for_it(void **state)
{
        (void)state;
        configure("[ring]\nslots = 6\n[control]\nuser = 0\n");
        reload();
        rig_until_said(&rig, "Not in force before a restart: [ring] slots, [control] user");
        rig_until_said(&rig, "warning: [control] user is without effect");
        rig_until_status(&rig, "\"slots\":4", "\"waiting\":[\"[ring] slots\",\"[control] user\"]");
        rig_until_frame(&rig);

        assert_int_equal(kill(rig.daemon.pid, SIGTERM), 0);
        assert_int_equal(daemon_proc_wait(&rig.daemon), 0);
        assert_int_equal(daemon_proc_restart(&rig.daemon), 0);
        rig_until_status(&rig, "\"slots\":6", "\"reload\":{\"done\":0,");
        rig_until_status(&rig, "\"slots\":6", "\"waiting\":[]");
        rig_until_frame(&rig);
}

/* Which signals are one to the kernel is its business: what was written before the last one counts. */
static void of_two_in_quick_succession_the_last_word_counts(void **state)
{
        (void)state;
        for (int i = 0; i < 20; i++) {
                configure("[ring]\nslots = 5\n");
                reload();
                configure("[ring]\nstaging = yes\n");
                reload();
                rig_until_status(&rig, "\"streaming\"", "\"waiting\":[\"[ring] staging\"]");
                configure("");
                reload();
                rig_until_status(&rig, "\"streaming\"", "\"waiting\":[]");
        }
}

/* Frames are far enough apart that only a daemon which stops for a reload could miss one. */
static void a_stream_loses_no_frame_over_twenty_reloads(void **state)
{
        uint64_t generation, id;
        unsigned reconnects;

        (void)state;
        rig = RIG_NONE;
        rig_start_simulated(&rig, (const char *const[]){ "--mode", "320x200@5", NULL });
        read_base();
        rig_until_frame(&rig);
        generation = rig.now.generation;
        reconnects = rig.reconnects;
        id = rig.verify.frame.frame_id;
        for (int i = 0; i < 20; i++) {
                configure(i % 2 ? "[pace]\nmax_fps = 120\n[access]\nusers = root, daemon\n" : "");
                reload();
                rig_until_frame(&rig);
                assert_int_equal(rig.verify.frame.frame_id, ++id);
        }
        assert_int_equal(rig.now.generation, generation);
        assert_int_equal(rig.reconnects, reconnects);
        assert_int_equal(rig.verify.tally.missed, 0);
}

static void a_search_goes_on_over_a_reload(void **state)
{
        (void)state;
        rig = RIG_NONE;
        rig_guest_simulated(&rig, (const char *const[]){ "--no-producer", NULL });
        rig_daemon(&rig, NULL);
        rig_client(&rig);
        read_base();
        rig_until_status(&rig, "\"searching\"", "\"reload\":{\"done\":0,");
        for (int i = 0; i < 5; i++) {
                char done[32];

                configure(i % 2 ? "" : "[pace]\nmax_fps = 120\n");
                reload();
                snprintf(done, sizeof(done), "\"reload\":{\"done\":%d,", i + 1);
                rig_until_status(&rig, "\"searching\"", done);
        }
}

static void a_dropin_that_appears_is_read(void **state)
{
        char folder[128], path[160];
        FILE *f;

        (void)state;
        snprintf(folder, sizeof(folder), "%s.d", rig.daemon.config);
        snprintf(path, sizeof(path), "%s/50-quiet.conf", folder);
        assert_int_equal(mkdir(folder, 0755), 0);
        f = fopen(path, "we");
        fputs("[log]\nlevel = err\n", f);
        fclose(f);
        reload();
        rig_until_said(&rig, "in force now: [log] level");
        rig_until_frame(&rig);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(folder), 0);
        reload();
        rig_until_status(&rig, "\"streaming\"", "\"reload\":{\"done\":2,");
}

/* Else a reload in the wrong moment would be the daemon's end: that is what SIGHUP means to who says nothing about it. */
static void a_signal_before_it_is_ready_is_a_reload(void **state)
{
        sigset_t hup;

        (void)state;
        assert_int_equal(kill(rig.daemon.pid, SIGTERM), 0);
        assert_int_equal(daemon_proc_wait(&rig.daemon), 0);
        sigemptyset(&hup);
        sigaddset(&hup, SIGHUP);
        /* blocked over exec(), so that it waits for the daemon's first instruction */
        assert_int_equal(sigprocmask(SIG_BLOCK, &hup, NULL), 0);
        assert_int_equal(daemon_proc_restart(&rig.daemon), 0);
        reload();
        assert_int_equal(sigprocmask(SIG_UNBLOCK, &hup, NULL), 0);
        rig_until_status(&rig, "\"streaming\"", "\"reload\":{\"done\":1,");
}

/* ---- who may no more --------------------------------------------------------------------------------------------- */

/* Waits as another user until it is sent away. Returns an exit status. */
static int stranger(const char *socket, int ready)
{
        const struct vgpu_client_options options = { .flags = VGPU_CLIENT_NO_RECONNECT,
                .name = "stranger" };
        struct vgpu_client_failure why;
        struct vgpu_client *c;
        uint32_t reason;
        const char *text;

        if (setgid(STRANGER) < 0 || setuid(STRANGER) < 0)
                return 2;
        if (vgpu_client_connect(socket, &options, &c, &why) < 0 || write(ready, "", 1) != 1)
                return 3;
        while (vgpu_client_wait(c, 1000) >= 0)
                ;
        text = vgpu_client_goodbye(c, &reason);
        if (reason != VGPU_GOODBYE_DENIED || !strstr(text, "an administrator changed who may"))
                return 4;
        vgpu_client_close(c);
        return vgpu_client_connect(socket, &options, &c, &why) < 0 ? 0 : 5;
}

static bool generation_is(const struct rig *r, uint64_t generation)
{
        return r->now.generation == generation;
}

static void who_may_connect_no_more_is_sent_away_and_the_others_read_on(void **state)
{
        int ready[2], status;
        char byte;
        pid_t pid;

        (void)state;
        rig = RIG_NONE;
        if (getuid() != 0) {
                print_message("skipped: becoming another user takes root\n");
                skip();
        }
        rig_guest_simulated(&rig, (const char *const[]){ "--mode", "320x200@30", NULL });
        rig_daemon(&rig, "mode = 0666\n");
        rig_client(&rig);
        read_base();
        rig_until_frame(&rig);
        assert_int_equal(chmod(rig.daemon.dir, 0755), 0);
        assert_int_equal(pipe(ready), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                _exit(stranger(rig.daemon.socket, ready[1]));
        assert_int_equal(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        close(ready[1]);

        configure("[access]\nusers = root\n");
        reload();
        rig_until(&rig, generation_is, 2, "the ring that the stranger does not have");
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        rig_until_frame(&rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(
                        a_good_one_counts_at_once_and_is_named, stream, end),
                cmocka_unit_test_setup_teardown(
                        a_bad_one_changes_nothing_and_says_where, stream, end),
                cmocka_unit_test_setup_teardown(what_needs_a_restart_waits_for_it, stream, end),
                cmocka_unit_test_setup_teardown(
                        of_two_in_quick_succession_the_last_word_counts, stream, end),
                cmocka_unit_test_setup_teardown(
                        a_signal_before_it_is_ready_is_a_reload, stream, end),
                cmocka_unit_test_setup_teardown(a_dropin_that_appears_is_read, stream, end),
                cmocka_unit_test_teardown(a_stream_loses_no_frame_over_twenty_reloads, end),
                cmocka_unit_test_teardown(a_search_goes_on_over_a_reload, end),
                cmocka_unit_test_teardown(
                        who_may_connect_no_more_is_sent_away_and_the_others_read_on, end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
