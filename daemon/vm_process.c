/* vm_process.c - see vm_process.h */
#include "vm_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define BACKEND_LINK "/memfd:memory-backend-memfd"

/* ---- the process --------------------------------------------------------------------------------------------------- */

static int read_pid(const char *path, int *ret_pid)
{
        char text[32];
        char *end;
        long pid;
        ssize_t n;
        int fd;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return -errno;
        n = read(fd, text, sizeof(text) - 1);
        close(fd);
        if (n < 0)
                return -errno;
        text[n] = '\0';
        pid = strtol(text, &end, 10);
        if (pid <= 0 || pid > INT32_MAX || (*end != '\n' && *end != '\0'))
                return -EINVAL;
        *ret_pid = (int)pid;
        return 0;
}

static void free_handle(uv_handle_t *handle)
{
        free(handle);
}

void vm_process_stop(struct vm_process *p)
{
        if (p->poll) {
                uv_poll_stop(p->poll);
                uv_close((uv_handle_t *)p->poll, free_handle);
                p->poll = NULL;
        }
        if (p->fd >= 0)
                close(p->fd);
        p->fd = -1;
        p->pid = 0;
}

/* A pidfd is readable when its process has ended. */
static void on_ended(uv_poll_t *poll, int status, int events)
{
        struct vm_process *p = poll->data;

        (void)status;
        (void)events;
        vm_process_stop(p);
        p->ended(p);
}

static int poll_pidfd(struct vm_process *p)
{
        int r;

        p->poll = malloc(sizeof(*p->poll));
        if (!p->poll)
                return -ENOMEM;
        r = uv_poll_init(p->loop, p->poll, p->fd);
        if (r < 0) {
                free(p->poll);
                p->poll = NULL;
                return r;
        }
        p->poll->data = p;
        return uv_poll_start(p->poll, UV_READABLE, on_ended);
}

int vm_process_watch(struct vm_process *p)
{
        int pid = 0, r;

        if (p->pid)
                return 0;
        r = read_pid(p->pidfile, &pid);
        if (r < 0)
                return r;
        p->fd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (p->fd < 0)
                return -errno;
        r = poll_pidfd(p);
        if (r < 0) {
                vm_process_stop(p);
                return r;
        }
        p->pid = pid;
        return 0;
}

void vm_process_init(struct vm_process *p, uv_loop_t *loop, const char *pidfile,
        vm_process_ended_fn ended, void *ctx)
{
        *p = (struct vm_process){
                .loop = loop, .pidfile = pidfile, .ended = ended, .ctx = ctx, .fd = -1
        };
}

/* ---- its files ----------------------------------------------------------------------------------------------------- */

struct mapped_file {
        dev_t dev;
        ino_t ino;
};

struct mapping {
        uint64_t begin, end;
        struct mapped_file file;
};

/* A line of /proc/PID/maps, if it is a file's, and shared: what the guest writes into a private map stays QEMU's. */
static bool parse_shared(const char *line, struct mapping *ret)
{
        unsigned major_id, minor_id;
        char flags[5];
        uint64_t ino;

        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %x:%x %" SCNu64, &ret->begin, &ret->end,
                    flags, &major_id, &minor_id, &ino) != 6)
                return false;
        ret->file = (struct mapped_file){ makedev(major_id, minor_id), (ino_t)ino };
        return flags[3] == 's' && ino != 0;
}

typedef bool (*mapping_filter)(const struct mapping *m, const void *arg);

/* Return: 0 and the first mapping that passes, -ENOENT, or what reading /proc said. */
static int find_mapping(int pid, mapping_filter filter, const void *arg, struct mapping *ret)
{
        char path[32], *line = NULL;
        size_t cap = 0;
        int r = -ENOENT;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/maps", pid);
        f = fopen(path, "re");
        if (!f)
                return errno == ENOENT ? -ESRCH : -errno;
        while (r == -ENOENT && getline(&line, &cap, f) > 0)
                if (parse_shared(line, ret) && filter(ret, arg))
                        r = 0;
        free(line);
        fclose(f);
        return r;
}

static bool covers(const struct mapping *m, const void *arg)
{
        const uint64_t *hva = arg;

        return *hva >= m->begin && *hva < m->end;
}

struct wanted_mapping {
        uint64_t hva; /* 0: anywhere */
        struct mapped_file file;
};

static bool is_wanted(const struct mapping *m, const void *arg)
{
        const struct wanted_mapping *want = arg;

        return m->file.dev == want->file.dev && m->file.ino == want->file.ino &&
               (want->hva == 0 || covers(m, &want->hva));
}

int vm_process_maps(int pid, uint64_t hva, dev_t dev, ino_t ino)
{
        const struct wanted_mapping want = { hva, { dev, ino } };
        struct mapping found;

        return find_mapping(pid, is_wanted, &want, &found);
}

typedef bool (*fd_filter)(const char *path, const void *arg);

/* Return: how many descriptors pass, the first one's path in @ret_path; or -errno. */
static int find_fds(int pid, fd_filter filter, const void *arg, char *ret_path, size_t cap)
{
        struct dirent *entry;
        char folder[32];
        int n = 0;
        DIR *dir;

        snprintf(folder, sizeof(folder), "/proc/%d/fd", pid);
        dir = opendir(folder);
        if (!dir)
                return -errno;
        while ((entry = readdir(dir)) != NULL) {
                char path[64];

                snprintf(path, sizeof(path), "%s/%.20s", folder, entry->d_name);
                if (entry->d_name[0] == '.' || !filter(path, arg))
                        continue;
                if (n++ == 0)
                        snprintf(ret_path, cap, "%s", path);
        }
        closedir(dir);
        return n;
}

static bool is_file(const char *path, const void *arg)
{
        const struct mapped_file *file = arg;
        struct stat st;

        return stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_ino == file->ino &&
               st.st_dev == file->dev;
}

int vm_process_ram_fd(int pid, uint64_t hva, char *ret_path, size_t cap)
{
        struct mapping m;
        int r;

        r = find_mapping(pid, covers, &hva, &m);
        if (r == 0)
                r = find_fds(pid, is_file, &m.file, ret_path, cap);
        return r < 0 ? r : r == 0 ? -ENOENT : 0;
}

static bool is_backend(const char *path, const void *arg)
{
        char target[sizeof(BACKEND_LINK)];
        ssize_t n = readlink(path, target, sizeof(target));

        (void)arg;
        return n >= (ssize_t)strlen(BACKEND_LINK) &&
               memcmp(target, BACKEND_LINK, strlen(BACKEND_LINK)) == 0;
}

int vm_process_only_ram_fd(int pid, char *ret_path, size_t cap)
{
        int n = find_fds(pid, is_backend, NULL, ret_path, cap);

        if (n < 0)
                return n;
        return n == 0 ? -ENOENT : n > 1 ? -EEXIST : 0;
}
