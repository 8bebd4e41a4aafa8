/* copy_scene.c - see copy_scene.h */
#include "copy_scene.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Three times what the largest caches of one processor hold, or more. */
#define OLD_NEWS_BYTES (UINT64_C(96) << 20)

static _Noreturn void give_up(const char *what, const char *why)
{
        fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, why);
        exit(1);
}

static bool always(void *ctx)
{
        (void)ctx;
        return true;
}

static void open_guest(
        struct copy_scene *s, uint32_t width, uint32_t height, enum machine_paging paging)
{
        static char name[] = "vgpu-bench-copy", memfd[] = "--memfd";
        static char *arguments[] = { name, memfd, NULL };
        struct guest_options options;
        char why[200];

        if (!guest_options_parse(&options, 2, arguments, why, sizeof(why)))
                give_up("guest", why);
        options.ram_size = UINT64_C(1) << 30;
        options.machine.paging = paging;
        options.mode.width = width;
        options.mode.height = height;
        options.slots = 3;
        if (!guest_open(&s->guest, &options))
                give_up("guest", s->guest.why);
        /* a frame in every slot, so that all of their pages are there */
        for (unsigned i = 0; i < options.slots; i++) {
                s->guest.producer.next_frame_ns = 0;
                guest_run_due(&s->guest);
        }
}

static void open_source(struct copy_scene *s)
{
        struct vgpu_source_failure why;

        s->source = vgpu_source_open(s->guest.ram.path, VGPU_MACHINE_Q35, 0, &why);
        if (!s->source)
                give_up(s->guest.ram.path, vgpu_source_reason_text(why.reason));
        vgpu_source_mem_map(s->source, &s->mem);
        vgpu_source_mem_pread(s->source, &s->scan);
        s->win32 = vmie_win32_open(&s->scan, 0, NULL);
        if (!s->win32)
                give_up("guest", "no kernel found");
        vmie_mem_adopt(&s->mem, &s->scan);
        s->ram_bytes = s->guest.ram.size;
        s->ram = mmap(NULL, s->ram_bytes, PROT_READ, MAP_SHARED, s->guest.ram.fd, 0);
        if (s->ram == MAP_FAILED)
                give_up("RAM", strerror(errno));
}

static void open_ring(struct copy_scene *s, const struct vgpu_config *config)
{
        struct server_failure why;
        int r;

        s->config = *config;
        snprintf(s->config.ring.socket, sizeof(s->config.ring.socket), "/tmp/vgpu-bench-copy-%d",
                (int)getpid());
        uv_loop_init(&s->loop);
        r = outlet_init(&s->outlet, &s->loop, &s->config, -1, &(struct outlet_hooks){ 0 }, &why);
        if (r < 0)
                give_up("ring", strerror(-r));
        stream_init(&s->stream, &s->outlet, s->config.ring.staging);
}

void copy_scene_open(struct copy_scene *s, uint32_t width, uint32_t height,
        enum machine_paging paging, const struct vgpu_config *config)
{
        open_guest(s, width, height, paging);
        open_source(s);
        open_ring(s, config);
        s->frame_bytes = (uint64_t)width * height * 4;
        s->view = (struct stream_view){ .region = vgpup_open(s->win32),
                .mem = &s->mem,
                .source = s->source,
                .epoch = 1,
                .producer_pid = s->guest.producer.pid,
                .may_publish = always };
        if (!s->view.region)
                give_up("guest", "no region found");
        s->old_news = mmap(
                NULL, OLD_NEWS_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (s->old_news == MAP_FAILED)
                give_up("memory", strerror(errno));
        memset(s->old_news, 1, OLD_NEWS_BYTES);
}

void copy_scene_close(struct copy_scene *s)
{
        munmap(s->old_news, OLD_NEWS_BYTES);
        munmap((void *)s->ram, s->ram_bytes);
        vgpup_close(s->view.region);
        vmie_win32_close(s->win32);
        stream_deinit(&s->stream);
        outlet_close(&s->outlet);
        uv_run(&s->loop, UV_RUN_DEFAULT);
        outlet_deinit(&s->outlet);
        uv_loop_close(&s->loop);
        vgpu_source_close(s->source);
        guest_close(&s->guest);
        memset(s, 0, sizeof(*s));
}

void copy_scene_produce(struct copy_scene *s, const vgpu_rect_t *damage)
{
        struct guest_producer *p = &s->guest.producer;
        struct vgpu_producer_frame frame = {
                .width = p->mode.width,
                .height = p->mode.height,
                .stride = p->mode.width * 4,
                .format = p->mode.format,
                .damage = damage,
                .damage_count = damage ? 1 : 0,
                .content_changed = true,
        };
        uint64_t frame_id;

        vgpu_producer_begin_frame(&p->writer, &frame_id);
        frame.damage_base = damage ? frame_id - 1 : 0;
        vgpu_producer_end_frame(&p->writer, &frame);
}

typedef uint64_t v2 __attribute__((vector_size(16), aligned(16), may_alias));

void copy_scene_read(const uint8_t *bytes, size_t len)
{
        static volatile uint64_t sink;
        v2 sum[4] = { { 0 } };

        for (size_t i = 0; i + 64 <= len; i += 64)
                for (int k = 0; k < 4; k++)
                        sum[k] ^= ((const v2 *)(const void *)(bytes + i))[k];
        sum[0] ^= sum[1] ^ sum[2] ^ sum[3];
        sink = sum[0][0] ^ sum[0][1];
        (void)sink;
}

void copy_scene_cool(struct copy_scene *s)
{
        copy_scene_read(s->old_news, OLD_NEWS_BYTES);
}
