/* doctor_ram.c - the files of the guest's RAM: there, large enough, readable for the daemon, and really the guest's */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "doctor.h"
#include "text.h"

#define SHOWN_MAX 512

static char *shown(const char *path, char buf[SHOWN_MAX])
{
        return text_escape(buf, SHOWN_MAX, path, strlen(path));
}

/* ---- there, and large enough ----------------------------------------------------------------------------------------- */

/* Return: is it there and a file that can be RAM? Otherwise it has been said. */
static bool is_file(
        const struct doctor *d, const char *path, struct stat *st, struct doctor_finding *f)
{
        char real[PATH_MAX], name[SHOWN_MAX];

        if (stat(doctor_path(d, path, real), st) < 0 && errno == EACCES) {
                doctor_say(f, DOCTOR_SKIPPED, "'%s' cannot be looked at by this user",
                        shown(path, name));
                doctor_next(f, "run this as root");
                return false;
        }
        if (stat(real, st) < 0) {
                doctor_say(f, DOCTOR_FAIL, "'%s': %s", shown(path, name), strerror(errno));
                doctor_next(f,
                        "start the virtual machine. If it runs, [guest] ram in %s is not the "
                        "mem-path of its "
                        "memory-backend-file: correct it",
                        d->config_path);
                return false;
        }
        if (!S_ISREG(st->st_mode)) {
                doctor_say(f, DOCTOR_FAIL, "'%s' is no file", shown(path, name));
                doctor_next(f, "set [guest] ram in %s to the mem-path of the memory-backend-file",
                        d->config_path);
                return false;
        }
        return true;
}

void doctor_check_ram(struct doctor *d, struct doctor_finding *f)
{
        const char *list = d->config.guest.ram;
        char path[CONFIG_TEXT_MAX], have[32], want[32];
        uint64_t bytes = 0;
        struct stat st;
        unsigned n = 0;

        for (; config_next_path(&list, path); n++) {
                if (!is_file(d, path, &st, f))
                        return;
                bytes += (uint64_t)st.st_size;
        }
        text_bytes(have, sizeof have, bytes);
        if (bytes == 0 || bytes < d->config.guest.ram_size) {
                text_bytes(want, sizeof want, d->config.guest.ram_size);
                doctor_say(f, DOCTOR_FAIL,
                        bytes ? "%s there, [guest] ram_size is %s" : "the file is empty", have,
                        want);
                doctor_next(f,
                        bytes ? "correct ram_size in %s, or leave it out"
                              : "start the virtual machine; if it runs, %s names another file than "
                                "QEMU's mem-path",
                        d->config_path);
                return;
        }
        doctor_say(f, DOCTOR_OK, "%s in %u file%s", have, n, n == 1 ? "" : "s");
}

/* ---- readable for the daemon ----------------------------------------------------------------------------------------- */

/* A helper may open it for the daemon (vgpud-ram(8)). */
static bool has_helper(const struct doctor *d)
{
        char socket[PATH_MAX];

        snprintf(socket, sizeof socket, "%s/run/vgpud-ram/%s.sock", d->root, d->name);
        return access(socket, F_OK) == 0;
}

/* Return: does the unit's sandbox show the place? */
static bool is_visible(const char *path)
{
        static const char *const hidden[] = { "/home/", "/root/", "/run/user/" };

        for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
                if (strncmp(path, hidden[i], strlen(hidden[i])) == 0)
                        return false;
        return true;
}

static void say_forbidden(const struct doctor *d, const char *path, const char *at, int error,
        struct doctor_finding *f)
{
        char name[SHOWN_MAX], place[SHOWN_MAX], rights[160];
        bool is_folder = strcmp(path, at) != 0;

        doctor_say(f, DOCTOR_FAIL, "the user '%s' cannot read '%s': %s '%s' is %s (%s)",
                d->user.name, shown(path + strlen(d->root), name),
                is_folder ? "the folder" : "the file", shown(at + strlen(d->root), place),
                doctor_describe(at, rights, sizeof rights), strerror(error));
        doctor_next(f,
                "setfacl -m u:%s:%s '%s'; for what lasts over restarts of the machine see "
                "\"Permission to "
                "read the guest's RAM\" in vgpud(8), or systemctl enable --now vgpud-ram@%s.socket",
                d->user.name, is_folder ? "x" : "r", place, d->name);
}

void doctor_check_permission(struct doctor *d, struct doctor_finding *f)
{
        const char *list = d->config.guest.ram;
        char path[CONFIG_TEXT_MAX], real[PATH_MAX], at[PATH_MAX], name[SHOWN_MAX];
        enum doctor_access access;
        int error;

        if (!d->user.known) {
                doctor_say(f, DOCTOR_SKIPPED, "the daemon's user is not known");
                return;
        }
        while (config_next_path(&list, path)) {
                access = doctor_access(d, doctor_path(d, path, real), R_OK, at, &error);
                if (error == ENOENT) {
                        doctor_say(f, DOCTOR_SKIPPED, "'%s' is not there", shown(path, name));
                        return;
                }
                if (access != DOCTOR_ACCESS_YES && has_helper(d)) {
                        doctor_say(f, DOCTOR_OK, "vgpud-ram@%s opens it for the daemon", d->name);
                        return;
                }
                if (access == DOCTOR_ACCESS_NO) {
                        say_forbidden(d, real, at, error, f);
                        return;
                }
                if (access == DOCTOR_ACCESS_UNKNOWN) {
                        doctor_say(f, DOCTOR_SKIPPED,
                                "an access control list decides, and only root can try it");
                        doctor_next(f, "run this as root");
                        return;
                }
                if (!is_visible(path)) {
                        doctor_say(f, DOCTOR_FAIL,
                                "'%s' is hidden from the service (ProtectHome=yes)",
                                shown(path, name));
                        doctor_next(f,
                                "put the RAM file in /dev/shm, or systemctl edit vgpud@%s: "
                                "ProtectHome=read-only",
                                d->name);
                        return;
                }
        }
        doctor_say(f, DOCTOR_OK, "the user '%s' can read it", d->user.name);
}

/* ---- really the guest's ---------------------------------------------------------------------------------------------- */

enum mapped { NOT_MAPPED, MAPPED_PRIVATE, MAPPED_SHARED };

/* Readers map it too: who may write through the map is the machine. */
static enum mapped mapped_by(const char *maps, const struct stat *st, const char *path)
{
        enum mapped found = NOT_MAPPED;
        FILE *f = fopen(maps, "re");
        char *line = NULL;
        size_t cap = 0;

        while (f && found != MAPPED_SHARED && getline(&line, &cap, f) > 0) {
                unsigned major, minor;
                char rights[5];
                uint64_t inode;
                int end = 0;

                if (sscanf(line, "%*x-%*x %4s %*x %x:%x %" SCNu64 " %n", rights, &major, &minor,
                            &inode, &end) < 4)
                        continue;
                if (inode != st->st_ino || rights[1] != 'w')
                        continue;
                line[strcspn(line, "\n")] = '\0';
                /* On btrfs and overlayfs a map has another device number than its file. */
                if (makedev(major, minor) != st->st_dev && strcmp(line + end, path) != 0)
                        continue;
                found = rights[3] == 's' ? MAPPED_SHARED : MAPPED_PRIVATE;
        }
        free(line);
        if (f)
                fclose(f);
        return found;
}

static void name_of_process(const struct doctor *d, const char *pid, char *name, size_t cap)
{
        char path[PATH_MAX], comm[32] = "";
        FILE *f;

        snprintf(path, sizeof path, "%s/proc/%s/comm", d->root, pid);
        f = fopen(path, "re");
        if (f) {
                if (!fgets(comm, sizeof comm, f))
                        comm[0] = '\0';
                fclose(f);
        }
        comm[strcspn(comm, "\n")] = '\0';
        text_escape(name, cap, comm, strlen(comm));
}

/* Return: how the first process that writes to it has it mapped, and who that is. */
static enum mapped find_writer(
        const struct doctor *d, const struct stat *st, const char *file, char *who, size_t cap)
{
        enum mapped found = NOT_MAPPED;
        char path[PATH_MAX], name[128];
        DIR *dir = opendir(doctor_path(d, "/proc", path));

        for (const struct dirent *e; dir && found == NOT_MAPPED && (e = readdir(dir));) {
                if (!isdigit((unsigned char)e->d_name[0]))
                        continue;
                snprintf(path, sizeof path, "%s/proc/%s/maps", d->root, e->d_name);
                found = mapped_by(path, st, file);
                if (found != NOT_MAPPED) {
                        name_of_process(d, e->d_name, name, sizeof name);
                        snprintf(who, cap, "process %.10s ('%s')", e->d_name, name);
                }
        }
        if (dir)
                closedir(dir);
        return found;
}

void doctor_check_shared(struct doctor *d, struct doctor_finding *f)
{
        const char *list = d->config.guest.ram;
        char path[CONFIG_TEXT_MAX], real[PATH_MAX], who[192], name[SHOWN_MAX];
        struct stat st;

        if (geteuid() != 0) {
                doctor_say(f, DOCTOR_SKIPPED, "only root sees what other processes have mapped");
                doctor_next(f, "run this as root");
                return;
        }
        while (config_next_path(&list, path)) {
                if (stat(doctor_path(d, path, real), &st) < 0) {
                        doctor_say(f, DOCTOR_SKIPPED, "'%s' is not there", shown(path, name));
                        return;
                }
                switch (find_writer(d, &st, path, who, sizeof who)) {
                case MAPPED_PRIVATE:
                        doctor_say(f, DOCTOR_FAIL,
                                "%s has '%s' mapped for itself: what the guest writes never gets "
                                "into "
                                "the file",
                                who, shown(path, name));
                        doctor_next(f, "add share=on to its memory-backend-file, and start the "
                                       "machine anew");
                        return;
                case NOT_MAPPED:
                        doctor_say(f, doctor_streams(d) ? DOCTOR_WARN : DOCTOR_FAIL,
                                "no process has '%s' mapped for writing: the virtual machine is "
                                "off, or its RAM is "
                                "somewhere else",
                                shown(path, name));
                        doctor_next(f, "start the virtual machine. If it runs, compare [guest] ram "
                                       "with mem-path on "
                                       "QEMU's command line");
                        return;
                case MAPPED_SHARED:
                        break;
                }
        }
        doctor_say(f, DOCTOR_OK, "%s has it mapped shared", who);
}
