/*
 * client_program.c - a client as anybody would write one: connects, takes frames, holds some, loses the daemon, comes again
 *
 * It believes what the library says and tries again where that is the advice. Ends with 0 when it has had its frames after the
 * loss, with 1 and a sentence when the library said that there is no use.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "vgpu_client.h"

enum { PHASE_CONNECT, PHASE_TAKE, PHASE_HOLD, PHASE_RECONNECT, PHASE_CLOSE };

#define PATIENCE_NS UINT64_C(15000000000)
#define PIXELS_MOST (4u << 20)

static uint8_t pixels[PIXELS_MOST];
static void (*tell_phase)(unsigned phase);

static uint64_t now_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static void enter(unsigned phase)
{
        if (tell_phase)
                tell_phase(phase);
}

static __attribute__((noreturn)) void give_up(struct vgpu_client *c, const char *what, int r)
{
        fprintf(stderr, "fault-client: %s did not come about: %s\n", what, strerror(-r));
        vgpu_client_close(c);
        exit(1);
}

/* Return: as vgpu_client_wait(). What it is woken for may be nothing. */
static int wait_for(struct vgpu_client *c, const char *what, uint64_t since_ns)
{
        int events = vgpu_client_wait(c, 1000);

        if (events < 0)
                give_up(c, what, events);
        if (now_ns() - since_ns > PATIENCE_NS) {
                fprintf(stderr, "fault-client: stuck waiting for %s\n", what);
                abort();
        }
        return events;
}

static void take_frames(struct vgpu_client *c, int n)
{
        uint64_t since_ns = now_ns();
        struct vgpu_client_frame frame;

        while (n > 0) {
                int r;

                wait_for(c, "a frame", since_ns);
                r = vgpu_client_copy_latest(c, pixels, sizeof(pixels), &frame);
                if (r < 0 && r != -ENODATA)
                        give_up(c, "a copy", r);
                n -= r == 1;
        }
}

static void hold_frames(struct vgpu_client *c, int n)
{
        uint64_t since_ns = now_ns();
        struct vgpu_client_frame frame;
        const void *held;

        while (n > 0) {
                int r = vgpu_client_acquire(c, &frame, &held);

                if (r < 0 && r != -ENODATA)
                        give_up(c, "a hold", r);
                if (r == 1) {
                        vgpu_client_release(c, frame.serial);
                        n--;
                }
                wait_for(c, "a frame to hold", since_ns);
        }
}

/* Return: whether a connection was there to be cut. */
static bool cut(void)
{
        bool was_there = false;

        for (int fd = 3; fd < 64; fd++) {
                int type = 0;
                socklen_t len = sizeof(type);

                if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET)
                        was_there |= shutdown(fd, SHUT_RDWR) == 0;
        }
        return was_there;
}

/* As a daemon's death would. It may be lost already, and our own calls may be the ones that fail. */
static void lose_daemon(struct vgpu_client *c)
{
        uint64_t since_ns = now_ns();

        while (!cut())
                wait_for(c, "a daemon to lose", since_ns);
}

static void await_event(struct vgpu_client *c, int event, const char *what)
{
        uint64_t since_ns = now_ns();

        while (!(wait_for(c, what, since_ns) & event))
                ;
}

int main(int argc, char **argv)
{
        const struct vgpu_client_options options = { .flags = VGPU_CLIENT_LEASES,
                .name = "fault-client" };
        struct vgpu_client_failure why;
        struct vgpu_client *c;

        if (argc != 2)
                return 2;
        *(void **)&tell_phase = dlsym(RTLD_DEFAULT, "vgpu_fault_phase");
        enter(PHASE_CONNECT);
        if (vgpu_client_connect(argv[1], &options, &c, &why) < 0) {
                fprintf(stderr, "fault-client: %s\n", why.text);
                return 1;
        }
        enter(PHASE_TAKE);
        take_frames(c, 3);
        enter(PHASE_HOLD);
        hold_frames(c, 3);
        lose_daemon(c);
        enter(PHASE_RECONNECT);
        await_event(c, VGPU_CLIENT_RECONNECTED, "the daemon again");
        take_frames(c, 2);
        enter(PHASE_CLOSE);
        vgpu_client_close(c);
        puts("all frames were had");
        return 0;
}
