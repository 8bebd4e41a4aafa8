/* ram_shelf.c - see ram_shelf.h */
#include "ram_shelf.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "systemd/journal.h"

/* Names in the store: which file, where its process has it, for which configuration. */
#define NAME_FILE    "ram-%zu-%" PRIx64 "-%" PRIx64 "-%" PRIx64
#define NAME_PROCESS "ram-process-%" PRIx64

static uint64_t add_text(uint64_t hash, const char *text)
{
        /* FNV-1a: told apart is told apart, nobody attacks their own configuration. */
        for (const char *c = text;; c++) {
                hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
                if (*c == '\0')
                        return hash;
        }
}

void ram_shelf_init(struct ram_shelf *s, const struct vgpu_config *config)
{
        uint64_t hash = add_text(UINT64_C(0xcbf29ce484222325), config->guest.ram);

        hash = add_text(hash, config->guest.pidfile);
        *s = (struct ram_shelf){ .pidfd = -1, .config = add_text(hash, config->guest.qmp) };
}

/* ---- letting go ---------------------------------------------------------------------------------------------------- */

static void drop_file(struct ram_held *f)
{
        if (f->stored[0])
                passed_unstore(f->stored);
        close(f->fd);
        *f = (struct ram_held){ .fd = -1 };
}

void ram_shelf_clear(struct ram_shelf *s)
{
        for (size_t i = 0; i < s->n; i++)
                drop_file(&s->file[i]);
        if (s->pid_stored[0])
                passed_unstore(s->pid_stored);
        if (s->pidfd >= 0)
                close(s->pidfd);
        *s = (struct ram_shelf){ .pidfd = -1, .config = s->config };
}

void ram_shelf_deinit(struct ram_shelf *s)
{
        for (size_t i = 0; i < s->n; i++)
                close(s->file[i].fd);
        if (s->pidfd >= 0)
                close(s->pidfd);
        *s = (struct ram_shelf){ .pidfd = -1, .config = s->config };
}

static bool has_ended(int pidfd)
{
        struct pollfd ended = { .fd = pidfd, .events = POLLIN };

        return poll(&ended, 1, 0) != 0;
}

/* Why it is over, or NULL. */
static const char *over(const struct ram_shelf *s, const struct ram_held *f, const char *path)
{
        struct stat st, there;

        if (fstat(f->fd, &st) < 0)
                return strerror(errno);
        if ((uint64_t)st.st_size < f->size)
                return "it was truncated";
        if (f->linked && st.st_nlink == 0)
                return "its file was removed or replaced";
        if (path && stat(path, &there) == 0 &&
                (there.st_dev != st.st_dev || there.st_ino != st.st_ino))
                return "another file is at its path";
        if (!f->linked && f->stored[0] && s->pidfd < 0)
                return "whose it is is not known any more";
        return NULL;
}

static const char *why_over(const struct ram_shelf *s, const char *paths)
{
        char path[CONFIG_TEXT_MAX];
        const char *why = NULL;

        if (s->pidfd >= 0 && has_ended(s->pidfd))
                return "its process has ended";
        for (size_t i = 0; i < s->n && !why; i++) {
                bool named = paths[0] == '/' && config_next_path(&paths, path);

                why = over(s, &s->file[i], named ? path : NULL);
        }
        return why;
}

bool ram_shelf_sweep(struct ram_shelf *s, const char *paths)
{
        const char *why = s->n > 0 ? why_over(s, paths) : NULL;

        if (!why)
                return false;
        journal_log(LOG_INFO, "RAM that was handed over is let go of: %s", why);
        ram_shelf_clear(s);
        return true;
}

/* ---- coming in ----------------------------------------------------------------------------------------------------- */

/* Return: 0 and what it is, or why it cannot be used. */
static int measure(int fd, struct ram_held *ret)
{
        int flags = fcntl(fd, F_GETFL);
        struct stat st;

        if (flags < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        if ((flags & (O_ACCMODE | O_PATH)) != O_RDONLY)
                return -EPERM;
        ret->fd = fd;
        ret->size = (uint64_t)st.st_size;
        ret->linked = st.st_nlink > 0;
        return 0;
}

static void let_go(struct passed_ram *ram)
{
        passed_unstore(ram->name);
        close(ram->fd);
        ram->fd = -1;
}

static void complain(const char *name, int error)
{
        journal_log(LOG_WARNING, "The passed descriptor '%s' is not used: %s", name,
                error == -EEXIST    ? "another has its place"
                : error == -ENOTSUP ? "its name is neither ram nor ram-0, ram-1 and so on"
                : error == -EPERM   ? "it could write to the guest; open it read-only "
                                      "(OpenFile=PATH:ram:read-only)"
                : error == -EINVAL  ? "it is not a regular file"
                                    : strerror(-error));
}

/* The process that a pidfd is of; -1: it has ended; 0: this is no pidfd. */
static int pid_of(int pidfd)
{
        char path[48], line[128];
        int pid = 0;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
        f = fopen(path, "re");
        while (f && fgets(line, sizeof(line), f))
                if (sscanf(line, "Pid: %d", &pid) == 1)
                        break;
        if (f)
                fclose(f);
        return pid;
}

/* "ram" is the next one, "ram-N" the one at that place. Return: the place, or -1 for names of ours. */
static int place_of(const char *name, size_t next)
{
        size_t place = next;
        char again[PASSED_NAME_MAX];

        if (strcmp(name, "ram") == 0)
                return next < VGPU_SOURCE_FILES_MAX ? (int)next : -1;
        if (sscanf(name, "ram-%zu", &place) != 1 || place >= VGPU_SOURCE_FILES_MAX)
                return -1;
        snprintf(again, sizeof(again), "ram-%zu", place);
        return strcmp(again, name) == 0 ? (int)place : -1;
}

/* All that an administrator passed; places without one end the list. */
static void take_admins(struct ram_shelf *s, struct passed *p)
{
        struct ram_held at[VGPU_SOURCE_FILES_MAX] = { 0 };
        bool has[VGPU_SOURCE_FILES_MAX] = { false };
        size_t next = 0;

        for (size_t i = 0; i < p->n_ram; i++) {
                struct passed_ram *ram = &p->ram[i];
                int place = place_of(ram->name, next), r;

                if (place < 0)
                        continue;
                r = has[place] ? -EEXIST : measure(ram->fd, &at[place]);
                if (r < 0) {
                        complain(ram->name, r);
                        let_go(ram);
                        continue;
                }
                has[place] = true;
                next = (size_t)place + 1;
                ram->fd = -1;
        }
        for (size_t i = 0; i < VGPU_SOURCE_FILES_MAX; i++) {
                if (has[i] && i == s->n) {
                        s->file[s->n++] = at[i];
                } else if (has[i]) {
                        journal_log(LOG_WARNING,
                                "The passed descriptor 'ram-%zu' is not used: there is no "
                                "'ram-%zu'",
                                i, s->n);
                        close(at[i].fd);
                }
        }
        s->by_admin = s->n > 0;
}

static bool take_stored_process(struct ram_shelf *s, struct passed_ram *ram)
{
        uint64_t config;

        if (s->pidfd >= 0 || sscanf(ram->name, NAME_PROCESS, &config) != 1 || config != s->config)
                return false;
        s->pid = pid_of(ram->fd);
        if (s->pid == 0)
                return false;
        s->pidfd = ram->fd;
        memcpy(s->pid_stored, ram->name, sizeof(s->pid_stored));
        ram->fd = -1;
        return true;
}

static bool take_stored_file(struct ram_shelf *s, struct passed_ram *ram)
{
        struct ram_held f = { .fd = -1 };
        uint64_t config;
        size_t place;

        if (sscanf(ram->name, NAME_FILE, &place, &f.begin, &f.end, &config) != 4 ||
                config != s->config || place != s->n || s->n == VGPU_SOURCE_FILES_MAX ||
                measure(ram->fd, &f) < 0)
                return false;
        memcpy(f.stored, ram->name, sizeof(f.stored));
        s->file[s->n++] = f;
        ram->fd = -1;
        return true;
}

/* In the order of their places, whichever the manager has. */
static void take_stored(struct ram_shelf *s, struct passed *p)
{
        bool more = true;

        for (size_t i = 0; i < p->n_ram; i++)
                if (p->ram[i].fd >= 0)
                        take_stored_process(s, &p->ram[i]);
        while (more) {
                more = false;
                for (size_t i = 0; i < p->n_ram; i++)
                        more |= p->ram[i].fd >= 0 && take_stored_file(s, &p->ram[i]);
        }
        if (s->n == 0)
                ram_shelf_clear(s);
        else
                journal_log(LOG_INFO, "%zu RAM file%s of the daemon before this one taken back",
                        s->n, s->n == 1 ? "" : "s");
}

/* A daemon's own name: of another configuration, or what is not needed any more. That is no news. */
static bool is_of_store(const char *name)
{
        uint64_t begin, end, config;
        size_t place;

        return sscanf(name, NAME_PROCESS, &config) == 1 ||
               sscanf(name, NAME_FILE, &place, &begin, &end, &config) == 4;
}

void ram_shelf_take(struct ram_shelf *s, struct passed *p)
{
        take_admins(s, p);
        if (!s->by_admin)
                take_stored(s, p);
        for (size_t i = 0; i < p->n_ram; i++) {
                if (p->ram[i].fd < 0)
                        continue;
                if (!is_of_store(p->ram[i].name))
                        complain(p->ram[i].name, -ENOTSUP);
                let_go(&p->ram[i]);
        }
        p->n_ram = 0;
}

void ram_shelf_fill(struct ram_shelf *s, struct ram_hand *hand)
{
        const struct ram_offer *o = &hand->offer;

        ram_shelf_clear(s);
        s->by_helper = true;
        for (size_t i = 0; i < o->n_files; i++) {
                struct ram_held *f = &s->file[s->n++];

                *f = (struct ram_held){ .begin = o->file[i].begin, .end = o->file[i].end };
                if (measure(hand->fd[i], f) < 0) /* it was checked when it came */
                        *f = (struct ram_held){ .fd = hand->fd[i] };
        }
        if (o->pid != 0) {
                s->pid = o->pid;
                s->pidfd = hand->fd[o->n_files];
        }
        *hand = RAM_HAND_EMPTY;
}

/* ---- use ----------------------------------------------------------------------------------------------------------- */

int ram_shelf_find(const struct ram_shelf *s, uint64_t hva)
{
        for (size_t i = 0; i < s->n; i++)
                if (hva >= s->file[i].begin && hva < s->file[i].end)
                        return (int)i;
        return -1;
}

void ram_shelf_keep(struct ram_shelf *s, const size_t *places, size_t n)
{
        struct ram_held kept[VGPU_SOURCE_FILES_MAX];

        for (size_t i = 0; i < n; i++) {
                kept[i] = s->file[places[i]];
                s->file[places[i]].fd = -1;
        }
        for (size_t i = 0; i < s->n; i++)
                if (s->file[i].fd >= 0)
                        drop_file(&s->file[i]);
        memcpy(s->file, kept, n * sizeof(kept[0]));
        s->n = n;
}

void ram_shelf_store(struct ram_shelf *s)
{
        for (size_t i = 0; i < s->n; i++)
                if (s->by_admin || s->file[i].stored[0] || (!s->file[i].linked && s->pidfd < 0))
                        return;
        /* The process first: a memfd without one is let go of. */
        if (s->pidfd >= 0) {
                snprintf(s->pid_stored, sizeof(s->pid_stored), NAME_PROCESS, s->config);
                passed_store(s->pid_stored, s->pidfd);
        }
        for (size_t i = 0; i < s->n; i++) {
                struct ram_held *f = &s->file[i];

                snprintf(f->stored, sizeof(f->stored), NAME_FILE, i, f->begin, f->end, s->config);
                passed_store(f->stored, f->fd);
        }
}
