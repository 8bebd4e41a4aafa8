/*
 * floor.c - vgpu-bench-floor: the least that waking another process for a frame can take
 *
 * One time stamp, one word, one FUTEX_WAKE, nothing around them: what any transport's hand-off has to be read against,
 * since a machine under load or in a virtual machine does not wake anybody in less. Roles: source and client.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker.h"

struct shared {
        _Alignas(64) uint32_t wake;
        _Alignas(64) uint64_t stamp_ns;
};

static struct shared *map_shared(const struct bench_worker *w)
{
        struct shared *s;
        char path[128];
        int fd;

        snprintf(path, sizeof(path), "%s/floor", w->dir);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0 || ftruncate(fd, sizeof(*s)) < 0)
                bench_fail(w, "%s: %s", path, strerror(errno));
        s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (s == MAP_FAILED)
                bench_fail(w, "%s cannot be mapped: %s", path, strerror(errno));
        close(fd);
        return s;
}

static void run_source(struct bench_worker *w, struct shared *s)
{
        int timer = bench_frame_timer(w);
        uint8_t *frame = malloc(w->frame_bytes);

        if (!frame)
                bench_fail(w, "no memory for a frame");
        bench_ready(w);
        while (bench_wait_frame(w, timer)) {
                bench_fill(w, frame);
                __atomic_store_n(&s->stamp_ns, bench_now(), __ATOMIC_RELAXED);
                __atomic_fetch_add(&s->wake, 1, __ATOMIC_RELEASE);
                syscall(SYS_futex, &s->wake, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
        }
}

static _Noreturn void run_client(struct bench_worker *w, struct shared *s)
{
        uint32_t seen = __atomic_load_n(&s->wake, __ATOMIC_ACQUIRE);

        bench_ready(w);
        for (;;) {
                uint64_t stamp_ns;
                uint32_t now;

                syscall(SYS_futex, &s->wake, FUTEX_WAIT, seen, NULL, NULL, 0);
                now = __atomic_load_n(&s->wake, __ATOMIC_ACQUIRE);
                if (now == seen)
                        continue;
                seen = now;
                stamp_ns = __atomic_load_n(&s->stamp_ns, __ATOMIC_RELAXED);
                bench_sample(w, stamp_ns, bench_now() - stamp_ns);
        }
}

int main(int argc, char **argv)
{
        struct bench_worker w;
        struct shared *s;

        bench_worker_init(&w, argc, argv);
        s = map_shared(&w);
        if (w.index == 0)
                run_source(&w, s);
        else
                run_client(&w, s);
        return 0;
}
