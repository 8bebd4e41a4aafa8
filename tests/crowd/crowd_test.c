/*
 * crowd_test.c - many clients of four kinds on one real daemon
 *
 *      crowd_test [CLIENTS [SECONDS]]
 *
 * Two members judge every byte of every frame they take, the others a random 64 KiB of theirs.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <cmocka.h>

#include "crowd.h"
#include "rig.h"

#define PATIENCE_MS 60000

static unsigned n_clients = 16, seconds = 3;

static bool has_frames(const struct crowd_tally *tally, uint64_t frames)
{
        return tally->frames >= frames;
}

static bool has_mode(const struct crowd_tally *tally, uint64_t mode)
{
        return tally->mode == mode;
}

static bool has_met(const struct crowd_tally *tally, uint64_t instances)
{
        return tally->instances >= instances && tally->online;
}

static bool has_serial(const struct crowd_tally *tally, uint64_t serial)
{
        return tally->serial >= serial;
}

static void until(struct crowd *crowd, crowd_condition condition, uint64_t arg, const char *what)
{
        int who = crowd_until(crowd, condition, arg, PATIENCE_MS);
        struct crowd_tally t;

        if (who < 0)
                return;
        t = crowd_tally(crowd, (unsigned)who);
        fail_msg("waited for %s: client %d (%s) has %llu frames, serial %llu, mode %llux%llu, "
                 "generation %llu, %llu daemons, %s, error %llu",
                what, who, crowd_kind_name(crowd->member[who].kind), (unsigned long long)t.frames,
                (unsigned long long)t.serial, (unsigned long long)t.mode >> 32,
                (unsigned long long)t.mode & UINT32_MAX, (unsigned long long)t.generation,
                (unsigned long long)t.instances, t.online ? "online" : "offline",
                (unsigned long long)t.failed);
}

static void gather(struct rig *rig, struct crowd *crowd, unsigned n)
{
        assert_int_equal(crowd_init(crowd), 0);
        for (unsigned i = 0; i < n; i++)
                assert_int_equal(
                        crowd_add(crowd, rig->daemon.socket, (enum crowd_kind)(i % CROWD_N_KINDS),
                                i == CROWD_COPY || i == CROWD_LEASE),
                        0);
        until(crowd, has_frames, 1, "a first frame");
}

static void print_kinds(const struct crowd *crowd)
{
        for (unsigned kind = 0; kind < CROWD_N_KINDS; kind++) {
                struct crowd_tally sum = { 0 };
                unsigned n = 0;

                for (unsigned i = 0; i < crowd->n; i++) {
                        struct crowd_tally t = crowd_tally(crowd, i);

                        if ((unsigned)crowd->member[i].kind != kind)
                                continue;
                        n++;
                        sum.frames += t.frames;
                        sum.missed += t.missed;
                        sum.whole += t.whole;
                        sum.lost += t.lost;
                }
                print_message("%5s: %u clients, %llu frames each, %llu missed, %llu judged whole, "
                              "%llu holds ended\n",
                        crowd_kind_name((enum crowd_kind)kind), n,
                        (unsigned long long)(n ? sum.frames / n : 0),
                        (unsigned long long)(n ? sum.missed / n : 0), (unsigned long long)sum.whole,
                        (unsigned long long)sum.lost);
        }
}

static void disperse(struct crowd *crowd)
{
        struct crowd_tally sum = crowd_sum(crowd);

        assert_int_equal(sum.torn, 0);
        assert_int_equal(sum.foreign, 0);
        assert_int_equal(sum.failed, 0);
        assert_int_equal(crowd_stop(crowd), 0);
}

/* The rig's own client takes its share of every frame's bytes; here the crowd's do. */
static void rig_without_client(struct rig *rig, const char *mode)
{
        const char *const args[] = { "--scatter", "--mode", mode, NULL };

        *rig = RIG_NONE;
        rig_guest_simulated(rig, args);
        rig_daemon(rig, "max_clients = 300\n");
        /* as its unit has it; without the right to, clients that fill every processor cost frames */
        if (setpriority(PRIO_PROCESS, (id_t)rig->daemon.pid, -20) < 0)
                print_message("the daemon runs at the clients' priority: %s\n", strerror(errno));
}

static void clients_of_four_kinds_get_whole_frames_and_nobody_elses(void **state)
{
        struct timespec length = { .tv_sec = seconds };
        struct crowd_tally before, after;
        static struct crowd crowd;
        uint64_t drawn;
        struct rig rig;

        (void)state;
        rig_without_client(&rig, "1920x1080@60");
        gather(&rig, &crowd, n_clients);
        rig_tell(&rig, "status");
        drawn = rig.guest.facts.frames;
        before = crowd_tally(&crowd, 0);
        nanosleep(&length, NULL); /* the length of the test, not a wait for anything */
        rig_tell(&rig, "status");
        drawn = rig.guest.facts.frames - drawn;
        after = crowd_tally(&crowd, 0);
        print_message("%u clients, %u s: the guest drew %llu frames, the daemon published %llu\n",
                n_clients, seconds, (unsigned long long)drawn,
                (unsigned long long)(after.serial - before.serial));
        print_kinds(&crowd);
        assert_true(after.serial - before.serial >= drawn / 2);
        /* everybody still takes frames, however many there are */
        until(&crowd, has_serial, after.serial + 1, "a frame after all that time");
        assert_true(crowd_sum(&crowd).whole > 0);
        disperse(&crowd);
        rig_stop(&rig);
}

static void every_client_sees_every_mode_in_its_own_generation(void **state)
{
        static const struct step {
                const char *command;
                uint64_t width, height;
        } steps[] = {
                { "mode 3840x2160@30", 3840, 2160 },
                { "mode 2560x1440@30", 2560, 1440 },
                { "mode 1920x1080@60", 1920, 1080 },
        };
        static struct crowd crowd;
        struct rig rig;

        (void)state;
        rig_without_client(&rig, "1920x1080@60");
        gather(&rig, &crowd, 8);
        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
                rig_tell(&rig, steps[i].command);
                until(&crowd, has_mode, steps[i].width << 32 | steps[i].height, steps[i].command);
        }
        /* 4K does not fit the first ring; what follows fits the second */
        for (unsigned i = 0; i < crowd.n; i++)
                assert_int_equal(crowd_tally(&crowd, i).generations, 1 << 1 | 1 << 2);
        disperse(&crowd);
        rig_stop(&rig);
}

static unsigned count_maps_of_rings(pid_t pid)
{
        char path[64], line[512];
        unsigned n = 0;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
        f = fopen(path, "re");
        assert_non_null(f);
        while (fgets(line, sizeof(line), f))
                n += strstr(line, "vgpud-ring") != NULL;
        fclose(f);
        return n;
}

static unsigned count_fds(pid_t pid)
{
        char path[64];
        unsigned n = 0;
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
        dir = opendir(path);
        assert_non_null(dir);
        while (readdir(dir))
                n++;
        closedir(dir);
        return n;
}

static void every_client_outlives_fifty_killed_daemons(void **state)
{
        enum { CLIENTS = 16, RESTARTS = 50 };

        static struct crowd crowd;
        unsigned fds[CLIENTS];
        struct rig rig;

        (void)state;
        rig_without_client(&rig, "640x480@60");
        gather(&rig, &crowd, CLIENTS);
        for (unsigned i = 0; i < CLIENTS; i++)
                fds[i] = count_fds(crowd.member[i].pid);
        for (unsigned i = 0; i < RESTARTS; i++) {
                daemon_proc_kill(&rig.daemon);
                assert_int_equal(daemon_proc_restart(&rig.daemon), 0);
                until(&crowd, has_met, i + 1, "the next daemon");
        }
        until(&crowd, has_serial, 1, "a frame of the last daemon");
        /* of fifty-one rings each client maps one: memory of dead daemons is not kept */
        for (unsigned i = 0; i < CLIENTS; i++) {
                assert_int_equal(count_maps_of_rings(crowd.member[i].pid), 1);
                assert_int_equal(count_fds(crowd.member[i].pid), fds[i]);
        }
        disperse(&crowd);
        rig_stop(&rig);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(clients_of_four_kinds_get_whole_frames_and_nobody_elses),
                cmocka_unit_test(every_client_sees_every_mode_in_its_own_generation),
                cmocka_unit_test(every_client_outlives_fifty_killed_daemons),
        };
        size_t n = sizeof(tests) / sizeof(tests[0]);

        if (argc > 1) {
                n_clients = (unsigned)atoi(argv[1]);
                seconds = argc > 2 ? (unsigned)atoi(argv[2]) : seconds;
                n = 1;
        }
        return _cmocka_run_group_tests("crowd", tests, n, NULL, NULL);
}
