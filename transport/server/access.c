/*
 * access.c - who may do something
 *
 * By what the kernel remembers of the process that connected: uid, gid and supplementary groups at that moment. What
 * a program says about itself counts for nothing.
 */
#include "access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *copy(const void *from, size_t bytes)
{
        void *to = malloc(bytes);

        return to ? memcpy(to, from, bytes) : NULL;
}

int access_init(struct access *a, const struct server_access *from, bool everybody_if_empty)
{
        *a = (struct access){ 0 };
        if (from->n_users == 0 && from->n_groups == 0) {
                a->everybody = everybody_if_empty;
                return 0;
        }
        if (from->n_users > 0) {
                a->users = copy(from->users, from->n_users * sizeof(*a->users));
                if (!a->users)
                        return -ENOMEM;
                a->n_users = from->n_users;
        }
        if (from->n_groups > 0) {
                a->groups = copy(from->groups, from->n_groups * sizeof(*a->groups));
                if (!a->groups)
                        return -ENOMEM;
                a->n_groups = from->n_groups;
        }
        return 0;
}

void access_deinit(struct access *a)
{
        free(a->users);
        free(a->groups);
        *a = (struct access){ 0 };
}

static bool lists_user(const struct access *a, uid_t uid)
{
        for (size_t i = 0; i < a->n_users; i++) {
                if (a->users[i] == uid)
                        return true;
        }
        return false;
}

static bool lists_group(const struct access *a, gid_t gid)
{
        for (size_t i = 0; i < a->n_groups; i++) {
                if (a->groups[i] == gid)
                        return true;
        }
        return false;
}

bool access_covers(const struct access *a, const struct access *b)
{
        bool covers = a->everybody || !b->everybody;

        for (size_t i = 0; !a->everybody && covers && i < b->n_users; i++)
                covers = lists_user(a, b->users[i]);
        for (size_t i = 0; !a->everybody && covers && i < b->n_groups; i++)
                covers = lists_group(a, b->groups[i]);
        return covers;
}

/* A process has 65536 at most (NGROUPS_MAX), nearly always a handful. */
static bool lists_peer_group(const struct access *a, int fd)
{
        gid_t few[32], *groups = few, *many = NULL;
        socklen_t len = sizeof(few);
        bool found = false;
        int r = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, few, &len);

        if (r < 0 && errno == ERANGE) {
                many = malloc(len);
                groups = many;
                r = many ? getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, many, &len) : -1;
        }
        for (size_t i = 0; r == 0 && !found && i < len / sizeof(*groups); i++)
                found = lists_group(a, groups[i]);
        free(many);
        return found;
}

bool access_has(const struct access *a, int fd, const struct ucred *cred)
{
        if (a->everybody || cred->uid == 0 || cred->uid == geteuid() || lists_user(a, cred->uid))
                return true;
        return a->n_groups > 0 && (lists_group(a, cred->gid) || lists_peer_group(a, fd));
}
