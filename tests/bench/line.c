/* line.c - see line.h */
#include "line.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_NS UINT64_C(60000000000) /* only reached when something is broken */
#define LOOK_NS     1000000
#define MAX_WORDS   32

static _Noreturn void give_up(struct line *l, const char *what, const char *why)
{
        char *said = daemon_proc_said(&l->daemon);

        fprintf(stderr, "%s: %s: %s\n%s", program_invocation_short_name, what, why, said);
        free(said);
        line_end(l);
        exit(1);
}

uint64_t line_now_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

void line_guest(struct line *l, const char *const args[])
{
        const char *words[MAX_WORDS] = { "--memfd" };
        size_t n = 1;
        int r;

        while (*args && n < MAX_WORDS - 1)
                words[n++] = *args++;
        r = guest_proc_spawn(&l->guest, words);
        if (r < 0)
                give_up(l, "the simulated guest", strerror(-r));
}

/* What the service manager would listen on. The name is abstract: nothing to remove. Return: the socket. */
static int listen_for_ready(void)
{
        struct sockaddr_un at = { .sun_family = AF_UNIX };
        char name[sizeof(at.sun_path)];
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int n = snprintf(
                name, sizeof(name), "@%s-%d", program_invocation_short_name, (int)getpid());

        memcpy(at.sun_path + 1, name + 1, (size_t)n - 1);
        if (fd < 0 || bind(fd, (struct sockaddr *)&at,
                              (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n)) < 0)
                return -1;
        setenv("NOTIFY_SOCKET", name, 1);
        return fd;
}

static bool heard_ready(int fd)
{
        char text[1024];
        ssize_t n;

        while ((n = recv(fd, text, sizeof(text) - 1, 0)) > 0) {
                text[n] = '\0';
                if (strstr(text, "READY=1"))
                        return true;
        }
        return false;
}

static bool holds_frame(struct line *l)
{
        struct vgpu_client_frame frame;

        return vgpu_client_dispatch(l->client) >= 0 && vgpu_client_peek(l->client, &frame) == 1;
}

/* Until the daemon speaks or the client has news, but not for long. */
static void wait_a_little(struct line *l, int ready_fd)
{
        const struct timespec look = { .tv_nsec = LOOK_NS };
        struct pollfd fds[] = { { .fd = ready_fd, .events = POLLIN },
                { .fd = l->client ? vgpu_client_fd(l->client) : -1, .events = POLLIN } };

        ppoll(fds, 2, &look, NULL);
}

void line_daemon(struct line *l, const char *more, struct line_start *ret_start)
{
        const struct vgpu_client_options options = { .name = "line" };
        const struct guest_facts *facts = &l->guest.facts;
        struct line_start start = { 0 };
        int ready_fd = listen_for_ready(), r;
        uint64_t began_ns = line_now_ns(), passed_ns = 0;

        if (ready_fd < 0)
                give_up(l, "the notification socket", strerror(errno));
        r = daemon_proc_start(&l->daemon, facts->ram, facts->machine, facts->ram_size, more);
        unsetenv("NOTIFY_SOCKET");
        if (r < 0)
                give_up(l, "vgpud", strerror(-r));
        while (start.ready == 0 || start.first_frame == 0) {
                wait_a_little(l, start.ready == 0 ? ready_fd : -1);
                passed_ns = line_now_ns() - began_ns;
                if (start.ready == 0 && heard_ready(ready_fd))
                        start.ready = passed_ns;
                if (!l->client &&
                        vgpu_client_connect(l->daemon.socket, &options, &l->client, NULL) == 0)
                        start.connected = passed_ns;
                if (l->client && start.first_frame == 0 && holds_frame(l))
                        start.first_frame = line_now_ns() - began_ns;
                if (passed_ns > PATIENCE_NS)
                        give_up(l, "vgpud", "no frame came");
        }
        close(ready_fd);
        if (ret_start)
                *ret_start = start;
}

void line_end_daemon(struct line *l)
{
        l->client = vgpu_client_close(l->client);
        daemon_proc_stop(&l->daemon);
}

void line_end(struct line *l)
{
        line_end_daemon(l);
        guest_proc_stop(&l->guest);
        *l = LINE_NONE;
}

uint64_t line_drawn(struct line *l)
{
        int r = guest_proc_command(&l->guest, "status");

        if (r < 0)
                give_up(l, "the simulated guest", strerror(-r));
        return l->guest.facts.frames;
}
