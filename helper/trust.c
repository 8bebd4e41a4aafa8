/* trust.c - see trust.h */
#include "helper/trust.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 40 /* as many as the kernel follows */

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

/* @path and every folder above. */
static int check_way(const char *path, uid_t also, char *ret_why, size_t cap)
{
        char way[PATH_MAX];
        int r = 0;

        memcpy(way, path, strlen(path) + 1);
        for (char *end = way + strlen(way); r == 0;) {
                *end = '\0';
                r = check_step(way[0] ? way : "/", also, ret_why, cap);
                if (!way[0])
                        break;
                end = strrchr(way, '/');
        }
        return r;
}

/* Puts what the first link on the way says in its place. Return: 1; 0: there is none; or what reading it said. */
static int follow_first(char path[PATH_MAX])
{
        char target[PATH_MAX], next[PATH_MAX];

        for (char *end = path; *end;) {
                size_t before = (size_t)(end + 1 - path);
                ssize_t n;
                char rest;

                end = strchrnul(end + 1, '/');
                rest = *end;
                *end = '\0';
                n = readlink(path, target, sizeof(target));
                *end = rest;
                if (n < 0 && errno != EINVAL)
                        return -errno;
                if (n < 0)
                        continue;
                if (snprintf(next, sizeof(next), "%.*s%.*s%s", target[0] == '/' ? 0 : (int)before,
                            path, (int)n, target, end) >= (int)sizeof(next))
                        return -ENAMETOOLONG;
                memcpy(path, next, strlen(next) + 1);
                return 1;
        }
        return 0;
}

/* Link by link: one that somebody else could lay leads to a file that is root's, but not to the one that was meant. */
int trust_path(const char *path, uid_t also, char *ret_why, size_t cap)
{
        size_t len = strlen(path);
        char way[PATH_MAX];
        int r = path[0] != '/' ? -EINVAL : len >= sizeof(way) ? -ENAMETOOLONG : 1;

        if (r > 0)
                memcpy(way, path, len + 1);
        for (int i = 0; r > 0; i++) {
                r = check_way(way, also, ret_why, cap);
                if (r < 0)
                        return r;
                r = i < LINKS_MAX ? follow_first(way) : -ELOOP;
        }
        if (r < 0)
                snprintf(ret_why, cap, "%s: %s", path, strerror(-r));
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
