/*
 * flip_test.c - a guest that changes its mode as fast as it can makes the daemon grow nothing
 *
 * The mode is the guest's to choose, and each ring lives as long as a client maps it. So rings, descriptors, maps and the
 * bytes behind them are counted before and after; one client never lets go of the first ring.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <dirent.h>
#include <unistd.h>
#include <cmocka.h>

#include "rig.h"
#include "vgpu_protocol.h"

#define FLIPS 500

struct holds {
        struct daemon_proc_holds proc;
        uint64_t memfd_bytes; /* of the rings it can still write */
        uint64_t generation;
};

static uint64_t memfd_bytes(pid_t pid)
{
        char path[64], target[64];
        uint64_t bytes = 0;
        struct dirent *entry;
        struct stat st;
        DIR *d;

        snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
        d = opendir(path);
        assert_non_null(d);
        while ((entry = readdir(d)) != NULL) {
                ssize_t n = readlinkat(dirfd(d), entry->d_name, target, sizeof(target) - 1);

                target[n > 0 ? n : 0] = '\0';
                if (strncmp(target, "/memfd:", 7) == 0 &&
                        fstatat(dirfd(d), entry->d_name, &st, 0) == 0)
                        bytes += (uint64_t)st.st_size;
        }
        closedir(d);
        return bytes;
}

static struct holds settled(struct rig *rig)
{
        struct holds h;

        rig_until(rig, rig_mode_is, UINT64_C(3840) << 32 | 2160, "a large frame");
        rig_until_frame(rig);
        h.proc = daemon_proc_holds(&rig->daemon);
        h.memfd_bytes = memfd_bytes(rig->daemon.pid);
        h.generation = rig->now.generation;
        return h;
}

static void a_guest_that_flips_its_mode_grows_nothing(void **state)
{
        static const char *const modes[] = { "mode 640x480@120", "mode 3840x2160@120",
                "mode 1920x1080@120" };
        const struct vgpu_client_options keeps = { .name = "keeps" };
        struct vgpu_client_failure why;
        struct vgpu_client *keeper;
        struct holds before, after;
        struct rig rig = RIG_NONE;

        (void)state;
        rig_start_simulated(&rig, (const char *const[]){ "--mode", "640x480@30", NULL });
        rig_until_frame(&rig);
        assert_int_equal(vgpu_client_connect(rig.daemon.socket, &keeps, &keeper, &why), 0);
        rig_tell(&rig, modes[1]);
        before = settled(&rig);
        rig_until_status(&rig, "\"streaming\"", "\"retired\":1");

        for (int i = 0; i < FLIPS; i++) {
                rig_tell(&rig, modes[i % 3]);
                if (i % 100 == 0)
                        rig_until_frame(&rig);
        }
        rig_tell(&rig, modes[1]);
        after = settled(&rig);
        rig_until_status(&rig, "\"streaming\"", "\"retired\":1");
        assert_int_equal(after.generation, before.generation);
        assert_int_equal(after.proc.n_fds, before.proc.n_fds);
        assert_int_equal(after.proc.n_maps, before.proc.n_maps);
        assert_int_equal(after.memfd_bytes, before.memfd_bytes);

        /* The kernel's word that the last one has let go, not the client's. */
        vgpu_client_close(keeper);
        rig_until_status(&rig, "\"streaming\"", "\"retired\":0");
        rig_stop(&rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_guest_that_flips_its_mode_grows_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
