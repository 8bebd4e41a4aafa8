/*
 * doctor_person.c - the daemon's user, and what it may reach
 *
 * Root tries: a child takes on the user's ids and walks the path, so that ACLs, mount options and everything else that decides is in
 * the answer. Anybody else can only compute from modes and owners, and where an ACL is set that would be a guess.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "doctor.h"
#include "text.h"

#define DAEMON_USER  "vgpud"
#define CLIENT_GROUP "vgpu"

/* ---- who it is ------------------------------------------------------------------------------------------------------- */

/* NSS knows only the host itself. */
static bool look_up_below_root(const struct doctor *d, struct doctor_user *user)
{
        char path[PATH_MAX];
        FILE *f = fopen(doctor_path(d, "/etc/passwd", path), "re");
        const struct passwd *p = NULL;
        const struct group *g;

        while (f && (p = fgetpwent(f)) && strcmp(p->pw_name, user->name) != 0)
                ;
        if (p) {
                user->uid = p->pw_uid;
                user->gid[0] = p->pw_gid;
                user->n_gid = 1;
        }
        if (f)
                fclose(f);
        if (!p)
                return false;
        f = fopen(doctor_path(d, "/etc/group", path), "re");
        while (f && (g = fgetgrent(f)))
                for (char **m = g->gr_mem; *m; m++)
                        if (strcmp(*m, user->name) == 0 && user->n_gid < DOCTOR_GROUPS_MAX)
                                user->gid[user->n_gid++] = g->gr_gid;
        if (f)
                fclose(f);
        return true;
}

static bool look_up(const struct doctor *d, struct doctor_user *user)
{
        const struct passwd *p;

        if (d->root[0])
                return look_up_below_root(d, user);
        p = getpwnam(user->name);
        if (!p)
                return false;
        user->uid = p->pw_uid;
        user->n_gid = DOCTOR_GROUPS_MAX;
        if (getgrouplist(user->name, p->pw_gid, user->gid, &user->n_gid) < 0)
                user->n_gid = DOCTOR_GROUPS_MAX;
        return true;
}

void doctor_check_user(struct doctor *d, struct doctor_finding *f)
{
        const char *name = d->has_unit && d->unit.user[0] ? d->unit.user : DAEMON_USER;
        char shown[256];

        snprintf(d->user.name, sizeof d->user.name, "%s", name);
        text_escape(shown, sizeof shown, name, strlen(name));
        d->user.known = look_up(d, &d->user);
        if (!d->user.known) {
                doctor_say(f, DOCTOR_FAIL, "there is no user '%s', as whom the daemon runs", shown);
                doctor_next(f,
                        "systemd-sysusers makes it (the package does that), then systemctl restart "
                        "vgpud@%s",
                        d->name);
        } else if (!d->root[0] && !getgrnam(CLIENT_GROUP)) {
                doctor_say(f, DOCTOR_WARN,
                        "there is no group '" CLIENT_GROUP "', whose members may connect");
                doctor_next(f, "systemd-sysusers makes it (the package does that)");
        } else {
                doctor_say(f, DOCTOR_OK, "'%s', uid %u, in %d group%s", shown, d->user.uid,
                        d->user.n_gid, d->user.n_gid == 1 ? "" : "s");
        }
}

/* ---- what it may reach ----------------------------------------------------------------------------------------------- */

struct answer {
        int at_len; /* as much of the path as is in the way */
        int error;
};

/* Folders by searching them, the file itself by @how. Return: 0 and all of it, or where and why not. */
static struct answer walk(const char *path, int how)
{
        char part[PATH_MAX];

        for (const char *p = path + 1; (p = strchr(p, '/')) != NULL; p++) {
                snprintf(part, sizeof part, "%.*s", (int)(p - path), path);
                if (access(part, X_OK) < 0)
                        return (struct answer){ (int)(p - path), errno };
        }
        return (struct answer){ (int)strlen(path), access(path, how) < 0 ? errno : 0 };
}

/* access() goes by the real ids, which are all set here. Nothing but async-signal-safe calls, and no way back. */
static struct answer walk_as(const struct doctor_user *user, const char *path, int how)
{
        struct answer answer = { 0, EIO };
        int ends[2], status;
        pid_t pid;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return answer;
        fflush(NULL);
        pid = fork();
        if (pid == 0) {
                if (setgroups((size_t)user->n_gid, user->gid) == 0 &&
                        setresgid(user->gid[0], user->gid[0], user->gid[0]) == 0 &&
                        setresuid(user->uid, user->uid, user->uid) == 0)
                        answer = walk(path, how);
                _exit(write(ends[1], &answer, sizeof answer) == sizeof answer ? 0 : 1);
        }
        close(ends[1]);
        if (pid > 0) {
                if (read(ends[0], &answer, sizeof answer) != sizeof answer)
                        answer = (struct answer){ 0, EIO };
                waitpid(pid, &status, 0);
        }
        close(ends[0]);
        return answer;
}

static bool in_group(const struct doctor_user *user, gid_t gid)
{
        for (int i = 0; i < user->n_gid; i++)
                if (user->gid[i] == gid)
                        return true;
        return false;
}

/* @want: 4, 2 or 1. Return: 0, or an errno; ENOTSUP: an ACL decides. */
static int compute(const struct doctor_user *user, const char *path, unsigned want)
{
        struct stat st;
        unsigned bits;

        if (stat(path, &st) < 0)
                return errno;
        if (getxattr(path, "system.posix_acl_access", NULL, 0) > 0)
                return ENOTSUP;
        bits = st.st_uid == user->uid      ? st.st_mode >> 6
               : in_group(user, st.st_gid) ? st.st_mode >> 3
                                           : st.st_mode;
        return bits & want ? 0 : EACCES;
}

static struct answer compute_walk(const struct doctor_user *user, const char *path, int how)
{
        char part[PATH_MAX];
        int error;

        for (const char *p = path + 1; (p = strchr(p, '/')) != NULL; p++) {
                snprintf(part, sizeof part, "%.*s", (int)(p - path), path);
                error = compute(user, part, 1);
                if (error)
                        return (struct answer){ (int)(p - path), error };
        }
        return (struct answer){ (int)strlen(path), compute(user, path, how == R_OK ? 4 : 2) };
}

enum doctor_access doctor_access(
        const struct doctor *d, const char *path, int how, char ret_at[PATH_MAX], int *ret_errno)
{
        struct answer answer;

        if (geteuid() == 0)
                answer = walk_as(&d->user, path, how);
        else if (geteuid() == d->user.uid)
                answer = walk(path, how);
        else
                answer = compute_walk(&d->user, path, how);
        snprintf(ret_at, PATH_MAX, "%.*s", answer.at_len, path);
        *ret_errno = answer.error;
        if (answer.error == ENOTSUP || answer.error == EIO)
                return DOCTOR_ACCESS_UNKNOWN;
        return answer.error ? DOCTOR_ACCESS_NO : DOCTOR_ACCESS_YES;
}

char *doctor_describe(const char *path, char *buf, size_t cap)
{
        static const char letters[] = "rwxrwxrwx";
        const struct passwd *owner;
        const struct group *group;
        char mode[11] = "-", user[64], team[64];
        struct stat st;

        if (stat(path, &st) < 0) {
                snprintf(buf, cap, "%s", strerror(errno));
                return buf;
        }
        mode[0] = S_ISDIR(st.st_mode) ? 'd' : S_ISSOCK(st.st_mode) ? 's' : '-';
        for (int i = 0; i < 9; i++)
                mode[i + 1] = st.st_mode & (0400u >> i) ? letters[i] : '-';
        owner = getpwuid(st.st_uid);
        snprintf(user, sizeof user, "%u", st.st_uid);
        group = getgrgid(st.st_gid);
        snprintf(team, sizeof team, "%u", st.st_gid);
        snprintf(buf, cap, "%s %s:%s", mode, owner ? owner->pw_name : user,
                group ? group->gr_name : team);
        return buf;
}
