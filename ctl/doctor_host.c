/* doctor_host.c - the kernel, the daemon's limits, and room for logs */
#include <errno.h>
#include <inttypes.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fcntl.h>

#include "doctor.h"
#include "field.h"
#include "text.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

/* ---- the kernel ------------------------------------------------------------------------------------------------------ */

/* What a ring is: a memfd that nobody can write to any more but through the map that was there before. */
static bool seals_work(void)
{
        int fd = memfd_create("vgpuctl-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        bool ok = fd >= 0 &&
                  fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) == 0;

        if (fd >= 0)
                close(fd);
        return ok;
}

/* Nothing to wait for is a mistake; a kernel without the call says something else. */
static bool has_futex_waitv(void)
{
        return syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0) < 0 && errno != ENOSYS;
}

/* The first number in a file of the kernel's; -1: there is none. */
static long number_in(const struct doctor *d, const char *path)
{
        char real[PATH_MAX];
        FILE *f = fopen(doctor_path(d, path, real), "re");
        long value = -1;

        if (f) {
                if (fscanf(f, "%ld", &value) != 1)
                        value = -1;
                fclose(f);
        }
        return value;
}

void doctor_check_kernel(struct doctor *d, struct doctor_finding *f)
{
        long uring = number_in(d, "/proc/sys/kernel/io_uring_disabled");
        long pages = number_in(d, "/proc/sys/vm/nr_hugepages");

        if (!seals_work()) {
                doctor_say(f, DOCTOR_FAIL,
                        "the kernel cannot seal memory against writing (memfd, "
                        "F_SEAL_FUTURE_WRITE)");
                doctor_next(f, "run Linux 5.1 or later");
        } else if (uring > 0) {
                doctor_say(f, DOCTOR_WARN,
                        "io_uring is disabled (kernel.io_uring_disabled = %ld): clients are woken "
                        "one by one",
                        uring);
                doctor_next(f, "sysctl kernel.io_uring_disabled=0, if hundreds of clients are to "
                               "be served");
        } else {
                doctor_say(f, DOCTOR_OK,
                        "memory can be sealed, io_uring is allowed, futex_waitv is %s, %ld huge "
                        "pages",
                        has_futex_waitv() ? "there" : "not there", pages < 0 ? 0 : pages);
        }
}

/* ---- the daemon's limits --------------------------------------------------------------------------------------------- */

/* "Max open files  1024  524288  files": the soft one. Return: UINT64_MAX for unlimited, 0: not known. */
static uint64_t soft_limit(const char *line)
{
        char word[24];

        if (sscanf(line, "%23s", word) != 1)
                return 0;
        return strcmp(word, "unlimited") == 0 ? UINT64_MAX : strtoull(word, NULL, 10);
}

void doctor_check_limits(struct doctor *d, struct doctor_finding *f)
{
        uint64_t clients = d->has_config ? d->config.ring.max_clients : 64, files = 0, locked = 0;
        char path[PATH_MAX], line[256], size[32];
        FILE *limits;

        snprintf(path, sizeof path, "%s/proc/%" PRIu64 "/limits", d->root,
                field_u64(d->status, "pid"));
        limits = fopen(path, "re");
        if (!limits) {
                doctor_say(f, DOCTOR_SKIPPED, "the daemon's limits cannot be read: %s",
                        strerror(errno));
                return;
        }
        while (fgets(line, sizeof line, limits)) {
                if (strncmp(line, "Max open files", 14) == 0)
                        files = soft_limit(line + 14);
                if (strncmp(line, "Max locked memory", 17) == 0)
                        locked = soft_limit(line + 17);
        }
        fclose(limits);
        if (files < clients * 4 + 64) {
                doctor_say(f, DOCTOR_WARN,
                        "%" PRIu64 " open files are fewer than %" PRIu64 " clients take", files,
                        clients);
                doctor_next(f,
                        "systemctl edit vgpud@%s: [Service] LimitNOFILE=%" PRIu64
                        ", or lower [ring] max_clients",
                        d->name, clients * 4 + 64);
        } else if (locked < clients * 4096) {
                doctor_say(f, DOCTOR_WARN,
                        "%s of locked memory is less than %" PRIu64 " clients take",
                        text_bytes(size, sizeof size, locked), clients);
                doctor_next(f, "systemctl edit vgpud@%s: [Service] LimitMEMLOCK=64M", d->name);
        } else {
                doctor_say(f, DOCTOR_OK, "enough files and locked memory for %" PRIu64 " clients",
                        clients);
        }
}

/* ---- room for logs --------------------------------------------------------------------------------------------------- */

/* journald keeps a part of the disk free, and below some 16 MiB it writes nothing at all. */
#define ROOM_NONE (UINT64_C(16) << 20)
#define ROOM_FEW  (UINT64_C(128) << 20)

void doctor_check_logs(struct doctor *d, struct doctor_finding *f)
{
        static const char *const places[] = { "/var/log/journal", "/run/log/journal" };
        char path[PATH_MAX], room[32];
        struct statvfs st;

        for (size_t i = 0; i < 2; i++) {
                uint64_t bytes;

                /* The first that is there is where the journal is written to. */
                if (statvfs(doctor_path(d, places[i], path), &st) < 0)
                        continue;
                bytes = (uint64_t)st.f_bavail * st.f_frsize;
                text_bytes(room, sizeof room, bytes);
                if (bytes >= ROOM_FEW) {
                        doctor_say(f, DOCTOR_OK, "%s free at %s", room, places[i]);
                        return;
                }
                doctor_say(f, bytes < ROOM_NONE ? DOCTOR_FAIL : DOCTOR_WARN,
                        "the disk is %s: %s free at %s, so %s",
                        bytes < ROOM_NONE ? "full" : "nearly full", room, places[i],
                        bytes < ROOM_NONE ? "nothing is logged any more" : "old entries go soon");
                doctor_next(f, "make room: journalctl --vacuum-size=100M, or delete something else "
                               "there (frames are not "
                               "affected)");
                return;
        }
        doctor_say(
                f, DOCTOR_SKIPPED, "there is no journal in /var/log/journal or /run/log/journal");
        doctor_next(f, "the daemon's messages are on its standard error then");
}
