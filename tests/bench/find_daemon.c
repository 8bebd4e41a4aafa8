/* find_daemon.c - see find_daemon.h */
#include "find_daemon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/guest.h"

#define TURN_MS 1

struct find_daemon {
        uv_loop_t loop;
        uv_timer_t turn;
        struct vgpu_config config;
        struct outlet outlet;
        struct guest guest;
        uint64_t found_ns;
};

static _Noreturn void give_up(const char *what, int error)
{
        fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(-error));
        exit(1);
}

static uint64_t cpu_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
        return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void on_turn(uv_timer_t *timer)
{
        (void)timer;
}

static void on_changed(void *ctx)
{
        struct find_daemon *d = ctx;

        if (d->guest.state == GUEST_CONFIRMING)
                d->found_ns = uv_hrtime();
}

/* Everything else as it is when nobody says anything. */
static void configure(struct vgpu_config *config, const char *ram_path)
{
        char path[] = "/tmp/vgpu-bench-find-XXXXXX";
        struct config_report report;
        int fd = mkstemp(path);
        FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
        int r;

        if (!f)
                give_up(path, -errno);
        fprintf(f, "[guest]\nram = %s\n[ring]\nsocket = /tmp/vgpu-bench-find-%d\n", ram_path,
                (int)getpid());
        fclose(f);
        r = config_load(path, config, &report);
        if (r < 0)
                config_report_print(stderr, &report);
        config_report_free(&report);
        unlink(path);
        if (r < 0)
                give_up("configuration", r);
}

struct find_daemon *find_daemon_open(const char *ram_path)
{
        struct find_daemon *d = calloc(1, sizeof(*d));
        struct server_failure why;
        int r;

        if (!d)
                give_up("daemon", -ENOMEM);
        configure(&d->config, ram_path);
        uv_loop_init(&d->loop);
        r = outlet_init(&d->outlet, &d->loop, &d->config, -1, &(struct outlet_hooks){ 0 }, &why);
        if (r < 0)
                give_up("ring", r);
        r = guest_init(&d->guest, &d->loop, &d->config, &d->outlet);
        if (r < 0)
                give_up("daemon", r);
        d->guest.changed = on_changed;
        d->guest.changed_ctx = d;
        uv_timer_init(&d->loop, &d->turn);
        uv_timer_start(&d->turn, on_turn, TURN_MS, TURN_MS);
        return d;
}

void find_daemon_close(struct find_daemon *d)
{
        guest_stop(&d->guest);
        uv_close((uv_handle_t *)&d->turn, NULL);
        uv_run(&d->loop, UV_RUN_DEFAULT);
        guest_deinit(&d->guest);
        outlet_deinit(&d->outlet);
        uv_loop_close(&d->loop);
        free(d);
}

uint64_t find_daemon_turn(struct find_daemon *d)
{
        uint64_t from_ns = cpu_ns();

        uv_run(&d->loop, UV_RUN_ONCE);
        return cpu_ns() - from_ns;
}

bool find_daemon_is_scanning(const struct find_daemon *d)
{
        return d->guest.scan != NULL;
}

bool find_daemon_is_streaming(const struct find_daemon *d)
{
        return d->guest.state == GUEST_STREAMING;
}

bool find_daemon_is_searching(const struct find_daemon *d)
{
        return d->guest.state == GUEST_SEARCHING;
}

uint64_t find_daemon_found_ns(const struct find_daemon *d)
{
        return d->found_ns;
}

uint64_t find_daemon_n_scans(const struct find_daemon *d)
{
        return d->guest.n_scans;
}
