/*
 * control_fuzz.c - a writer that says anything, in packets of any length, while an answer is awaited
 *
 * Input: packets, each a 16-bit length and its bytes; a length of 0 lets the daemon's end read, one past the input ends it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control_link.h"
#include "control_request.h"
#include "message.h"

#define ROUNDS 256 /* more than fits a socket's queue */

static char path[] = "/tmp/vgpud-fuzz-XXXXXX/s";
static struct control_link server;
static bool started;

static void require(bool holds, const char *what)
{
        if (holds)
                return;
        fprintf(stderr, "finding: %s\n", what);
        abort();
}

static void stop(void)
{
        control_link_deinit(&server);
        path[strlen(path) - 2] = '\0';
        rmdir(path);
}

static void start(void)
{
        struct server_failure why;

        path[strlen(path) - 2] = '\0';
        require(mkdtemp(path) != NULL, "no folder");
        path[strlen(path)] = '/';
        require(control_link_init(&server,
                        &(struct control_link_config){
                                .path = path, .mode = 0600, .group = SERVER_GROUP_NONE },
                        &why) == 0,
                "nobody listens");
        atexit(stop);
        started = true;
}

static int dial(void)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        strcpy(addr.sun_path, path);
        require(connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0, "it does not listen");
        return fd;
}

/* What is believed must be the one answer that makes sense; said here a second time, in other words. */
static void judge(struct control_request *request, const struct vgpu_control_written *written)
{
        if (control_judge(request, written) != CONTROL_ANSWER)
                return;
        require(request->open && written->request == 5 && written->epoch == 3, "a foreign answer");
        require(written->result >= VGPU_CONTROL_DONE && written->result < VGPU_CONTROL_N_RESULTS,
                "a result that is none");
        require(written->result != VGPU_CONTROL_DONE || written->ctrl_gen == 10,
                "a generation that cannot be");
        request->open = false;
}

/* Return: 0, or < 0: the writer is to be dropped. */
static int listen_to(struct control_request *request, uint64_t now_ns)
{
        struct vgpu_control_written written;
        int r;

        while ((r = control_link_read(&server, now_ns, &written)) > CONTROL_LINK_NOTHING) {
                require(server.ready, "somebody speaks before saying who it is");
                if (r == CONTROL_LINK_WRITTEN)
                        judge(request, &written);
        }
        return r;
}

/* What the daemon says must be well formed, whatever it was told. */
static void hear(int fd)
{
        _Alignas(uint64_t) uint8_t packet[VGPU_MSG_MAX_CLIENT];
        ssize_t n;

        while ((n = message_recv(fd, packet, sizeof(packet), NULL, NULL)) > 0)
                require(message_check(packet, (size_t)n) == MESSAGE_OK, "a malformed answer");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct control_request request = { .number = 5, .epoch = 3, .found = 8, .open = true };
        struct vgpu_control_write write = { .request = 5 };
        uint64_t now_ns = 1;
        uint16_t len;
        int fd, r = 0;

        if (!started)
                start();
        fd = dial();
        require(control_link_accept(&server, now_ns) == CONTROL_LINK_TAKEN, "nobody is taken");
        while (r == 0 && size >= sizeof(len)) {
                memcpy(&len, data, sizeof(len));
                data += sizeof(len);
                size -= sizeof(len);
                if (len > size)
                        break;
                if (len == 0 || send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
                        now_ns += (size & 0xFF) * UINT64_C(100000);
                        r = listen_to(&request, now_ns);
                        control_link_send(&server, &write);
                        hear(fd);
                }
                data += len;
                size -= len;
        }
        for (int i = 0; r == 0 && i < ROUNDS; i++)
                r = listen_to(&request, now_ns);
        hear(fd);
        close(fd);
        require(control_link_is_dead(&server), "one that has closed is not dead");
        control_link_drop(&server);
        return 0;
}
