/* process.c - see process.h */
#include "process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GUEST_FILE "memory-backend-memfd" /* as the simulated guest calls it, and QEMU */
#define RING_FILE  "vgpud-ring"

static FILE *open_proc(pid_t pid, const char *what)
{
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
        return fopen(path, "re");
}

/* "name:   123 kB" */
static bool take_kib(const char *line, const char *name, uint64_t *bytes)
{
        size_t n = strlen(name);

        if (strncmp(line, name, n) != 0 || line[n] != ':')
                return false;
        *bytes += strtoull(line + n + 1, NULL, 10) << 10;
        return true;
}

/* Only the heads of mappings have a range before their first space. */
static bool is_head(const char *line)
{
        return strchr(line, '-') && strchr(line, '-') < line + strcspn(line, " :");
}

bool process_memory(pid_t pid, struct process_memory *ret)
{
        FILE *f = open_proc(pid, "smaps");
        struct process_memory m = { 0 };
        uint64_t *rss = &m.rss_bytes, not_ours = 0, *pss = &m.pss_bytes;
        char *line = NULL;
        size_t cap = 0;

        while (f && getline(&line, &cap, f) > 0) {
                if (is_head(line)) {
                        rss = strstr(line, GUEST_FILE)  ? &m.guest_bytes
                              : strstr(line, RING_FILE) ? &m.ring_bytes
                                                        : &m.rss_bytes;
                        pss = rss == &m.rss_bytes ? &m.pss_bytes : &not_ours;
                } else if (!take_kib(line, "Rss", rss)) {
                        take_kib(line, "Pss", pss);
                }
        }
        free(line);
        if (f)
                fclose(f);
        if (m.rss_bytes == 0)
                return false;
        *ret = m;
        return true;
}

static unsigned count_entries(pid_t pid, const char *folder)
{
        char path[64];
        struct dirent *entry;
        unsigned n = 0;
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, folder);
        dir = opendir(path);
        while (dir && (entry = readdir(dir)) != NULL)
                n += entry->d_name[0] != '.';
        if (dir)
                closedir(dir);
        return n;
}

bool process_holds(pid_t pid, struct process_holds *ret)
{
        struct process_holds h = { .n_fds = count_entries(pid, "fd"),
                .n_threads = count_entries(pid, "task") };
        FILE *f = open_proc(pid, "maps");
        int c;

        while (f && (c = fgetc(f)) != EOF)
                h.n_maps += c == '\n';
        if (f)
                fclose(f);
        if (h.n_maps == 0)
                return false;
        *ret = h;
        return true;
}

uint64_t process_cpu_ns(pid_t pid)
{
        struct timespec ts;
        clockid_t clock;

        if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &ts) < 0)
                return 0;
        return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}
