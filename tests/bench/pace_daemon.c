/* pace_daemon.c - see pace_daemon.h */
#include "pace_daemon.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <json.h>

#include "vgpu_client.h"
#include "vgpu_protocol.h"

static _Noreturn void give_up(const char *what, const char *why)
{
        fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, why);
        exit(1);
}

/* The number of the event "a system call begins", which differs from kernel to kernel. Return: -1 when it is not told. */
static long event_of_calls(void)
{
        static const char *const paths[] = {
                "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id",
                "/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id",
        };
        long id = -1;

        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]) && id < 0; i++) {
                FILE *f = fopen(paths[i], "re");

                if (f && fscanf(f, "%ld", &id) != 1)
                        id = -1;
                if (f)
                        fclose(f);
        }
        return id;
}

/* Of the thread that looks; the others sleep. */
static int count_calls(pid_t pid)
{
        struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr) };
        long id = event_of_calls();

        if (id < 0)
                return -1;
        attr.config = (uint64_t)id;
        return (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

void pace_daemon_start(struct pace_daemon *d, const char *ram, const char *latency)
{
        char more[64];
        int r;

        snprintf(more, sizeof(more), "[pace]\nlatency = %s\n", latency);
        r = daemon_proc_start(&d->proc, ram, "q35", 0, more);
        if (r < 0)
                give_up("daemon", strerror(-r));
        d->calls_fd = count_calls(d->proc.pid);
}

void pace_daemon_stop(struct pace_daemon *d)
{
        if (d->calls_fd >= 0)
                close(d->calls_fd);
        if (daemon_proc_stop(&d->proc) != 0)
                give_up("daemon", "it did not end well");
}

/* Of all its threads. */
static uint64_t cpu_ns(pid_t pid)
{
        char path[64], name[384];
        struct dirent *entry;
        uint64_t sum = 0, one;
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
        dir = opendir(path);
        if (!dir)
                give_up(path, strerror(errno));
        while ((entry = readdir(dir))) {
                FILE *f;

                snprintf(name, sizeof(name), "%s/%s/schedstat", path, entry->d_name);
                f = entry->d_name[0] == '.' ? NULL : fopen(name, "re");
                if (f && fscanf(f, "%" SCNu64, &one) == 1)
                        sum += one;
                if (f)
                        fclose(f);
        }
        closedir(dir);
        return sum;
}

static uint64_t number_at(struct json_object *o, const char *a, const char *b, const char *c)
{
        const char *const path[] = { a, b, c };

        for (size_t i = 0; i < 3 && path[i]; i++)
                if (!json_object_object_get_ex(o, path[i], &o))
                        give_up("metrics", path[i]);
        return json_object_get_uint64(o);
}

void pace_daemon_clock(const struct pace_daemon *d, struct pace_spent *ret)
{
        struct timespec ts;

        ret->cpu_ns = cpu_ns(d->proc.pid);
        clock_gettime(CLOCK_MONOTONIC, &ts);
        ret->at_ns = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
        if (d->calls_fd < 0 ||
                read(d->calls_fd, &ret->calls, sizeof(ret->calls)) != sizeof(ret->calls))
                ret->calls = 0;
}

void pace_daemon_ask(const struct pace_daemon *d, struct pace_spent *ret)
{
        struct vgpu_client_failure why;
        struct json_object *o;
        char *json;

        if (vgpu_client_query(d->proc.socket, VGPU_QUERY_METRICS, 0, &json, &why) < 0)
                give_up("metrics", why.text);
        o = json_tokener_parse(json);
        ret->looks = number_at(o, "counters", "looks", NULL);
        ret->frames = number_at(o, "histograms", "sample", "count");
        ret->copy_ns = number_at(o, "histograms", "sample", "sum");
        ret->copy_median_ns = number_at(o, "histograms", "sample", "p50");
        json_object_put(o);
        free(json);
}
