/*
 * ring_file.c - the memory of a ring: a memfd that we alone can write
 *
 * A sealed memfd cannot give memory back while anybody refers to it, and whoever could make us pin one ring per change
 * of mode would have all our memory. So it must be known, whatever clients say, when a ring that was given up is
 * really gone. The kernel tells: a file without a name is deleted when the last reference to it goes, be it a map, a
 * descriptor, one on its way through a socket, or an O_PATH one, from which the file can be opened again. (A file
 * lease, the other way to ask who has a file open, does not see the last kind.) The watch itself refers to the
 * inode only, and ends with the file.
 */
#include "ring_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ring.h"

#define FD_PATH_LEN 32

static void fd_path(char path[FD_PATH_LEN], int fd)
{
        snprintf(path, FD_PATH_LEN, "/proc/self/fd/%d", fd);
}

/* The same memfd opened again, O_RDONLY: the description readers get carries no right to write. */
static int reopen_readonly(int fd)
{
        char path[FD_PATH_LEN];
        int ro;

        fd_path(path, fd);
        ro = open(path, O_RDONLY | O_CLOEXEC);
        return ro < 0 ? -errno : ro;
}

int ring_file_init(struct ring_file *f, uint64_t len)
{
        void *map;

        f->memfd = memfd_create("vgpud-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (f->memfd < 0)
                return -errno;
        if (ftruncate(f->memfd, (off_t)len) < 0)
                return -errno;

        map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, f->memfd, 0);
        if (map == MAP_FAILED)
                return -errno;
        f->map = map;
        f->len = len;

        /*
         * FUTURE_WRITE spares maps that exist, so map first. The mode does not stop root or our own uid; the seal
         * stops everybody, and a reader of another uid cannot even reopen it.
         */
        if (fcntl(f->memfd, F_ADD_SEALS,
                    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
                return -errno;
        if (fchmod(f->memfd, 0400) < 0)
                return -errno;

        f->readonly_fd = reopen_readonly(f->memfd);
        return f->readonly_fd < 0 ? f->readonly_fd : 0;
}

void ring_file_deinit(struct ring_file *f)
{
        if (f->map)
                munmap(f->map, f->len);
        if (f->readonly_fd >= 0)
                close(f->readonly_fd);
        if (f->memfd >= 0)
                close(f->memfd);
        *f = (struct ring_file)RING_FILE_EMPTY;
}

int ring_watch_new(void)
{
        int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

        return watch < 0 ? -errno : watch;
}

int ring_file_retire(struct ring_file *f, int watch)
{
        char path[FD_PATH_LEN];
        int number = watch;

        if (watch >= 0) {
                fd_path(path, f->memfd);
                number = inotify_add_watch(watch, path, IN_DELETE_SELF);
                if (number < 0)
                        number = -errno;
        }
        ring_file_deinit(f);
        return number;
}

int ring_watch_next(int watch)
{
        struct inotify_event event; /* a file that is watched itself has no name in its events */

        while (read(watch, &event, sizeof(event)) == sizeof(event))
                if (event.mask & IN_DELETE_SELF)
                        return event.wd;
        return 0;
}
