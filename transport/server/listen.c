/*
 * listen.c - the listening socket and its file
 *
 * A daemon that was killed leaves its socket file behind, and the next one has to replace it without ever taking
 * the file of one that lives. A flock() on PATH.lock settles that between daemons, since the kernel drops it with
 * its owner; connecting settles it against any other program. The file gets its group and mode before listen():
 * until then every connect is refused, so it is never open to more people than it should be.
 */
#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128

static int fail(struct server_failure *why, enum server_reason reason, int error)
{
        *why = (struct server_failure){ .reason = reason, .error = error };
        return error;
}

/* What an errno from creating a file in the socket's folder means to an administrator. */
static int fail_folder(struct server_failure *why, int error)
{
        switch (error) {
        case -ENOENT:
        case -ENOTDIR:
                return fail(why, SERVER_FOLDER_MISSING, error);
        case -EACCES:
        case -EPERM:
        case -EROFS:
                return fail(why, SERVER_FOLDER_DENIED, error);
        default:
                return fail(why, SERVER_FAILED, error);
        }
}

/* The lock counts only if the file at the path is the one locked: its last owner may have removed it meanwhile. */
static int lock_once(struct listener *l)
{
        struct stat locked, at_path;
        int fd = open(l->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), err;

        if (fd < 0)
                return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                err = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
                close(fd);
                return err;
        }
        if (fstat(fd, &locked) < 0 || lstat(l->lock_path, &at_path) < 0 ||
                locked.st_dev != at_path.st_dev || locked.st_ino != at_path.st_ino) {
                close(fd);
                return -EAGAIN;
        }
        l->lock_fd = fd;
        return 0;
}

static int lock_path(struct listener *l, struct server_failure *why)
{
        int err = -EAGAIN;

        for (int i = 0; i < 8 && err == -EAGAIN; i++)
                err = lock_once(l);
        if (err == -EADDRINUSE)
                return fail(why, SERVER_IN_USE, err);
        return err < 0 ? fail_folder(why, err) : 0;
}

/* Return: 0 (nothing is there any more), or why it must be left alone. */
static int clear_stale(const struct sockaddr_un *addr, struct server_failure *why)
{
        struct stat st;
        int fd, err;

        if (lstat(addr->sun_path, &st) < 0)
                return errno == ENOENT ? 0 : fail_folder(why, -errno);
        if (!S_ISSOCK(st.st_mode))
                return fail(why, SERVER_NOT_A_SOCKET, -EEXIST);

        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return fail(why, SERVER_FAILED, -errno);
        err = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ? -errno : 0;
        close(fd);
        if (err == -ENOMEM || err == -ENOBUFS)
                return fail(why, SERVER_FAILED, err);
        if (err != -ECONNREFUSED)
                return fail(why, SERVER_IN_USE, -EADDRINUSE);

        if (unlink(addr->sun_path) < 0 && errno != ENOENT)
                return fail_folder(why, -errno);
        return 0;
}

static int bind_path(struct listener *l, const struct sockaddr_un *addr,
        const struct server_config *config, struct server_failure *why)
{
        struct stat st;

        l->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (l->fd < 0)
                return fail(why, SERVER_FAILED, -errno);
        if (bind(l->fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0)
                return fail_folder(why, -errno);
        if (lstat(l->path, &st) < 0)
                return fail(why, SERVER_FAILED, -errno);
        l->dev = st.st_dev;
        l->ino = st.st_ino;
        l->bound = true;

        if (config->group != SERVER_GROUP_NONE && chown(l->path, (uid_t)-1, config->group) < 0)
                return fail(why, errno == EPERM ? SERVER_GROUP_DENIED : SERVER_FAILED, -errno);
        if (chmod(l->path, config->mode) < 0)
                return fail(why, SERVER_FAILED, -errno);
        if (listen(l->fd, BACKLOG) < 0)
                return fail(why, SERVER_FAILED, -errno);
        return 0;
}

static int listen_at_path(
        struct listener *l, const struct server_config *config, struct server_failure *why)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        int err;

        if (strlen(config->path) >= sizeof(addr.sun_path))
                return fail(why, SERVER_PATH_TOO_LONG, -ENAMETOOLONG);
        strcpy(addr.sun_path, config->path);

        l->path = strdup(config->path);
        if (!l->path || asprintf(&l->lock_path, "%s.lock", config->path) < 0) {
                l->lock_path = NULL;
                return fail(why, SERVER_FAILED, -ENOMEM);
        }
        err = lock_path(l, why);
        if (err == 0)
                err = clear_stale(&addr, why);
        if (err == 0)
                err = bind_path(l, &addr, config, why);
        return err;
}

static int socket_option(int fd, int option)
{
        int value = -1;
        socklen_t len = sizeof(value);

        return getsockopt(fd, SOL_SOCKET, option, &value, &len) < 0 ? -1 : value;
}

static int adopt(struct listener *l, int fd, struct server_failure *why)
{
        int flags = fcntl(fd, F_GETFL);

        if (socket_option(fd, SO_DOMAIN) != AF_UNIX ||
                socket_option(fd, SO_TYPE) != SOCK_SEQPACKET ||
                socket_option(fd, SO_ACCEPTCONN) != 1)
                return fail(why, SERVER_BAD_LISTEN_FD, -EINVAL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
                fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
                return fail(why, SERVER_BAD_LISTEN_FD, -errno);
        l->fd = fd;
        return 0;
}

void listener_refuse_descriptors(int fd)
{
        setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &(int){ 0 }, sizeof(int));
}

int listener_init(
        struct listener *l, const struct server_config *config, struct server_failure *why)
{
        int err;

        *l = (struct listener){ .fd = -1, .lock_fd = -1 };
        err = config->listen_fd >= 0 ? adopt(l, config->listen_fd, why)
                                     : listen_at_path(l, config, why);
        if (err < 0)
                listener_deinit(l);
        else
                listener_refuse_descriptors(l->fd);
        return err;
}

/* Somebody may have put another file there since; only ours is removed. */
static void remove_socket_file(const struct listener *l)
{
        struct stat st;

        if (l->bound && lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
                unlink(l->path);
}

void listener_deinit(struct listener *l)
{
        remove_socket_file(l);
        if (l->fd >= 0)
                close(l->fd);
        if (l->lock_fd >= 0) {
                unlink(l->lock_path);
                close(l->lock_fd);
        }
        free(l->path);
        free(l->lock_path);
        *l = (struct listener){ .fd = -1, .lock_fd = -1 };
}
