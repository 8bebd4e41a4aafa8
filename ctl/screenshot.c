/*
 * screenshot.c - the newest frame as a PNG
 */
#include "ctl.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cursor.h"
#include "image.h"
#include "latency.h"
#include "png_file.h"
#include "text.h"
#include "vgpu_client.h"

#define DEFAULT_TIMEOUT_MS 5000

struct shot {
        struct vgpu_client *client;
        struct vgpu_client_frame frame;
        void *pixels; /* frame.bytes of them; owned */
        size_t cap;
};

/*
 * Return: as vgpu_client_copy_latest(), or -ENOMEM. The buffer grows until the newest frame fits, whatever mode
 * it has by then.
 */
static int copy(struct shot *shot)
{
        int r;

        while ((r = vgpu_client_copy_latest(shot->client, shot->pixels, shot->cap, &shot->frame)) ==
                -ENOSPC) {
                free(shot->pixels);
                shot->cap = shot->frame.bytes;
                shot->pixels = malloc(shot->cap);
                if (!shot->pixels) {
                        shot->cap = 0;
                        return -ENOMEM;
                }
        }
        return r;
}

/* Return: 1, 0 (none came in time), or < 0. */
static int wait_for_frame(struct shot *shot, uint64_t timeout_ms)
{
        uint64_t deadline_ns = latency_now() + timeout_ms * 1000000, now_ns;
        int r;

        for (;;) {
                r = copy(shot);
                if (r != 0 && r != -ENODATA)
                        return r;
                now_ns = latency_now();
                if (now_ns >= deadline_ns)
                        return 0;
                r = vgpu_client_wait(shot->client, (int)((deadline_ns - now_ns) / 1000000 + 1));
                if (r < 0)
                        return r;
        }
}

/* Why there was no frame: the state says it, and status says more. */
static int fail_without_frame(struct shot *shot, uint64_t timeout_ms)
{
        struct vgpu_client_state state;

        vgpu_client_state(shot->client, &state);
        return ctl_fail("no frame within %.1f s, the daemon is %s; `vgpuctl status` says why",
                (double)timeout_ms / 1000,
                state.connected ? vgpu_client_state_name(state.stream.state) : "gone");
}

static void warn_if_old(struct shot *shot)
{
        struct vgpu_client_state state;
        char since[32];
        uint64_t now_ns = latency_now();

        vgpu_client_state(shot->client, &state);
        if (!shot->frame.stale && state.stream.state == VGPU_RING_STREAMING)
                return;
        text_duration(
                since, sizeof since, latency_between(state.stream.since_ns, now_ns) / 1000000);
        fprintf(stderr,
                "vgpuctl: the stream is %s since %s; this is its last frame, not a live one\n",
                vgpu_client_state_name(state.stream.state), since);
}

static void draw_cursor(struct shot *shot, struct image *image)
{
        struct vgpu_ring_cursor cursor;
        struct vgpu_ring_geometry geometry = { 0 };

        if (shot->frame.flags & VGPU_RING_FRAME_CURSOR_DRAWN)
                return;
        if (vgpu_client_cursor(shot->client, &cursor) != 1 || !cursor.visible)
                return;
        /* A producer that never reported its geometry captures from the desktop's origin. */
        vgpu_client_geometry(shot->client, &geometry);
        cursor_draw(image, &(struct cursor_look){
                                   .x = (int64_t)cursor.x - geometry.cap_x,
                                   .y = (int64_t)cursor.y - geometry.cap_y,
                                   .hot_x = cursor.hot_x,
                                   .hot_y = cursor.hot_y,
                                   .glyph_w = cursor.glyph_w,
                                   .glyph_h = cursor.glyph_h,
                                   .id = cursor.id,
                           });
}

static int save(struct shot *shot, const char *file, bool with_cursor)
{
        const struct vgpu_client_frame *f = &shot->frame;
        struct png_failure why;
        struct image image;
        char fourcc[20];
        int r = image_from_frame(
                shot->pixels, f->bytes, f->width, f->height, f->stride, f->fourcc, &image);

        if (r == -ENOTSUP)
                return ctl_fail("the frame's format %s is not known; a newer vgpuctl may know it",
                        text_escape(fourcc, sizeof fourcc, (const char *)&f->fourcc, 4));
        if (r < 0)
                return ctl_fail("cannot convert the frame: %s", strerror(-r));
        if (with_cursor)
                draw_cursor(shot, &image);
        r = strcmp(file, "-") == 0 ? png_write(stdout, &image, &why) : png_save(file, &image, &why);
        image_deinit(&image);
        return r < 0 ? ctl_fail("cannot write '%s': %s", file, why.text) : CTL_OK;
}

static int take(const char *path, const char *file, bool with_cursor, uint64_t timeout_ms)
{
        struct vgpu_client_options options = { .name = "vgpuctl screenshot" };
        struct vgpu_client_failure why = { 0 };
        struct shot shot = { 0 };
        int r = vgpu_client_connect(path, &options, &shot.client, &why);

        if (r < 0)
                return ctl_connect_failed(path, &why);
        r = wait_for_frame(&shot, timeout_ms);
        if (r == 1) {
                warn_if_old(&shot);
                r = save(&shot, file, with_cursor);
        } else if (r == 0) {
                r = fail_without_frame(&shot, timeout_ms);
        } else {
                r = ctl_fail("cannot read a frame from '%s': %s", path, strerror(-r));
        }
        free(shot.pixels);
        vgpu_client_close(shot.client);
        return r;
}

int screenshot_run(struct ctl *ctl, int argc, char **argv)
{
        enum { NO_CURSOR = CTL_OPTION_OWN, TIMEOUT };
        static const struct option options[] = {
                { "no-cursor", no_argument, NULL, NO_CURSOR },
                { "timeout", required_argument, NULL, TIMEOUT },
                { 0 },
        };
        uint64_t timeout_ms = DEFAULT_TIMEOUT_MS;
        bool with_cursor = true;
        char buf[256];
        const char *path;
        int c;

        while ((c = ctl_getopt(ctl, argc, argv, "", options)) != 0) {
                switch (c) {
                case NO_CURSOR:
                        with_cursor = false;
                        break;
                case TIMEOUT:
                        if (text_to_ms(optarg, &timeout_ms) < 0)
                                return ctl_usage(argv[0], "'%s' is no number of seconds", optarg);
                        break;
                default:
                        return CTL_USAGE;
                }
        }
        if (optind == argc)
                return ctl_usage(argv[0], "which file?");
        if (argc - optind > 1)
                return ctl_usage(argv[0], "one file, not %d", argc - optind);
        if (strcmp(argv[optind], "-") == 0 && isatty(STDOUT_FILENO))
                return ctl_usage(
                        argv[0], "the standard output is a terminal; pipe it, or name a file");
        path = ctl_socket(ctl, buf, sizeof buf);
        return path ? take(path, argv[optind], with_cursor, timeout_ms) : CTL_FAILED;
}
