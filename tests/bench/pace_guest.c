/* pace_guest.c - see pace_guest.h */
#include "pace_guest.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define NS_PER_S UINT64_C(1000000000)
#define LOOK_NS  UINT64_C(10000000) /* how often the guest looks for other orders */
#define LATER    (UINT64_MAX / 4)   /* guest time that never comes: frames are ours */

struct pace_orders {
        uint32_t fps;
        uint32_t ready; /* 1: ram is there to be read */
        char ram[PATH_MAX];
};

static _Noreturn void give_up(const char *what, const char *why)
{
        fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, why);
        exit(1);
}

static void sleep_until(uint64_t when_ns)
{
        const struct timespec at = { .tv_sec = (time_t)(when_ns / NS_PER_S),
                .tv_nsec = (long)(when_ns % NS_PER_S) };

        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static void open_guest(struct guest *g, uint32_t width, uint32_t height)
{
        static char name[] = "vgpu-bench-pace", memfd[] = "--memfd";
        static char *arguments[] = { name, memfd, NULL };
        struct guest_options options;
        char why[200];

        if (!guest_options_parse(&options, 2, arguments, why, sizeof(why)))
                give_up("guest", why);
        options.ram_size = UINT64_C(1) << 30;
        options.machine.paging = MACHINE_SCATTER;
        options.mode.width = width;
        options.mode.height = height;
        if (!guest_open(g, &options))
                give_up("guest", g->why);
        /* a frame in every slot, so that all of their pages are there */
        for (unsigned i = 0; i < options.slots; i++) {
                g->producer.next_frame_ns = 0;
                guest_run_due(g);
        }
        g->producer.next_frame_ns = LATER;
}

static void publish(struct guest_producer *p)
{
        struct vgpu_producer_frame frame = {
                .width = p->mode.width,
                .height = p->mode.height,
                .stride = p->mode.width * 4,
                .format = p->mode.format,
                .content_changed = true,
        };
        uint64_t frame_id;

        vgpu_producer_begin_frame(&p->writer, &frame_id);
        frame.timestamp_ns = guest_clock_host_ns();
        vgpu_producer_end_frame(&p->writer, &frame);
}

static _Noreturn void run(struct guest *g, struct pace_orders *orders)
{
        uint64_t next_ns = 0;

        for (;;) {
                uint32_t fps = __atomic_load_n(&orders->fps, __ATOMIC_ACQUIRE);
                uint64_t now_ns, wake_ns = guest_run_due(g);

                now_ns = guest_clock_host_ns();
                if (fps > 0 && next_ns <= now_ns) {
                        publish(&g->producer);
                        next_ns = next_ns ? guest_next_after(next_ns, now_ns, NS_PER_S / fps)
                                          : now_ns + NS_PER_S / fps;
                }
                if (fps == 0)
                        next_ns = 0;
                else if (next_ns < wake_ns)
                        wake_ns = next_ns;
                sleep_until(wake_ns < now_ns + LOOK_NS ? wake_ns : now_ns + LOOK_NS);
        }
}

void pace_guest_start(struct pace_guest *g, uint32_t width, uint32_t height)
{
        static struct guest guest;

        g->orders = mmap(NULL, sizeof(*g->orders), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (g->orders == MAP_FAILED)
                give_up("guest", strerror(errno));
        g->pid = fork();
        if (g->pid < 0)
                give_up("guest", strerror(errno));
        if (g->pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                open_guest(&guest, width, height);
                snprintf(g->orders->ram, sizeof(g->orders->ram), "%s", guest.ram.path);
                __atomic_store_n(&g->orders->ready, 1, __ATOMIC_RELEASE);
                run(&guest, g->orders);
        }
        while (!__atomic_load_n(&g->orders->ready, __ATOMIC_ACQUIRE)) {
                if (waitpid(g->pid, NULL, WNOHANG) != 0)
                        exit(1); /* it said why */
                sleep_until(guest_clock_host_ns() + LOOK_NS);
        }
        snprintf(g->ram, sizeof(g->ram), "%s", g->orders->ram);
}

void pace_guest_set_fps(struct pace_guest *g, uint32_t fps)
{
        __atomic_store_n(&g->orders->fps, fps, __ATOMIC_RELEASE);
}

void pace_guest_stop(struct pace_guest *g)
{
        kill(g->pid, SIGKILL);
        waitpid(g->pid, NULL, 0);
        munmap(g->orders, sizeof(*g->orders));
        *g = (struct pace_guest){ 0 };
}
