/* find.c - see find.h */
#include "helper/find.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "helper/trust.h"
#include "helper/vm_files.h"

#define PAGE_BYTES 4096

struct find {
        const struct vgpu_config *cfg;
        const struct ram_peer *peer;
        struct ram_hand *hand;
        int pid, pidfd;                             /* 0, -1: no process is named */
        struct vm_file file[VGPU_SOURCE_FILES_MAX]; /* what it has */
        size_t n_files;
};

static int refuse(struct find *f, int error, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

static int refuse(struct find *f, int error, const char *fmt, ...)
{
        va_list args;

        va_start(args, fmt);
        vsnprintf(f->hand->offer.reason, sizeof(f->hand->offer.reason), fmt, args);
        va_end(args);
        return error;
}

/* ---- the process --------------------------------------------------------------------------------------------------- */

/* Every user number it has, effective, saved and all: return 0 if they are one, and it is *ret_uid. */
static int user_of(int pid, uid_t *ret_uid)
{
        unsigned real = 0, effective = 1, saved = 0, fs = 0;
        char path[32], line[256];
        int r = -EPERM;
        FILE *status;

        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        status = fopen(path, "re");
        if (!status)
                return -ESRCH;
        while (fgets(line, sizeof(line), status))
                if (sscanf(line, "Uid: %u %u %u %u", &real, &effective, &saved, &fs) == 4)
                        break;
        fclose(status);
        if (real == effective && real == saved && real == fs) {
                *ret_uid = (uid_t)real;
                r = 0;
        }
        return r;
}

/*
 * Held from now on by a pidfd: as long as that has not ended, the number is this process'. What is read of it by number is
 * believed only after a last look at the pidfd.
 */
static int hold(struct find *f, int pid)
{
        f->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (f->pidfd < 0)
                return refuse(f, -errno, "process %d: %s", pid, strerror(errno));
        f->pid = pid;
        return 0;
}

static int still_lives(struct find *f)
{
        struct pollfd ended = { .fd = f->pidfd, .events = POLLIN };

        if (f->pidfd < 0 || poll(&ended, 1, 0) == 0)
                return 0;
        return refuse(f, -ESRCH, "process %d has ended", f->pid);
}

/* Somebody who can write the file could name any process; of those that are theirs they have the memory already. */
static int believe_pidfile(struct find *f)
{
        const char *path = f->cfg->guest.pidfile;
        char why[192];
        uid_t uid = 0;
        int r = user_of(f->pid, &uid);

        if (r < 0 && r != -EPERM)
                return refuse(f, r, "process %d has ended", f->pid);
        r = trust_path(path, uid, why, sizeof(why));
        if (r < 0)
                return refuse(f, r, "[guest] pidfile names process %d, but %s", f->pid, why);
        return 0;
}

static int name_process(struct find *f)
{
        const char *path = f->cfg->guest.pidfile;
        int pid = 0, r;

        if (!path[0])
                return 0;
        r = vm_files_pid(path, &pid);
        if (r < 0)
                return refuse(f, r, "%s: %s", path,
                        r == -EINVAL ? "there is no process number in it" : strerror(-r));
        r = hold(f, pid);
        return r < 0 ? r : believe_pidfile(f);
}

static int list_files(struct find *f)
{
        int r = vm_files_list(f->pid, f->file, VGPU_SOURCE_FILES_MAX, &f->n_files);

        if (r == -E2BIG)
                return refuse(f, r, "process %d has more than %d files that could be RAM", f->pid,
                        VGPU_SOURCE_FILES_MAX);
        if (r < 0)
                return refuse(
                        f, r, "what process %d has open cannot be seen: %s", f->pid, strerror(-r));
        return 0;
}

/* ---- files --------------------------------------------------------------------------------------------------------- */

/* Is it what a memory backend is? */
static int check_kind(struct find *f, const char *path, const struct stat *st)
{
        if (!S_ISREG(st->st_mode))
                return refuse(f, -EINVAL, "%s is not a regular file", path);
        if (st->st_size < VM_FILE_SMALLEST || st->st_size % PAGE_BYTES != 0)
                return refuse(f, -EINVAL,
                        "%s is no guest's RAM: %lld bytes are not whole pages of 1 MiB or more",
                        path, (long long)st->st_size);
        if (st->st_nlink > 1)
                return refuse(f, -EPERM, "%s has %lu names, and could be another's file", path,
                        (unsigned long)st->st_nlink);
        return 0;
}

static bool peer_is_in(const struct ram_peer *peer, gid_t gid)
{
        for (size_t i = 0; i < peer->n_groups; i++)
                if (peer->group[i] == gid)
                        return true;
        return peer->cred.gid == gid;
}

/*
 * Who has a descriptor for reading opens its file for writing through /proc/self/fd, where the file's own permissions let
 * them. A memfd's always do, and it has no path for anybody else to have been given them on purpose.
 */
static int keep_from_writing(struct find *f, const char *path, int fd, const struct stat *st)
{
        mode_t others = st->st_mode & (S_IWGRP | S_IWOTH);

        if (st->st_nlink == 0)
                return others == 0 || fchmod(fd, st->st_mode & 07777 & ~others) == 0
                               ? 0
                               : refuse(f, -errno,
                                         "%s: write permission cannot be taken off it: %s", path,
                                         strerror(errno));
        if ((others & S_IWOTH) || ((others & S_IWGRP) && peer_is_in(f->peer, st->st_gid)))
                return refuse(f, -EPERM,
                        "%s can be written to by who it would be handed to: chmod go-w", path);
        if (st->st_uid == f->peer->cred.uid && st->st_uid != 0)
                return refuse(f, -EPERM, "%s belongs to who it would be handed to", path);
        /* Its mask stands where the group's permission does, and whom that is for takes more than a look. */
        if ((others & S_IWGRP) && fgetxattr(fd, "system.posix_acl_access", NULL, 0) > 0)
                return refuse(f, -EPERM,
                        "%s has an access control list by which others may write to it: let the "
                        "daemon's user read it there instead",
                        path);
        return 0;
}

/* Takes over @at, an O_PATH descriptor: what was looked at is what is opened. */
static int add_file(struct find *f, const char *path, int at, const struct vm_file *in_process)
{
        struct ram_hand *hand = f->hand;
        char again[32];
        struct stat st;
        int fd = -1, r;

        snprintf(again, sizeof(again), "/proc/self/fd/%d", at);
        r = fstat(at, &st) < 0 ? refuse(f, -errno, "%s: %s", path, strerror(errno))
                               : check_kind(f, path, &st);
        if (r == 0) {
                fd = open(again, O_RDONLY | O_CLOEXEC | O_NOCTTY);
                r = fd < 0 ? refuse(f, -errno, "%s: %s", path, strerror(errno))
                           : keep_from_writing(f, path, fd, &st);
        }
        close(at);
        if (r < 0) {
                if (fd >= 0)
                        close(fd);
                return r;
        }
        hand->offer.file[hand->offer.n_files++] = (struct ram_offer_file){
                .dev = st.st_dev,
                .ino = st.st_ino,
                .size = (uint64_t)st.st_size,
                .begin = in_process ? in_process->begin : 0,
                .end = in_process ? in_process->end : 0,
        };
        hand->fd[hand->n_fds++] = fd;
        return 0;
}

static const struct vm_file *in_process(const struct find *f, int at)
{
        struct stat st;

        for (size_t i = 0; i < f->n_files && fstat(at, &st) == 0; i++)
                if (f->file[i].dev == st.st_dev && f->file[i].ino == st.st_ino)
                        return &f->file[i];
        return NULL;
}

/*
 * Open a path from the root on for O_PATH, and follow no symbolic link on the way: -ELOOP where there is one. openat2() would
 * do it in one call, but with RestrictSUIDSGID=, whose filter cannot look into its arguments, it is not to be had.
 */
static int open_without_links(const char *path)
{
        char name[NAME_MAX + 1];
        int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

        for (path += strspn(path, "/"); at >= 0 && *path; path += strspn(path, "/")) {
                size_t len = strcspn(path, "/");
                struct stat st;
                int parent = at;

                if (len > NAME_MAX) {
                        close(parent);
                        return -ENAMETOOLONG;
                }
                memcpy(name, path, len);
                name[len] = '\0';
                path += len;
                at = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
                close(parent);
                if (at >= 0 && (fstat(at, &st) < 0 || S_ISLNK(st.st_mode))) {
                        close(at);
                        return -ELOOP;
                }
        }
        return at < 0 ? -errno : at;
}

static int add_named(struct find *f, const char *path)
{
        int at = open_without_links(path);

        if (at == -ELOOP)
                return refuse(f, -ELOOP,
                        "there is a symbolic link in %s, and who can lay one could name any file: "
                        "give [guest] ram without",
                        path);
        if (at < 0)
                return refuse(f, at, "%s: %s", path, strerror(-at));
        return add_file(f, path, at, in_process(f, at));
}

/* Takes what is in the list; that it still is that one, dev and ino say. */
static int add_listed(struct find *f, const struct vm_file *file)
{
        int at = open(file->path, O_PATH | O_CLOEXEC);

        if (at < 0)
                return refuse(f, -errno, "%s: %s", file->path, strerror(errno));
        if (in_process(f, at) != file) {
                close(at);
                return refuse(f, -EAGAIN, "%s is another file now", file->path);
        }
        return add_file(f, file->path, at, file);
}

/* ---- what the configuration says ----------------------------------------------------------------------------------- */

/* "/proc/PID/fd/N" and nothing else. */
static int pid_of(const char *path)
{
        char again[64];
        int pid = 0, fd = -1;

        if (sscanf(path, "/proc/%d/fd/%d", &pid, &fd) != 2 || pid <= 0 || fd < 0)
                return 0;
        snprintf(again, sizeof(again), "/proc/%d/fd/%d", pid, fd);
        return strcmp(again, path) == 0 ? pid : 0;
}

/* Numbers of processes and descriptors go to others: what is no memfd that the process uses as memory is none of the guest's. */
static int add_descriptor(struct find *f, const char *path, int pid)
{
        int r = f->pid ? 0 : hold(f, pid);

        if (r == 0 && f->pid != pid)
                r = refuse(f, -EPERM, "%s is not of process %d, which [guest] pidfile names", path,
                        f->pid);
        if (r == 0)
                r = list_files(f);
        for (size_t i = 0; i < f->n_files && r == 0; i++)
                if (strcmp(f->file[i].path, path) == 0 && f->file[i].is_memfd)
                        return add_listed(f, &f->file[i]);
        return r < 0 ? r
                     : refuse(f, -ENOENT,
                               "%s is no memfd that its process has mapped, shared and writable",
                               path);
}

static int add_configured(struct find *f)
{
        const char *list = f->cfg->guest.ram;
        char path[CONFIG_TEXT_MAX];
        int r = 0;

        /* A process that has other files only, or that cannot be looked at, is no reason against a named file. */
        if (f->pid && list_files(f) < 0)
                f->n_files = 0;
        while (r == 0 && config_next_path(&list, path)) {
                int pid = pid_of(path);

                if (f->hand->offer.n_files == VGPU_SOURCE_FILES_MAX)
                        return refuse(f, -E2BIG, "[guest] ram names too many files");
                r = pid ? add_descriptor(f, path, pid) : add_named(f, path);
        }
        return r;
}

/*
 * Without a monitor only memfds are known to be backends, by their name. With one QEMU tells the daemon at which address
 * each is, so all that could be one is handed over; all of it is this process' own.
 */
static int add_all(struct find *f)
{
        int r = 0;

        if (!f->pid)
                return refuse(f, -EINVAL,
                        "[guest] ram = auto takes [guest] pidfile, which says whose RAM it is");
        r = list_files(f);
        for (size_t i = 0; i < f->n_files && r == 0; i++)
                if (f->file[i].is_backend || f->cfg->guest.qmp[0])
                        r = add_listed(f, &f->file[i]);
        if (r == 0 && f->hand->offer.n_files == 0)
                r = refuse(f, -ENOENT,
                        "process %d has no RAM in a shared file: give it a memory backend with "
                        "share=on",
                        f->pid);
        return r;
}

/* The process counts when all files are its own: its end is theirs, for those that have no name. */
static void add_process(struct find *f)
{
        struct ram_hand *hand = f->hand;

        for (size_t i = 0; i < hand->offer.n_files; i++)
                if (hand->offer.file[i].end == 0)
                        return;
        if (f->pidfd < 0)
                return;
        hand->offer.pid = f->pid;
        hand->fd[hand->n_fds++] = f->pidfd;
        f->pidfd = -1;
}

int ram_find(const struct vgpu_config *cfg, const struct ram_peer *peer, struct ram_hand *ret)
{
        struct find f = { .cfg = cfg, .peer = peer, .hand = ret, .pidfd = -1 };
        int r;

        *ret = RAM_HAND_EMPTY;
        r = name_process(&f);
        if (r == 0)
                r = config_ram_is_auto(cfg) ? add_all(&f) : add_configured(&f);
        if (r == 0)
                r = still_lives(&f);
        if (r == 0) {
                add_process(&f);
                ret->offer.reason[0] = '\0';
        } else {
                char reason[sizeof(ret->offer.reason)];

                memcpy(reason, ret->offer.reason, sizeof(reason));
                ram_hand_close(ret);
                memcpy(ret->offer.reason, reason, sizeof(reason));
        }
        if (f.pidfd >= 0)
                close(f.pidfd);
        return r;
}
