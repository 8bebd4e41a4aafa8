/*
 * pipewire_daemon.c - a pipewire of our own, with the least configuration that streams need
 *
 * Its socket is made here and passed as systemd would, so that clients can connect before it runs. No real-time
 * module: neither our daemon nor any client in the comparison has that privilege.
 */
#include "pipewire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char configuration[] =
        "context.properties = { core.daemon = true core.name = pipewire-0 }\n"
        "context.spa-libs = { support.* = support/libspa-support }\n"
        "context.modules = [\n"
        "        { name = libpipewire-module-protocol-native }\n"
        "        { name = libpipewire-module-access }\n"
        "        { name = libpipewire-module-client-node }\n"
        "        { name = libpipewire-module-link-factory }\n"
        "]\n";

static void write_configuration(const struct bench_worker *w, char *path, size_t size)
{
        FILE *f;

        snprintf(path, size, "%s/bench.conf", w->dir);
        f = fopen(path, "we");
        if (!f || fputs(configuration, f) < 0 || fclose(f) != 0)
                bench_fail(w, "%s cannot be written: %s", path, strerror(errno));
}

static int listen_in(const struct bench_worker *w)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/pipewire-0", w->dir);
        if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 128) < 0)
                bench_fail(w, "no socket for pipewire: %s", strerror(errno));
        return fd;
}

_Noreturn void run_daemon(struct bench_worker *w)
{
        const int first_passed_fd = 3; /* SD_LISTEN_FDS_START */
        char path[128], pid[16];
        int fd;

        write_configuration(w, path, sizeof(path));
        fd = listen_in(w);
        snprintf(pid, sizeof(pid), "%d", (int)getpid());
        setenv("LISTEN_PID", pid, 1);
        setenv("LISTEN_FDS", "1", 1);
        if (access("/usr/bin/pipewire", X_OK) < 0)
                bench_skip(w, "pipewire is not installed (as root: script/setup bench)");
        bench_ready(w);
        /* from here on the board is not needed and its number is */
        if (dup2(fd, first_passed_fd) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
                exit(1);
        execl("/usr/bin/pipewire", "pipewire", "-c", path, (char *)NULL);
        exit(1);
}
