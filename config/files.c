/*
 * files.c - see files.h
 *
 * Names in the folder are taken as systemd takes them: *.conf counts, sorted byte by byte; what editors and package managers
 * leave behind (x.conf~, .x.conf.swp, x.conf.dpkg-new) does not; a link to /dev/null takes away a file that would be read.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "files.h"

#define SUFFIX ".conf"

static bool has_suffix(const char *name, size_t len)
{
        return len > strlen(SUFFIX) && strcmp(name + len - strlen(SUFFIX), SUFFIX) == 0;
}

void config_name_from_path(const char *path, char *name, size_t cap)
{
        const char *base = strrchr(path, '/');
        size_t len;

        base = base != NULL ? base + 1 : path;
        len = strlen(base);
        if (has_suffix(base, len))
                len -= strlen(SUFFIX);
        if (len >= cap)
                len = cap - 1;
        memcpy(name, base, len);
        name[len] = '\0';
}

/* ---- one file ---------------------------------------------------------------------------------------------------- */

static int check_kind(int fd, bool masked, bool *ret_empty)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        *ret_empty = masked && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
        if (S_ISREG(st.st_mode) || *ret_empty)
                return 0;
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
}

static int read_all(int fd, char text[CONFIG_FILE_MAX], size_t *ret_len)
{
        size_t len = 0;

        while (len < CONFIG_FILE_MAX) {
                ssize_t n = read(fd, text + len, CONFIG_FILE_MAX - len);

                if (n == 0) {
                        *ret_len = len;
                        return 0;
                }
                if (n > 0)
                        len += (size_t)n;
                else if (errno != EINTR)
                        return -errno;
        }
        return -EFBIG;
}

int config_read_file(const char *path, bool masked, char text[CONFIG_FILE_MAX], size_t *ret_len)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        bool empty = false;
        int r;

        if (fd < 0)
                return -errno;
        r = check_kind(fd, masked, &empty);
        if (r == 0 && empty)
                *ret_len = 0;
        else if (r == 0)
                r = read_all(fd, text, ret_len);
        close(fd);
        return r;
}

/* ---- drop-ins ---------------------------------------------------------------------------------------------------- */

static int is_dropin(const struct dirent *entry)
{
        return entry->d_name[0] != '.' && has_suffix(entry->d_name, strlen(entry->d_name));
}

/* Not alphasort(): the order must not depend on a locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int take_names(struct config_dropins *dropins, struct dirent **list, size_t n)
{
        if (n > CONFIG_DROPINS_MAX)
                return -E2BIG;
        dropins->path = calloc(n != 0 ? n : 1, sizeof(*dropins->path));
        if (dropins->path == NULL)
                return -ENOMEM;
        for (; dropins->n < n; dropins->n++) {
                if (asprintf(&dropins->path[dropins->n], "%s/%s", dropins->folder,
                            list[dropins->n]->d_name) < 0)
                        return -ENOMEM;
        }
        return 0;
}

int config_dropins_find(const char *path, struct config_dropins *ret)
{
        struct dirent **list = NULL;
        int n, r;

        *ret = (struct config_dropins){ 0 };
        if (asprintf(&ret->folder, "%s.d", path) < 0) {
                ret->folder = NULL;
                return -ENOMEM;
        }
        n = scandir(ret->folder, &list, is_dropin, by_name);
        if (n < 0)
                return errno == ENOENT ? 0 : -errno;
        r = take_names(ret, list, (size_t)n);
        for (int i = 0; i < n; i++)
                free(list[i]);
        free(list);
        return r;
}

void config_dropins_free(struct config_dropins *dropins)
{
        for (size_t i = 0; i < dropins->n; i++)
                free(dropins->path[i]);
        free(dropins->path);
        free(dropins->folder);
        *dropins = (struct config_dropins){ 0 };
}
