/*
 * relay.c - a small daemon for tests
 */
#include "relay.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MUST(cond)                                                                                 \
        do {                                                                                       \
                if (!(cond)) {                                                                     \
                        fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #cond,             \
                                strerror(errno));                                                  \
                        abort();                                                                   \
                }                                                                                  \
        } while (0)

uint64_t test_now_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int answer(void *ctx, uint32_t what, char *buf, size_t cap)
{
        (void)ctx;
        if (what == VGPU_QUERY_STATUS)
                return snprintf(buf, cap, "{\"state\":\"streaming\"}");
        if (what == VGPU_QUERY_CLIENTS) {
                memset(buf, 'x', cap);
                return (int)cap;
        }
        return -EOPNOTSUPP;
}

static struct ring *ring_make(uint64_t generation, uint64_t slot_bytes, const struct ring *replaces)
{
        struct ring_config config = {
                .slots = 4,
                .slot_bytes = slot_bytes,
                .generation = generation,
                .tick_period_ms = RELAY_TICK_MS,
                .lease_ns = RELAY_LEASE_NS,
                .replaces = replaces,
        };
        struct ring *ring;

        /* another process is another instance */
        memcpy(config.instance, &(uint64_t){ (uint64_t)getpid() }, sizeof(uint64_t));
        MUST(ring_new(&config, &ring) == 0);
        return ring;
}

static void relay_open(struct relay *r, const struct server_config *config)
{
        struct server_config full = *config;

        full.path = r->path;
        full.listen_fd = -1;
        full.query = answer;
        if (full.lease_ns == 0)
                full.lease_ns = RELAY_LEASE_NS;
        if (full.mode == 0)
                full.mode = 0666;
        MUST(server_new(&full, &r->server, NULL) == 0);
        r->now_ns = test_now_ns();
        r->ring = ring_make(1, RELAY_BYTES, NULL);
        ring_set_liveness(
                r->ring, &(struct vgpu_ring_liveness){ .state = VGPU_RING_STREAMING, .epoch = 1 });
        ring_tick(r->ring, r->now_ns);
        server_set_ring(r->server, r->ring);
}

void relay_start_with(struct relay *r, const struct server_config *config)
{
        *r = (struct relay){ .dir = "/tmp/vgpud-test-XXXXXX" };
        MUST(mkdtemp(r->dir));
        MUST(chmod(r->dir, 0755) == 0);
        snprintf(r->path, sizeof(r->path), "%s/ring.sock", r->dir);
        relay_open(r, config);
}

void relay_start(struct relay *r)
{
        relay_start_with(
                r, &(struct server_config){ .group = SERVER_GROUP_NONE, .max_clients = 8 });
}

void relay_stop(struct relay *r)
{
        while (r->server && server_next_peer(r->server, NULL))
                peer_free(server_next_peer(r->server, NULL));
        r->server = server_free(r->server);
        r->ring = ring_free(r->ring);
}

void relay_remove(struct relay *r)
{
        relay_stop(r);
        unlink(r->path);
        MUST(rmdir(r->dir) == 0);
}

static void drop(struct relay *r, struct peer *p)
{
        struct peer_info info = peer_info(p);

        r->last_goodbye = info.goodbye;
        snprintf(r->last_text, sizeof(r->last_text), "%s", info.goodbye_text);
        r->turns_dropped++;
        peer_free(p);
}

void relay_turn(struct relay *r)
{
        struct peer *p, *next;

        while (server_accept(r->server, r->now_ns, &p) != 0)
                ;
        for (p = server_next_peer(r->server, NULL); p; p = next) {
                next = server_next_peer(r->server, p);
                if (peer_dispatch(p, r->now_ns) < 0)
                        drop(r, p);
        }
        while ((p = server_reap(r->server)))
                drop(r, p);
        while ((p = server_expire(r->server, r->now_ns)))
                drop(r, p);
}

int relay_turn_until(struct relay *r, struct vgpu_client *c, int events)
{
        int seen = 0;

        while ((seen & events) != events) {
                struct pollfd pfd = { .fd = vgpu_client_fd(c), .events = POLLIN };
                int got;

                relay_turn(r);
                poll(&pfd, 1, 1);
                got = vgpu_client_dispatch(c);
                MUST(got >= 0);
                seen |= got;
        }
        /* what the client said to that */
        relay_turn(r);
        return seen;
}

struct vgpu_client *relay_client(struct relay *r, uint32_t flags)
{
        struct vgpu_client_options options = {
                .flags = flags | VGPU_CLIENT_WAIT_DAEMON,
                .name = "test",
        };
        struct vgpu_client *c;

        MUST(vgpu_client_connect(r->path, &options, &c, NULL) == 0);
        relay_turn_until(r, c, VGPU_CLIENT_RECONNECTED);
        return c;
}

struct ring_frame relay_frame(uint64_t frame_id)
{
        return (struct ring_frame){
                .frame_id = frame_id,
                .epoch = 1,
                .run_epoch = 1,
                .producer_pid = 77,
                .width = RELAY_WIDTH,
                .height = RELAY_HEIGHT,
                .stride = RELAY_STRIDE,
                .fourcc = RELAY_FOURCC,
        };
}

uint64_t relay_publish_frame(struct relay *r, struct ring_frame *frame)
{
        uint64_t *pixels = (uint64_t *)ring_slot_begin(r->ring);
        uint64_t serial = ring_serial(r->ring) + 1;

        for (size_t i = 0; i < (size_t)frame->stride * frame->height / 8; i++)
                pixels[i] = serial;
        MUST(ring_publish(r->ring, frame) == serial);
        server_published(r->server, test_now_ns());
        return serial;
}

uint64_t relay_publish(struct relay *r)
{
        struct ring_frame frame = relay_frame(ring_serial(r->ring) + 1);

        return relay_publish_frame(r, &frame);
}

bool frame_is_whole(const void *pixels, size_t bytes, uint64_t serial)
{
        const uint64_t *words = pixels;

        for (size_t i = 0; i < bytes / 8; i++) {
                if (words[i] != serial)
                        return false;
        }
        return true;
}

void relay_regenerate(struct relay *r, uint64_t slot_bytes)
{
        struct ring *old = r->ring;

        r->ring = ring_make(ring_identity(old)->generation + 1, slot_bytes, old);
        server_set_ring(r->server, r->ring);
        ring_supersede(old, ring_identity(r->ring)->generation);
        ring_free(old);
}

static void serve_one(struct relay *r)
{
        r->now_ns = test_now_ns();
        ring_tick(r->ring, r->now_ns);
        relay_turn(r);
}

static pid_t fork_listening(struct relay *r, const char *path, size_t frame_bytes)
{
        int ready[2];
        char byte;
        pid_t pid;

        MUST(pipe(ready) == 0);
        pid = fork();
        MUST(pid >= 0);
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                *r = (struct relay){ 0 };
                snprintf(r->path, sizeof(r->path), "%s", path);
                relay_open(
                        r, &(struct server_config){ .group = SERVER_GROUP_NONE, .max_clients = 8 });
                relay_regenerate(r, frame_bytes);
                MUST(write(ready[1], "", 1) == 1);
                close(ready[0]);
                close(ready[1]);
                return 0;
        }
        close(ready[1]);
        MUST(read(ready[0], &byte, 1) == 1);
        close(ready[0]);
        return pid;
}

pid_t relay_fork_with(
        const char *path, size_t frame_bytes, void (*frame)(struct relay *r, uint32_t n))
{
        struct relay r;
        pid_t pid = fork_listening(&r, path, frame_bytes);

        for (uint32_t n = 0; pid == 0; n++) {
                serve_one(&r);
                frame(&r, n);
        }
        return pid;
}

pid_t relay_fork(const char *path, uint32_t period_us, size_t frame_bytes)
{
        struct relay r;
        pid_t pid = fork_listening(&r, path, frame_bytes);

        while (pid == 0) {
                serve_one(&r);
                relay_publish(&r);
                usleep(period_us); /* the pace of a producer: nothing is waited for */
        }
        return pid;
}

void process_kill(pid_t pid)
{
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
}

int process_wait(pid_t pid)
{
        int status = -1;

        waitpid(pid, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int count_fds(void)
{
        DIR *dir = opendir("/proc/self/fd");
        int n = 0;

        MUST(dir);
        while (readdir(dir))
                n++;
        closedir(dir);
        return n;
}

bool become_nobody(void)
{
        return geteuid() == 0 && setgroups(0, NULL) == 0 && setgid(65534) == 0 &&
               setuid(65534) == 0;
}
