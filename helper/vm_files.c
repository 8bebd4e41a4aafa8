/* vm_files.c - see vm_files.h */
#include "helper/vm_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define BACKEND_LINK "/memfd:memory-backend-memfd"

int vm_files_pid(const char *path, int *ret_pid)
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

struct mapped_file {
        dev_t dev;
        ino_t ino;
};

struct mapping {
        uint64_t begin, end;
        bool writable;
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
        ret->writable = flags[1] == 'w';
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

int vm_files_maps(int pid, uint64_t hva, dev_t dev, ino_t ino)
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
                return errno == ENOENT ? -ESRCH : -errno;
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

int vm_files_at(int pid, uint64_t hva, char *ret_path, size_t cap)
{
        struct mapping m;
        int r;

        r = find_mapping(pid, covers, &hva, &m);
        if (r == 0)
                r = find_fds(pid, is_file, &m.file, ret_path, cap);
        return r < 0 ? r : r == 0 ? -ENOENT : 0;
}

static bool starts_with(const char *path, const char *start)
{
        char target[64];
        ssize_t n = readlink(path, target, sizeof(target));

        return n >= (ssize_t)strlen(start) && memcmp(target, start, strlen(start)) == 0;
}

static bool is_backend(const char *path, const void *arg)
{
        (void)arg;
        return starts_with(path, BACKEND_LINK);
}

int vm_files_only_backend(int pid, char *ret_path, size_t cap)
{
        int n = find_fds(pid, is_backend, NULL, ret_path, cap);

        if (n < 0)
                return n;
        return n == 0 ? -ENOENT : n > 1 ? -EEXIST : 0;
}

/* ---- all of them ---------------------------------------------------------------------------------------------------- */

/* Where a file is mapped for the guest to write: from its first map on, as long as they join. */
struct span {
        struct mapped_file file;
        uint64_t begin, end; /* 0, 0: nowhere yet */
};

/* Looks at every mapping and takes none, so that the search goes over all of them; they come by address. */
static bool extends(const struct mapping *m, const void *arg)
{
        struct span *span = *(struct span *const *)arg;

        if (!m->writable || m->file.dev != span->file.dev || m->file.ino != span->file.ino)
                return false;
        if (span->end == 0)
                span->begin = m->begin;
        if (span->end == 0 || span->end == m->begin)
                span->end = m->end;
        return false;
}

static int measure(int pid, struct vm_file *f)
{
        struct span span = { .file = { f->dev, f->ino } }, *at = &span;
        struct mapping unused;
        int r = find_mapping(pid, extends, &at, &unused);

        f->begin = span.begin;
        f->end = span.end;
        return r == -ENOENT ? 0 : r;
}

static bool is_listed(const struct vm_file *list, size_t n, const struct stat *st)
{
        for (size_t i = 0; i < n; i++)
                if (list[i].dev == st->st_dev && list[i].ino == st->st_ino)
                        return true;
        return false;
}

/* Return: 1 if it is one, 0 if not, or -errno. */
static int look_at(
        int pid, const char *name, const struct vm_file *list, size_t n, struct vm_file *f)
{
        struct stat st;
        int r;

        snprintf(f->path, sizeof(f->path), "/proc/%d/fd/%.20s", pid, name);
        if (name[0] == '.' || stat(f->path, &st) < 0 || !S_ISREG(st.st_mode))
                return 0;
        if (st.st_size < VM_FILE_SMALLEST || is_listed(list, n, &st))
                return 0;
        f->dev = st.st_dev;
        f->ino = st.st_ino;
        f->is_memfd = starts_with(f->path, "/memfd:");
        f->is_backend = starts_with(f->path, BACKEND_LINK);
        r = measure(pid, f);
        return r < 0 ? r : f->end != 0;
}

int vm_files_list(int pid, struct vm_file *ret_list, size_t cap, size_t *ret_n)
{
        struct dirent *entry;
        char folder[32];
        size_t n = 0;
        int r = 0;
        DIR *dir;

        snprintf(folder, sizeof(folder), "/proc/%d/fd", pid);
        dir = opendir(folder);
        if (!dir)
                return errno == ENOENT ? -ESRCH : -errno;
        while (r >= 0 && (entry = readdir(dir)) != NULL) {
                struct vm_file f;

                r = look_at(pid, entry->d_name, ret_list, n, &f);
                if (r > 0 && n == cap)
                        r = -E2BIG;
                else if (r > 0)
                        ret_list[n++] = f;
        }
        closedir(dir);
        if (r < 0)
                return r;
        *ret_n = n;
        return 0;
}
