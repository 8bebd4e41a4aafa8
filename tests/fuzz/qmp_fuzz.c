/*
 * qmp_fuzz.c - a monitor that says anything, in pieces of any length, whatever it is asked
 *
 * Input: what it says; each NUL ends a piece that the daemon takes in before the next one comes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "monitor.h"

#define TURNS                                                                                      \
        6 /* of the loop, more than it takes to read what was sent and to ask the next thing */

static uv_loop_t loop;
static char folder[] = "/tmp/vgpud-fuzz-XXXXXX";
static char path[64];
static int listener = -1;

static void require(bool holds, const char *what)
{
        if (holds)
                return;
        fprintf(stderr, "finding: %s\n", what);
        abort();
}

static void stop(void)
{
        close(listener);
        unlink(path);
        rmdir(folder);
        uv_loop_close(&loop);
}

static void start(void)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        require(mkdtemp(folder) != NULL, "no folder");
        snprintf(path, sizeof(path), "%s/qmp", folder);
        memcpy(address.sun_path, path, sizeof(path));
        listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        require(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0 &&
                        listen(listener, 4) == 0 && uv_loop_init(&loop) == 0,
                "no listener");
        atexit(stop);
}

static void on_news(struct monitor *m, enum monitor_news news)
{
        (void)news;
        require(m->view.n_backends <= VGPU_SOURCE_FILES_MAX,
                "more backends than there is room for");
        require(m->view.layout.n_pieces <= VGPU_LAYOUT_MAX, "a layout of no size");
}

static void turn(int n)
{
        while (n-- > 0)
                uv_run(&loop, UV_RUN_NOWAIT);
}

/* It is not ours to wait: what the daemon asks is read and thrown away. */
static void listen_to(int fd)
{
        static char asked[65536];

        while (recv(fd, asked, sizeof(asked), MSG_DONTWAIT) > 0)
                ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct monitor monitor;
        int fd = -1;

        if (listener < 0)
                start();
        memset(&monitor, 0, sizeof(monitor));
        require(monitor_init(&monitor, &loop, path, on_news, NULL) == 0, "no monitor");
        for (int i = 0; i < TURNS && fd < 0; i++) {
                turn(1);
                fd = accept(listener, NULL, NULL);
        }
        while (fd >= 0 && size > 0) {
                const uint8_t *end = memchr(data, 0, size);
                size_t len = end ? (size_t)(end - data) : size;

                if (send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                        break;
                turn(TURNS);
                listen_to(fd);
                monitor_quiet(&monitor);
                data += len + (end != NULL);
                size -= len + (end != NULL);
        }
        if (fd >= 0)
                close(fd);
        turn(1);
        monitor_stop(&monitor);
        uv_run(&loop, UV_RUN_DEFAULT);
        while ((fd = accept(listener, NULL, NULL)) >= 0)
                close(fd);
        return 0;
}
