/*
 * protocol_fuzz.c - a client that says anything, in packets of any length
 *
 * Input: packets, each a 16-bit length and its bytes; a length of 0 lets the server read, one past the input ends it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "message.h"
#include "server.h"

#define ROUNDS                                                                                     \
        16 /* more than it takes to read what fits a socket's queue, or to be dropped for it */

static char path[] = "/tmp/vgpud-fuzz-XXXXXX/s";
static struct server *server;
static struct ring *ring;

static void require(bool holds, const char *what)
{
        if (holds)
                return;
        fprintf(stderr, "finding: %s\n", what);
        abort();
}

static void stop(void)
{
        server_free(server);
        ring_free(ring);
        path[strlen(path) - 2] = '\0';
        rmdir(path);
}

static int answer(void *ctx, uint32_t what, char *buf, size_t cap)
{
        (void)ctx;
        if (what > 2)
                return -EOPNOTSUPP;
        return snprintf(buf, cap, "{\"what\":%u}", what);
}

static void intents_changed(void *ctx)
{
        (void)ctx;
        for (struct peer *p = server_next_peer(server, NULL); p; p = server_next_peer(server, p)) {
                const struct vgpu_msg_intent intent = peer_info(p).intent;

                require(!(intent.fields & VGPU_INTENT_FPS) || intent.fps <= 1000,
                        "an intent out of range is taken");
                peer_tell_intent(p, 0, true, 1, 2);
        }
}

static void start(void)
{
        struct server_config config = {
                .listen_fd = -1,
                .path = path,
                .mode = 0600,
                .group = SERVER_GROUP_NONE,
                .max_clients = 4,
                .lease_ns = 1000,
                .wake_batch = SERVER_BATCH_NEVER,
                .query = answer,
                .intents_changed = intents_changed,
        };

        path[strlen(path) - 2] = '\0';
        require(mkdtemp(path) != NULL, "no folder");
        path[strlen(path)] = '/';
        require(server_new(&config, &server, NULL) == 0, "no server");
        require(ring_new(&(struct ring_config){ .slots = VGPU_RING_MIN_SLOTS,
                                 .slot_bytes = 4096,
                                 .generation = 1,
                                 .tick_period_ms = 100 },
                        &ring) == 0,
                "no ring");
        server_set_ring(server, ring);
        atexit(stop);
}

static int dial(void)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        strcpy(addr.sun_path, path);
        require(connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0,
                "the server does not listen");
        return fd;
}

/* What the server says must be well formed, whatever it was told. */
static void hear(int fd)
{
        static _Alignas(uint64_t) uint8_t packet[VGPU_MSG_MAX];
        int fds[MESSAGE_MAX_FDS];
        size_t n_fds;
        ssize_t n;

        while ((n = message_recv(fd, packet, sizeof(packet), fds, &n_fds)) > 0) {
                require(message_check(packet, (size_t)n) == MESSAGE_OK, "a malformed answer");
                while (n_fds > 0)
                        close(fds[--n_fds]);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct peer *peer = NULL;
        uint64_t now_ns = 1;
        uint16_t len;
        int fd, r = 0;

        if (!server)
                start();
        fd = dial();
        require(server_accept(server, 1, &peer) == 1, "a client is not accepted");
        while (r == 0 && size >= sizeof(len)) {
                memcpy(&len, data, sizeof(len));
                data += sizeof(len);
                size -= sizeof(len);
                if (len > size)
                        break;
                if (len == 0 || send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
                        /* sometimes enough for the next message, sometimes not */
                        now_ns += (size & 0xFF) * UINT64_C(100000);
                        r = peer_dispatch(peer, now_ns);
                        hear(fd);
                }
                data += len;
                size -= len;
        }
        for (int i = 0; r == 0 && i < ROUNDS; i++) {
                r = peer_dispatch(peer, now_ns);
                hear(fd);
        }
        server_published(server, now_ns);
        server_wake(server, 0);
        hear(fd);
        peer_free(peer);
        close(fd);
        require(server_n_peers(server) == 0, "a client that went is still counted");
        return 0;
}
