/* trust.c - see trust.h */
#include "helper/trust.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One file or folder of the way. */
static int check_step(const char *path, uid_t also, char *ret_why, size_t cap)
{
        bool kept;
        struct stat st;

        if (lstat(path, &st) < 0) {
                int r = -errno;

                snprintf(ret_why, cap, "%s: %s", path, strerror(-r));
                return r;
        }
        if (st.st_uid != 0 && st.st_uid != geteuid() && (also == 0 || st.st_uid != also)) {
                snprintf(ret_why, cap, "%s belongs to user %u, who could change it", path,
                        (unsigned)st.st_uid);
                return -EPERM;
        }
        /* A link's permissions mean nothing, nor what a drop-in that is a link to /dev/null leads to. */
        kept = S_ISLNK(st.st_mode) || S_ISCHR(st.st_mode) ||
               (S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX));
        if ((st.st_mode & (S_IWGRP | S_IWOTH)) && !kept) {
                snprintf(ret_why, cap, "%s can be changed by others than its owner: chmod go-w",
                        path);
                return -EPERM;
        }
        return 0;
}

/* @path and every folder above; @path is used up. */
static int check_way(char *path, uid_t also, char *ret_why, size_t cap)
{
        int r = 0;

        for (char *end = path + strlen(path); r == 0;) {
                *end = '\0';
                r = check_step(path[0] ? path : "/", also, ret_why, cap);
                if (!path[0])
                        break;
                end = strrchr(path, '/');
        }
        return r;
}

/* Both ways: a link that somebody else could lay leads to a file that is root's, but not to the one that was meant. */
int trust_path(const char *path, uid_t also, char *ret_why, size_t cap)
{
        char *real = realpath(path, NULL), *named = strdup(path);
        int r = 0;

        if (!real || !named || path[0] != '/') {
                r = !real ? -errno : !named ? -ENOMEM : -EINVAL;
                snprintf(ret_why, cap, "%s: %s", path, strerror(-r));
        }
        if (r == 0)
                r = check_way(named, also, ret_why, cap);
        if (r == 0)
                r = check_way(real, also, ret_why, cap);
        free(named);
        free(real);
        return r;
}

/* Of the folder itself and of what is in it; the way there is the file's. */
static int trust_dropins(const char *folder, char *ret_why, size_t cap)
{
        DIR *dir = opendir(folder);
        struct dirent *entry;
        int r;

        if (!dir && errno == ENOENT)
                return 0;
        r = dir ? trust_path(folder, 0, ret_why, cap) : -errno;
        if (!dir)
                snprintf(ret_why, cap, "%s: %s", folder, strerror(-r));
        while (r == 0 && (entry = readdir(dir)) != NULL) {
                char path[PATH_MAX];

                if (entry->d_name[0] == '.')
                        continue;
                if (snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) >=
                        (int)sizeof(path))
                        r = -ENAMETOOLONG;
                else
                        r = trust_path(path, 0, ret_why, cap);
        }
        if (dir)
                closedir(dir);
        return r;
}

int trust_config(const char *path, char *ret_why, size_t cap)
{
        char folder[PATH_MAX];
        int r = trust_path(path, 0, ret_why, cap);

        if (r < 0)
                return r;
        if (snprintf(folder, sizeof(folder), "%s.d", path) >= (int)sizeof(folder))
                return -ENAMETOOLONG;
        return trust_dropins(folder, ret_why, cap);
}
