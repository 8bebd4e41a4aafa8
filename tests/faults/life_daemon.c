/*
 * life_daemon.c - a daemon's whole life: start, attach, join, stream, ask, reload, stop
 *
 * The client is this side, where nothing fails. That the stream is there is judged by it alone; what the daemon writes and
 * notifies only moves the phases on, for the call that fails may be the one that says it.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lives.h"
#include "vgpu_client.h"
#include "vgpu_protocol.h"

enum { PHASE_START, PHASE_ATTACH, PHASE_JOIN, PHASE_STREAM, PHASE_ASK, PHASE_RELOAD, PHASE_STOP };

#define PATIENCE_MS 20000 /* for what must come */
#define HINT_MS     1500  /* for what only begins the next phase */
#define FRAMES      8     /* of a stream */

struct daemon_life {
        const struct fault *fault;
        char dir[64], config[96], socket[96], notify[96];
        int notify_fd;
        struct subject *s;
        struct vgpu_client *client;
        uint8_t *pixels;
        struct outcome *out;
};

#define PIXELS_MOST (4u << 20)

static uint64_t now_ms(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void write_config(const struct daemon_life *d, const struct world *world)
{
        const struct guest_facts *guest = world->guest;
        FILE *f = fopen(d->config, "we");

        fprintf(f, "[guest]\nram = %s\nmachine = %s\nram_size = %llu\nqmp = %s\n", guest->ram,
                guest->machine, (unsigned long long)guest->ram_size, world->monitor);
        fprintf(f, "[ring]\nsocket = %s\nwake_batch = 1\n", d->socket);
        if (geteuid() == 0)
                fputs("group = root\n[access]\nusers = root\ngroups = root\n", f);
        fclose(f);
}

/* As a daemon that was killed leaves it. */
static void leave_socket(const char *path)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
        if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
                perror("socket");
                exit(3);
        }
        close(fd);
}

static void make_folder(struct daemon_life *d, const struct world *world)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };

        strcpy(d->dir, "/tmp/vgpud-fault-XXXXXX");
        if (!mkdtemp(d->dir)) {
                perror("mkdtemp");
                exit(3);
        }
        snprintf(d->config, sizeof(d->config), "%s/daemon.conf", d->dir);
        snprintf(d->socket, sizeof(d->socket), "%s/sock", d->dir);
        snprintf(d->notify, sizeof(d->notify), "%s/notify", d->dir);
        write_config(d, world);
        leave_socket(d->socket);
        memcpy(addr.sun_path, d->notify, sizeof(d->notify));
        d->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (d->notify_fd < 0 || bind(d->notify_fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
                perror("notify");
                exit(3);
        }
}

/* Nothing but what was put there may be left by a daemon that ended well. */
static void remove_folder(struct daemon_life *d)
{
        char lock[112];
        /* What fails to remove it cannot have removed it. */
        bool excused = d->fault->call == SYS_unlink || d->fault->call == SYS_newfstatat;
        struct stat st;

        snprintf(lock, sizeof(lock), "%s.lock", d->socket);
        if (d->out->what == CAME_THROUGH && !excused && lstat(d->socket, &st) == 0)
                grieve(d->out, "left its socket file");
        if (d->out->what == CAME_THROUGH && !excused && lstat(lock, &st) == 0)
                grieve(d->out, "left its lock file");
        unlink(lock);
        unlink(d->socket);
        unlink(d->notify);
        unlink(d->config);
        rmdir(d->dir);
        close(d->notify_fd);
}

/* Return: as subject_await(). */
static int await_ready(struct daemon_life *d)
{
        uint64_t deadline = now_ms() + PATIENCE_MS;
        char text[1024];

        for (;;) {
                int r = subject_await(d->s, NULL, d->notify_fd, PATIENCE_MS);
                ssize_t n = r == 1 ? recv(d->notify_fd, text, sizeof(text) - 1, 0) : 0;

                if (r != 1 || now_ms() > deadline)
                        return r == 0 ? 0 : -1;
                text[n > 0 ? n : 0] = '\0';
                if (strstr(text, "READY=1"))
                        return 1;
        }
}

/* Frames, however often the connection is lost meanwhile. Return: as subject_await(). */
static int await_frames(struct daemon_life *d, unsigned n)
{
        uint64_t deadline = now_ms() + PATIENCE_MS;
        struct vgpu_client_frame frame;

        while (n > 0) {
                if (now_ms() > deadline)
                        return -1;
                if (subject_await(d->s, NULL, vgpu_client_fd(d->client), 50) == 0)
                        return 0;
                if (vgpu_client_dispatch(d->client) < 0)
                        return -1;
                if (vgpu_client_copy_latest(d->client, d->pixels, PIXELS_MOST, &frame) == 1 &&
                        !frame.stale)
                        n--;
        }
        return 1;
}

static int join(struct daemon_life *d)
{
        const struct vgpu_client_options options = { .flags = VGPU_CLIENT_WAIT_DAEMON,
                .name = "faults" };
        struct vgpu_client_failure why;

        if (vgpu_client_connect(d->socket, &options, &d->client, &why) < 0) {
                fprintf(stderr, "%s\n", why.text);
                exit(3);
        }
        return await_frames(d, 1);
}

/* What is asked again is answered. Return: as subject_await(). */
static int ask(struct daemon_life *d)
{
        static const uint32_t what[] = { VGPU_QUERY_STATUS, VGPU_QUERY_CLIENTS };
        struct vgpu_client_failure why;
        char *json = NULL;

        for (size_t i = 0; i < sizeof(what) / sizeof(what[0]); i++) {
                if (vgpu_client_query(d->socket, what[i], 2000, &json, &why) < 0 &&
                        vgpu_client_query(d->socket, what[i], 2000, &json, &why) < 0) {
                        if (subject_await(d->s, NULL, -1, HINT_MS) == 0)
                                return 0;
                        grieve(d->out, "asked twice in vain: %s", why.text);
                        return -1;
                }
                free(json);
                json = NULL;
        }
        return await_frames(d, 1);
}

/* Return: as subject_await(). */
static int reload(struct daemon_life *d)
{
        kill(d->s->pid, SIGHUP);
        if (subject_await(d->s, "Configuration read again", -1, HINT_MS) == 0)
                return 0;
        return await_frames(d, 2);
}

/* Return: whether it is there still, and the stream as well. */
static bool live_until_stop(struct daemon_life *d)
{
        int r = await_ready(d);

        if (r < 0)
                grieve(d->out, "stuck: never ready");
        if (r != 1)
                return false;
        subject_phase(d->s, PHASE_ATTACH);
        if (subject_await(d->s, "Streaming from", -1, HINT_MS) == 0)
                return false;
        subject_phase(d->s, PHASE_JOIN);
        r = join(d);
        if (r < 0)
                grieve(d->out, "stuck: no frame");
        if (r != 1)
                return false;
        subject_phase(d->s, PHASE_STREAM);
        r = await_frames(d, FRAMES);
        if (r == 1) {
                subject_phase(d->s, PHASE_ASK);
                r = ask(d);
        }
        if (r == 1) {
                subject_phase(d->s, PHASE_RELOAD);
                r = reload(d);
        }
        if (r < 0)
                grieve(d->out, "stuck: no further frame");
        return r == 1;
}

void live_daemon(const struct life *life, const struct world *world, const struct fault *fault,
        struct outcome *ret)
{
        struct daemon_life d = { .fault = fault, .out = ret };
        const char *argv[] = { life->what, "--config", d.config, NULL };
        char notify[128];
        const char *const environment[] = { notify, NULL };
        bool asked;

        d.pixels = malloc(PIXELS_MOST);
        make_folder(&d, world);
        snprintf(notify, sizeof(notify), "NOTIFY_SOCKET=%s", d.notify);
        d.s = subject_start(argv, environment, fault);
        asked = live_until_stop(&d);
        if (asked) {
                subject_phase(d.s, PHASE_STOP);
                kill(d.s->pid, SIGTERM);
                if (subject_await(d.s, NULL, -1, PATIENCE_MS) < 0)
                        grieve(ret, "stuck: does not stop");
        }
        if (!d.s->pid)
                judge_end(life, d.s, asked, ret);
        vgpu_client_close(d.client);
        life_over(d.s, ret);
        remove_folder(&d);
        free(d.pixels);
}
