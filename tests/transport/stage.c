/*
 * stage.c - a daemon played by the test itself
 */
#include "stage.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "message.h"
#include "relay.h"

#define MUST(cond)                                                                                 \
        do {                                                                                       \
                if (!(cond)) {                                                                     \
                        fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #cond,             \
                                strerror(errno));                                                  \
                        abort();                                                                   \
                }                                                                                  \
        } while (0)

static void make_ring(struct stage *s, uint64_t slot_bytes, const struct ring *replaces)
{
        struct ring_config config = {
                .slots = STAGE_SLOTS,
                .slot_bytes = slot_bytes,
                .generation = s->generation,
                .tick_period_ms = 1000,
                .lease_ns = UINT64_C(60000000000),
                .replaces = replaces,
        };

        memcpy(config.instance, &s->life, sizeof(s->life));
        MUST(ring_new(&config, &s->ring) == 0);
        ring_set_liveness(
                s->ring, &(struct vgpu_ring_liveness){ .state = VGPU_RING_STREAMING, .epoch = 1 });
        ring_tick(s->ring, test_now_ns());
}

static void open_page(struct stage *s)
{
        int fd = memfd_create("vgpud-page", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        MUST(fd >= 0 && ftruncate(fd, (off_t)s->page_bytes) == 0);
        MUST(fcntl(fd, F_ADD_SEALS, s->page_seals) == 0);
        s->page = NULL;
        if (s->page_bytes > 0) {
                s->page = mmap(NULL, sizeof(*s->page), PROT_READ, MAP_SHARED, fd, 0);
                MUST(s->page != MAP_FAILED);
        }
        s->served = 0;
        s->page_fd = fd;
}

void stage_start(struct stage *s)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };

        *s = (struct stage){
                .sock = -1,
                .wake_fd = -1,
                .life = 1,
                .generation = 1,
                .page_seals = F_SEAL_SHRINK | F_SEAL_GROW,
                .page_fd = -1,
                .knows = UINT32_MAX,
                .page_bytes = VGPU_RING_PAGE,
        };
        snprintf(s->path, sizeof(s->path), "/tmp/vgpud-stage-%d.sock", getpid());
        strcpy(addr.sun_path, s->path);
        unlink(s->path);
        s->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        MUST(bind(s->listen_fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
        MUST(listen(s->listen_fd, 4) == 0);
        make_ring(s, RELAY_BYTES, NULL);
}

void stage_stop(struct stage *s)
{
        stage_hang_up(s);
        ring_free(s->ring);
        close(s->listen_fd);
        unlink(s->path);
}

struct vgpu_client *stage_client(struct stage *s, const struct vgpu_client_options *options)
{
        struct vgpu_client_options full = { .name = "test" };
        struct vgpu_client *c;

        if (options)
                full = *options;
        full.flags |= VGPU_CLIENT_WAIT_DAEMON;
        MUST(vgpu_client_connect(s->path, &full, &c, NULL) == 0);
        return c;
}

void stage_accept(struct stage *s, struct vgpu_client *c)
{
        struct pollfd pfd = { .fd = vgpu_client_fd(c), .events = POLLIN };

        while ((s->sock = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC)) < 0) {
                MUST(errno == EAGAIN);
                MUST(poll(&pfd, 1, -1) == 1);
                MUST(vgpu_client_dispatch(c) >= 0);
        }
        MUST(recv(s->sock, &s->hello, sizeof(s->hello), 0) == sizeof(s->hello));
}

void stage_welcome(struct stage *s)
{
        const struct vgpu_ring_identity *id = ring_identity(s->ring);
        struct vgpu_msg_welcome msg = {
                .header = message_header(VGPU_MSG_WELCOME, sizeof(msg)),
                .generation = id->generation,
                .granted = s->hello.wants & s->knows,
                .lease_ns = s->hello.wants & VGPU_WANT_LEASE ? 100000000 : 0,
        };
        int fds[3], n = 0, ends[2];

        memcpy(msg.instance, id->instance, sizeof(msg.instance));
        fds[n++] = ring_fd(s->ring);
        if (msg.granted & VGPU_WANT_WAKE) {
                MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
                s->wake_fd = ends[0];
                s->edge = msg.granted & VGPU_WANT_EDGE;
                if (s->edge)
                        MUST(shutdown(ends[0], SHUT_RDWR) == 0);
                fds[n++] = ends[1];
        }
        if (msg.granted & (VGPU_WANT_WAKE | VGPU_WANT_LEASE))
                open_page(s);
        if (s->page_fd >= 0)
                fds[n++] = s->page_fd;
        MUST(message_send(s->sock, &msg, sizeof(msg), NULL, 0, fds, (size_t)n) == 0);
        if (msg.granted & VGPU_WANT_WAKE)
                close(ends[1]);
}

int stage_connect(struct stage *s, struct vgpu_client *c)
{
        int seen = 0;

        stage_accept(s, c);
        stage_welcome(s);
        while (!(seen & VGPU_CLIENT_RECONNECTED)) {
                int got = vgpu_client_dispatch(c);

                MUST(got >= 0);
                seen |= got;
        }
        /* the one time the descriptor is readable for what was there first */
        while (readable(vgpu_client_fd(c)))
                seen |= vgpu_client_dispatch(c);
        return seen;
}

void stage_hang_up(struct stage *s)
{
        if (s->sock >= 0)
                close(s->sock);
        if (s->wake_fd >= 0)
                close(s->wake_fd);
        if (s->page)
                munmap(s->page, sizeof(*s->page));
        if (s->page_fd >= 0)
                close(s->page_fd);
        s->sock = s->wake_fd = s->page_fd = -1;
        s->page = NULL;
}

void stage_die(struct stage *s)
{
        stage_hang_up(s);
        ring_free(s->ring);
        s->life++;
        s->generation = 1;
        make_ring(s, RELAY_BYTES, NULL);
}

void stage_regenerate(struct stage *s, uint64_t slot_bytes)
{
        struct vgpu_msg_ring msg = { .header = message_header(VGPU_MSG_RING, sizeof(msg)) };
        struct ring *old = s->ring;
        int fd;

        s->generation++;
        make_ring(s, slot_bytes, old);
        fd = ring_fd(s->ring);
        msg.generation = s->generation;
        memcpy(msg.instance, ring_identity(s->ring)->instance, sizeof(msg.instance));
        MUST(message_send(s->sock, &msg, sizeof(msg), NULL, 0, &fd, 1) == 0);
        ring_supersede(old, s->generation);
        ring_free(old);
}

uint64_t stage_publish_frame(struct stage *s, struct ring_frame *frame)
{
        uint64_t *pixels = (uint64_t *)ring_slot_begin(s->ring);
        uint64_t serial = ring_serial(s->ring) + 1;

        for (size_t i = 0; i < (size_t)frame->stride * frame->height / 8; i++)
                pixels[i] = serial;
        MUST(ring_publish(s->ring, frame) == serial);
        return serial;
}

uint64_t stage_publish(struct stage *s)
{
        struct ring_frame frame = relay_frame(ring_serial(s->ring) + 1);

        return stage_publish_frame(s, &frame);
}

bool stage_wake(struct stage *s)
{
        uint32_t ticket;

        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        ticket = __atomic_load_n(&s->page->armed, __ATOMIC_ACQUIRE);
        if (ticket == 0 || ticket == s->served)
                return false;
        s->served = ticket;
        if (s->edge)
                MUST(shutdown(s->wake_fd, SHUT_WR) == 0);
        else
                MUST(send(s->wake_fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1);
        return true;
}

void stage_send(struct stage *s, const void *msg, size_t len)
{
        MUST(message_send(s->sock, msg, len, NULL, 0, NULL, 0) == 0);
}

bool stage_receive(struct stage *s, uint32_t type, void *msg, size_t len)
{
        _Alignas(uint64_t) uint8_t packet[VGPU_MSG_MAX_CLIENT];
        const struct vgpu_msg_header *h = (const void *)packet;
        ssize_t n;

        while ((n = recv(s->sock, packet, sizeof(packet), MSG_DONTWAIT)) > 0) {
                MUST(message_check(packet, (size_t)n) == MESSAGE_OK);
                if (h->type != type)
                        continue;
                MUST((size_t)n == len);
                memcpy(msg, packet, len);
                return true;
        }
        return false;
}

bool readable(int fd)
{
        struct pollfd pfd = { .fd = fd, .events = POLLIN };

        return poll(&pfd, 1, 0) == 1;
}

int count_maps(const char *name)
{
        FILE *maps = fopen("/proc/self/maps", "re");
        char line[512];
        int n = 0;

        MUST(maps);
        while (fgets(line, sizeof(line), maps))
                n += strstr(line, name) != NULL;
        fclose(maps);
        return n;
}
